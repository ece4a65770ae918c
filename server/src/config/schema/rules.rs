//! `request` and `response` of a route: what becomes of header fields.

use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};

/// Fields that are removed, set and added.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) add: Vec<(At<String>, Text)>,
    pub(crate) remove: Given<At<Vec<Text>>>,
    pub(crate) set: Vec<(At<String>, Text)>,
    /// Where they stand.
    pub(crate) span: Span,
}

impl Rules {
    /// Those of requests.
    pub(crate) fn read_request(section: &mut Section<'_>) -> Self {
        Self {
            add: section.pairs("add"),
            remove: section.texts("remove"),
            set: section.pairs("set"),
            span: section.span.clone(),
        }
    }

    /// Those of responses.
    pub(crate) fn read_response(section: &mut Section<'_>) -> Self {
        section.not_built("body");
        Self::read_request(section)
    }

    /// Whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.set.is_empty() && self.remove.get().is_none_or(|list| list.value.is_empty())
    }
}
