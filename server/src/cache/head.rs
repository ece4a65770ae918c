//! The head of an answer as it is stored: on its own memory, and as the lines that it is sent as.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use portcullis_core::auth::IdentityHeaders;
use portcullis_core::caching::Storable;
use portcullis_core::headers::{X_REQUEST_ID, erase_forwarding};
use portcullis_core::plan::{Plan, Route};

use super::stored::{Head, Origin};
use crate::h1::push_field;
use crate::observe::RouteSeries;

/// What an answer is beside its fields.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) length: Option<u64>,
    pub(super) status: StatusCode,
    pub(super) version: Version,
}

impl Head {
    /// From fields that are kept. What an upstream calls its answer is for purges, and for no client.
    pub(super) fn new(
        mut headers: HeaderMap,
        identities: &IdentityHeaders,
        may_be: Storable,
        (selected, mut origin, route): (Box<[u8]>, Origin, Arc<RouteSeries>),
        source: Source,
    ) -> Self {
        // Who a client is, is between us and the upstream, whatever it echoes.
        identities.strip(&mut headers);
        origin.tags = take_tags(&mut headers);
        let (headers, lines) = compact(&headers);
        let Source { length, status, version } = source;
        let Storable { freshness, vary, .. } = may_be;
        Self { freshness, headers, length, lines, origin, route, selected, status, vary, version }
    }
}

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// Removes what an upstream calls its answer.
pub(crate) fn strip_tags(headers: &mut HeaderMap) {
    headers.remove(CACHE_TAG);
    headers.remove(SURROGATE_KEY);
}

/// What an upstream calls its answer: `Cache-Tag` is a list, `Surrogate-Key` has blanks between its members.
fn take_tags(headers: &mut HeaderMap) -> Box<[Box<str>]> {
    let mut tags: Vec<Box<str>> = Vec::new();
    let lines = |name: HeaderName| headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let listed = lines(CACHE_TAG).flat_map(|line| line.split(','));
    let spaced = lines(SURROGATE_KEY).flat_map(str::split_ascii_whitespace);
    for tag in listed.chain(spaced).map(str::trim).filter(|tag| !tag.is_empty()) {
        if !tags.iter().any(|known| **known == *tag) {
            tags.push(tag.into());
        }
    }
    strip_tags(headers);
    tags.into()
}

/// The same fields on memory of their own (they were slices of what was read with them), and as lines but for the length, which whoever
/// sends them says.
fn compact(fields: &HeaderMap) -> (HeaderMap, Bytes) {
    let mut lines = Vec::new();
    let mut places: Vec<(&HeaderName, Range<usize>)> = Vec::with_capacity(fields.len());
    for (name, value) in fields.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        push_field(&mut lines, name, value.as_bytes());
        let end = lines.len() - 2;
        places.push((name, end - value.len()..end));
    }
    let lines = Bytes::from(lines.into_boxed_slice());
    let mut compacted = HeaderMap::with_capacity(fields.len());
    for (name, place) in places {
        if let Ok(value) = HeaderValue::from_maybe_shared(lines.slice(place)) {
            // As many as there were.
            let _ = compacted.try_append(name.clone(), value);
        }
    }
    if let Some(length) = fields.get(CONTENT_LENGTH).and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
        let _ = compacted.try_insert(CONTENT_LENGTH, length);
    }
    (compacted, lines)
}

/// Whether the gateway writes this field of a request itself, so that what clients say in it tells nothing of what the upstream got.
pub(super) fn is_ours(name: &HeaderName, route: &Route, plan: &Plan) -> bool {
    const OTHERS: [&str; 4] = ["traceparent", "tracestate", "connection", "upgrade"];
    let rules = route.request.set().iter().chain(route.request.added());
    let is_forwarding = || {
        let mut one = HeaderMap::with_capacity(1);
        let _ = one.try_insert(name.clone(), HeaderValue::from_static(""));
        erase_forwarding(&mut one);
        one.is_empty()
    };
    plan.identity_headers.contains(name)
        || IdentityHeaders::new(rules.map(|rule| &rule.name)).contains(name)
        || [VIA, X_REQUEST_ID].contains(name)
        || OTHERS.contains(&name.as_str())
        || is_forwarding()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_head_is_what_it_was_on_its_own_memory() {
        let mut all =
            fields(&[("content-type", "text/plain"), ("content-length", "7"), ("x-a", ""), ("etag", "\"1\"")]);
        all.try_append("x-a", "second".parse().unwrap()).unwrap();
        let (compacted, lines) = compact(&all);
        assert_eq!(compacted, all);
        let text = str::from_utf8(&lines).unwrap();
        assert!(text.contains("x-a: \r\nx-a: second\r\n") && !text.contains("content-length"), "{text}");
    }

    #[test]
    fn tags_are_taken_and_never_sent() {
        let mut all = fields(&[("cache-tag", "a, b ,,c"), ("surrogate-key", "c d  e"), ("x-a", "1")]);
        assert_eq!(take_tags(&mut all).join("|"), "a|b|c|d|e");
        assert_eq!(all, fields(&[("x-a", "1")]));
    }
}
