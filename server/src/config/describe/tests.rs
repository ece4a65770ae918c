//! The schema against a validator that is not ours: what the program reads it accepts, and what is of the wrong shape it refuses.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::json_schema;
use super::page::Page;
use crate::config::{LoadOptions, from_text_with};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&json_schema()).unwrap());

/// Why the schema refuses `text`; none for text that it accepts or that is no TOML.
pub(in crate::config) fn refusal(text: &str) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    let json = object(table.get_ref());
    VALIDATOR.validate(&json).err().map(|error| format!("{error} at {}", error.instance_path()))
}

fn object(table: &DeTable<'_>) -> Value {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref()))).collect()
}

fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(list) => list.iter().map(|value| json_of(value.get_ref())).collect(),
        DeValue::Boolean(value) => json!(value),
        DeValue::Datetime(value) => json!({ "date-time": value.to_string() }),
        DeValue::Float(number) => json!(number.as_str().replace('_', "").parse::<f64>().unwrap_or_default()),
        DeValue::Integer(number) => json!(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX)),
        DeValue::String(text) => json!(text),
        DeValue::Table(table) => object(table),
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(!files.is_empty());
    files
}

#[test]
fn it_is_a_schema() {
    jsonschema::meta::validate(&json_schema()).unwrap();
}

#[test]
fn it_accepts_files_that_are_good() {
    for path in files("examples").into_iter().chain(files("benches/lab")) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(refusal(&text), None, "{}", path.display());
    }
    let text = "[upstreams]\napp = [\"http://127.0.0.1:7001\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n";
    assert_eq!(refusal(text), None);
    let variables = "[server]\nworkers = \"${A}\"\nidle_timeout = \"${A:-5s}\"\nmax_body_size = \"${A}\"\n\
                     [auth.users]\nforward_token = \"${A}\"\nkind = \"${A}\"\n";
    assert_eq!(refusal(variables), None);
}

#[test]
fn it_refuses_files_of_the_wrong_shape() {
    let mut refused = 0;
    for path in files("tests/config_errors") {
        let report = std::fs::read_to_string(path.with_extension("report")).unwrap_or_default();
        // Each problem has its title, then its place: of this file, or of one that it names.
        let own = format!("--> {}:", path.file_name().unwrap().to_str().unwrap());
        let lines: Vec<&str> = report.lines().collect();
        let is_of_shape = lines.windows(2).any(|pair| {
            let is_title = pair[0].starts_with("error: unknown key") || pair[0].contains("` must be a ");
            is_title && pair[1].contains(&own)
        });
        if is_of_shape {
            let text = std::fs::read_to_string(&path).unwrap();
            let is_toml = DeTable::parse(&text).is_ok();
            assert_eq!(refusal(&text).is_some(), is_toml, "{}", path.display());
            refused += usize::from(is_toml);
        }
    }
    assert!(refused >= 5, "only {refused} files of a wrong shape");
    for text in [
        "[server]\nworkers = -1\n",
        "[server]\nworkers = \"many\"\n",
        "[server]\nidle_timeout = 75\n",
        "[server]\nmax_body_size = \"big\"\n",
        "[log]\nlevel = \"loud\"\n",
        "[[routes]]\nwhen = \"true\"\n",
        "[upstreams]\n\"a b\" = []\n",
        "routes = {}\n",
        "[limits.a]\nburst = 1.5\n",
    ] {
        assert!(refusal(text).is_some(), "{text}");
    }
}

/// Every value of the schema that stands under a key of the contract, with its path.
fn keys(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for (name, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        found.push((path.clone(), value.clone()));
        keys(value, &path, found);
    }
    for inner in ["additionalProperties", "items"].iter().filter_map(|key| schema.get(key)) {
        keys(inner, path, found);
    }
    for inner in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        keys(inner, path, found);
    }
}

#[test]
fn every_key_has_a_form_and_words_from_the_page() {
    let mut found = Vec::new();
    keys(&json_schema(), "", &mut found);
    assert!(found.len() > 100, "only {} keys", found.len());
    let mut silent = Vec::new();
    for (path, schema) in &found {
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        if description.len() < 3 {
            silent.push(path);
        }
        assert!(schema.get("anyOf") != Some(&json!([])), "the reader takes `{path}` as nothing: {schema}");
    }
    assert!(silent.is_empty(), "docs/configuration.md says nothing of {silent:?}");
    // And the page has no key that the reader does not know.
    for (section, key) in Page::read().headings() {
        let ends = |path: &str| path == format!("{section}.{key}");
        assert!(found.iter().any(|(path, _)| ends(path)), "nothing reads `{key}` of {section}");
    }
}

#[test]
fn defaults_are_fit_for_their_keys() {
    let mut found = Vec::new();
    let whole = json_schema();
    keys(&whole, "", &mut found);
    let mut defaults = 0;
    for (path, mut schema) in found {
        let Some(default) = schema.get("default").cloned() else { continue };
        schema["$defs"] = whole["$defs"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        // A key that is not built yet may have a default that cannot be written yet.
        let is_unbuilt = schema["description"].as_str().unwrap().contains("Not built yet");
        assert!(is_unbuilt || validator.is_valid(&default), "{path}: {default}");
        defaults += 1;
    }
    assert!(defaults > 30, "only {defaults} defaults");
}

#[test]
fn the_defaults_of_the_process_are_those_that_run() {
    let whole = json_schema();
    let routes = "[upstreams]\napp = [\"http://127.0.0.1:7001\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n";
    let load =
        |text: &str| from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap_or_else(|r| panic!("{r}"));
    let mut text = String::new();
    for section in ["server", "admin", "log", "store"] {
        text.push_str(&format!("[{section}]\n"));
        for (key, schema) in whole["properties"][section]["properties"].as_object().unwrap() {
            let default = schema.get("default").unwrap_or_else(|| panic!("{section}.{key} has no default"));
            text.push_str(&format!("{key} = {default}\n"));
        }
    }
    let (written, mut bare) = (load(&format!("{text}{routes}")).settings, load(routes).settings);
    if let Some(admin) = &mut bare.admin {
        admin.written = true;
    }
    assert_eq!(written, bare);
}

proptest! {
    /// Whatever is changed in a file: what the program loads, the schema accepts.
    #[test]
    fn it_accepts_whatever_loads(at in 0..WHOLE.len(), length in 0_usize..12, insert in "[\\[\\]{}=\"#\\\\${}a-z0-9\n ]{0,8}") {
        let at = (0..=at).rev().find(|at| WHOLE.is_char_boundary(*at)).unwrap();
        let end = (at + length..=WHOLE.len()).find(|end| WHOLE.is_char_boundary(*end)).unwrap_or(WHOLE.len());
        let text = format!("{}{insert}{}", &WHOLE[..at], &WHOLE[end..]);
        if from_text_with("test", &text, &|_| None, LoadOptions { unset_ok: true, ..LoadOptions::default() }).is_ok() {
            prop_assert_eq!(refusal(&text), None);
        }
    }
}

const WHOLE: &str = include_str!("../../../../examples/reference.toml");
