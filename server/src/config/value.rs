//! One value of the file, taken as the kind that its key asks for. A value of another kind is noted with its place, and the
//! walk goes on.

use toml::Spanned;
use toml::de::DeValue;

use super::problem::Problem;
use super::reader::Reader;
use super::section::Section;
use super::span::{At, Given, Span, Text};
use super::suggest::{did_you_mean, listed};
use super::taken::Taken;

mod numbers;

/// A value, and the key that it stands under.
#[derive(Clone, Copy)]
pub(crate) struct Value<'r> {
    pub(crate) key: &'r str,
    pub(crate) reader: &'r Reader<'r>,
    pub(crate) value: &'r Spanned<DeValue<'r>>,
}

impl<'r> Value<'r> {
    pub(crate) fn span(&self) -> Span {
        self.value.span()
    }

    pub(crate) fn kind(&self) -> &'r DeValue<'r> {
        self.value.get_ref()
    }

    /// Says what the value is taken as: the file's JSON Schema is made of this.
    pub(crate) fn take(&self, taken: impl FnOnce() -> Taken) {
        self.reader.took(self.span(), taken);
    }

    /// Notes that the value is of the wrong kind.
    fn wrong<T>(&self, expected: &str) -> Given<T> {
        let title = format!("`{}` must be {expected}, not {}", self.key, kind_of(self.kind()));
        let problem = Problem::error(&self.span(), title).label(format!("expected {expected}"));
        self.reader.note(problem.maybe_hint(self.quotes(expected)));
        Given::Broken
    }

    /// What is wrong may be no more than the quotes.
    fn quotes(&self, expected: &str) -> Option<String> {
        let hint = match self.kind() {
            DeValue::Integer(_) if expected == "a string" => "write it in quotes",
            DeValue::String(text) if expected.contains("number") && text.parse::<u32>().is_ok() => {
                "write it without quotes"
            }
            _ => return None,
        };
        // Not the value: it may be a secret.
        Some(hint.to_owned())
    }

    /// Notes that the value is of the right kind and still not acceptable. What came from outside the file is not shown.
    fn unfit<T>(&self, text: &Text, expected: &str, why: &str) -> Given<T> {
        let problem = Problem::error(&self.span(), format!("\"{}\" is not {expected}", text.shown()));
        self.reader.note(if text.is_resolved() {
            problem.label("the value that the variable has is not one")
        } else {
            problem.label(why)
        });
        Given::Broken
    }

    /// A string, with variables replaced.
    pub(crate) fn text(self) -> Given<Text> {
        self.take(|| Taken::Text);
        self.text_as("a string")
    }

    fn text_as(self, expected: &str) -> Given<Text> {
        let DeValue::String(written) = self.kind() else { return self.wrong(expected) };
        let span = self.span();
        let inside = self.reader.source.get(span.start + 1..span.end.saturating_sub(1).max(span.start + 1));
        let plain = Text {
            literal: inside == Some(&**written),
            span,
            unset: false,
            value: String::new(),
            written: written.to_string(),
        };
        match self.reader.surroundings.resolve(written) {
            Ok(resolved) => {
                // Places in a value that was put together are not places in the file.
                let literal = plain.literal && resolved.value == plain.written;
                Given::Value(Text { literal, unset: resolved.unset, value: resolved.value, ..plain })
            }
            Err(fault) => {
                self.reader.note(Problem::error(&plain.part(&fault.span), fault.title).hint(fault.hint));
                Given::Broken
            }
        }
    }

    /// A string that `parse` takes. An unset variable under `--unset-ok` counts as not written.
    fn parsed<T>(self, expected: &str, parse: impl Fn(&str) -> Result<T, String>) -> Given<At<T>> {
        self.text_as(expected).and_then(|text| match parse(&text.value) {
            _ if text.unset => Given::Absent,
            Ok(value) => Given::Value(At::new(value, text.span)),
            Err(why) => self.unfit(&text, expected, &why),
        })
    }

    /// True or false.
    pub(crate) fn boolean(self) -> Given<At<bool>> {
        self.take(|| Taken::Boolean);
        match self.kind() {
            DeValue::Boolean(value) => Given::Value(At::new(*value, self.span())),
            DeValue::String(text) if text.contains("${") => {
                self.parsed("true or false", |text| text.parse().map_err(|_| "neither true nor false".to_owned()))
            }
            _ => self.wrong("true or false"),
        }
    }

