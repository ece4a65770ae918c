//! The JSON Schema of the file, for editors.
//!
//! Nobody writes it down. The reader is asked, key by key, with one sample of every kind that TOML has; what it takes a sample as
//! is what the schema says. So a key that is read has its schema and there is no second list to keep, and a key that is not
//! built yet has the schema of the only values that the reader lets pass.

mod ask;
mod page;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::section::TOP_OF_FILE;
use super::taken::Taken;
use ask::Step;
use page::Page;

/// The JSON Schema (2020-12) of the configuration file: what each key is, its default, and one sentence of what it does.
///
/// It accepts every file that the program accepts, and refuses unknown keys and values of a wrong kind. What it cannot say
/// (whether a name names something, whether a pattern is one) only `check` finds.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Portcullis",
        "description": "The configuration of the API gateway Portcullis, portcullis.toml.",
        "$defs": {
            "duration": {
                "type": "string",
                "pattern": format!("^([0-9]+(ms|s|m|min|h|d))+$|{VARIABLE}"),
            },
            "nothing": {
                "anyOf": [
                    { "const": "" },
                    { "type": "array", "maxItems": 0 },
                    { "type": "object", "additionalProperties": { "$ref": "#/$defs/nothing" } },
                ],
            },
            "size": {
                "type": "string",
                "pattern": format!("^[0-9.]+ *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)$|{VARIABLE}"),
            },
            "variable": { "type": "string", "pattern": VARIABLE },
        },
    });
    let top = value(&Page::read(), &mut Vec::new());
    if let (Value::Object(schema), Value::Object(top)) = (&mut schema, top) {
        schema.extend(top);
    }
    schema
}

/// A string with a variable in it may become anything.
const VARIABLE: &str = "\\$\\{";

/// The value at the end of `path`.
fn value(page: &Page, path: &mut Vec<Step>) -> Value {
    let taken = ask::all(path);
    let has_names = taken.contains(&Taken::Names);
    let mut forms: Vec<Value> = Vec::new();
    // A table of names is one of entries, too.
    for taken in taken.iter().filter(|taken| !(has_names && **taken == Taken::Entries)) {
        let form = form(page, path, taken);
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    let mut schema = match <[Value; 1]>::try_from(forms) {
        Ok([form]) => form,
        Err(forms) => json!({ "anyOf": forms }),
    };
    if let (Some(Step::Key(_)), Value::Object(schema)) = (path.last(), &mut schema) {
        let unbuilt = taken.iter().any(|taken| matches!(taken, Taken::Unbuilt));
        describe(page, path, unbuilt, schema);
    }
    schema
}

/// The sections that have `key`, as a file writes them: "[server]", "[[routes]]", "the top of the file".
pub(super) fn homes(key: &str) -> Vec<String> {
    /// The schema is made by reading; files with many unknown keys should not pay for it many times.
    static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);
    let properties = |schema: &Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let top = properties(&SCHEMA);
    let mut homes = Vec::new();
    if top.contains_key(key) {
        homes.push(TOP_OF_FILE.to_owned());
    }
    for (name, section) in &top {
        let forms = section.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![section.clone()]);
        for form in forms {
            let listed = form.get("items").map(|item| (format!("[[{name}]]"), item));
            let named = form.get("additionalProperties").map(|entry| (format!("[{name}.NAME]"), entry));
            for (home, inner) in [Some((format!("[{name}]"), &form)), listed, named].into_iter().flatten() {
                let forms =
                    inner.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![inner.clone()]);
                // Two short forms may lead to one table.
                if forms.iter().any(|form| properties(form).contains_key(key)) && !homes.contains(&home) {
                    homes.push(home);
                }
            }
        }
    }
    homes
}

fn describe(page: &Page, path: &[Step], unbuilt: bool, schema: &mut Map<String, Value>) {
    let keys: Vec<&str> =
        path.iter().filter_map(|step| if let Step::Key(key) = step { Some(*key) } else { None }).collect();
    let words = page.words(&keys);
    if let Some(mut description) = words.description {
        if unbuilt && !description.contains("not built yet") {
            description.push_str(" Not built yet: only what changes nothing may be written.");
        }
        schema.insert("description".to_owned(), description.into());
    }
    if let Some(default) = words.default {
        schema.insert("default".to_owned(), default);
    }
}

/// One of the things that a value can be taken as.
fn form(page: &Page, path: &mut Vec<Step>, taken: &Taken) -> Value {
    match taken {
        Taken::Boolean => json!({ "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/variable" }] }),
        Taken::Duration => json!({ "$ref": "#/$defs/duration" }),
        Taken::Entries => json!({ "type": "object", "additionalProperties": below(page, path, Step::Name) }),
        Taken::Integer(range) => json!({
            "anyOf": [
                { "type": "integer", "minimum": range.start(), "maximum": range.end() },
                { "$ref": "#/$defs/variable" },
            ],
        }),
        Taken::Keys(keys) => {
            let properties = keys.iter().map(|key| ((*key).to_owned(), below(page, path, Step::Key(key))));
            json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "additionalProperties": false })
        }
        Taken::List => json!({ "type": "array", "items": below(page, path, Step::Item) }),
        Taken::Names => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9._-]{1,64}$" },
            "additionalProperties": below(page, path, Step::Name),
        }),
        Taken::Ratio(range) => json!({
            "anyOf": [
                { "type": "number", "minimum": range.start(), "maximum": range.end() },
                { "$ref": "#/$defs/variable" },
            ],
        }),
        Taken::Size => json!({ "$ref": "#/$defs/size" }),
        Taken::Text => json!({ "type": "string" }),
        // Nothing, as it is written in several ways.
        Taken::Unbuilt => json!({ "$ref": "#/$defs/nothing" }),
        Taken::Word(words) => json!({ "anyOf": [{ "enum": words }, { "$ref": "#/$defs/variable" }] }),
    }
}

fn below(page: &Page, path: &mut Vec<Step>, step: Step) -> Value {
    path.push(step);
    let below = value(page, path);
    path.pop();
    below
}

#[cfg(test)]
pub(in crate::config) mod tests;
