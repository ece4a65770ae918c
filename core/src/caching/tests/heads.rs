//! RFC 9111, section 3.1: what of a head is stored.

use super::*;

#[test]
fn what_is_for_one_hop_one_person_or_one_request_is_not_stored() {
    let answer = fields(&[
        "content-type: text/plain",
        "x-mine: a",
        "x-mine: b",
        "cache-status: Edge; hit",
        "via: 1.1 edge",
        "connection: x-hop, Keep-Alive",
        "connection: X-Other",
        "x-hop: 1",
        "x-other: 1",
        "keep-alive: timeout=5",
        "proxy-authenticate: Basic",
        "proxy-authentication-info: a",
        "proxy-connection: close",
        "te: trailers",
        "trailer: x-sum",
        "transfer-encoding: chunked",
        "upgrade: h2c",
        "age: 10",
        "set-cookie: a=b",
        "set-cookie2: a=b",
        "authentication-info: a",
        "x-request-id: 1",
        "traceparent: 1",
        "tracestate: 1",
        "server-timing: a",
        "ratelimit: a",
        "ratelimit-policy: a",
        "x-ratelimit-remaining: 1",
        "content-length: 3",
        "date: Tue, 24 Nov 2026 11:00:00 GMT",
    ]);
    let stored = kept(&answer, WALL).unwrap();
    let expected = fields(&[
        "content-type: text/plain",
        "x-mine: a",
        "x-mine: b",
        "cache-status: Edge; hit",
        "via: 1.1 edge",
        "content-length: 3",
        "date: Tue, 24 Nov 2026 11:00:00 GMT",
    ]);
    assert_eq!(stored, expected);
    // RFC 9110, section 6.6.1: who has a clock says when it came.
    let stored = kept(&HeaderMap::new(), WALL).unwrap();
    assert_eq!(stored, fields(&["date: Tue, 24 Nov 2026 12:00:00 GMT"]));
    // Named by Connection, it was for this hop, whatever it is.
    let stored = kept(&fields(&["connection: date, content-type", "content-type: a", "date: b"]), WALL).unwrap();
    assert_eq!(stored, fields(&["date: Tue, 24 Nov 2026 12:00:00 GMT"]));
}
