//! Hostile values in every place where a template puts one: `rewrite`, `redirect`, `set`. None changes a target, and none
//! becomes more than a value.

use portcullis_suite::{Client, Gateway, Reply, Upstream, claims, mint};
use serde_json::{Value, json};

/// An upstream that says the target it was asked for, and a gateway with a template in every place.
fn gateway() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|request| Reply::ok(request.target()));
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        failures = "off"
        [defaults]
        auth = "users"
        [[routes]]
        path = "/path/**"
        upstream = "app"
        rewrite = "/t/{{claim:v}}/x"
        request = {{ set = {{ "x-v" = "{{claim:v}}", "x-path" = "{{path}}" }} }}
        [[routes]]
        path = "/query"
        upstream = "app"
        rewrite = "/s?q={{claim:v}}&fixed=1"
        [[routes]]
        path = "/redirect"
        redirect = "https://shop.test/n/{{claim:v}}?q={{claim:v}}"
        [[routes]]
        path = "/client/{{id}}/**"
        upstream = "app"
        auth = "none"
        rewrite = "/c/{{id}}/{{header:x-v}}?q={{query:v}}&i={{id}}&c={{cookie:v}}"
        encoded_slashes = "keep"
        [[routes]]
        path = "/plain/**"
        auth = "none"
        redirect = {{ to = "/{{rest}}", status = 307 }}
        [[routes]]
        path = "/moved/{{id}}"
        auth = "none"
        redirect = "https://new.shop.test:8443{{path}}"
        "#,
        upstream.url()
    ));
    (upstream, gateway)
}

fn bearer(value: &Value) -> String {
    let mut claims = claims("ada");
    claims["v"] = value.clone();
    format!("authorization: Bearer {}", mint(&claims))
}

/// A value; the segment that it becomes (none: 400); the value of a query that it becomes (none: 400); whether a header
/// takes it.
const VALUES: [(&str, Option<&str>, Option<&str>, bool); 24] = [
    ("acme", Some("acme"), Some("acme"), true),
    ("a b", Some("a%20b"), Some("a%20b"), true),
    ("..", None, Some(".."), true),
    (".", None, Some("."), true),
    ("../../admin", None, Some("..%2F..%2Fadmin"), true),
    ("..\\admin", None, Some("..%5Cadmin"), true),
    ("..;x", None, Some("..%3Bx"), true),
    ("a/..", None, Some("a%2F.."), true),
    ("a/b", Some("a%2Fb"), Some("a%2Fb"), true),
    ("%2e%2e%2fadmin", Some("%252e%252e%252fadmin"), Some("%252e%252e%252fadmin"), true),
    ("%2f", Some("%252f"), Some("%252f"), true),
    ("?admin=1", Some("%3Fadmin=1"), Some("%3Fadmin%3D1"), true),
    ("1&admin=1", Some("1&admin=1"), Some("1%26admin%3D1"), true),
    ("#x", Some("%23x"), Some("%23x"), true),
    ("//evil.test", Some("%2F%2Fevil.test"), Some("%2F%2Fevil.test"), true),
    ("\\\\evil.test", Some("%5C%5Cevil.test"), Some("%5C%5Cevil.test"), true),
    ("https://evil.test/", Some("https:%2F%2Fevil.test%2F"), Some("https%3A%2F%2Fevil.test%2F"), true),
    ("@evil.test", Some("@evil.test"), Some("%40evil.test"), true),
    (" HTTP/1.1\r\nx-admin: 1\r\n\r\n", None, None, false),
    ("a\nb", None, None, false),
    ("\0", None, None, false),
    ("\t", None, None, false),
    ("caf\u{e9}", Some("caf%C3%A9"), Some("caf%C3%A9"), false),
    ("", None, Some(""), false),
];

#[test]
fn a_hostile_claim_changes_no_target() {
    let (upstream, gateway) = gateway();
    for (value, segment, query, header) in VALUES {
        let bearer = bearer(&json!(value));
        let before = upstream.seen().len();
        let answer = gateway.get("/path", &[&bearer, "x-v: evil"]);
        match segment {
            Some(segment) => {
                assert_eq!((answer.status(), answer.text()), (200, format!("/t/{segment}/x")), "{value:?}");
                let seen = upstream.seen()[before].clone();
                assert_eq!(seen.get("x-v"), header.then_some(value), "{value:?}");
                assert_eq!((seen.get("x-path"), seen.get("x-admin")), (Some("/path"), None), "{value:?}");
            }
            None => assert_eq!((answer.status(), upstream.seen().len()), (400, before), "{value:?}"),
        }
        let answer = gateway.get("/query?from=client", &[&bearer]);
        match query {
            Some(query) => assert_eq!(answer.text(), format!("/s?q={query}&fixed=1"), "{value:?}"),
            None => assert_eq!(answer.status(), 400, "{value:?}"),
        }
        let answer = gateway.get("/redirect?from=client", &[&bearer]);
        match (segment, query) {
            (Some(segment), Some(query)) => {
                let location = format!("https://shop.test/n/{segment}?q={query}");
                assert_eq!((answer.status(), answer.get("location")), (308, Some(&*location)), "{value:?}");
                assert_eq!(answer.get("x-admin"), None, "{value:?}");
            }
            _ => assert_eq!((answer.status(), answer.get("location")), (400, None), "{value:?}"),
        }
    }
}

