//! What a builder collects: the configuration's own form, before it is text.

use std::time::Duration;

use crate::config::Secret;

/// A value as a configuration file would have it. Made with `From`, or [`Value::table`].
///
/// Text is what it says: `${NAME}` in it is no variable. A [`Secret`] stays out of the text that reports show.
#[derive(Clone, Debug, PartialEq)]
pub struct Value(pub(super) Item);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Boolean(bool),
    Float(f64),
    Integer(i64),
    List(Vec<Self>),
    Secret(Secret),
    Table(Table),
    Text(String),
}

/// Keys and their values, in the order in which they were set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table(pub(super) Vec<(String, Item)>);

impl Value {
    /// A table of these keys.
    pub fn table<K: Into<String>, V: Into<Self>>(keys: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut table = Table::default();
        for (key, value) in keys {
            table.set(&key.into(), value);
        }
        Self(Item::Table(table))
    }

    /// A list of texts.
    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        texts.into_iter().map(Into::into).collect::<Vec<String>>().into()
    }

    /// A size in bytes.
    pub(super) fn size(bytes: u64) -> Self {
        format!("{bytes}B").into()
    }
}

impl Table {
    /// Sets `key`, in its old place where it has one.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into().0;
        match self.find(key) {
            Some(old) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// One more value in the list under `key`.
    pub(super) fn push(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into().0;
        match self.find(key) {
            Some(Item::List(list)) => list.push(value),
            // A short form is a list of it.
            Some(one) => *one = Item::List(vec![one.clone(), value]),
            None => self.0.push((key.to_owned(), Item::List(vec![value]))),
        }
    }

    /// One more entry `name` in the table under `key`; a second one of that name is for the reader to refuse.
    pub(super) fn name(&mut self, key: &str, name: String, entry: Self) {
        let entry = (name, Item::Table(entry));
        match self.find(key) {
            Some(Item::Table(table)) => table.0.push(entry),
            _ => self.0.push((key.to_owned(), Item::Table(Self(vec![entry])))),
        }
    }

    /// Sets `entry` in the table under `key`.
    pub(super) fn pair(&mut self, key: &str, entry: String, value: String) {
        match self.find(key) {
            Some(Item::Table(table)) => table.set(&entry, value),
            _ => self.0.push((key.to_owned(), Item::Table(Self(vec![(entry, Item::Text(value))])))),
        }
    }

    fn find(&mut self, key: &str) -> Option<&mut Item> {
        self.0.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

/// Written so that nothing is lost; what is finer than a millisecond is written as it is, for the reader to refuse.
fn written(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        _ => format!("{}ns", duration.as_nanos()),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Item::Text(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Item::Text(text))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(Item::Boolean(value))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self(Item::Integer(number.into()))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(Item::Integer(number))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self(Item::Float(number))
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        written(duration).into()
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self(Item::Secret(secret))
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self(Item::List(list.into_iter().map(|value| value.into().0).collect()))
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(list: [T; N]) -> Self {
        Vec::from(list).into()
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Self {
        Self(Item::Table(table))
    }
}