    /// Whether it is this word; otherwise it may be something else.
    pub(crate) fn is(&self, word: &'static str) -> bool {
        self.take(|| Taken::Word(vec![word]));
        matches!(self.kind(), DeValue::String(text) if text == word)
    }

    /// One of a few words. Those in `unbuilt` belong to the contract and to parts that are not built yet.
    pub(crate) fn word(self, accepted: &[&'static str], unbuilt: &[&str]) -> Given<At<&'static str>> {
        self.take(|| Taken::Word(accepted.to_vec()));
        self.text_as("a string").and_then(|text| {
            let known = accepted.iter().find(|word| **word == text.value).copied();
            match known.or(accepted.first().copied().filter(|_| text.unset)) {
                Some(word) => Given::Value(At::new(word, text.span)),
                None => {
                    self.reader.note(self.unknown_word(&text, accepted, unbuilt));
                    Given::Broken
                }
            }
        })
    }

    fn unknown_word(&self, text: &Text, accepted: &[&'static str], unbuilt: &[&str]) -> Problem {
        let is_unbuilt = unbuilt.iter().any(|word| text.written.split(':').next() == word.split(':').next());
        let title = if is_unbuilt {
            format!("`{} = \"{}\"` is not built yet", self.key, text.shown())
        } else {
            format!("unknown {} `{}`", self.key, text.shown())
        };
        Problem::error(&text.span, title)
            .accepted(listed(accepted.iter().copied()))
            .maybe_hint(did_you_mean(&text.written, accepted.iter().copied()))
    }

    /// The values of a list.
    pub(crate) fn list(self, expected: &str) -> Given<Vec<Self>> {
        self.take(|| Taken::List);
        match self.kind() {
            DeValue::Array(array) => {
                Given::Value(array.iter().map(|value| Self { key: self.key, reader: self.reader, value }).collect())
            }
            _ => self.wrong(expected),
        }
    }

    /// Each value of a list as `read` takes it. Broken ones are left out; a list of nothing but broken ones is broken.
    pub(crate) fn each<T>(self, expected: &str, read: impl Fn(Self) -> Given<T>) -> Given<At<Vec<T>>> {
        self.list(expected).and_then(|values| {
            let all = values.len();
            let good: Vec<T> = values.into_iter().filter_map(|value| read(value).value()).collect();
            if good.is_empty() && all > 0 { Given::Broken } else { Given::Value(At::new(good, self.span())) }
        })
    }

    /// A list of strings; one string stands for a list of it.
    pub(crate) fn texts(self) -> Given<At<Vec<Text>>> {
        match self.kind() {
            DeValue::String(_) => self.text().and_then(|text| Given::Value(At::new(vec![text], self.span()))),
            _ => self.each("a list of strings", Self::text),
        }
    }

    /// A table, called `name` in messages.
    pub(crate) fn section<T>(self, name: &str, read: impl FnOnce(&mut Section<'r>) -> T) -> Given<T> {
        match self.kind() {
            DeValue::Table(table) => Given::Value(Section::read(self.reader, name, self.span(), table, read)),
            _ => self.wrong("a table"),
        }
    }

    /// The entries of a table, in the order of the file.
    pub(crate) fn entries(self) -> Vec<(At<String>, Self)> {
        self.take(|| Taken::Entries);
        let DeValue::Table(table) = self.kind() else {
            let _ = self.wrong::<()>("a table");
            return Vec::new();
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(name, value)| {
                let name_at = At::new(name.get_ref().to_string(), name.span());
                (name_at, Self { key: name.get_ref(), reader: self.reader, value })
            })
            .collect();
        entries.sort_by_key(|(name, _)| name.span.start);
        entries
    }

    /// Notes that `what` belongs to the contract and is not built yet.
    pub(crate) fn not_built<T>(self, what: &str, hint: &str) -> Given<T> {
        self.reader.note(Problem::error(&self.span(), format!("{what} is not built yet")).hint(hint));
        Given::Broken
    }

    /// Whether this is a table, not a short form.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind(), DeValue::Table(_))
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date-time",
        DeValue::Float(_) => "a number with a point",
        DeValue::Integer(_) => "an integer",
        DeValue::String(_) => "a string",
        DeValue::Table(_) => "a table",
    }
}
