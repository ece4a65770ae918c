//! Requests that are malformed or ambiguous (RFC 9112): refused, and the connection ends, so that nothing after them can be
//! taken for a request.

use portcullis_suite::{Client, Gateway, Upstream};

fn open(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/**"
        upstream = "app"
        "#,
        upstream.url()
    ))
}

/// Sends `head` with a second request behind it. Returns the first answer's status; the second must never be answered.
fn smuggle(head: &str) -> (u16, usize) {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send(format!("{head}GET /smuggled HTTP/1.1\r\nhost: shop.test\r\n\r\n"));
    let status = client.response().map_or(0, |response| response.status());
    let rest = client.rest();
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1 200"), "the second request was answered after {head:?}");
    let smuggled = upstream.seen().iter().filter(|request| request.target() == "/smuggled").count();
    assert_eq!(smuggled, 0, "the second request reached the upstream after {head:?}");
    (status, upstream.seen().len())
}

/// F01: both framings.
#[test]
fn two_framings_are_refused() {
    for fields in ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let refused = smuggle(&format!("POST / HTTP/1.1\r\nhost: shop.test\r\n{fields}\r\n\r\n0\r\n\r\n"));
        assert_eq!(refused, (400, 0), "{fields}");
    }
}

/// F02
#[test]
fn lengths_that_are_not_lengths() {
    for length in ["-1", "+5", "0x5", "5_0", "5 5", "5,6", "5, 5", "", "99999999999999999999", "5a", "٥", "1e3"] {
        let (status, reached) =
            smuggle(&format!("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: {length}\r\n\r\n"));
        assert_eq!((status, reached), (400, 0), "content-length: {length}");
    }
    for second in ["5", "6"] {
        let (status, reached) = smuggle(&format!(
            "POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 5\r\ncontent-length: {second}\r\n\r\nhello"
        ));
        assert_eq!((status, reached), (400, 0), "5 and {second}");
    }
}

/// F03
#[test]
fn transfer_codings_other_than_chunked() {
    for (coding, expected) in [
        ("gzip", 501),
        ("identity", 501),
        ("chunked, chunked", 501),
        ("gzip, chunked", 501),
        ("chunked;q=1", 501),
        ("\"chunked\"", 501),
        ("", 501),
        ("chunked\r\ntransfer-encoding: chunked", 400),
    ] {
        let (status, reached) =
            smuggle(&format!("POST / HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n"));
        assert_eq!((status, reached), (expected, 0), "transfer-encoding: {coding}");
    }
}

/// F04
#[test]
fn http_1_0_has_no_transfer_codings_and_no_body_without_a_length() {
    let (status, reached) = smuggle("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!((status, reached), (400, 0));

    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.0\r\n\r\nnot a body");
    assert_eq!(client.response().unwrap().status(), 200);
    assert!(upstream.only().body.is_empty());
}

/// F05, F06
#[test]
fn fields_that_are_not_fields() {
    for field in
        ["host : x", " leading: space", ": no-name", "br{ace: x", "nul: a\0b", "bare: a\rb", "vt: a\x0bb", "no colon"]
    {
        let (status, reached) = smuggle(&format!("GET / HTTP/1.1\r\nhost: shop.test\r\n{field}\r\n\r\n"));
        assert_eq!((status, reached), (400, 0), "{field:?}");
    }
    let (status, reached) = smuggle("GET / HTTP/1.1\r\nhost: shop.test\r\na: b\r\n folded\r\n\r\n");
    assert_eq!((status, reached), (400, 0), "folded");
}

/// F06: who takes a lone LF for the end of a line would see other lines than we do.
#[test]
fn lines_that_end_in_lf_alone() {
    for head in [
        "GET / HTTP/1.1\nhost: shop.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: shop.test\n\r\n",
        "GET / HTTP/1.1\r\nhost: shop.test\r\n\n",
        "GET / HTTP/1.1\nhost: shop.test\n\n",
    ] {
        assert_eq!(smuggle(head), (400, 0), "{head:?}");
    }
}

/// O13: whatever is refused before there is a request has an answer that explains itself.
#[test]
fn what_is_no_request_is_told_so() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    for (head, status, code) in [
        ("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505, "version-not-supported"),
        ("GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad-request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 501, "unknown-coding"),
        ("\u{16}\u{3}\u{1}\0a TLS client", 400, "bad-request"),
    ] {
        let mut client = Client::connect(gateway.address());
        client.send(head);
        let answer = client.response().unwrap_or_else(|| panic!("no answer to {head:?}"));
        assert_eq!((answer.status(), answer.get("connection")), (status, Some("close")), "{head:?}");
        let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(problem["code"], code, "{head:?}");
        assert!(answer.get("x-request-id").is_some(), "{head:?}");
        assert!(client.is_closed(), "{head:?}");
    }
    assert!(upstream.seen().is_empty());
}

/// RFC 9112, section 9.3: HTTP/1.0 keeps a connection only where both say so, and knows no chunks.
#[test]
fn http_1_0_is_answered_as_it_understands() {
    let upstream =
        Upstream::start(|_| portcullis_suite::Reply::Close(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec()));
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n");
    let all = String::from_utf8(client.rest()).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("transfer-encoding") && head.contains("connection: close"), "{head}");
    assert_eq!(body, "until the end");

    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!(client.response().unwrap().get("connection"), Some("keep-alive"));
    }
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert_eq!(client.response().unwrap().get("connection"), Some("close"));
    assert!(client.is_closed());
}

/// F07
#[test]
fn chunks_that_are_not_chunks() {
    for chunk in [
        "-1\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5_\r\nhello\r\n",
        "ffffffffffffffffff\r\n",
        "\r\n",
        "5\r\nhello!\r\n",
        "g\r\n",
    ] {
        let upstream = Upstream::ok();
        let gateway = open(&upstream);
        let mut client = Client::connect(gateway.address());
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: shop.test\r\n\r\n"
        ));
        client.rest();
        assert!(upstream.seen().iter().all(|request| request.target() != "/smuggled"), "{chunk:?}");
        assert!(upstream.seen().iter().all(|request| !request.complete), "{chunk:?} made a whole body");
    }
}

/// F07, F08: extensions and trailers end here.
#[test]
fn chunk_extensions_and_trailers_are_not_passed_on() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send(
        "POST / HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\ntrailer: x-user-id\r\n\r\n\
         5;ext=1\r\nhello\r\n0\r\nx-user-id: admin\r\nhost: evil\r\ncontent-length: 3\r\nauthorization: Bearer x\r\n\r\n",
    );
    assert_eq!(client.response().unwrap().status(), 200);
    let seen = upstream.only();
    assert_eq!(seen.text(), "hello");
    assert!(seen.complete);
    assert_eq!(seen.all("host").collect::<Vec<_>>(), ["shop.test"]);
    assert!(seen.get("x-user-id").is_none() && seen.get("authorization").is_none());
}

/// F11
#[test]
fn connect_and_trace_are_refused_and_connect_ends_the_connection() {
    for (method, target) in [("CONNECT", "shop.test:443"), ("TRACE", "/")] {
        let (status, reached) = smuggle(&format!("{method} {target} HTTP/1.1\r\nhost: shop.test\r\n\r\n"));
        assert_eq!((status, reached), (405, 0), "{method}");
    }
}

/// F12: an answer before the body was read leaves nothing that could be taken for a request.
#[test]
fn a_body_that_nobody_read_is_never_a_request() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/small/**"
        upstream = "app"
        max_body_size = "1KiB"
        [[routes]]
        path = "/fixed"
        respond = {{ status = 200, body = "fixed" }}
        "#,
        upstream.url()
    ));
    let hidden = "GET /small/smuggled HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    for (target, length, status) in
        [("/small/x", 100_000, 413), ("/fixed", hidden.len(), 200), ("/nowhere", hidden.len(), 404)]
    {
        let mut client = Client::connect(gateway.address());
        client.send(format!("POST {target} HTTP/1.1\r\nhost: shop.test\r\ncontent-length: {length}\r\n\r\n{hidden}"));
        assert_eq!(client.response().unwrap().status(), status, "{target}");
        client.send("GET /small/next HTTP/1.1\r\nhost: shop.test\r\n\r\n");
        client.finish();
        client.rest();
        assert!(upstream.seen().iter().all(|request| request.target() != "/small/smuggled"), "{target}");
    }
}

/// F13: whatever frames the request, its copy has exactly one framing.
#[test]
fn every_request_is_framed_once() {
    for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"] {
        for (fields, body) in [
            ("", ""),
            ("content-length: 5\r\n", "hello"),
            ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            let upstream = Upstream::ok();
            let gateway = open(&upstream);
            let mut client = Client::connect(gateway.address());
            client.send(format!("{method} / HTTP/1.1\r\nhost: shop.test\r\n{fields}\r\n{body}"));
            assert_eq!(client.response().unwrap().status(), 200, "{method} {fields}");
            let seen = upstream.only();
            let framings = seen.all("content-length").count() + seen.all("transfer-encoding").count();
            assert!(framings <= 1, "{method} {fields}: {seen:#?}");
            assert_eq!(seen.text(), if body.is_empty() { "" } else { "hello" }, "{method} {fields}");
        }
    }
}

/// F16
#[test]
fn request_lines_that_are_not_request_lines() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /\tHTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET /",
        "GET / HTTP/1.1 x",
        "/ HTTP/1.1",
    ] {
        let (status, reached) = smuggle(&format!("{line}\r\nhost: shop.test\r\n\r\n"));
        assert_eq!(reached, 0, "{line:?}");
        assert!(matches!(status, 0 | 400 | 505), "{line:?} got {status}");
    }
}

/// F16
#[test]
fn pipelined_requests_are_answered_in_order_and_none_after_a_bad_one() {
    let upstream = Upstream::start(|request| portcullis_suite::Reply::ok(request.target()));
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    let mut all = String::new();
    for number in 0..50 {
        let length = if number == 3 { "content-length: nonsense\r\n" } else { "" };
        all.push_str(&format!("GET /{number} HTTP/1.1\r\nhost: shop.test\r\n{length}\r\n"));
    }
    client.send(all);
    for number in 0..3 {
        assert_eq!(client.response().unwrap().text(), format!("/{number}"));
    }
    assert_eq!(client.response().unwrap().status(), 400);
    assert!(client.is_closed());
    assert_eq!(upstream.seen().len(), 3);
}

/// B01: the bounds on heads.
#[test]
fn heads_that_are_too_large() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let big = format!("x-big: {}", "a".repeat(40 * 1024));
    assert_eq!(gateway.get("/", &[&big]).status(), 431);
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}: 1")).collect();
    assert_eq!(gateway.get("/", &many.iter().map(String::as_str).collect::<Vec<_>>()).status(), 431);
    assert_eq!(gateway.get(&format!("/{}", "a".repeat(9 * 1024)), &[]).status(), 414);
    let endless = gateway.get(&format!("/?{}", "a".repeat(70 * 1024)), &[]).status();
    assert!(matches!(endless, 414 | 431), "{endless}");
    assert_eq!(gateway.get(&format!("/{}", "a".repeat(7 * 1024)), &[]).status(), 200);
    assert_eq!(upstream.seen().len(), 1);
}
