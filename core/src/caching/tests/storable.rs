//! RFC 9111, section 3: what may be stored.

use super::*;

fn why(status: u16, lines: &str) -> Option<Unstorable> {
    stored(status, lines).err()
}

#[test]
fn statuses() {
    for status in 100..=599 {
        let forbidden = [206, 304, 401, 403, 407, 408, 412, 416, 421, 425, 428, 429, 431, 511];
        let expected = (status < 200 || forbidden.contains(&status)).then_some(Unstorable::Status);
        assert_eq!(why(status, "public, max-age=60"), expected, "{status}");
        // Nothing is stored unasked, whatever its status (section 4.2.2 allows it, no operator asked for it).
        let unasked = why(status, "etag: \"a\" | last-modified: Mon, 02 Nov 2026 00:00:00 GMT");
        assert_eq!(unasked, expected.or(Some(Unstorable::NoFreshness)), "{status}");
        // A route's own time is for what RFC 9110, section 15.1 lets a cache keep, and no server's errors.
        let rule = CacheRule { ttl: Some(Duration::from_secs(60)), ..CacheRule::on() };
        let kept = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414].contains(&status);
        let expected = if kept { None } else { expected.or(Some(Unstorable::NoFreshness)) };
        assert_eq!(stored_by(&rule, &nobody(), status, "").err(), expected, "{status}");
    }
    // 5.2.2.3: a status that is not known, where that is asked for; and `no-store` beside it is for others
    assert_eq!(why(200, "must-understand, max-age=60"), None);
    assert_eq!(why(200, "must-understand, no-store, max-age=60"), None);
    assert_eq!(why(299, "must-understand, max-age=60"), Some(Unstorable::Status));
    assert_eq!(why(299, "must-understand, no-store, max-age=60"), Some(Unstorable::Status));
    assert_eq!(why(299, "max-age=60"), None);
    assert_eq!(why(600, "max-age=60"), Some(Unstorable::Status));
    assert_eq!(why(999, "max-age=60"), Some(Unstorable::Status));
}

