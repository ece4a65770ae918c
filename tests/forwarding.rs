//! What a proxy takes away and adds on the way, both ways (RFC 9110, section 7.6).

use portcullis_suite::{Client, Gateway, Reply, Upstream};

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

/// W01
#[test]
fn hop_by_hop_fields_end_here_both_ways() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-private\r\nx-private: 1\r\nkeep-alive: timeout=5\r\n\
             proxy-authenticate: Basic\r\nupgrade: h2c\r\nproxy-connection: close\r\nx-kept: 1\r\n\r\nok",
        )
    });
    let gateway = open(&upstream);
    let answer = gateway.get(
        "/",
        &[
            "connection: x-secret, keep-alive",
            "x-secret: 1",
            "keep-alive: timeout=5",
            "proxy-connection: keep-alive",
            "te: trailers, gzip",
            "upgrade: websocket",
            "proxy-authorization: Basic abc",
            "x-kept: 1",
        ],
    );
    let seen = upstream.only();
    for gone in ["connection", "x-secret", "keep-alive", "proxy-connection", "te", "upgrade", "proxy-authorization"] {
        assert_eq!(seen.get(gone), None, "{gone} at the upstream");
    }
    assert_eq!(seen.get("x-kept"), Some("1"));
    for gone in ["x-private", "keep-alive", "proxy-authenticate", "upgrade", "proxy-connection"] {
        assert_eq!(answer.get(gone), None, "{gone} at the client");
    }
    assert_eq!(answer.get("x-kept"), Some("1"));
}

/// W02: nobody can have what we say dropped by naming it in Connection.
#[test]
fn what_we_say_cannot_be_nominated_away() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let nominated = "connection: close, X-Forwarded-For\r\nCONNECTION: x-forwarded-proto, x-request-id, forwarded, Via, traceparent";
    assert_eq!(gateway.get("/", &[nominated, "x-forwarded-for: 6.6.6.6"]).status(), 200);
    let seen = upstream.only();
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    for ours in ["x-forwarded-proto", "x-request-id", "forwarded", "via", "traceparent"] {
        assert_eq!(seen.all(ours).count(), 1, "{ours}");
    }
    assert_eq!(seen.all("host").count(), 1);
    assert_eq!(gateway.get("/", &["connection: host"]).status(), 400, "then there is no host");
    let mut client = Client::connect(gateway.address());
    client.send(b"GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: \xff\xfe\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 400);
}

/// W03
#[test]
fn via_is_added_both_ways_and_shows_a_loop() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let answer = gateway.get("/", &["via: 1.0 fred"]);
    let seen = upstream.only();
    let via: Vec<_> = seen.all("via").collect();
    assert_eq!(via.len(), 2, "{via:?}");
    assert!(via[0] == "1.0 fred" && via[1].starts_with("1.1 portcullis-"), "{via:?}");
    assert!(answer.get("via").unwrap().starts_with("1.1 portcullis-"));
    let ours = via[1].to_owned();
    let again = gateway.get("/", &[&format!("via: {ours}")]);
    assert_eq!(again.status(), 508);
    assert_eq!(again.get("proxy-status"), Some("portcullis; error=proxy_loop_detected"));
    assert_eq!(upstream.seen().len(), 1);
}

/// W05: nobody is trusted yet, so what a client says of itself is erased.
#[test]
fn forwarding_fields_are_ours_alone() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let spoofed = [
        "x-forwarded-for: 6.6.6.6",
        "x-forwarded-host: evil.test",
        "x-forwarded-proto: https",
        "x-forwarded-port: 666",
        "x-forwarded-prefix: /evil",
        "x-forwarded-uri: /evil",
        "x-forwarded-method: DELETE",
        "x-real-ip: 6.6.6.6",
        "forwarded: for=6.6.6.6",
        "x_forwarded_for: 6.6.6.6",
        "client-cert: :abc:",
        "x-forwarded-client-cert: evil",
    ];
    assert_eq!(gateway.get("/", &spoofed).status(), 200);
    let seen = upstream.only();
    assert!(
        !seen
            .fields
            .iter()
            .any(|(_, value)| value.contains("6.6.6.6") || value.contains("evil") || value.contains("666")),
        "{seen:#?}"
    );
    assert_eq!(seen.all("x-forwarded-for").collect::<Vec<_>>(), ["127.0.0.1"]);
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.test"));
    assert_eq!(seen.get("forwarded"), Some("for=127.0.0.1;host=shop.test;proto=http"));
    assert!(seen.get("client-cert").is_none() && seen.get("x-real-ip").is_none());
}

/// O12
#[test]
fn ids_are_kept_when_they_are_ids() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = gateway.get("/", &["x-request-id: abc-123", &format!("traceparent: {parent}"), "tracestate: a=b"]);
    assert_eq!(answer.get("x-request-id"), Some("abc-123"));
    let seen = upstream.only();
    assert_eq!(seen.get("x-request-id"), Some("abc-123"));
    let continued = seen.get("traceparent").unwrap();
    assert!(continued.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && continued != parent, "{continued}");
    assert_eq!(seen.get("tracestate"), Some("a=b"));

    let long = format!("x-request-id: {}", "a".repeat(10_000));
    let answer = gateway.get("/", &[&long, "traceparent: nonsense", "tracestate: a=b"]);
    let fresh = answer.get("x-request-id").unwrap().to_owned();
    assert!(fresh.len() == 32 && fresh.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fresh}");
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.get("x-request-id"), Some(&*fresh));
    assert_eq!(seen.get("traceparent").unwrap().len(), 55);
    assert_eq!(seen.get("tracestate"), None);
}

