//! The file of a verifier's API keys: TOML of its own, read as the configuration is, with places of its own in reports.

use std::cell::RefCell;

use portcullis_core::time::UnixTime;
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::reader::{Found, Reader};
use super::redact::mask_keys;
use super::report::Read;
use super::resolve::{Surroundings, read_text};
use super::section::Section;
use super::span::{At, Given, Span, Text};
use super::syntax;
use super::value::Value;

/// The largest file of keys: some hundred thousand of them.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A file of keys as it is written.
#[derive(Debug)]
pub(crate) struct KeyFile {
    /// Its number in reports; 0 when it is not known which file it is.
    pub(crate) file: usize,
    pub(crate) keys: Vec<Key>,
    /// When it was read.
    pub(crate) now: UnixTime,
}

/// One `[[key]]`.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) claims: Given<At<Map<String, Json>>>,
    pub(crate) expires: Given<At<UnixTime>>,
    pub(crate) id: Given<Text>,
    pub(crate) sha256: Given<Text>,
    pub(crate) span: Span,
}

/// The file that "file:PATH" names. What is wrong with it is noted in it.
pub(crate) fn read(value: Value<'_>) -> Given<At<KeyFile>> {
    // Somebody may have written a key here.
    value.reader.found.borrow_mut().secrets.push(value.span());
    value.text().and_then(|text| {
        let path = text.value.strip_prefix("file:").filter(|_| text.written.starts_with("file:"));
        match path {
            _ if text.unset => Given::Value(At::new(KeyFile::unset(value.reader), text.span)),
            Some(path) => file(value, &text, path),
            None => {
                let problem = Problem::error(&text.span, "`keys` does not name a file").accepted("\"file:PATH\"");
                value.reader.note(problem.hint("`portcullis key` makes a key and its entry for such a file"));
                Given::Broken
            }
        }
    })
}

fn file(value: Value<'_>, named: &Text, path: &str) -> Given<At<KeyFile>> {
    let path = value.reader.surroundings.path(path);
    value.reader.found.borrow_mut().files.insert(path.clone());
    // Where the path came from outside, it is not shown.
    let name = if named.is_resolved() { named.shown() } else { path.display().to_string() };
    match read_text(&path, LARGEST) {
        Ok(source) => {
            parse(value.reader, &name, &source).and_then(|file| Given::Value(At::new(file, named.span.clone())))
        }
        Err(why) => {
            let problem =
                Problem::error(&named.span, "the file of `keys` cannot be read").note(format!("{name}: {why}"));
            value.reader.note(problem.hint("the path is relative to the configuration file's folder"));
            Given::Broken
        }
    }
}

fn parse(outer: &Reader<'_>, name: &str, source: &str) -> Given<KeyFile> {
    let around = &outer.surroundings;
    let surroundings =
        Surroundings { env: around.env, folder: around.folder.clone(), now: around.now, unset_ok: around.unset_ok };
    let reader = Reader { found: RefCell::new(Found::default()), knows_homes: false, source, surroundings };
    let (table, errors) = DeTable::parse_recoverable(source);
    let keys =
        Section::read(&reader, "the key file", 0..0, table.get_ref(), |section| section.value("key").and_then(keys));
    let inner = reader.found.into_inner();
    let problems = if errors.is_empty() { inner.problems } else { syntax::problems(source, &errors, inner.problems) };

    let mut found = outer.found.borrow_mut();
    let read = Read { name: name.to_owned(), text: mask_keys(source, &inner.secrets) };
    let place = found.read.iter().position(|known| *known == read).unwrap_or_else(|| {
        found.read.push(read);
        found.read.len() - 1
    });
    // The configuration itself is number 0.
    let file = place + 1;
    found.problems.extend(problems.into_iter().map(|problem| problem.in_file(file)));
    let keys = match keys {
        _ if !errors.is_empty() => return Given::Broken,
        Given::Broken => return Given::Broken,
        Given::Absent => Vec::new(),
        Given::Value(keys) => keys,
    };
    Given::Value(KeyFile { file, keys, now: around.now })
}

