//! The cache: `[cache]`, and the `cache` of routes.

use std::time::Duration;

use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// The cache as a whole.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) size: Given<At<u64>>,
}

/// How a route's answers are kept.
#[derive(Debug)]
pub(crate) enum RouteCache {
    /// Not at all.
    Off,
    /// As the origin says, and as the table says where there is one.
    On(Box<Table>),
}

/// The long form.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) key: Given<At<Vec<Text>>>,
    pub(crate) max_size: Given<At<u64>>,
    pub(crate) per: Given<At<Vec<Text>>>,
    /// Where it stands.
    pub(crate) span: Span,
    pub(crate) stale_if_error: Given<At<Duration>>,
    pub(crate) stale_while_revalidate: Given<At<Duration>>,
    pub(crate) ttl: Given<At<Duration>>,
}

impl Cache {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self { size: section.value("size").and_then(Value::size) }
    }
}

impl RouteCache {
    pub(crate) fn read(value: Value<'_>) -> Given<Self> {
        if value.is_table() {
            return value.section("`cache`", Table::read).and_then(|table| Given::Value(Self::On(Box::new(table))));
        }
        value.word(&["off", "on"], &[]).and_then(|word| {
            Given::Value(if word.value == "on" { Self::On(Box::new(Table::empty(word.span))) } else { Self::Off })
        })
    }
}

impl Table {
    fn empty(span: Span) -> Self {
        Self {
            key: Given::Absent,
            max_size: Given::Absent,
            per: Given::Absent,
            span,
            stale_if_error: Given::Absent,
            stale_while_revalidate: Given::Absent,
            ttl: Given::Absent,
        }
    }

    fn read(section: &mut Section<'_>) -> Self {
        Self {
            key: section.texts("key"),
            max_size: section.value("max_size").and_then(Value::size),
            per: section.texts("per"),
            span: section.span.clone(),
            stale_if_error: section.duration("stale_if_error"),
            stale_while_revalidate: section.duration("stale_while_revalidate"),
            ttl: section.duration("ttl"),
        }
    }
}