/// W06: interim answers are not answers, and an upgrade that nobody asked for is none.
#[test]
fn interim_responses_are_not_final() {
    let upstream = Upstream::start(|request| match request.target() {
        "/early" => Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate",
        ),
        _ => Reply::Close(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw bytes".to_vec(),
        ),
    });
    let gateway = open(&upstream);
    let answer = gateway.get("/early", &[]);
    assert_eq!((answer.status(), answer.text()), (200, "late".to_owned()));
    assert_eq!(gateway.get("/switch", &["connection: upgrade", "upgrade: x"]).status(), 502);
}

/// W08
#[test]
fn unknown_methods_and_statuses_pass_and_impossible_ones_do_not() {
    let upstream = Upstream::start(|request| match request.target() {
        "/799" => Reply::raw("HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n"),
        "/2xx" => Reply::Close(b"HTTP/1.1 2xx Odd\r\ncontent-length: 0\r\n\r\n".to_vec()),
        "/garbage" => Reply::Close(b"what is HTTP?\r\n\r\n".to_vec()),
        _ => Reply::status(299, "odd"),
    });
    let gateway = open(&upstream);
    let answer = Client::ask(gateway.address(), "BREW", "/299", &["x-odd-Name: \u{e9}"]);
    assert_eq!(answer.status(), 299);
    assert_eq!(upstream.only().method(), "BREW");
    for target in ["/799", "/2xx", "/garbage"] {
        let answer = gateway.get(target, &[]);
        assert_eq!(answer.status(), 502, "{target}");
        assert_eq!(answer.get("proxy-status"), Some("portcullis; error=http_protocol_error"), "{target}");
    }
}

/// W09
#[test]
fn exactly_one_host_reaches_the_upstream() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    gateway.get("/", &["host: Shop.Test:81"]);
    assert_eq!(upstream.seen()[0].all("host").collect::<Vec<_>>(), ["Shop.Test:81"]);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!(upstream.seen()[1].all("host").collect::<Vec<_>>(), [upstream.address().to_string()]);
}

/// W10
#[test]
fn our_own_errors_name_no_address_of_ours() {
    let address = { Upstream::ok().address() };
    let gateway = Gateway::start(&format!(
        "[upstreams]\napp = [\"http://{address}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"
    ));
    let answer = gateway.get("/", &[]);
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.get("content-type"), Some("application/problem+json"));
    assert_eq!(answer.get("proxy-status"), Some("portcullis; error=connection_refused"));
    assert_eq!(answer.json()["code"], "connect-failed");
    assert_eq!(answer.json()["instance"].as_str(), answer.get("x-request-id"));
    let everything = format!("{answer:?}");
    assert!(
        !everything.contains(&address.to_string()) && !everything.contains(&address.port().to_string()),
        "{everything}"
    );
}

/// HEAD, 204 and 304 have no body and keep what they say about one.
#[test]
fn answers_without_a_body() {
    let upstream = Upstream::start(|request| match (request.method(), request.target()) {
        ("HEAD", _) => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"a\"\r\n\r\n"),
        (_, "/204") => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        (_, "/304") => Reply::raw("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n"),
        _ => Reply::ok("ok"),
    });
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    let head = client.request("HEAD", "/", &[]).unwrap();
    assert_eq!((head.status(), head.get("content-length"), head.get("etag")), (200, Some("1234"), Some("\"a\"")));
    let none = client.request("GET", "/204", &[]).unwrap();
    assert_eq!((none.status(), none.get("content-length"), none.get("transfer-encoding")), (204, None, None));
    let same = client.request("GET", "/304", &[]).unwrap();
    assert_eq!((same.status(), same.get("etag")), (304, Some("\"a\"")));
    assert_eq!(client.request("GET", "/", &[]).unwrap().text(), "ok");
}

/// W03: counted down, and answered where it ends.
#[test]
fn max_forwards_is_counted() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    assert_eq!(Client::ask(gateway.address(), "OPTIONS", "/", &["max-forwards: 0"]).status(), 204);
    assert!(upstream.seen().is_empty());
    assert_eq!(Client::ask(gateway.address(), "OPTIONS", "/", &["max-forwards: 3"]).status(), 200);
    assert_eq!(upstream.only().get("max-forwards"), Some("2"));
    gateway.get("/", &["max-forwards: 0"]);
    assert_eq!(upstream.seen()[1].get("max-forwards"), Some("0"), "it means something for OPTIONS and TRACE only");
}

/// Every answer of ours can be found by its id.
#[test]
fn every_refusal_has_an_id() {
    let upstream = Upstream::ok();
    let gateway = open(&upstream);
    for (method, target, field, status) in [
        ("GET", "/", "expect: 200-ok", 417),
        ("TRACE", "/", "x-a: b", 405),
        ("GET", "/%00", "x-a: b", 400),
        ("GET", "/", "connection: a b", 400),
        ("GET", "https://shop.test/", "x-a: b", 400),
    ] {
        let answer = Client::ask(gateway.address(), method, target, &[field]);
        assert_eq!(answer.status(), status, "{method} {target} {field}");
        assert_eq!(answer.json()["instance"].as_str(), answer.get("x-request-id"), "{method} {target} {field}");
        assert!(answer.get("x-request-id").is_some(), "{method} {target} {field}");
    }
}

/// I08, W04: nobody was promised trailers, so none are relayed, and no identity gets to a client in one.
#[test]
fn trailers_of_an_answer_end_here() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-user-id\r\n\r\n2\r\nok\r\n0\r\nx-user-id: admin\r\n\r\n",
        )
    });
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
    let raw = String::from_utf8(client.rest()).unwrap();
    assert!(raw.ends_with("0\r\n\r\n") && !raw.contains("admin"), "{raw}");
}
