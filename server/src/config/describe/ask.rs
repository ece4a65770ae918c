//! Asks the reader what it takes a value as, by handing it one.

use std::cell::RefCell;
use std::path::PathBuf;

use portcullis_core::time::UnixTime;
use toml::de::DeTable;

use crate::config::reader::{Found, Reader};
use crate::config::resolve::Surroundings;
use crate::config::schema::File;
use crate::config::section::{Section, TOP};
use crate::config::taken::Taken;

/// One step on the way from the top of the file to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Into a list.
    Item,
    /// Under a key of the contract.
    Key(&'static str),
    /// Under a name of the operator's own.
    Name,
}

/// One of each kind that TOML has. Some strings are taken differently where they hold a variable.
const SAMPLES: [&str; 7] = ["\"x\"", "\"${X}\"", "0", "0.5", "true", "[]", "{}"];

/// Everything that the value at the end of `path` can be taken as, each once.
pub(super) fn all(path: &[Step]) -> Vec<Taken> {
    let samples: &[&str] = if path.is_empty() { &[""] } else { &SAMPLES };
    let mut all = Vec::new();
    for taken in samples.iter().flat_map(|sample| one(path, sample)) {
        if !all.contains(&taken) {
            all.push(taken);
        }
    }
    all
}

/// What `sample` is taken as at the end of `path`.
fn one(path: &[Step], sample: &str) -> Vec<Taken> {
    let (mut before, mut after) = (String::new(), String::new());
    for (depth, step) in path.iter().enumerate() {
        let (open, close) = match step {
            Step::Item => ("[".to_owned(), "]"),
            // The first key is that of a line.
            Step::Key(key) if depth == 0 => (format!("{key} = "), ""),
            Step::Key(key) => (format!("{{ {key} = "), " }"),
            Step::Name => ("{ name = ".to_owned(), " }"),
        };
        before.push_str(&open);
        after.insert_str(0, close);
    }
    let place = before.len()..before.len() + sample.len();
    let text = format!("{before}{sample}{after}");

    let reader = Reader {
        found: RefCell::new(Found { taken: Some(Vec::new()), ..Found::default() }),
        knows_homes: false,
        source: &text,
        surroundings: Surroundings {
            env: &|_| None,
            folder: PathBuf::new(),
            now: UnixTime::from_secs(0),
            unset_ok: true,
        },
    };
    let (table, _) = DeTable::parse_recoverable(&text);
    let _ = Section::read(&reader, TOP, 0..0, table.get_ref(), File::read);
    let taken = reader.found.into_inner().taken.unwrap_or_default();
    taken.into_iter().filter(|(span, _)| *span == place).map(|(_, taken)| taken).collect()
}