/// What is no text is absent, and what is very long is refused rather than cut.
#[test]
fn a_claim_that_is_no_value_is_absent() {
    let (upstream, gateway) = gateway();
    for value in [json!(["a"]), json!({"a": "b"}), json!(null), json!("?".repeat(4000))] {
        for path in ["/path", "/query", "/redirect"] {
            assert_eq!(gateway.get(path, &[&bearer(&value)]).status(), 400, "{path}");
        }
    }
    assert!(upstream.seen().is_empty());
    for value in [json!(7), json!(true)] {
        assert_eq!(gateway.get("/path", &[&bearer(&value)]).text(), format!("/t/{value}/x"));
    }
}

/// Values that a client sends in a path, a query, a header and a cookie, all at once.
#[test]
fn a_hostile_request_changes_no_target() {
    let (upstream, gateway) = gateway();
    for (path, fields, target) in [
        ("/client/7/x?v=1", ["x-v: a", "cookie: v=b"], Some("/c/7/a?q=1&i=7&c=b")),
        ("/client/a%20b?v=%26z%3D1", ["x-v: a", "cookie: v=b&z=1"], Some("/c/a%20b/a?q=%26z%3D1&i=a%20b&c=b%26z%3D1")),
        ("/client/a%2fb?v=%2e%2e%2f", ["x-v: a", "cookie: v=#"], Some("/c/a%2Fb/a?q=..%2F&i=a%2Fb&c=%23")),
        ("/client/%2e%2e/client/7?v=1", ["x-v: a", "cookie: v=b"], Some("/c/7/a?q=1&i=7&c=b")),
        ("/client/a&b=c?v=+", ["x-v: ?", "cookie: v=b"], Some("/c/a&b=c/%3F?q=%2B&i=a%26b%3Dc&c=b")),
        ("/client/7?v=1", ["x-v: ..", "cookie: v=b"], None),
        ("/client/7?v=1", ["x-v: ../x", "cookie: v=b"], None),
        ("/client/7?v=1", ["x-v: a", "cookie: w=b"], None),
        ("/client/7?w=1", ["x-v: a", "cookie: v=b"], None),
        ("/client/7?v=1", ["x-w: a", "cookie: v=b"], None),
        ("/client/7?v=%0d%0a", ["x-v: a", "cookie: v=b"], None),
        ("/client/7?v=%00", ["x-v: a", "cookie: v=b"], None),
        ("/client/7?v=%ff", ["x-v: a", "cookie: v=b"], None),
        ("/client/7?v=1", ["x-v: caf\u{e9}", "cookie: v=b"], None),
    ] {
        let before = upstream.seen().len();
        let answer = gateway.get(path, &fields);
        match target {
            Some(target) => assert_eq!((answer.status(), answer.text()), (200, target.to_owned()), "{path} {fields:?}"),
            None => assert_eq!((answer.status(), upstream.seen().len()), (400, before), "{path} {fields:?}"),
        }
    }
    let long = format!("x-v: {}", "x".repeat(9000));
    assert_eq!(gateway.get("/client/7?v=1", &[&long, "cookie: v=b"]).status(), 400, "very long");
    let many = format!("x-v: {}", "?".repeat(3000));
    assert_eq!(gateway.get("/client/7?v=1", &[&many, "cookie: v=b"]).status(), 400, "very long once it is encoded");
}

/// P12: wherever a client is sent, the host is that of the file or the one that it asked.
#[test]
fn a_redirect_leads_nowhere_else() {
    let (_upstream, gateway) = gateway();
    for (path, location) in [
        ("/plain/a/b?c=d", "/a/b?c=d"),
        ("/plain", "/"),
        ("/plain//evil.test", "/evil.test"),
        ("/plain/%2e//evil.test/..", "/"),
        ("//plain///evil.test/x", "/evil.test/x"),
        ("/plain/http://evil.test", "/http:/evil.test"),
        ("/plain/@evil.test", "/@evil.test"),
        ("/plain/a?b=%0d%0ax:1", "/a?b=%0d%0ax:1"),
    ] {
        let answer = gateway.get(path, &["host: evil.test"]);
        assert_eq!((answer.status(), answer.get("location")), (307, Some(location)), "{path}");
        assert_eq!(answer.text(), "");
    }
    for path in ["/plain/%2fevil.test", "/plain/\\evil.test", "/plain/%5cevil.test", "/plain/%0d%0ax"] {
        assert_eq!(gateway.get(path, &[]).status(), 400, "{path}");
    }
    // What the HTTP library lets through and a URL should not have.
    let mut client = Client::connect(gateway.address());
    client.send(b"GET /plain/a?{|}^`\\ HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.get("location")), (307, Some("/a?%7B%7C%7D%5E%60%5C")));
    let moved = Client::ask(gateway.address(), "POST", "/moved/7?a=b", &["host: evil.test", "content-length: 0"]);
    assert_eq!((moved.status(), moved.get("location")), (308, Some("https://new.shop.test:8443/moved/7?a=b")));
    let head = Client::ask(gateway.address(), "HEAD", "/moved/7", &[]);
    assert_eq!((head.status(), head.get("content-length")), (308, Some("0")));
}
