//! What a route does to the fields of its requests and responses.

use portcullis_suite::{Client, Gateway, Reply, Upstream, claims, mint, token};

const USERS: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
forward = { "x-user-id" = "sub" }
"#;

fn gateway(upstream: &Upstream, routes: &str) -> Gateway {
    Gateway::start(&format!("{USERS}[upstreams]\napp = [\"{}\"]\n{routes}", upstream.url()))
}

fn bearer(claims: &serde_json::Value) -> String {
    format!("authorization: Bearer {}", mint(claims))
}

#[test]
fn requests_are_removed_from_set_and_added_to() {
    let upstream = Upstream::ok();
    let gateway = gateway(
        &upstream,
        r#"
        [[routes]]
        path = "/a/{id}"
        upstream = "app"
        auth = "users"
        [routes.request]
        remove = ["x-debug", "user-agent"]
        set = { "x-tenant" = "{claim:tenant}", "x-id" = "{id} of {identity}", "x-was" = "{header:x-debug}", "authorization" = "Basic abc" }
        add = { "accept" = "text/plain", "x-tenant" = "second" }
        "#,
    );
    let mut claims = claims("ada");
    claims["tenant"] = "acme".into();
    let fields = [
        &*bearer(&claims),
        "x-debug: 1",
        "X_Debug: 2",
        "user-agent: me",
        "x-tenant: evil",
        "X_Tenant: evil",
        "accept: text/html",
        "x-kept: 1",
    ];
    assert_eq!(gateway.get("/a/7", &fields).status(), 200);
    let seen = upstream.only();
    for gone in ["x-debug", "x_debug", "user-agent", "x_tenant"] {
        assert_eq!(seen.get(gone), None, "{gone}");
    }
    for (name, values) in [
        ("x-tenant", vec!["acme", "second"]),
        ("x-id", vec!["7 of ada"]),
        ("x-was", vec!["1"]),
        ("authorization", vec!["Basic abc"]),
        ("accept", vec!["text/html", "text/plain"]),
        ("x-kept", vec!["1"]),
        ("x-user-id", vec!["ada"]),
        ("host", vec!["shop.test"]),
    ] {
        assert_eq!(seen.all(name).collect::<Vec<_>>(), values, "{name}");
    }
    for ours in ["via", "forwarded", "x-forwarded-for", "x-request-id", "traceparent"] {
        assert_eq!(seen.all(ours).count(), 1, "{ours}");
    }
}

/// What cannot be set is not sent, and what the client sent in its place is not sent either.
#[test]
fn what_cannot_be_set_is_not_sent_at_all() {
    let upstream = Upstream::ok();
    let gateway = gateway(
        &upstream,
        r#"
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "users"
        request = { set = { "x-tenant" = "{claim:tenant}" } }
        "#,
    );
    for tenant in [
        serde_json::json!(null),
        "".into(),
        "a\r\nx-admin: 1".into(),
        "caf\u{e9}".into(),
        "\0".into(),
        serde_json::json!(["acme"]),
        serde_json::json!({"a": 1}),
        "x".repeat(5000).into(),
    ] {
        let long = tenant.as_str().is_some_and(|text| text.len() > 1000);
        let mut claims = claims("ada");
        claims["tenant"] = tenant.clone();
        let before = upstream.seen().len();
        let fields = [&*bearer(&claims), "x-tenant: evil", "X-TENANT: evil", "x_tenant: evil"];
        assert_eq!(gateway.get("/", &fields).status(), 200, "{tenant}");
        let seen = upstream.seen()[before].clone();
        assert_eq!(seen.all("x-tenant").count(), usize::from(long), "{tenant}");
        assert_eq!((seen.get("x_tenant"), seen.get("x-admin")), (None, None), "{tenant}");
        assert!(!seen.fields.iter().any(|(_, value)| value.contains("evil")), "{tenant}");
    }
}