#[test]
fn directives() {
    use Unstorable as U;
    for (lines, expected) in [
        // 5.2.2.5, 5.2.2.7
        ("no-store", Some(U::NoStore)),
        ("no-store, max-age=60", Some(U::NoStore)),
        ("max-age=60 | no-store", Some(U::NoStore)),
        ("no-store=x, max-age=60", Some(U::NoStore)),
        ("private", Some(U::Private)),
        ("private, max-age=60", Some(U::Private)),
        ("private, public, s-maxage=60", Some(U::Private)),
        ("private=\"x-secret\", max-age=60", Some(U::Private)),
        ("PRIVATE, max-age=60", Some(U::Private)),
        // 5.2.2.4: to be asked for again each time; without a validator there is nothing to ask with
        ("no-cache | etag: \"a\"", None),
        ("no-cache | last-modified: Mon, 02 Nov 2026 00:00:00 GMT", None),
        ("no-cache, max-age=60 | etag: \"a\"", None),
        ("no-cache=\"set-cookie\", max-age=60 | etag: \"a\"", None),
        ("no-cache", Some(U::Stale)),
        ("no-cache, max-age=60", Some(U::Stale)),
        ("no-cache=\"x\", max-age=60", Some(U::Stale)),
        // 4.2.1: stale at once
        ("max-age=0", Some(U::Stale)),
        ("max-age=0 | etag: \"a\"", None),
        ("s-maxage=0, max-age=60", Some(U::Stale)),
        ("max-age=60, max-age=10", Some(U::Stale)),
        ("max-age=-1", Some(U::Stale)),
        ("max-age=60 | age: 60", Some(U::Stale)),
        ("max-age=60 | age: 59", None),
        ("max-age=0, stale-while-revalidate=60", None),
        ("max-age=0, stale-if-error=60", None),
        ("max-age=0, stale-if-error=60, must-revalidate", Some(U::Stale)),
        // 5.2.2.1, 5.2.2.10
        ("max-age=1", None),
        ("s-maxage=1", None),
        ("max-age=0, s-maxage=60", None),
        ("max-age=2147483648", None),
        ("max-age=99999999999999999999", None),
        // Nothing that says how long
        ("", Some(U::NoFreshness)),
        ("public", Some(U::NoFreshness)),
        ("immutable", Some(U::NoFreshness)),
        ("must-revalidate", Some(U::NoFreshness)),
        ("stale-while-revalidate=60", Some(U::NoFreshness)),
        ("foo=max-age=60", Some(U::NoFreshness)),
        // 5.4: Pragma says nothing in a response
        ("max-age=60 | pragma: no-cache", None),
        ("pragma: no-cache", Some(U::NoFreshness)),
        // 7.3: it makes somebody of its reader
        ("max-age=60 | set-cookie: a=b", Some(U::SetCookie)),
        ("public, s-maxage=60 | set-cookie: a=b", Some(U::SetCookie)),
        ("max-age=60, no-cache=\"set-cookie\" | set-cookie: a=b | etag: \"a\"", Some(U::SetCookie)),
        ("max-age=60 | set-cookie2: a=b", None),
        // Unreadable
        ("max-age=60, foo=\"no-store", Some(U::Unreadable)),
        // Unknown ones are nothing (5.2.3)
        ("max-age=60, community=\"UCI\", foo", None),
        // 4.1
        ("max-age=60 | vary: *", Some(U::VaryAny)),
        ("max-age=60 | vary: accept, *", Some(U::VaryAny)),
        ("max-age=60 | vary: accept | vary: *", Some(U::VaryAny)),
        ("max-age=60 | vary: *, *", Some(U::VaryAny)),
        ("max-age=60 | vary: a b", Some(U::VaryAny)),
        ("max-age=60 | vary: accept", None),
        ("max-age=60 | vary: ", None),
        ("max-age=60 | vary: ,", None),
        ("max-age=60 | vary: a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4,b5,b6,b7", None),
        ("max-age=60 | vary: a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4,b5,b6,b7,b8", Some(U::VaryTooMany)),
    ] {
        assert_eq!(why(200, lines), expected, "{lines}");
    }
}

