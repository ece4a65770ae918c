//! RFC 9110, sections 13 and 14, and RFC 9111, section 4.3.2: a client's own conditions and ranges.

use super::*;

const CHANGED: &str = "Mon, 02 Nov 2026 10:00:00 GMT";
const MADE: &str = "Tue, 24 Nov 2026 12:00:00 GMT";

fn sent_to(method: &Method, request: &[&str], status: u16, stored: &[&str], length: u64) -> Sent {
    let status = StatusCode::from_u16(status).unwrap();
    sent(method, &fields(request), status, &fields(stored), length, WALL)
}

#[test]
fn confirmations() {
    let tagged: &[&str] = &["etag: \"a\""];
    let weak: &[&str] = &["etag: W/\"a\""];
    let changed = &*format!("last-modified: {CHANGED}");
    let made = &*format!("date: {MADE}");
    let dated = &[changed, made][..];
    let both = &["etag: \"a\"", changed][..];
    let undated = &[made][..];
    for (stored, request, not_modified) in [
        // 13.1.2: weak comparison, a list, all lines of it
        (tagged, &["if-none-match: \"a\""][..], true),
        (tagged, &["if-none-match: W/\"a\""], true),
        (weak, &["if-none-match: \"a\""], true),
        (weak, &["if-none-match: W/\"a\""], true),
        (tagged, &["if-none-match: \"b\""], false),
        (tagged, &["if-none-match: \"A\""], false),
        (tagged, &["if-none-match: \"b\", \"a\""], true),
        (tagged, &["if-none-match: \"b\",W/\"a\",\"c\""], true),
        (tagged, &["if-none-match: \"b\" , , \"a\""], true),
        (tagged, &["if-none-match: \"b\"", "if-none-match: \"a\""], true),
        (tagged, &["if-none-match: *"], true),
        (&[], &["if-none-match: *"], true),
        (&[], &["if-none-match: \"a\""], false),
        // 8.8.3: a tag has no escapes, and may have a comma in it
        (&["etag: \"a\\\"\""], &["if-none-match: \"a\\\""], false),
        (&["etag: \"a,b\""], &["if-none-match: \"x\", \"a,b\""], true),
        (&["etag: \"a,b\""], &["if-none-match: \"a\", \"b\""], false),
        (&["etag: \"\""], &["if-none-match: \"\""], true),
        (&["etag: \"a\\b\""], &["if-none-match: \"a\\b\""], true),
        // What is no tag is known by being the same, and by nothing else
        (&["etag: a"], &["if-none-match: a"], true),
        (&["etag: a"], &["if-none-match: \"a\""], false),
        (&["etag: \"a\""], &["if-none-match: a"], false),
        (&["etag: a"], &["if-none-match: a, b"], false),
        (&["etag: w/\"a\""], &["if-none-match: \"a\""], false),
        (&["etag: \"a\"", "etag: \"b\""], &["if-none-match: \"a\""], false),
        (tagged, &["if-none-match: \"a"], false),
        (tagged, &["if-none-match: "], false),
        // 13.1.3: by date, where there is no tag asked for
        (dated, &["if-modified-since: Mon, 02 Nov 2026 10:00:00 GMT"], true),
        (dated, &["if-modified-since: Mon, 02 Nov 2026 10:00:01 GMT"], true),
        (dated, &["if-modified-since: Mon, 02 Nov 2026 09:59:59 GMT"], false),
        (dated, &["if-modified-since: Monday, 02-Nov-26 10:00:00 GMT"], true),
        (dated, &["if-modified-since: Mon Nov  2 10:00:00 2026"], true),
        (dated, &["if-modified-since: yesterday"], false),
        (dated, &["if-modified-since: "], false),
        (
            dated,
            &["if-modified-since: Mon, 02 Nov 2026 10:00:00 GMT", "if-modified-since: Mon, 02 Nov 2026 10:00:00 GMT"],
            false,
        ),
        (
            &["last-modified: x", "date: Mon, 02 Nov 2026 10:00:00 GMT"],
            &["if-modified-since: Mon, 02 Nov 2026 10:00:00 GMT"],
            false,
        ),
        // 9111, 4.3.2: as old as its date
        (undated, &["if-modified-since: Tue, 24 Nov 2026 12:00:00 GMT"], true),
        (undated, &["if-modified-since: Tue, 24 Nov 2026 11:59:59 GMT"], false),
        (&[], &["if-modified-since: Tue, 24 Nov 2026 12:00:00 GMT"], false),
        // 13.2.2: the tag is what counts
        (both, &["if-none-match: \"b\"", "if-modified-since: Tue, 24 Nov 2026 12:00:00 GMT"], false),
        (both, &["if-none-match: \"a\"", "if-modified-since: Mon, 02 Nov 2020 12:00:00 GMT"], true),
        (dated, &["if-none-match: \"a\"", "if-modified-since: Tue, 24 Nov 2026 12:00:00 GMT"], false),
        // 13.1.4: others' conditions are not a cache's
        (tagged, &["if-match: \"b\""], false),
        (tagged, &[], false),
        // 14: a condition goes before a range
        (tagged, &["if-none-match: \"a\"", "range: bytes=0-1"], true),
    ] {
        let expected = if not_modified { Sent::NotModified } else { Sent::Whole };
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(sent_to(&method, request, 200, stored, 10), expected, "{stored:?} {request:?}");
        }
        // 13.2.1: what is no success is no matter of conditions
        for status in [404, 301, 500] {
            assert_eq!(sent_to(&Method::GET, request, status, stored, 10), Sent::Whole, "{stored:?} {request:?}");
        }
    }
}