fn keys(value: Value<'_>) -> Given<Vec<Key>> {
    value.list("a list of tables, [[key]]").and_then(|values| {
        let keys = values.into_iter().map(|value| value.section("[[key]]", Key::read).value());
        // One that is no table has been noted.
        Given::Value(keys.flatten().collect())
    })
}

impl KeyFile {
    /// What stands in for a file whose name is not known.
    fn unset(reader: &Reader<'_>) -> Self {
        Self { file: 0, keys: Vec::new(), now: reader.surroundings.now }
    }
}

impl Key {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            claims: section.value("claims").and_then(claims),
            expires: section.value("expires").and_then(time),
            id: section.text("id"),
            sha256: section.value("sha256").and_then(hash),
            span: section.span.clone(),
        }
    }
}

fn hash(value: Value<'_>) -> Given<Text> {
    value.reader.found.borrow_mut().secrets.push(value.span());
    value.text()
}

/// A moment: a date and a time with an offset. Fractions of a second are cut, so that they never help.
fn time(value: Value<'_>) -> Given<At<UnixTime>> {
    const ACCEPTED: &str =
        "a date and a time with an offset, without quotes: 2027-01-31T00:00:00Z, or 2027-01-31T00:00:00+01:00";
    let problem = |title: &str| Problem::error(&value.span(), title).accepted(ACCEPTED);
    let broken = |problem: Problem| {
        value.reader.note(problem);
        Given::Broken
    };
    match value.kind() {
        DeValue::Datetime(written) if written.date.is_some() && written.offset.is_some() => {
            match written.to_string().parse::<jiff::Timestamp>() {
                // What ended before 1970 has ended.
                Ok(time) => {
                    let seconds = u64::try_from(time.as_second()).unwrap_or(0);
                    Given::Value(At::new(UnixTime::from_secs(seconds), value.span()))
                }
                Err(_) => broken(problem("this is not a time")),
            }
        }
        DeValue::Datetime(written) if written.date.is_some() => {
            broken(problem("this time has no offset, so it is another moment in every time zone"))
        }
        _ => broken(problem("`expires` must be a date and a time")),
    }
}

fn claims(value: Value<'_>) -> Given<At<Map<String, Json>>> {
    match json(value) {
        Given::Value(Json::Object(claims)) => Given::Value(At::new(claims, value.span())),
        Given::Absent | Given::Broken => Given::Broken,
        Given::Value(_) => {
            let problem = Problem::error(&value.span(), "`claims` must be a table");
            value.reader.note(problem.accepted("`claims = { plan = \"gold\", seats = 5 }`"));
            Given::Broken
        }
    }
}

/// The value as a token would have it. How deep it goes is bounded by the parser.
fn json(value: Value<'_>) -> Given<Json> {
    let broken = |title: String| {
        value
            .reader
            .note(Problem::error(&value.span(), title).accepted("strings, numbers, booleans, lists and tables"));
        Given::Broken
    };
    match value.kind() {
        DeValue::Array(items) => {
            // All of them are read before one that is broken counts.
            let items: Vec<_> = items.iter().map(|item| json(Value { value: item, ..value }).value()).collect();
            let items = items.into_iter().collect::<Option<_>>();
            items.map_or(Given::Broken, |items| Given::Value(Json::Array(items)))
        }
        DeValue::Boolean(value) => Given::Value(Json::Bool(*value)),
        DeValue::Datetime(_) => broken("a claim cannot be a date: write it as a string".to_owned()),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or_else(
                || broken("this number is not one in JSON".to_owned()),
                |number| Given::Value(number.into()),
            )
        }
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Given::Value(number.into()),
            Err(_) => broken("this number is too large".to_owned()),
        },
        DeValue::String(_) => value.text().and_then(|text| Given::Value(text.value.into())),
        DeValue::Table(_) => {
            let members = value.entries().into_iter().map(|(name, value)| Some((name.value, json(value).value()?)));
            let members = members.collect::<Vec<_>>().into_iter().collect::<Option<_>>();
            members.map_or(Given::Broken, |members| Given::Value(Json::Object(members)))
        }
    }
}