/// Section 5.3.
#[test]
fn expires() {
    const NOW: &str = "Tue, 24 Nov 2026 12:00:00 GMT";
    const HOUR: &str = "Tue, 24 Nov 2026 13:00:00 GMT";
    for (lines, lifetime) in [
        (format!("expires: {HOUR} | date: {NOW}"), Some(3600)),
        // Without a date, or with one that is none, since it came
        (format!("expires: {HOUR}"), Some(3600)),
        (format!("expires: {HOUR} | date: yesterday"), Some(3600)),
        (format!("expires: {HOUR} | date: {NOW} | date: {HOUR}"), Some(3600)),
        // By its own clock, right or wrong
        ("expires: Tue, 24 Nov 2026 12:30:00 GMT | date: Tue, 24 Nov 2026 12:10:00 GMT".to_owned(), Some(1200)),
        // All three forms
        ("expires: Tuesday, 24-Nov-26 13:00:00 GMT".to_owned(), Some(3600)),
        ("expires: Tue Nov 24 13:00:00 2026".to_owned(), Some(3600)),
        // What is no date has been
        ("expires: 0 | etag: \"a\"".to_owned(), Some(0)),
        ("expires: -1 | etag: \"a\"".to_owned(), Some(0)),
        ("expires:  | etag: \"a\"".to_owned(), Some(0)),
        ("expires: never | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Tue, 24 Nov 2026 13:00:00 | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Tue, 24 Nov 2026 13:00:00 UTC | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Tue, 24 Nov 2026 13:00:00 +0100 | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Tue, 31 Nov 2026 13:00:00 GMT | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Tue, 24 Nov 2026 25:00:00 GMT | etag: \"a\"".to_owned(), Some(0)),
        ("expires: 2026-11-24T13:00:00Z | etag: \"a\"".to_owned(), Some(0)),
        ("expires: 1795525200 | etag: \"a\"".to_owned(), Some(0)),
        ("expires: Thu, 01 Jan 1970 00:00:00 GMT | etag: \"a\"".to_owned(), Some(0)),
        (format!("expires: {NOW} | date: {HOUR} | etag: \"a\""), Some(0)),
        (format!("expires: {NOW} | date: {NOW} | etag: \"a\""), Some(0)),
        // 4.2.1: two that differ
        (format!("expires: {HOUR} | expires: {NOW} | etag: \"a\""), Some(0)),
        (format!("expires: {HOUR} | expires: {HOUR}"), Some(3600)),
        (format!("expires: {HOUR}, {HOUR} | etag: \"a\""), Some(0)),
        // Too much
        ("expires: Fri, 31 Dec 9999 23:59:59 GMT".to_owned(), Some(1 << 31)),
        // max-age and s-maxage go before it, broken or not
        (format!("expires: {HOUR} | max-age=60"), Some(60)),
        (format!("expires: {HOUR} | s-maxage=60"), Some(60)),
        (format!("expires: {HOUR} | max-age=a | etag: \"a\""), Some(0)),
        (format!("expires: {NOW} | max-age=60"), Some(60)),
        (format!("expires: {HOUR} | public"), Some(3600)),
        (format!("expires: {HOUR} | pragma: no-cache"), Some(3600)),
    ] {
        let known = stored(200, &lines).ok().map(|storable| storable.freshness.lifetime());
        assert_eq!(known, lifetime, "{lines}");
    }
    assert_eq!(why(200, &format!("expires: {NOW} | date: {NOW}")), Some(Unstorable::Stale));
    assert_eq!(why(200, "expires: 0"), Some(Unstorable::Stale));
    assert_eq!(why(200, &format!("no-store | expires: {HOUR}")), Some(Unstorable::NoStore));
}

/// Section 3.5, and what a route says besides.
#[test]
fn identified_and_private_answers() {
    use Unstorable as U;
    let ttl = CacheRule { ttl: Some(Duration::from_secs(60)), ..CacheRule::on() };
    let identified = Ask { identified: true, ..nobody() };
    let apart = Ask { apart: true, ..identified };
    for (lines, shared, kept_apart) in [
        ("max-age=60", Some(U::Authorised), None),
        ("max-age=60, immutable", Some(U::Authorised), None),
        ("max-age=60, proxy-revalidate", Some(U::Authorised), None),
        ("public, max-age=60", None, None),
        ("s-maxage=60", None, None),
        ("max-age=60, must-revalidate", None, None),
        ("max-age=60 | public", None, None),
        ("private, max-age=60", Some(U::Private), None),
        ("private=\"x\", max-age=60", Some(U::Private), None),
        ("public, private, max-age=60", Some(U::Private), None),
        ("no-store", Some(U::NoStore), Some(U::NoStore)),
        ("no-store, public, max-age=60", Some(U::NoStore), Some(U::NoStore)),
        ("no-cache | etag: \"a\"", Some(U::Authorised), None),
        ("no-cache, public | etag: \"a\"", None, None),
        ("max-age=60 | set-cookie: a=b", Some(U::Authorised), Some(U::SetCookie)),
        ("public, max-age=60 | set-cookie: a=b", Some(U::SetCookie), Some(U::SetCookie)),
        ("expires: Tue, 24 Nov 2026 13:00:00 GMT", Some(U::Authorised), None),
        // The origin says that it is for all, and the route for how long.
        ("public", None, None),
        // The route's time alone never makes it everybody's.
        ("", Some(U::Authorised), None),
        // RFC 9213: the targeted field is the one that counts.
        ("cdn-cache-control: max-age=60 | public", Some(U::Authorised), None),
        ("cdn-cache-control: max-age=60, public | private", None, None),
        ("cdn-cache-control: private | public, max-age=60", Some(U::Private), None),
    ] {
        assert_eq!(stored_by(&ttl, &identified, 200, lines).err(), shared, "{lines}");
        assert_eq!(stored_by(&ttl, &apart, 200, lines).err(), kept_apart, "apart: {lines}");
    }
    assert_eq!(stored_by(&ttl, &nobody(), 200, "").err(), None);
    assert_eq!(stored_by(&ttl, &nobody(), 200, "private").err(), Some(U::Private));
}

