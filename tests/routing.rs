//! Which route a request belongs to, and which path its upstream sees.

use portcullis_suite::{Client, Gateway, Reply, Upstream};

/// An upstream that says its name and the target it was asked for.
fn named(name: &'static str) -> Upstream {
    Upstream::start(move |request| Reply::ok(&format!("{name} {}", request.target())))
}

#[test]
fn the_most_specific_route_wins_whatever_the_order() {
    let (a, b, c) = (named("tenant"), named("admin"), named("all"));
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        tenant = ["{}"]
        admin = ["{}"]
        all = ["{}"]
        [[routes]]
        path = "/**"
        upstream = "all"
        [[routes]]
        path = "/{{tenant}}/users"
        upstream = "tenant"
        [[routes]]
        path = "/admin/**"
        upstream = "admin"
        [[routes]]
        path = "/**"
        hosts = ["*.shop.test"]
        upstream = "tenant"
        [[routes]]
        path = "/x"
        hosts = ["a.shop.test"]
        upstream = "admin"
        "#,
        a.url(),
        b.url(),
        c.url()
    ));
    for (host, path, answer) in [
        ("localhost", "/admin/users", "admin /admin/users"),
        ("localhost", "/shop/users", "tenant /shop/users"),
        ("localhost", "/shop/users/7", "all /shop/users/7"),
        ("localhost", "/", "all /"),
        ("b.shop.test", "/admin/users", "tenant /admin/users"),
        ("a.shop.test", "/x", "admin /x"),
        ("a.shop.test", "/y", "tenant /y"),
        ("A.B.Shop.Test.:80", "/y", "tenant /y"),
        ("shop.test", "/y", "all /y"),
    ] {
        assert_eq!(gateway.get(path, &[&format!("host: {host}")]).text(), answer, "{host} {path}");
    }
}

#[test]
fn methods_compete_only_on_one_path() {
    let (read, write) = (named("read"), named("write"));
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        read = ["{}"]
        write = ["{}"]
        [[routes]]
        path = "/items/{{id}}"
        methods = ["GET"]
        upstream = "read"
        [[routes]]
        path = "/items/{{key}}"
        methods = ["PUT", "DELETE"]
        upstream = "write"
        [[routes]]
        path = "/**"
        upstream = "read"
        "#,
        read.url(),
        write.url()
    ));
    assert_eq!(gateway.get("/items/1", &[]).text(), "read /items/1");
    assert_eq!(Client::ask(gateway.address(), "PUT", "/items/1", &["content-length: 0"]).text(), "write /items/1");
    assert_eq!(Client::ask(gateway.address(), "HEAD", "/items/1", &[]).status(), 200);
    let refused = Client::ask(gateway.address(), "POST", "/items/1", &["content-length: 0"]);
    assert_eq!(refused.status(), 405, "it never falls through to a wider pattern");
    assert_eq!(refused.get("allow"), Some("DELETE, GET, HEAD, PUT"));
    assert_eq!(refused.json()["code"], "method-not-allowed");
}

#[test]
fn nothing_there_is_404_with_a_problem() {
    let gateway = Gateway::start("[[routes]]\npath = \"/x\"\nrespond = { status = 204 }\n");
    let answer = gateway.get("/y", &[]);
    assert_eq!((answer.status(), answer.get("content-type")), (404, Some("application/problem+json")));
    assert_eq!(answer.json()["code"], "no-route");
    assert_eq!(answer.json()["type"], "urn:portcullis:problem:no-route");
    assert_eq!(gateway.get("/x", &[]).status(), 204);
}

#[test]
fn paths_are_rewritten_and_the_query_is_kept() {
    let upstream = named("app");
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/api/**"
        upstream = "app"
        strip_prefix = "/api"
        [[routes]]
        path = "/old/{{id}}/**"
        upstream = "app"
        rewrite = "/v2/{{id}}/{{rest}}"
        [[routes]]
        path = "/between/**"
        upstream = "app"
        rewrite = "/p/{{rest}}/x"
        [[routes]]
        path = "/host"
        upstream = "app"
        rewrite = "/by/{{host}}/{{header:x-part}}"
        "#,
        upstream.url()
    ));
    for (path, target) in [
        ("/api", "app /"),
        ("/api/", "app /"),
        ("/api/a/b?q=1&r=%2F", "app /a/b?q=1&r=%2F"),
        ("/api//a/../b?x", "app /b?x"),
        ("/old/7/a/b?q", "app /v2/7/a/b?q"),
        ("/old/a%20b/x", "app /v2/a%20b/x"),
    ] {
        assert_eq!(gateway.get(path, &[]).text(), target, "{path}");
    }
    assert_eq!(gateway.get("/between", &[]).text(), "app /p/x", "an empty rest leaves no empty segment");
    assert_eq!(gateway.get("/between/a/b", &[]).text(), "app /p/a/b/x");
    assert_eq!(gateway.get("/host", &["x-part: a/b?c#d"]).text(), "app /by/shop.test/a%2Fb%3Fc%23d");
    assert_eq!(gateway.get("/host", &[]).status(), 400, "an absent value");
    assert_eq!(gateway.get("/host", &["x-part: .."]).status(), 400, "a dot segment");
}

#[test]
fn a_route_may_answer_by_itself() {
    let gateway = Gateway::start(
        r#"
        [[routes]]
        path = "/health"
        methods = ["GET"]
        respond = { status = 203, headers = { "x-from" = "gateway" }, body = "fine" }
        "#,
    );
    let answer = gateway.get("/health", &[]);
    assert_eq!((answer.status(), answer.get("x-from"), answer.text()), (203, Some("gateway"), "fine".to_owned()));
    let head = Client::ask(gateway.address(), "HEAD", "/health", &[]);
    assert_eq!((head.status(), head.get("content-length")), (203, Some("4")));
}
