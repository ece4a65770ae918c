//! What a route requires of a request, beyond a token.

use portcullis_suite::{Gateway, Upstream, claims, mint};
use serde_json::json;

fn gateway(upstream: &Upstream, require: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        [[routes]]
        path = "/orders/{{owner}}"
        upstream = "app"
        auth = "users"
        limits = ["2/h"]
        require = '''{require}'''
        "#,
        upstream.url()
    ))
}

fn bearer(role: &str) -> String {
    let mut claims = claims("ada");
    claims["role"] = json!(role);
    format!("authorization: Bearer {}", mint(&claims))
}

#[test]
fn only_who_fulfils_it_passes_and_who_does_not_spends_nothing() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, r#"identity.claims.role == "admin" || params.owner == identity.id"#);
    for _ in 0..3 {
        let refused = gateway.get("/orders/bob", &[&bearer("customer")]);
        assert_eq!((refused.status(), refused.get("content-type")), (403, Some("application/problem+json")));
        assert_eq!(refused.json()["code"], "forbidden");
        assert_eq!(refused.json()["type"], "urn:portcullis:problem:forbidden");
    }
    assert_eq!(gateway.get("/orders/bob", &[]).status(), 401);
    assert_eq!(gateway.get("/orders/ada", &[&bearer("customer")]).status(), 200);
    assert_eq!(gateway.get("/orders/bob", &[&bearer("admin")]).status(), 200);
    assert_eq!(gateway.get("/orders/bob", &[&bearer("admin")]).status(), 429);
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn an_expression_that_fails_refuses_and_tells_the_client_nothing() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, r#"request.headers["x-level"] != "secret""#);
    let failed = gateway.get("/orders/a", &[&bearer("admin")]);
    assert_eq!((failed.status(), &failed.json()["code"]), (403, &json!("forbidden")));
    let refused = gateway.get("/orders/a", &[&bearer("admin"), "x-level: secret"]);
    assert_eq!((refused.status(), &refused.json()["code"]), (403, &json!("forbidden")));
    assert_eq!(refused.json()["title"], failed.json()["title"]);
    assert_eq!(gateway.get("/orders/a", &[&bearer("admin"), "x-level: open"]).status(), 200);
    assert_eq!(upstream.seen().len(), 1);
}

/// A value in two places could be read as one here and as the other behind.
#[test]
fn what_was_sent_twice_passes_no_test_of_one_value() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, r#"request.headers["x-role"] == "a" && request.query.id == "1""#);
    let role = bearer("admin");
    assert_eq!(gateway.get("/orders/a?id=1&id=2", &[&role, "x-role: a"]).status(), 403);
    assert_eq!(gateway.get("/orders/a?id=1&%69d=2", &[&role, "x-role: a"]).status(), 403);
    assert_eq!(gateway.get("/orders/a?id=1", &[&role, "x-role: a", "x-role: b"]).status(), 403);
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(gateway.get("/orders/a?id=1", &[&role, "x-role: a"]).status(), 200);
}
