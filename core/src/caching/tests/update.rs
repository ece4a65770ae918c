//! RFC 9111, sections 4.3 and 3.2: asking again.

use super::*;

const CHANGED: &str = "last-modified: Mon, 02 Nov 2026 10:00:00 GMT";

/// C14: our question, not the client's.
#[test]
fn what_is_asked() {
    let asks = [
        "if-none-match: \"theirs\"",
        "if-modified-since: Sun, 01 Nov 2026 10:00:00 GMT",
        "if-range: \"theirs\"",
        "range: bytes=0-1",
        "accept: a",
    ];
    let mut all = fields(&asks);
    ask_for_all(&mut all);
    assert_eq!(all, fields(&["accept: a"]));
    let since = "if-modified-since: Mon, 02 Nov 2026 10:00:00 GMT";
    for (stored, expected) in [
        (&["etag: \"a\"", CHANGED][..], &["accept: a", "if-none-match: \"a\"", since][..]),
        (&["etag: W/\"a\""], &["accept: a", "if-none-match: W/\"a\""]),
        (&[CHANGED], &["accept: a", since]),
        (&[], &["accept: a"]),
        // Which one it is nobody knows
        (&["etag: \"a\"", "etag: \"b\""], &["accept: a"]),
    ] {
        let mut request = fields(&asks);
        ask_again(&mut request, &fields(stored)).unwrap();
        assert_eq!(request, fields(expected), "{stored:?}");
    }
}

/// Section 4.3.4.
#[test]
fn what_a_304_confirms() {
    for (stored, reply, expected) in [
        (&["etag: \"a\""][..], &["etag: \"a\""][..], true),
        (&["etag: \"a\""], &["etag: \"b\""], false),
        (&["etag: \"a\"", CHANGED], &["etag: \"b\"", CHANGED], false),
        (&["etag: \"a\"", CHANGED], &["etag: \"a\""], true),
        (&["etag: W/\"a\""], &["etag: W/\"a\""], true),
        (&["etag: W/\"a\""], &["etag: \"a\""], true),
        (&["etag: \"a\""], &["etag: W/\"a\""], true),
        (&["etag: \"a\""], &["etag: W/\"b\""], false),
        (&["etag: a"], &["etag: a"], true),
        (&["etag: a"], &["etag: b"], false),
        (&[CHANGED], &[CHANGED], true),
        (&[CHANGED], &["last-modified: Mon, 02 Nov 2026 10:00:01 GMT"], false),
        (&["etag: \"a\""], &[CHANGED], false),
        (&["etag: \"a\"", CHANGED], &[CHANGED], true),
        (&[CHANGED], &["etag: \"a\"", CHANGED], true),
        (&[CHANGED], &["etag: \"a\""], false),
        // It names nothing: it is about what was asked
        (&["etag: \"a\"", CHANGED], &[], true),
        (&["etag: \"a\""], &["cache-control: max-age=60"], true),
        (&[], &[], true),
    ] {
        assert_eq!(confirms(&fields(stored), &fields(reply)), expected, "{stored:?} {reply:?}");
    }
}

/// Section 3.2.
#[test]
fn what_a_304_changes() {
    let stored = fields(&[
        "cache-control: max-age=60",
        "content-encoding: gzip",
        "content-length: 5",
        "content-type: text/plain",
        "date: Tue, 24 Nov 2026 11:00:00 GMT",
        "etag: \"a\"",
        "expires: Tue, 24 Nov 2026 11:30:00 GMT",
        "x-a: 1",
        "x-a: 2",
        "x-b: 1",
    ]);
    let reply = fields(&[
        "age: 7",
        "cache-control: max-age=600",
        "cache-control: public",
        "connection: x-hop",
        "content-encoding: br",
        "content-length: 0",
        "content-range: bytes 0-1/2",
        "content-type: text/html",
        "date: Tue, 24 Nov 2026 11:59:00 GMT",
        "etag: \"a\"",
        "set-cookie: a=b",
        "transfer-encoding: chunked",
        "x-a: 3",
        "x-hop: 1",
        "x-new: 1",
        "x-request-id: 5",
    ]);
    let expected = fields(&[
        "cache-control: max-age=600",
        "cache-control: public",
        "content-encoding: gzip",
        "content-length: 5",
        "content-type: text/html",
        "date: Tue, 24 Nov 2026 11:59:00 GMT",
        "etag: \"a\"",
        "expires: Tue, 24 Nov 2026 11:30:00 GMT",
        "x-a: 3",
        "x-b: 1",
        "x-new: 1",
    ]);
    let merged = updated(&stored, &reply, WALL).unwrap();
    assert_eq!(merged, expected);
    // A reply without a date is of now: what is stored is no older than that.
    let bare = updated(&stored, &HeaderMap::new(), WALL).unwrap();
    assert_eq!(bare.get("date").unwrap(), "Tue, 24 Nov 2026 12:00:00 GMT");
    assert_eq!(bare.len(), stored.len());

    // How long it is good for from now, by its new directives and the reply's own age.
    let again = |reply: &HeaderMap, ask: &Ask| {
        let merged = updated(&stored, reply, WALL).unwrap();
        storable_again(&CacheRule::on(), ask, StatusCode::OK, &merged, &answer(304, reply), &|_| false)
    };
    let fresh = again(&reply, &nobody()).unwrap().freshness;
    assert_eq!((fresh.lifetime(), fresh.age(RECEIVED)), (600, 60));
    let aged = fields(&["age: 90", "date: Tue, 24 Nov 2026 12:00:00 GMT"]);
    assert_eq!(again(&aged, &nobody()).unwrap().freshness.age(RECEIVED), 90);
    assert_eq!(again(&HeaderMap::new(), &nobody()).unwrap().freshness.ttl(RECEIVED), 60);
    // HEAD may confirm what GET has stored; what says that it is for nobody, or for one, is forgotten.
    assert!(again(&HeaderMap::new(), &Ask { head: true, ..nobody() }).is_ok());
    assert_eq!(again(&fields(&["cache-control: no-store"]), &nobody()), Err(Unstorable::NoStore));
    assert_eq!(again(&fields(&["cache-control: private"]), &nobody()), Err(Unstorable::Private));
    assert_eq!(again(&HeaderMap::new(), &Ask { identified: true, ..nobody() }), Err(Unstorable::Authorised));
    let unwished = Ask { control: RequestControl { no_store: true, ..RequestControl::default() }, ..nobody() };
    assert_eq!(again(&HeaderMap::new(), &unwished), Err(Unstorable::NoStoreAsked));
}

/// Section 4.3.5.
#[test]
fn what_the_answer_to_head_says() {
    for (stored, head, expected) in [
        (&["etag: \"a\"", "content-length: 5", CHANGED][..], &["etag: \"a\"", "content-length: 5", CHANGED][..], true),
        (&["etag: \"a\"", "content-length: 5"], &["etag: \"b\"", "content-length: 5"], false),
        (&["etag: \"a\"", "content-length: 5"], &["etag: \"a\"", "content-length: 6"], false),
        (&["etag: \"a\"", CHANGED], &["etag: \"a\"", "last-modified: Mon, 02 Nov 2026 10:00:01 GMT"], false),
        (&["etag: \"a\""], &["etag: W/\"a\""], false),
        (&["etag: \"a\"", "content-length: 5"], &[], true),
        (&[], &["etag: \"a\"", "content-length: 5"], true),
        (&["x-a: 1"], &["x-a: 2"], true),
    ] {
        assert_eq!(head_agrees(&fields(stored), &fields(head)), expected, "{stored:?} {head:?}");
    }
}
