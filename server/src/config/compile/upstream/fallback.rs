//! `fallback`: what answers in place of an upstream that failed.

use portcullis_core::plan::Fallback;

use super::super::respond;
use super::super::target::Upstreams;
use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::upstreams::{Fallback as Written, Upstream};
use crate::config::span::{Given, Text};

/// Nothing at all, outside, where it is broken.
pub(super) fn compile(written: &Upstream, known: &Upstreams<'_>, problems: &mut Problems) -> Option<Option<Fallback>> {
    match &written.fallback {
        Given::Absent => Some(None),
        Given::Broken => None,
        Given::Value(Written::Respond(respond)) => Some(Some(Fallback::Respond(respond::compile(respond, problems)?))),
        Given::Value(Written::Upstream(name)) => Some(Some(another(written, name, known, problems)?)),
    }
}

fn another(written: &Upstream, name: &Text, known: &Upstreams<'_>, problems: &mut Problems) -> Option<Fallback> {
    let index = known.find(name, problems)?;
    let whose = &written.name.value;
    let (title, hint) = if *whose == name.value {
        (format!("`{whose}` cannot stand in for itself"), "name another upstream, or a fixed answer")
    } else if written.in_code || known.is_in_code(index) {
        let title = format!("a service of the program is asked once: `{}` cannot stand in here", name.shown());
        (title, "a fixed answer can: fallback = { status = 200, body = \"[]\" }")
    } else {
        return Some(Fallback::Upstream(index));
    };
    problems.note(Problem::error(&name.span, title).hint(hint));
    None
}
