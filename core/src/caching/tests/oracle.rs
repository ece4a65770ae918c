//! Our rules beside a library's, `http-cache-semantics` (RFC 7234): where both know a case they agree, and where they
//! do not the reason is written here. `docs/architecture.md` says why the library is not in the program.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use proptest::prelude::*;

use super::*;

fn system(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(WALL.as_secs() + second)
}

fn request(lines: &str) -> Request<()> {
    let mut request = Request::get("http://shop.test/").body(()).unwrap();
    *request.headers_mut() = controlled(lines);
    request
}

/// Whether the library answers a request at `second` with what was stored for `first`.
fn theirs(first: &str, status: u16, stored: &str, second: u64, asked: &str) -> bool {
    let mut response = Response::builder().status(status).body(()).unwrap();
    *response.headers_mut() = controlled(stored);
    let options =
        CacheOptions { cache_heuristic: 0.0, immutable_min_time_to_live: Duration::ZERO, ..CacheOptions::default() };
    let policy = CachePolicy::new_options(&request(first), &response, system(0), options);
    policy.is_storable() && matches!(policy.before_request(&request(asked), system(second)), BeforeRequest::Fresh(_))
}

/// The same of ours.
fn ours(first: &str, status: u16, stored: &str, second: u64, asked: &str) -> bool {
    let headers = controlled(first);
    let ask = Ask::of(&CacheRule::on(), &facts(&Method::GET, &headers), false).unwrap();
    let Ok(Storable { freshness, .. }) = stored_by(&CacheRule::on(), &ask, status, stored) else { return false };
    let asked = RequestControl::of(&controlled(asked));
    matches!(reuse(&freshness, &asked, at(second)), Reuse::Fresh | Reuse::Stale)
}

/// Why the two may differ; none: they must not.
fn reason(stored: &str, asked: &str) -> Option<&'static str> {
    let has = |text| stored.contains(text);
    let explicit = has("max-age") || has("s-maxage") || has("expires");
    if has("proxy-revalidate") {
        return Some("theirs is stale at once with proxy-revalidate; the RFC says: once it is stale (5.2.2.8)");
    }
    if asked.contains("max-stale") {
        if has("no-cache") || has("s-maxage") {
            return Some("theirs lets max-stale through what forbids stale answers (4.2.4, 5.2.2.10)");
        }
        if !explicit {
            return Some(
                "theirs takes what nobody said a time for as stale since ever, and max-stale as leave to send it",
            );
        }
        if asked.contains('=') {
            return Some("theirs takes max-stale=N as less than N; the RFC says: no more than N (5.2.1.2)");
        }
    }
    None
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0_u32), Just(10), Just(60), Just(90)]
}

prop_compose! {
    fn stored_head()(
        max in prop::option::of(number()), shared in prop::option::weighted(0.2, number()),
        flags in prop::sample::subsequence(vec![
            "public", "private", "no-store", "no-cache", "must-revalidate", "proxy-revalidate", "immutable", "foo=\"bar\"",
        ], 0..3),
        expires in prop::option::weighted(0.3, prop_oneof![
            Just("0"), Just("Tue, 24 Nov 2026 12:01:00 GMT"), Just("Tue, 24 Nov 2026 11:00:00 GMT"), Just("never"),
        ]),
        age in prop::option::of(number()), vary in prop::option::weighted(0.1, prop_oneof![Just("*"), Just("accept")]),
    ) -> String {
        let mut directives: Vec<String> = flags.into_iter().map(str::to_owned).collect();
        directives.extend(max.map(|secs| format!("max-age={secs}")));
        directives.extend(shared.map(|secs| format!("s-maxage={secs}")));
        let mut lines = vec!["etag: \"a\"".to_owned()];
        lines.extend((!directives.is_empty()).then(|| directives.join(", ")));
        lines.extend(expires.map(|date| format!("expires: {date}")));
        lines.extend(age.map(|secs| format!("age: {secs}")));
        lines.extend(vary.map(|name| format!("vary: {name}")));
        lines.join(" | ")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn both_agree_but_for_what_is_written_here(
        stored in stored_head(),
        status in prop::sample::select(vec![200_u16, 203, 204, 206, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]),
        first in prop::sample::select(vec!["", "authorization: a", "no-store", "no-cache", "max-age=0"]),
        second in prop::sample::select(vec![0_u64, 1, 9, 10, 11, 50, 59, 60, 61, 89, 90, 91, 1000]),
        asked in prop_oneof![
            Just(String::new()), Just("no-cache".to_owned()), Just("max-stale".to_owned()), Just("pragma: no-cache".to_owned()),
            number().prop_map(|secs| format!("max-age={secs}")), number().prop_map(|secs| format!("min-fresh={secs}")),
            number().prop_map(|secs| format!("max-stale={secs}")),
        ],
    ) {
        let (ours, theirs) = (ours(first, status, &stored, second, &asked), theirs(first, status, &stored, second, &asked));
        if reason(&stored, &asked).is_none() {
            prop_assert_eq!(ours, theirs, "{:?} {} {:?} at {} asked {:?}", first, status, stored, second, asked);
        }
    }
}

/// What the library does otherwise, case by case; a row that no longer holds is a reason to look at it again.
#[test]
fn where_the_library_is_not_as_the_rfc_has_it() {
    for (what, stored, second, expected) in [
        ("names have no case (5.2)", "No-Store, max-age=60", 0, false),
        ("names have no case (5.2)", "Private, max-age=60", 0, false),
        ("what stands in quotes is no directive (5.2)", "max-age=60, foo=\"bar, no-store, baz\"", 0, true),
        ("a response is as old as its date says (4.2.3)", "max-age=60 | date: Tue, 24 Nov 2026 11:00:00 GMT", 0, false),
        ("an age that is too large is the largest (1.2.2)", "max-age=60 | age: 99999999999999999999", 0, false),
        ("a time that is too large is the largest (1.2.2)", "max-age=99999999999999999999", 0, true),
        ("dates have three forms (RFC 9110, 5.6.7)", "expires: Tuesday, 24-Nov-26 13:00:00 GMT", 0, true),
        ("a date is in GMT (RFC 9110, 5.6.7)", "expires: Tue, 24 Nov 2026 13:00:00 +0000", 0, false),
        (
            "Pragma says nothing in a response (5.4)",
            "expires: Tue, 24 Nov 2026 13:00:00 GMT | pragma: no-cache",
            0,
            true,
        ),
        ("stale since its time, and not before (5.2.2.8)", "max-age=60, proxy-revalidate", 0, true),
        ("Set-Cookie is never shared (7.3, C03)", "public, max-age=60 | set-cookie: a=b", 0, false),
        ("a targeted field comes first (RFC 9213)", "max-age=60 | cdn-cache-control: no-store", 0, false),
        ("must-understand (5.2.2.3)", "max-age=60, no-store, must-understand", 0, true),
        ("two that differ are stale (4.2.1)", "max-age=60, max-age=10", 0, false),
    ] {
        let stored = format!("{stored} | etag: \"a\"");
        assert_eq!(ours("", 200, &stored, second, ""), expected, "{what}: {stored}");
        assert!(theirs("", 200, &stored, second, "") != expected, "{what}: {stored}");
    }
}
