//! Writes what a builder collected as the text of a configuration file, which is then read like any other.

use std::fmt::Write;

use super::table::{Item, Table};
use crate::config::Secret;

/// The tables whose entries are tables with headers of their own.
const NAMED: [&str; 3] = ["auth", "limits", "upstreams"];

/// What the variable of the first secret is called; they are numbered.
pub(super) const SECRET: &str = "GIVEN_IN_CODE_";

/// The text of a configuration, and the secrets that it refers to.
#[derive(Default)]
pub(super) struct Document {
    pub(super) text: String,
    /// By the number in their variable's name, less one.
    pub(super) secrets: Vec<Secret>,
}

impl Document {
    /// The file that says what `top` does.
    pub(super) fn of(top: &Table) -> Self {
        let mut document = Self::default();
        let is_section = |key: &str, value: &Item| match value {
            Item::Table(_) => true,
            Item::List(list) => key == "routes" && list.iter().all(|item| matches!(item, Item::Table(_))),
            _ => false,
        };
        let (sections, plain): (Vec<_>, Vec<_>) = top.0.iter().partition(|(key, value)| is_section(key, value));
        document.lines(plain);
        for (key, value) in sections {
            match value {
                Item::Table(names) if NAMED.contains(&&**key) => document.named(key, names),
                Item::Table(table) => document.section(&format!("[{}]", name(key)), table),
                Item::List(list) => list.iter().for_each(|item| {
                    if let Item::Table(table) = item {
                        document.section(&format!("[[{}]]", name(key)), table);
                    }
                }),
                _ => {}
            }
        }
        document
    }

    fn named(&mut self, key: &str, names: &Table) {
        let (tables, short): (Vec<_>, Vec<_>) = names.0.iter().partition(|(_, value)| matches!(value, Item::Table(_)));
        if !short.is_empty() || tables.is_empty() {
            self.header(&format!("[{key}]"));
            self.lines(short);
        }
        for (entry, value) in tables {
            if let Item::Table(table) = value {
                self.section(&format!("[{key}.{}]", name(entry)), table);
            }
        }
    }

    fn section(&mut self, header: &str, table: &Table) {
        self.header(header);
        self.lines(table.0.iter());
    }

    fn header(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
    }

    fn lines<'t>(&mut self, keys: impl IntoIterator<Item = &'t (String, Item)>) {
        for (key, value) in keys {
            self.text.push_str(&name(key));
            self.text.push_str(" = ");
            self.value(value);
            self.text.push('\n');
        }
    }

    fn value(&mut self, value: &Item) {
        match value {
            Item::Boolean(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Item::Float(number) if number.is_nan() => self.text.push_str("nan"),
            // With a point or an exponent, so that it stays a float.
            Item::Float(number) => self.put(format_args!("{number:?}")),
            Item::Integer(number) => self.put(format_args!("{number}")),
            Item::List(list) => {
                self.text.push('[');
                for (place, item) in list.iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { ", " });
                    self.value(item);
                }
                self.text.push(']');
            }
            Item::Secret(secret) => {
                self.secrets.push(secret.clone());
                self.put(format_args!("\"${{{SECRET}{}}}\"", self.secrets.len()));
            }
            Item::Table(table) => {
                self.text.push('{');
                for (place, (key, item)) in table.0.iter().enumerate() {
                    self.text.push_str(if place == 0 { " " } else { ", " });
                    self.text.push_str(&name(key));
                    self.text.push_str(" = ");
                    self.value(item);
                }
                self.text.push_str(if table.0.is_empty() { "}" } else { " }" });
            }
            // What is given in code is meant as it is, not as the name of a variable.
            Item::Text(text) => self.text.push_str(&quoted(&text.replace("${", "$${"))),
        }
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // Into a String: never fails.
        let _ = self.text.write_fmt(what);
    }

    /// The secret that the variable `name` stands for.
    pub(super) fn secret(secrets: &[Secret], name: &str) -> Option<String> {
        let number: usize = name.strip_prefix(SECRET)?.parse().ok()?;
        secrets.get(number.checked_sub(1)?).map(|secret| secret.reveal().to_owned())
    }
}

/// A key, in quotes where TOML wants them (TOML 1.0, "Keys").
fn name(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { quoted(key) }
}

/// A basic string (TOML 1.0, "String"): on one line, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Line ends of Unicode too, so that a report stays one line a line.
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
