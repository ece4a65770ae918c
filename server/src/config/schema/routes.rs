//! `[[routes]]`: what is asked for.

use std::time::Duration;

use super::cache::RouteCache;
use super::limits::Use;
use super::redirect::Redirect;
use super::rules::Rules;
use super::split::Split;
use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) auth: Given<At<Vec<Text>>>,
    /// Whether a way to answer is written that is not built yet, so that nobody complains that there is none.
    pub(crate) answers_otherwise: bool,
    pub(crate) cache: Given<RouteCache>,
    pub(crate) encoded_slashes: Given<At<&'static str>>,
    pub(crate) hosts: Given<At<Vec<Text>>>,
    pub(crate) limits: Given<At<Vec<Use>>>,
    pub(crate) max_body_size: Given<At<Option<u64>>>,
    pub(crate) methods: Given<At<Vec<Text>>>,
    pub(crate) name: Given<Text>,
    pub(crate) path: Given<Text>,
    pub(crate) redirect: Given<Redirect>,
    pub(crate) request: Given<Rules>,
    pub(crate) require: Given<Text>,
    pub(crate) respond: Given<Respond>,
    pub(crate) response: Given<Rules>,
    pub(crate) rewrite: Given<Text>,
    pub(crate) span: Span,
    pub(crate) split: Given<Split>,
    pub(crate) strip_prefix: Given<Text>,
    pub(crate) timeout: Given<At<Duration>>,
    pub(crate) upgrade: Given<At<Vec<Text>>>,
    pub(crate) upstream: Given<Text>,
}

/// A fixed answer.
#[derive(Debug)]
pub(crate) struct Respond {
    pub(crate) body: Given<Text>,
    pub(crate) headers: Vec<(At<String>, Text)>,
    /// Where it stands.
    pub(crate) span: Span,
    pub(crate) status: Given<At<u32>>,
}

impl Route {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        section.not_built_yet(&["when", "cors", "compose"]);
        Self {
            answers_otherwise: section.has("compose"),
            auth: section.texts("auth"),
            cache: section.value("cache").and_then(RouteCache::read),
            encoded_slashes: section.word("encoded_slashes", &["reject", "keep"], &[]),
            hosts: section.texts("hosts"),
            limits: section.value("limits").and_then(Use::read_all),
            max_body_size: section.value("max_body_size").and_then(Value::size_or_off),
            methods: section.texts("methods"),
            name: section.text("name"),
            path: section.text("path"),
            redirect: section.value("redirect").and_then(Redirect::read),
            request: section.table("request", Rules::read_request),
            require: section.some_text("require"),
            respond: section.table("respond", Respond::read),
            response: section.table("response", Rules::read_response),
            rewrite: section.some_text("rewrite"),
            span: section.span.clone(),
            split: section.value("split").and_then(Split::read),
            strip_prefix: section.some_text("strip_prefix"),
            timeout: section.duration("timeout"),
            upgrade: section.texts("upgrade"),
            upstream: section.text("upstream"),
        }
    }
}

impl Respond {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            body: section.text("body"),
            headers: section.pairs("headers"),
            span: section.span.clone(),
            status: section.integer("status", 200..=599),
        }
    }
}
