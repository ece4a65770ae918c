//! Who a request is from: the token's word, and nobody else's.

use portcullis_suite::{Client, Gateway, Upstream, claims, eventually, forge, mint, token};
use serde_json::json;

fn shop(upstream: &Upstream, verifier: &str) -> Gateway {
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
        forward = {{ "x-user-id" = "sub", "x-user-role" = "role" }}
        {verifier}
        [[routes]]
        path = "/public/**"
        upstream = "app"
        auth = "none"
        [[routes]]
        path = "/me/**"
        upstream = "app"
        auth = "users"
        limits = ["1000/min"]
        "#,
        upstream.url()
    ))
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[test]
fn a_good_token_becomes_headers_and_goes_no_further() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "");
    let answer = gateway.get("/me", &[&bearer(&token("ada"))]);
    assert_eq!(answer.status(), 200);
    let seen = upstream.only();
    assert_eq!((seen.get("x-user-id"), seen.get("x-user-role")), (Some("ada"), Some("customer")));
    assert_eq!(seen.get("authorization"), None);
    let gateway = shop(&upstream, "forward_token = true");
    gateway.get("/me", &[&bearer(&token("ada"))]);
    assert!(upstream.seen()[1].get("authorization").is_some());
}

/// J13, J14: bare challenge without a token, invalid_token with a bad one, and the same answer for every kind of bad.
#[test]
fn refusals_say_as_little_as_they_must() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "");
    let missing = gateway.get("/me", &[]);
    assert_eq!((missing.status(), missing.get("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(missing.get("content-type"), Some("application/problem+json"));
    assert_eq!(gateway.get("/me", &["authorization: Basic abc"]).get("www-authenticate"), Some("Bearer"));

    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = claims("ada");
        change(&mut claims);
        mint(&claims)
    };
    let bad = [
        forge(&claims("ada")),
        with(&|claims| claims["exp"] = json!(1)),
        with(&|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        with(&|claims| claims["iss"] = json!("https://evil.test")),
        with(&|claims| drop(claims.as_object_mut().unwrap().remove("iss"))),
        with(&|claims| claims["aud"] = json!("other")),
        with(&|claims| claims["nbf"] = json!(9_999_999_999_u64)),
        with(&|claims| claims["sub"] = json!("")),
        "not.a.token".to_owned(),
        "a".repeat(10_000),
    ];
    let mut bodies = Vec::new();
    for token in &bad {
        let mut answer = gateway.get("/me", &[&bearer(token), "x-request-id: same"]);
        assert_eq!((answer.status(), answer.get("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
        assert_eq!(answer.get("cache-control"), Some("no-store"));
        answer.fields.retain(|(name, _)| name != "date");
        bodies.push((answer.fields, answer.body));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "every bad token is answered alike");
    let twice = Client::get(gateway.address(), "/me", &[&bearer(&token("ada")), &bearer(&token("ada"))]);
    assert_eq!(twice.status(), 401);
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.get("/me", &[&format!("authorization: bEARER {}", token("ada"))]).status(), 200);
}

/// I01, I02, I05: in any spelling, on every route, with and without a token.
#[test]
fn forged_identity_headers_reach_nobody() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "");
    let forged = [
        "x-user-id: admin",
        "X-User-Id: admin",
        "X_User_Id: admin",
        "x-user_id: admin",
        "X-USER-ROLE: admin",
        "x_user_role: admin",
        "x-user-id: admin2",
        "x.user.id: admin",
    ];
    assert_eq!(gateway.get("/public", &forged).status(), 200);
    let seen = upstream.only();
    assert!(!seen.fields.iter().any(|(_, value)| value.starts_with("admin")), "{seen:#?}");

    let bearer = bearer(&token("ada"));
    let mut fields = vec![bearer.as_str(), "connection: x-user-id, X-User-Role"];
    fields.extend(forged);
    assert_eq!(gateway.get("/me", &fields).status(), 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.all("x-user-id").collect::<Vec<_>>(), ["ada"]);
    assert_eq!(seen.all("x-user-role").collect::<Vec<_>>(), ["customer"]);
    assert!(!seen.fields.iter().any(|(_, value)| value.starts_with("admin")), "{seen:#?}");
}

/// I08
#[test]
fn an_upstream_does_not_tell_the_client_who_it_is() {
    let upstream = Upstream::start(|_| {
        portcullis_suite::Reply::raw("HTTP/1.1 200 OK\r\nx-user-id: ada\r\ncontent-length: 0\r\n\r\n")
    });
    let gateway = shop(&upstream, "");
    assert_eq!(gateway.get("/public", &[]).get("x-user-id"), None);
}

/// I04, I05
#[test]
fn claims_that_cannot_be_headers() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "failures = \"off\"");
    for role in [
        json!("user,admin"),
        json!("a\r\nx-user-id: admin"),
        json!("\u{1f600}"),
        json!(["admin"]),
        json!({"a": 1}),
        json!("a".repeat(10_000)),
    ] {
        let mut claims = claims("ada");
        claims["role"] = role.clone();
        let answer = gateway.get("/me", &[&bearer(&mint(&claims))]);
        assert_eq!(answer.status(), 401, "{role}");
    }
    assert!(upstream.seen().is_empty());
    let mut claims = claims("ada");
    claims.as_object_mut().unwrap().remove("role");
    assert_eq!(gateway.get("/me", &[&bearer(&mint(&claims)), "x-user-role: admin"]).status(), 200);
    assert_eq!(upstream.only().get("x-user-role"), None);
}