/// W09: the upstream may be told another host, and X-Forwarded-Host keeps the client's.
#[test]
fn a_host_of_the_file_replaces_the_clients() {
    let upstream = Upstream::ok();
    let gateway = gateway(
        &upstream,
        r#"
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "none"
        request = { set = { host = "orders.internal:8080" } }
        "#,
    );
    assert_eq!(gateway.get("/", &[]).status(), 200);
    assert_eq!(gateway.get("http://shop.test/", &[]).status(), 200);
    for seen in upstream.seen() {
        assert_eq!(seen.all("host").collect::<Vec<_>>(), ["orders.internal:8080"]);
        assert_eq!(seen.get("x-forwarded-host"), Some("shop.test"));
    }
}

#[test]
fn responses_are_removed_from_set_and_added_to() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: secret/1.0\r\nx-frame-options: ALLOW\r\nx-user-id: 7\r\n\
             set-cookie: a=1\r\nvary: accept\r\n\r\nok",
        )
    });
    let gateway = gateway(
        &upstream,
        r#"
        [defaults]
        auth = "none"
        [[routes]]
        path = "/a/{id}"
        upstream = "app"
        [routes.response]
        remove = ["server"]
        set = { "x-frame-options" = "DENY", "x-id" = "{id}", "x-of" = "{header:x-in}" }
        add = { "set-cookie" = "b=2; Secure", "vary" = "origin" }
        [[routes]]
        path = "/own"
        respond = { status = 200, headers = { "x-a" = "1", "x-literal" = "{id}" }, body = "own" }
        response = { remove = ["x-a"], set = { "x-b" = "{method}" } }
        [[routes]]
        path = "/elsewhere"
        redirect = "/own"
        response = { set = { "cache-control" = "no-store" } }
        [[routes]]
        path = "/denied"
        upstream = "app"
        auth = "users"
        response = { remove = ["www-authenticate"], set = { "x-b" = "1" } }
        "#,
    );
    let answer = gateway.get("/a/7", &["x-in: in"]);
    assert_eq!((answer.status(), answer.text()), (200, "ok".to_owned()));
    for (name, values) in [
        ("server", vec![]),
        ("x-frame-options", vec!["DENY"]),
        ("x-id", vec!["7"]),
        ("x-of", vec!["in"]),
        ("set-cookie", vec!["a=1", "b=2; Secure"]),
        ("vary", vec!["accept", "origin"]),
        ("x-user-id", vec![]),
        ("content-length", vec!["2"]),
    ] {
        assert_eq!(answer.all(name).collect::<Vec<_>>(), values, "{name}");
    }
    assert_eq!(gateway.get("/a/7", &["x-in: caf\u{e9}"]).get("x-of"), None);
    let own = gateway.get("/own", &[]);
    assert_eq!((own.get("x-a"), own.get("x-b"), own.get("x-literal")), (None, Some("GET"), Some("{id}")));
    assert_eq!(own.text(), "own");
    assert_eq!(gateway.get("/elsewhere", &[]).get("cache-control"), Some("no-store"));
    let refused = gateway.get("/denied", &[]);
    assert_eq!((refused.status(), refused.get("x-b")), (401, None), "a refusal is the gateway's own word");
    assert!(refused.get("www-authenticate").is_some());
}

/// Rules are applied to what a client sent, not to what it nominates or expects.
#[test]
fn rules_cannot_be_nominated_away() {
    let upstream = Upstream::ok();
    let gateway = gateway(
        &upstream,
        r#"
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "users"
        request = { set = { "x-fixed" = "1", "x-tenant" = "{header:x-in}" } }
        "#,
    );
    let bearer = format!("authorization: Bearer {}", token("ada"));
    let answer = gateway.get("/", &[&bearer, "connection: x-fixed, x-tenant, x-in", "x-in: evil", "x-tenant: evil"]);
    assert_eq!(answer.status(), 200);
    let seen = upstream.only();
    assert_eq!((seen.get("x-fixed"), seen.get("x-tenant"), seen.get("x-in")), (Some("1"), None, None));
    assert_eq!(Client::ask(gateway.address(), "HEAD", "/", &[&bearer]).status(), 200);
}
