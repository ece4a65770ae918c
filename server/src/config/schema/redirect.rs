//! `redirect`: where clients are sent instead.

use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// Where to, and with which status.
#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) span: Span,
    pub(crate) status: Given<At<u32>>,
    pub(crate) to: Text,
}

impl Redirect {
    /// A template of a URL, or a table that also says the status.
    pub(crate) fn read(value: Value<'_>) -> Given<Self> {
        let span = value.span();
        if value.is_table() {
            return value.section("`redirect`", Self::long).and_then(|long| long);
        }
        value.text().and_then(|to| Given::Value(Self { span, status: Given::Absent, to }))
    }

    fn long(section: &mut Section<'_>) -> Given<Self> {
        let status = section.integer("status", 300..=399);
        let to = section.text("to");
        if to.is_absent() {
            let problem = Problem::error(&section.span, "a redirect needs a `to`");
            section.note(problem.accepted("`{ to = \"https://shop.test{path}\", status = 308 }`"));
            return Given::Broken;
        }
        let span = section.span.clone();
        to.and_then(|to| Given::Value(Self { span, status, to }))
    }
}
