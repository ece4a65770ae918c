//! `split`: several upstreams in place of one.

use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// Several upstreams, and what a choice sticks to.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) by: Given<At<Vec<Text>>>,
    pub(crate) span: Span,
    pub(crate) to: Given<At<Vec<Share>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) upstream: Text,
    pub(crate) weight: Given<At<u32>>,
}

/// As for the servers of an upstream.
const MOST_WEIGHT: u32 = 1000;

impl Split {
    /// The list of upstreams, or a table that also says what a choice sticks to.
    pub(crate) fn read(value: Value<'_>) -> Given<Self> {
        let span = value.span();
        if value.is_table() {
            return value.section("`split`", |section| Self {
                by: section.texts("by"),
                to: section.value("to").and_then(Share::read_all),
                span: span.clone(),
            });
        }
        Share::read_all(value).and_then(|to| Given::Value(Self { by: Given::Absent, span, to: Given::Value(to) }))
    }
}

impl Share {
    fn read_all(value: Value<'_>) -> Given<At<Vec<Self>>> {
        value.each("a list of upstreams such as [{ upstream = \"orders\", weight = 95 }]", Self::read)
    }

    fn read(value: Value<'_>) -> Given<Self> {
        if !value.is_table() {
            return value.text().and_then(|upstream| Given::Value(Self { upstream, weight: Given::Absent }));
        }
        value.section("`split`", Self::long).and_then(|long| long)
    }

    fn long(section: &mut Section<'_>) -> Given<Self> {
        let weight = section.integer("weight", 0..=MOST_WEIGHT);
        let upstream = section.text("upstream");
        if upstream.is_absent() {
            let problem = Problem::error(&section.span, "a share of a split needs an `upstream`");
            section.note(problem.accepted("`{ upstream = \"NAME\", weight = 95 }`"));
            return Given::Broken;
        }
        upstream.and_then(|upstream| Given::Value(Self { upstream, weight }))
    }
}
