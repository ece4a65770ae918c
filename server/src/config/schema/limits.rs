//! `[limits.*]`, and the limits that stand inside a route.

use portcullis_core::limit::{Algorithm, MAX_COUNT, Mode, OnFailure};

use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// A limit with a name of its own.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) limit: Limit,
    pub(crate) name: At<String>,
}

/// How much whom may do.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) algorithm: Given<At<&'static str>>,
    pub(crate) burst: Given<At<u32>>,
    pub(crate) cost: Given<At<u32>>,
    pub(crate) key: Given<At<Vec<Text>>>,
    pub(crate) max_overshoot: Given<At<f64>>,
    pub(crate) mode: Given<At<&'static str>>,
    pub(crate) on_failure: Given<At<&'static str>>,
    pub(crate) rate: Given<Text>,
    pub(crate) span: Span,
}

/// What stands in the `limits` of a route.
#[derive(Debug)]
pub(crate) enum Use {
    /// A limit of its own.
    Inline(Box<Limit>),
    /// A rate, or the name of a limit.
    Short(Text),
}

impl Named {
    pub(crate) fn read(name: At<String>, value: Value<'_>) -> Option<Self> {
        let limit = if value.is_table() {
            let title = format!("[limits.{}]", name.value);
            value.section(&title, Limit::read)
        } else {
            value.text().and_then(|rate| Given::Value(Limit::short(rate)))
        };
        limit.value().map(|limit| Self { limit, name })
    }
}

impl Limit {
    /// A limit that is no more than its rate.
    pub(crate) fn short(rate: Text) -> Self {
        Self {
            algorithm: Given::Absent,
            burst: Given::Absent,
            cost: Given::Absent,
            key: Given::Absent,
            max_overshoot: Given::Absent,
            mode: Given::Absent,
            on_failure: Given::Absent,
            span: rate.span.clone(),
            rate: Given::Value(rate),
        }
    }

    fn read(section: &mut Section<'_>) -> Self {
        Self {
            algorithm: section.word("algorithm", &Algorithm::ALL.map(Algorithm::name), &[]),
            burst: section.integer("burst", 1..=MAX_COUNT),
            cost: section.value("cost").and_then(cost),
            key: section.texts("key"),
            max_overshoot: section.ratio("max_overshoot", 0.0..=1.0),
            mode: section.word("mode", &[Mode::Enforce.name(), Mode::Shadow.name()], &[]),
            on_failure: section.word("on_failure", &OnFailure::ALL.map(OnFailure::name), &[]),
            rate: section.text("rate"),
            span: section.span.clone(),
        }
    }
}

/// A number; an expression is not built yet.
fn cost(value: Value<'_>) -> Given<At<u32>> {
    let is_expression = matches!(value.kind(), toml::de::DeValue::String(text) if !text.contains("${"));
    if is_expression {
        return value.not_built("an expression as `cost`", "write a whole number");
    }
    value.integer(1..=MAX_COUNT)
}

impl Use {
    /// The list; one string stands for a list of it.
    pub(crate) fn read_all(value: Value<'_>) -> Given<At<Vec<Self>>> {
        match value.kind() {
            toml::de::DeValue::String(_) => {
                Self::read(value).and_then(|one| Given::Value(At::new(vec![one], value.span())))
            }
            _ => value.each("a list of rates and names of limits", Self::read),
        }
    }

    fn read(value: Value<'_>) -> Given<Self> {
        if value.is_table() {
            value.section("`limits`", Limit::read).and_then(|limit| Given::Value(Self::Inline(Box::new(limit))))
        } else {
            value.text().and_then(|text| Given::Value(Self::Short(text)))
        }
    }
}
