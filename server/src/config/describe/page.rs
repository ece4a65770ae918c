//! What `docs/configuration.md` says of a key: the page is the truth about the file, so an editor shows its words and not a
//! second version of them.

use serde_json::Value;

const PAGE: &str = include_str!("configuration.md");

/// What the page says of one key.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Words {
    /// Its default, where it is a constant.
    pub(super) default: Option<Value>,
    /// One sentence.
    pub(super) description: Option<String>,
}

/// The page, cut at its headings.
#[derive(Debug)]
pub(super) struct Page {
    entries: Vec<Entry>,
}

/// What stands under one heading.
#[derive(Debug)]
struct Entry {
    /// The key; empty for the section itself. "#### `request`, `response`" makes two entries.
    key: &'static str,
    lines: Vec<&'static str>,
    /// "server" of "## `[server]`".
    section: &'static str,
}

impl Page {
    pub(super) fn read() -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut section = "";
        let mut open = 0;
        for line in PAGE.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                section = heading.trim_matches(['`', '[', ']']).split('.').next().unwrap_or_default();
                entries.push(Entry { key: "", lines: Vec::new(), section });
                open = 1;
            } else if let Some(heading) = line.strip_prefix("#### ") {
                let before = entries.len();
                entries.extend(heading.split(", ").map(|key| Entry {
                    key: key.trim_matches('`'),
                    lines: Vec::new(),
                    section,
                }));
                open = entries.len() - before;
            } else {
                entries.iter_mut().rev().take(open).for_each(|entry| entry.lines.push(line));
            }
        }
        Self { entries }
    }

    /// What it says of the last of `keys`, which lead to it from the top of the file.
    ///
    /// A key has a heading in its section, or a row in the table of the key that it stands under. What may also be written in
    /// place (a limit inside a route) is described once, in its own section.
    pub(super) fn words(&self, keys: &[&str]) -> Words {
        match keys {
            [section] => self.entry(section, "").map(Entry::words),
            [section, key] => self.entry(section, key).map(Entry::words).or_else(|| self.row(section, key)),
            [section, above @ .., key] => {
                let written = above.last().and_then(|parent| self.entry(parent, key)).map(Entry::words);
                let entries = || above.iter().rev().filter_map(|parent| self.entry(section, parent));
                written.or_else(|| entries().find_map(|entry| entry.row(key)))
            }
            [] => None,
        }
        .unwrap_or_default()
    }

    /// A key of a short form, which stands higher than in the long one.
    fn row(&self, section: &str, key: &str) -> Option<Words> {
        self.entries.iter().filter(|entry| entry.section == section).find_map(|entry| entry.row(key))
    }

    fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.section == section && entry.key == key)
    }

    /// Every key that has a heading, with its section.
    #[cfg(test)]
    pub(super) fn headings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter(|entry| !entry.key.is_empty()).map(|entry| (entry.section, entry.key))
    }
}

impl Entry {
    /// The line in italics under the heading tells the form and the default, the paragraph after it the rest.
    fn words(&self) -> Words {
        let text = self.lines.join("\n");
        let mut paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
        let first = paragraphs.next().unwrap_or_default().replace('\n', " ");
        let form = first.strip_prefix('*').and_then(|form| form.strip_suffix('*'));
        let prose = match form {
            Some(form) => {
                paragraphs.next().filter(|text| is_prose(text)).map_or_else(|| form.to_owned(), str::to_owned)
            }
            None => first.clone(),
        };
        Words {
            default: form.and_then(|form| constant(form.split("default ").nth(1)?)),
            description: is_prose(&prose).then(|| sentence(&prose)),
        }
    }

    /// A row of the entry's table: "| `key` | form, `default` | text |", or without the middle one.
    fn row(&self, key: &str) -> Option<Words> {
        let cells = self.lines.iter().filter(|line| line.starts_with("| `")).find_map(|line| {
            let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
            cells.first()?.split(", ").any(|name| name.trim_matches('`') == key).then_some(cells)
        })?;
        // Where several keys share a row, so does the example in it.
        let form = if let [name, form, _] = &*cells { Some(*form).filter(|_| !name.contains(", ")) } else { None };
        let default = form.and_then(|form| constant(form.rsplit_once(", ")?.1));
        Some(Words { default, description: cells.last().map(|text| sentence(text)) })
    }
}

/// Whether this is text, and not a table, a list or an example.
fn is_prose(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("```") && !text.starts_with(['|', '-', '#'])
}

/// The constant that a text begins with, between its backticks. Tables are TOML there, and their keys have rows of their own.
fn constant(text: &str) -> Option<Value> {
    let (constant, _) = text.strip_prefix('`')?.split_once('`')?;
    serde_json::from_str(constant).ok()
}

/// The first sentence, with a capital, without bold type and the targets of links.
fn sentence(text: &str) -> String {
    let text = text.replace('\n', " ").replace("**", "");
    let first = text.split_once(". ").map_or(&*text, |(first, _)| first).trim_end_matches(['.', ':']);
    let mut plain = String::with_capacity(first.len());
    for (place, part) in first.split("](").enumerate() {
        if place == 0 {
            plain.push_str(part);
        } else {
            // The bracket that the link began with; its target ends at the next one.
            let _ = plain.rfind('[').map(|at| plain.remove(at));
            plain.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
        }
    }
    let mut letters = plain.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}.", first.map(String::from).unwrap_or_default(), letters.as_str())
}
