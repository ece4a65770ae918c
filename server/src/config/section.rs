//! A table of the file. Keys that were asked for are remembered; all others are unknown, and a problem.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::describe;
use super::problem::Problem;
use super::reader::Reader;
use super::redact;
use super::span::{At, Given, Span, Text};
use super::suggest::{listed, nearest};
use super::taken::Taken;
use super::value::Value;

/// What the top of the file is called in messages.
pub(crate) const TOP: &str = "the file";

/// Where keys stand that are in no table.
pub(crate) const TOP_OF_FILE: &str = "the top of the file";

/// One table while it is read.
pub(crate) struct Section<'r> {
    asked: Vec<&'static str>,
    name: String,
    reader: &'r Reader<'r>,
    /// Where it begins: its header, or the whole of an inline table.
    pub(crate) span: Span,
    table: &'r DeTable<'r>,
}

impl<'r> Section<'r> {
    /// Reads `table` with `read`, then notes every key that was not asked for.
    pub(crate) fn read<T>(
        reader: &'r Reader<'r>,
        name: &str,
        span: Span,
        table: &'r DeTable<'r>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section = Self { asked: Vec::new(), name: name.to_owned(), reader, span, table };
        let value = read(&mut section);
        section.note_unknown();
        reader.took(section.span, || Taken::Keys(section.asked));
        value
    }

    /// Notes a problem.
    pub(crate) fn note(&self, problem: Problem) {
        self.reader.note(problem);
    }

    /// The value of `key`.
    pub(crate) fn value(&mut self, key: &'static str) -> Given<Value<'r>> {
        self.asked.push(key);
        match self.table.get_key_value(key) {
            Some((key, value)) => Given::Value(Value { key: key.get_ref(), reader: self.reader, value }),
            None => Given::Absent,
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &'static str) -> Given<Text> {
        self.value(key).and_then(Value::text)
    }

    /// A string that says something: an empty one counts as not written.
    pub(crate) fn some_text(&mut self, key: &'static str) -> Given<Text> {
        match self.text(key) {
            Given::Value(text) if text.value.is_empty() => Given::Absent,
            given => given,
        }
    }

    /// A list of strings, or one.
    pub(crate) fn texts(&mut self, key: &'static str) -> Given<At<Vec<Text>>> {
        self.value(key).and_then(Value::texts)
    }

    /// A duration longer than nothing.
    pub(crate) fn duration(&mut self, key: &'static str) -> Given<At<Duration>> {
        self.value(key).and_then(Value::some_time)
    }

    /// A whole number in `range`.
    pub(crate) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Given<At<u32>> {
        self.value(key).and_then(|value| value.integer(range))
    }

    /// A number in `range`, with a point or without.
    pub(crate) fn ratio(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Given<At<f64>> {
        self.value(key).and_then(|value| value.ratio(range))
    }

    /// One of a few words.
    pub(crate) fn word(
        &mut self,
        key: &'static str,
        accepted: &[&'static str],
        unbuilt: &[&str],
    ) -> Given<At<&'static str>> {
        self.value(key).and_then(|value| value.word(accepted, unbuilt))
    }

    /// A table under `key`.
    pub(crate) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> Given<T> {
        let name = if self.name == TOP { format!("[{key}]") } else { format!("`{key}` of {}", self.name) };
        self.value(key).and_then(|value| value.section(&name, read))
    }

    /// Every entry of a table of names: the name and its value, in the order of the file.
    pub(crate) fn named<T>(&mut self, key: &'static str, read: impl Fn(At<String>, Value<'r>) -> Option<T>) -> Vec<T> {
        let Given::Value(value) = self.value(key) else { return Vec::new() };
        value.take(|| Taken::Names);
        let checked = value.entries().into_iter().inspect(|(name, _)| self.check_name(name));
        checked.filter_map(|(name, value)| read(name, value)).collect()
    }

    /// A table of strings: each name and its string, in the order of the file.
    pub(crate) fn pairs(&mut self, key: &'static str) -> Vec<(At<String>, Text)> {
        let Given::Value(value) = self.value(key) else { return Vec::new() };
        value.entries().into_iter().filter_map(|(name, value)| Some((name, value.text().value()?))).collect()
    }

    /// Whether `key` is written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Names go into headers, metrics and logs.
    fn check_name(&self, at: &At<String>) {
        let name = &at.value;
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fit) {
            let title = format!("`{}` is not a name", super::span::shown(name));
            self.note(Problem::error(&at.span, title).accepted("1 to 64 letters, digits, `-`, `_` and `.`"));
        }
    }

    /// A key of the contract whose part is not built yet: anything but nothing is an error, never ignored.
    pub(crate) fn not_built(&mut self, key: &'static str) {
        let Given::Value(value) = self.value(key) else { return };
        value.take(|| Taken::Unbuilt);
        if !is_nothing(value.kind()) {
            if redact::is_telling(key) {
                self.reader.found.borrow_mut().secrets.push(value.span());
            }
            let problem = Problem::error(&self.key_span(key), format!("`{key}` is not built yet"))
                .note("it is part of the configuration's contract; this version would not do what it says")
                .hint(format!("remove `{key}` from {}", self.name));
            self.note(problem);
        }
    }

    /// Several such keys that may only be empty.
    pub(crate) fn not_built_yet(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.not_built(key);
        }
    }

    /// The place of a key; of the table where it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        self.table.get_key_value(key).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    fn note_unknown(&self) {
        for (key, value) in self.table.iter().filter(|(key, _)| !self.asked.contains(&&**key.get_ref())) {
            let name = key.get_ref();
            let meant = nearest(name, self.asked.iter().copied());
            // A misspelt `secret` holds a secret all the same.
            if redact::is_telling(name) || meant.is_some_and(redact::is_telling) {
                self.reader.found.borrow_mut().secrets.push(value.span());
            }
            let mut accepted = self.asked.clone();
            accepted.sort_unstable();
            accepted.dedup();
            self.note(
                Problem::error(&key.span(), format!("unknown key `{}` in {}", super::span::shown(name), self.name))
                    .accepted(listed(accepted))
                    .maybe_hint(meant.map_or_else(|| self.home(name), |word| Some(format!("did you mean `{word}`?")))),
            );
        }
    }

    /// Where a key that is unknown here belongs: most often it stands behind the wrong header.
    fn home(&self, key: &str) -> Option<String> {
        if !self.reader.knows_homes {
            return None;
        }
        let homes = describe::homes(key);
        let (top, tables): (Vec<_>, Vec<_>) = homes.into_iter().partition(|home| home == TOP_OF_FILE);
        match (&*top, &*tables) {
            ([], []) => None,
            ([top, ..], []) => Some(format!("`{key}` stands at {top}, before the first [table]")),
            ([], tables) => Some(format!("`{key}` is a key of {}", tables.join(", "))),
            ([top, ..], tables) => {
                Some(format!("`{key}` stands at {top}, before the first [table], or in {}", tables.join(", ")))
            }
        }
    }
}

/// Nothing, or a table of nothing: "", [], {}. It may be written for a key that is not built yet, because it is what happens anyway.
fn is_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.is_empty(),
        DeValue::Array(list) => list.is_empty(),
        DeValue::Table(table) => table.values().all(|value| is_nothing(value.get_ref())),
        _ => false,
    }
}
