//! One canonical path and one host, however they are spelled: matched, authenticated, limited and forwarded alike.

use portcullis_suite::{Client, Gateway, Upstream, token};

/// Everything is public but /admin and all below. Two names for one server: the file says that it reads paths as strictly as we do.
fn guarded(upstream: &Upstream) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{url}"]
        site = ["{url}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        failures = "off"
        [[routes]]
        path = "/**"
        upstream = "site"
        auth = "none"
        [[routes]]
        path = "/admin/**"
        upstream = "app"
        auth = "users"
        [[routes]]
        path = "/kept/**"
        upstream = "site"
        auth = "none"
        encoded_slashes = "keep"
        "#,
        url = upstream.url()
    ))
}

/// P01, P02: no spelling of a guarded path gets around its guard, and with a token all of them are one path upstream.
#[test]
fn spellings_of_a_guarded_path_are_guarded() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    let spellings = [
        "/admin/x",
        "//admin/x",
        "/admin//x",
        "/./admin/x",
        "/admin/./x",
        "/public/../admin/x",
        "/%61dmin/x",
        "/%61%64%6d%69%6e/x",
        "/admin/%78",
        "/public/%2e%2e/admin/x",
        "/public/.%2e/admin/x",
        "/%2e/admin/x",
        "/a/b/../../admin/x",
        "/admin/y/../x",
        "///admin///x",
        "/public/..//admin/x",
        "/%41/../admin/x",
        "/admin/.//./x",
        "/public/%2E%2E/admin/x",
        "/admin/a/b/../../x",
    ];
    for spelling in spellings {
        assert_eq!(gateway.get(spelling, &[]).status(), 401, "{spelling}");
    }
    assert!(upstream.seen().is_empty());
    let bearer = format!("authorization: Bearer {}", token("ada"));
    for spelling in spellings {
        assert_eq!(gateway.get(spelling, &[&bearer]).status(), 200, "{spelling}");
    }
    assert!(upstream.seen().iter().all(|request| request.target() == "/admin/x"), "{:#?}", upstream.seen());
}

/// P05: decoded once at most; this is another path, and says so.
#[test]
fn twice_encoded_is_not_decoded_twice() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    assert_eq!(gateway.get("/%2561dmin/x", &[]).status(), 200);
    assert_eq!(upstream.only().target(), "/%2561dmin/x");
}

/// P02, P03, P04
#[test]
fn ambiguous_paths_are_refused() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    for path in [
        "/..",
        "/../admin",
        "/a/../../admin",
        "/public%2f..%2fadmin",
        "/public%2F..%2Fadmin",
        "/public%5c..%5cadmin",
        "/a\\b",
        "/%00",
        "/a%0a",
        "/%7f",
        "/%",
        "/%4",
        "/%zz",
        "/%ff",
        "/%c0%af",
        "/public/..;/admin",
        "/public/..%3B/admin",
    ] {
        assert_eq!(gateway.get(path, &[]).status(), 400, "{path}");
    }
    assert!(upstream.seen().is_empty());
}

/// P03: a route can keep encoded separators; they stay what they are, and no other route's guard is passed by them.
#[test]
fn a_route_may_keep_encoded_slashes() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    assert_eq!(gateway.get("/kept/a%2fb%5cc", &[]).status(), 200);
    assert_eq!(upstream.only().target(), "/kept/a%2Fb%5Cc");
    assert_eq!(gateway.get("/kept%2fa", &[]).status(), 400);
}

/// P06
#[test]
fn near_misses_are_misses() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/health"
        upstream = "app"
        [[routes]]
        path = "/orders/**"
        upstream = "app"
        "#,
        upstream.url()
    ));
    for (path, status) in [
        ("/health", 200),
        ("/healthz", 404),
        ("/health/", 404),
        ("/Health", 404),
        ("/health/x", 404),
        ("/health/../x", 404),
        ("/orders", 200),
        ("/orders/", 200),
        ("/orders/1/2", 200),
        ("/ordersx", 404),
        ("/order", 404),
        ("/x/../health", 200),
    ] {
        assert_eq!(gateway.get(path, &[]).status(), status, "{path}");
    }
}

/// P07, P10
#[test]
fn exactly_one_good_host() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\x7f\r\n\r\n",
    ] {
        let mut client = Client::connect(gateway.address());
        client.send(head);
        assert_eq!(client.response().map(|response| response.status()), Some(400), "{head:?}");
        assert!(client.is_closed(), "{head:?}");
    }
    assert!(upstream.seen().is_empty());
    for host in ["shop.test", "SHOP.test:8080", "shop.test.", "[::1]:80", "127.0.0.1"] {
        assert_eq!(gateway.get("/", &[&format!("host: {host}")]).status(), 200, "{host}");
    }
}

/// P08: an absolute target's authority is the host, and has to agree with Host.
#[test]
fn absolute_targets() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    assert_eq!(gateway.get("http://shop.test/a?b", &[]).status(), 200);
    assert_eq!(upstream.only().target(), "/a?b");
    assert_eq!(upstream.only().get("host"), Some("shop.test"));
    assert_eq!(gateway.get("http://other.test/a", &[]).status(), 400);
    assert_eq!(gateway.get("http://shop.test/admin/x", &[]).status(), 401);
    assert_eq!(gateway.get("http://shop.test:81/a", &[]).status(), 400, "another port");
    for scheme in ["https", "ftp"] {
        assert_eq!(gateway.get(&format!("{scheme}://shop.test/a"), &[]).status(), 400, "{scheme}");
    }
    assert_eq!(upstream.seen().len(), 1);
}

/// P11: the asterisk is for OPTIONS, and asks us.
#[test]
fn the_asterisk_asks_the_gateway() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    assert_eq!(Client::ask(gateway.address(), "OPTIONS", "*", &[]).status(), 204);
    assert_eq!(gateway.get("*", &[]).status(), 400);
    assert!(upstream.seen().is_empty());
}

/// P11: what stands behind a # is not part of what is matched, nor of what is forwarded.
#[test]
fn a_fragment_is_refused() {
    let upstream = Upstream::ok();
    let gateway = guarded(&upstream);
    assert_eq!(gateway.get("/admin#/../public", &[]).status(), 400);
    assert!(upstream.seen().is_empty());
}