#[test]
fn the_request_counts() {
    let ask = |control| Ask { control, ..nobody() };
    let asked = ask(RequestControl { no_store: true, ..RequestControl::default() });
    let rule = CacheRule::on();
    // 5.2.1.5
    assert_eq!(stored_by(&rule, &asked, 200, "max-age=60").err(), Some(Unstorable::NoStoreAsked));
    for control in [
        RequestControl { no_cache: true, ..RequestControl::default() },
        RequestControl { max_age: Some(0), ..RequestControl::default() },
        RequestControl { only_if_cached: true, ..RequestControl::default() },
    ] {
        assert_eq!(stored_by(&rule, &ask(control), 200, "max-age=60").err(), None, "{control:?}");
    }
    // 4.3.5, C07: what answers HEAD has no body
    assert_eq!(stored_by(&rule, &Ask { head: true, ..nobody() }, 200, "max-age=60").err(), Some(Unstorable::Head));
    // What was chosen by a field that the gateway writes is not told apart by what clients send
    let headers = controlled("max-age=60 | vary: accept, x-user-id");
    let ours = |name: &HeaderName| name == "x-user-id";
    assert_eq!(storable(&rule, &nobody(), &answer(200, &headers), &ours).err(), Some(Unstorable::VaryOurs));
}

/// RFC 5861: the origin's word goes before the route's, and what forbids goes before both.
#[test]
fn windows_for_what_is_stale() {
    let rule = CacheRule {
        stale_while_revalidate: Some(Duration::from_secs(30)),
        stale_if_error: Some(Duration::from_secs(100)),
        ..CacheRule::on()
    };
    for (lines, behind, on_error) in [
        ("max-age=60", 30, 100),
        ("max-age=60, stale-while-revalidate=5", 5, 100),
        ("max-age=60, stale-if-error=5", 30, 5),
        ("max-age=60, stale-while-revalidate=0, stale-if-error=0", 0, 0),
        ("max-age=60, stale-while-revalidate=x", 0, 100),
        ("max-age=60, must-revalidate", 0, 0),
        ("max-age=60, proxy-revalidate, stale-if-error=9", 0, 0),
        ("s-maxage=60, stale-while-revalidate=9", 0, 0),
        ("cdn-cache-control: max-age=60, stale-if-error=7", 30, 7),
        ("cdn-cache-control: s-maxage=60, stale-if-error=7", 0, 0),
    ] {
        let freshness = stored_by(&rule, &nobody(), 200, lines).unwrap().freshness;
        let last = |is: fn(&Freshness, Moment) -> bool| (0..500).rev().find(|second| is(&freshness, at(*second)));
        let window = |secs: u64| if secs == 0 { None } else { Some(60 + secs - 1) };
        let behind = window(behind).or_else(|| freshness.may_be_stale().then_some(59));
        let on_error = window(on_error).or_else(|| freshness.may_be_stale().then_some(59));
        assert_eq!(last(Freshness::serves_while_revalidating), behind, "{lines}");
        assert_eq!(last(Freshness::serves_on_error), on_error, "{lines}");
        assert_eq!(last(Freshness::is_fresh), Some(59), "{lines}");
    }
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    use Unstorable as U;
    let all = [
        U::Authorised,
        U::Head,
        U::NoFreshness,
        U::NoStore,
        U::NoStoreAsked,
        U::Private,
        U::SetCookie,
        U::Stale,
        U::Status,
        U::Unreadable,
        U::VaryAny,
        U::VaryOurs,
        U::VaryTooMany,
    ];
    let words: std::collections::BTreeSet<_> = all.iter().map(|why| why.as_str()).collect();
    assert_eq!(words.len(), all.len());
}