#[test]
fn ranges() {
    let part = |first, last| Sent::Part(ByteRange { first, last });
    for (range, length, expected) in [
        ("bytes=0-0", 10, part(0, 0)),
        ("bytes=0-9", 10, part(0, 9)),
        ("bytes=3-5", 10, part(3, 5)),
        ("bytes=3-", 10, part(3, 9)),
        ("bytes=9-", 10, part(9, 9)),
        ("bytes=0-", 10, part(0, 9)),
        ("bytes=3-100", 10, part(3, 9)),
        ("bytes=3-99999999999999999999999", 10, part(3, 9)),
        ("bytes=-1", 10, part(9, 9)),
        ("bytes=-10", 10, part(0, 9)),
        ("bytes=-11", 10, part(0, 9)),
        ("bytes=-99999999999999999999999", 10, part(0, 9)),
        ("Bytes=3-5", 10, part(3, 5)),
        ("bytes= 3-5", 10, part(3, 5)),
        ("bytes=003-005", 10, part(3, 5)),
        // 15.5.17
        ("bytes=10-", 10, Sent::Unsatisfiable),
        ("bytes=10-20", 10, Sent::Unsatisfiable),
        ("bytes=99999999999999999999999-", 10, Sent::Unsatisfiable),
        ("bytes=-0", 10, Sent::Unsatisfiable),
        ("bytes=0-", 0, Sent::Unsatisfiable),
        ("bytes=0-0", 0, Sent::Unsatisfiable),
        ("bytes=-0", 0, Sent::Unsatisfiable),
        // The end of nothing has no name
        ("bytes=-5", 0, Sent::Whole),
        ("bytes=0-0", 1, part(0, 0)),
        ("bytes=0-", u64::MAX, part(0, u64::MAX - 1)),
        ("bytes=18446744073709551614-", u64::MAX, part(u64::MAX - 1, u64::MAX - 1)),
        // 14.2: what is no range, another unit, and several, are ignored
        ("bytes=5-3", 10, Sent::Whole),
        ("bytes=-", 10, Sent::Whole),
        ("bytes=", 10, Sent::Whole),
        ("bytes", 10, Sent::Whole),
        ("bytes=a-b", 10, Sent::Whole),
        ("bytes=1-a", 10, Sent::Whole),
        ("bytes=0x1-2", 10, Sent::Whole),
        ("bytes=1", 10, Sent::Whole),
        ("bytes=1-2-3", 10, Sent::Whole),
        ("bytes=--1", 10, Sent::Whole),
        ("bytes 1-2", 10, Sent::Whole),
        ("items=1-2", 10, Sent::Whole),
        ("bytes=0-1,3-4", 10, Sent::Whole),
        ("bytes=0-1, 3-4", 10, Sent::Whole),
        ("bytes=0-1,", 10, Sent::Whole),
        ("bytes=1 -2", 10, Sent::Whole),
        ("", 10, Sent::Whole),
    ] {
        let field = format!("range: {range}");
        assert_eq!(sent_to(&Method::GET, &[&field], 200, &[], length), expected, "{range} of {length}");
        // 14.2: defined for GET only, and for what is whole
        assert_eq!(sent_to(&Method::HEAD, &[&field], 200, &[], length), Sent::Whole);
        assert_eq!(sent_to(&Method::GET, &[&field], 404, &[], length), Sent::Whole);
        assert_eq!(sent_to(&Method::GET, &[&field, &field], 200, &[], length), Sent::Whole);
        if let Sent::Part(range) = expected {
            assert!(range.first <= range.last && range.last < length && !range.is_empty());
        }
    }
    // C06: a list of a thousand costs one look and no more
    let many = format!("range: bytes={}", (0..1000).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
    assert_eq!(sent_to(&Method::GET, &[&many], 200, &[], 2000), Sent::Whole);
}

/// RFC 9110, section 13.1.5.
#[test]
fn ranges_on_a_condition() {
    let changed = &*format!("last-modified: {CHANGED}");
    let made = &*format!("date: {MADE}");
    let part = Sent::Part(ByteRange { first: 2, last: 4 });
    for (stored, condition, expected) in [
        (&["etag: \"a\""][..], "\"a\"", part),
        (&["etag: \"a\""], "\"b\"", Sent::Whole),
        // Strong comparison
        (&["etag: \"a\""], "W/\"a\"", Sent::Whole),
        (&["etag: W/\"a\""], "\"a\"", Sent::Whole),
        (&["etag: W/\"a\""], "W/\"a\"", Sent::Whole),
        (&["etag: \"a\""], "\"a\", \"b\"", Sent::Whole),
        (&[], "\"a\"", Sent::Whole),
        (&["etag: \"a\""], "", Sent::Whole),
        (&["etag: \"a\""], "a", Sent::Whole),
        // Exactly that date, if it is a strong one
        (&[changed, made], CHANGED, part),
        (&[changed, made], "Mon Nov  2 10:00:00 2026", part),
        (&[changed, made], "Mon, 02 Nov 2026 10:00:01 GMT", Sent::Whole),
        (&[changed, made], "Mon, 02 Nov 2026 09:59:59 GMT", Sent::Whole),
        (&[changed], CHANGED, Sent::Whole),
        (&[changed, "date: Mon, 02 Nov 2026 10:00:00 GMT"], CHANGED, Sent::Whole),
        (&[changed, "date: Mon, 02 Nov 2026 10:00:01 GMT"], CHANGED, part),
        (&[made], MADE, Sent::Whole),
    ] {
        let condition = format!("if-range: {condition}");
        let got = sent_to(&Method::GET, &["range: bytes=2-4", &condition], 200, stored, 10);
        assert_eq!(got, expected, "{stored:?} {condition}");
        // Without a range it says nothing; twice it says no.
        assert_eq!(sent_to(&Method::GET, &[&condition], 200, stored, 10), Sent::Whole);
        let twice = ["range: bytes=2-4", &condition, &condition];
        assert_eq!(sent_to(&Method::GET, &twice, 200, stored, 10), Sent::Whole);
        // A range behind the end, on a condition that does not hold, is no range.
        let behind = if expected == part { Sent::Unsatisfiable } else { Sent::Whole };
        assert_eq!(sent_to(&Method::GET, &["range: bytes=10-", &condition], 200, stored, 10), behind);
    }
}

/// RFC 9110, section 15.4.5.
#[test]
fn what_goes_with_a_304() {
    let tagged = fields(&["etag: \"a\"", "last-modified: x"]);
    let untagged = fields(&["last-modified: x"]);
    for (name, stays) in [
        ("cache-control", true),
        ("content-location", true),
        ("date", true),
        ("etag", true),
        ("expires", true),
        ("vary", true),
        ("access-control-allow-origin", true),
        ("content-encoding", false),
        ("content-language", false),
        ("content-length", false),
        ("content-range", false),
        ("content-type", false),
        ("last-modified", false),
    ] {
        let name = HeaderName::from_static(name);
        assert_eq!(stays_in_304(&name, &tagged), stays, "{name}");
        assert_eq!(stays_in_304(&name, &untagged), stays || name == "last-modified", "{name}");
    }
}