/// Failures are counted for each client and refused before a signature is checked; a token that was accepted before still
/// passes, and other routes are not concerned.
#[test]
fn too_many_failures_are_refused_unchecked() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "failures = \"5/min\"");
    let good = bearer(&token("ada"));
    assert_eq!(gateway.get("/me", &[&good]).status(), 200);
    let bad = bearer(&forge(&claims("ada")));
    for _ in 0..5 {
        assert_eq!(gateway.get("/me", &[&bad]).status(), 401);
    }
    let refused = gateway.get("/me", &[&bad]);
    assert_eq!(refused.status(), 429);
    assert!(refused.get("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.json()["code"], "too-many-failures");
    assert_eq!(gateway.get("/me", &[&bearer(&token("grace"))]).status(), 429, "not even looked at");
    assert_eq!(gateway.get("/me", &[&good]).status(), 200, "known to be good");
    assert_eq!(gateway.get("/me", &[]).status(), 401, "no token is no failure");
    assert_eq!(gateway.get("/public", &[&bad]).status(), 200);
}

/// J03, J16: a token that is remembered does not outlive its expiry. The clock is the test's.
#[test]
fn a_remembered_token_ends_with_its_expiry() {
    let upstream = Upstream::ok();
    let start = portcullis_core::time::UnixTime::from_secs(1_800_000_000);
    let (clock, hand) = portcullis_core::time::Clock::manual(start);
    let text = format!(
        r#"
        [upstreams]
        app = ["{}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        leeway = "30s"
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "users"
        "#,
        upstream.url()
    );
    let gateway = Gateway::with_clock(&text, clock);
    let mut claims = claims("ada");
    claims["exp"] = json!(start.as_secs() + 60);
    let bearer = bearer(&mint(&claims));
    assert_eq!(gateway.get("/", &[&bearer]).status(), 200);
    hand.advance(std::time::Duration::from_secs(89));
    assert_eq!(gateway.get("/", &[&bearer]).status(), 200, "within the leeway");
    hand.advance(std::time::Duration::from_secs(2));
    assert_eq!(gateway.get("/", &[&bearer]).status(), 401);
}

/// O06: neither the secret nor a token is anywhere that an operator's tools would keep it.
#[test]
fn secrets_are_not_told() {
    let upstream = Upstream::ok();
    let gateway = shop(&upstream, "");
    let token = token("ada");
    gateway.get("/me?key=query-secret", &[&bearer(&token)]);
    eventually("the request is counted", || gateway.admin("/metrics").text().contains("route=\"/me/**\""));
    let metrics = gateway.admin("/metrics").text();
    let everything = format!("{metrics}{:?}", gateway.server());
    for secret in [portcullis_suite::SECRET, token.as_str(), "query-secret"] {
        assert!(!everything.contains(secret));
    }
}

/// A verifier whose settings stay goes on through a reload, with the tokens it remembers: a client that is refused for its
/// failures keeps the token that was good.
#[test]
fn remembered_tokens_survive_a_reload() {
    let text = |mark: &str| {
        format!(
            r#"
            [auth.users]
            kind = "jwt"
            algorithms = ["HS256"]
            secret = "${{SECRET}}"
            issuer = "https://login.shop.test"
            audience = ["shop"]
            failures = "1/h"
            [[routes]]
            path = "/**"
            respond = {{ status = 200, body = "{mark}" }}
            auth = "users"
            "#
        )
    };
    let mut gateway = Gateway::start(&text("one"));
    let good = bearer(&token("ada"));
    assert_eq!(gateway.get("/", &[&good]).text(), "one");
    assert_eq!(gateway.get("/", &[&bearer(&forge(&claims("ada")))]).status(), 401);
    gateway.reload(&text("two")).unwrap();
    assert_eq!(gateway.get("/", &[&bearer(&token("grace"))]).status(), 429);
    assert_eq!(gateway.get("/", &[&good]).text(), "two");
}
