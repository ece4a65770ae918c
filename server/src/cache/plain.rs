//! Requests that say nothing to a cache, which most are: known by one look at the names of their fields, where the rules ask the map for a
//! dozen of them.

use http::header::{AUTHORIZATION, PRAGMA, RANGE};
use http::{HeaderMap, Method};
use portcullis_core::caching::{Ask, RequestControl};
use portcullis_core::plan::CacheRule;
use portcullis_core::source::Facts;

/// What the rules make of a GET without a body that says nothing to a cache; none where it may say something, and the rules have to be asked. A
/// shortcut and no rule: what it says is what [`Ask::of`] would, and such a request gets what is stored as it is.
pub(super) fn ask(rule: &CacheRule, facts: &Facts<'_>, has_body: bool) -> Option<Ask> {
    let is_plain = *facts.method == Method::GET && !has_body && is_plain(facts.headers);
    is_plain.then(|| {
        let identified = facts.identity.is_some();
        let control = RequestControl::default();
        Ask { control, head: false, identified, apart: rule.keeps_apart(identified), range: false }
    })
}

/// Whether no field is of a family that a cache goes by: conditions, ranges, cookies, credentials, its control, and whatever is not standard.
fn is_plain(headers: &HeaderMap) -> bool {
    headers.keys().all(|name| match name.as_str().as_bytes() {
        [b'c' | b'x', ..] | [b'i', b'f', b'-', ..] => false,
        [b'a', ..] => *name != AUTHORIZATION,
        [b'p', ..] => *name != PRAGMA,
        [b'r', ..] => *name != RANGE,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderName, HeaderValue, StatusCode};
    use portcullis_core::caching::{Sent, sent};
    use portcullis_core::route::Params;
    use portcullis_core::time::UnixTime;
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 32] = [
        "accept",
        "accept-encoding",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "dnt",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "origin",
        "pragma",
        "priority",
        "range",
        "referer",
        "sec-fetch-mode",
        "te",
        "upgrade-insecure-requests",
        "user-agent",
        "via",
        "x-forwarded-for",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-request-id",
        "x-rewrite-url",
        "other",
    ];

    proptest! {
        #[test]
        fn it_says_what_the_rules_say(
            names in proptest::collection::vec(0..NAMES.len(), 0..4),
            value in "(no-cache|bytes=0-1|\"1\"|Tue, 24 Nov 2026 00:00:00 GMT|a=b)",
            method in 0..3_usize,
            has_body: bool,
        ) {
            let headers: HeaderMap = names
                .iter()
                .map(|name| (HeaderName::from_static(NAMES[*name]), HeaderValue::from_str(&value).unwrap()))
                .collect();
            let methods = [Method::GET, Method::HEAD, Method::POST];
            let facts = Facts {
                client: None,
                headers: &headers,
                host: "",
                identity: None,
                method: &methods[method],
                params: Params::EMPTY,
                path: "/",
                query: None,
            };
            let rule = CacheRule { ttl: Some(Duration::from_secs(1)), ..CacheRule::on() };
            if let Some(quick) = ask(&rule, &facts, has_body) {
                prop_assert_eq!(Ok(quick), Ask::of(&rule, &facts, has_body));
                let stored = HeaderMap::from_iter([
                    (http::header::ETAG, HeaderValue::from_static("\"1\"")),
                    (http::header::LAST_MODIFIED, HeaderValue::from_static("Tue, 24 Nov 2026 00:00:00 GMT")),
                ]);
                let wall = UnixTime::from_secs(1_800_000_000);
                prop_assert_eq!(sent(&Method::GET, &headers, StatusCode::OK, &stored, 9, wall), Sent::Whole);
            } else {
                prop_assert!(method != 0 || has_body || !headers.is_empty());
            }
        }
    }
}
