//! Proxies in front of the gateway: who is believed, as to what, and what upstreams are told (R01, W05).

use portcullis_suite::{Client, Gateway, Message, Upstream, token};

/// Everything to `upstream`; `server` is what stands in [server] beside two workers.
fn behind(upstream: &Upstream, server: &str) -> Gateway {
    Gateway::start(&text(upstream, server))
}

fn text(upstream: &Upstream, server: &str) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        [server]
        workers = 2
        {server}
        [admin]
        listen = ""
        [log]
        access = "off"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/**"
        upstream = "app"
        [[routes]]
        path = "/limited"
        respond = {{ status = 200 }}
        limits = [{{ rate = "2/h", key = "client" }}]
        "#,
        upstream.url()
    )
}

const LOOPBACK: &str = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";
const FORWARDED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\ntrusted_header = \"forwarded\"";

/// What the upstream saw of the last request.
fn told(gateway: &Gateway, upstream: &Upstream, fields: &[&str]) -> Message {
    assert_eq!(gateway.get("/", fields).status(), 200);
    upstream.seen().pop().unwrap()
}

/// Exactly one line of each, with these values.
fn assert_told(seen: &Message, client: Option<&str>, forwarded: &str, proto: &str) {
    assert_eq!(seen.all("x-forwarded-for").collect::<Vec<_>>(), client.into_iter().collect::<Vec<_>>(), "{seen:#?}");
    assert_eq!(seen.all("forwarded").collect::<Vec<_>>(), [forwarded]);
    assert_eq!(seen.all("x-forwarded-proto").collect::<Vec<_>>(), [proto]);
    assert_eq!(seen.all("x-forwarded-host").collect::<Vec<_>>(), ["shop.test"]);
}

/// R01: from the right, the first that is not a trusted proxy; both families are written anew, for the client alone.
#[test]
fn a_trusted_proxy_is_believed() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, LOOPBACK);
    let seen = told(&gateway, &upstream, &["x-forwarded-for: 6.6.6.6, 192.0.2.7", "x-forwarded-for: 10.1.2.3"]);
    assert_told(&seen, Some("192.0.2.7"), "for=192.0.2.7;host=shop.test;proto=http", "http");
    let seen = told(&gateway, &upstream, &["x-forwarded-for: [2001:db8::7]:4711", "x-forwarded-proto: https"]);
    assert_told(&seen, Some("2001:db8::7"), "for=\"[2001:db8::7]\";host=shop.test;proto=https", "https");
    let seen = told(&gateway, &upstream, &["x-forwarded-for: ::ffff:192.0.2.8"]);
    assert_told(&seen, Some("192.0.2.8"), "for=192.0.2.8;host=shop.test;proto=http", "http");
    let seen = told(&gateway, &upstream, &[]);
    assert_told(&seen, Some("127.0.0.1"), "for=127.0.0.1;host=shop.test;proto=http", "http");
}

/// The family that is not named is dropped on arrival, and so is everything else that only a proxy may say.
#[test]
fn only_the_named_family_is_believed() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, LOOPBACK);
    let other = "forwarded: for=6.6.6.6;proto=https;host=evil.test";
    let hosts = ["x-forwarded-host: evil.test", "x-real-ip: 6.6.6.6", "x-forwarded-port: 666", "client-cert: :evil:"];
    let seen = told(&gateway, &upstream, &[other, hosts[0], hosts[1], hosts[2], hosts[3]]);
    assert_told(&seen, Some("127.0.0.1"), "for=127.0.0.1;host=shop.test;proto=http", "http");
    assert!(!seen.fields.iter().any(|(_, value)| value.contains("evil") || value.contains("6.6.6.6")), "{seen:#?}");
    assert_eq!(seen.get("x-forwarded-port"), None);

    let gateway = behind(&upstream, FORWARDED);
    let seen = told(&gateway, &upstream, &["x-forwarded-for: 6.6.6.6", "x-forwarded-proto: https"]);
    assert_told(&seen, Some("127.0.0.1"), "for=127.0.0.1;host=shop.test;proto=http", "http");
    let line = r#"forwarded: for=6.6.6.6, for="[2001:db8::7]:4711";proto=https;host="a;b,c", for=10.0.0.1"#;
    let seen = told(&gateway, &upstream, &[line]);
    assert_told(&seen, Some("2001:db8::7"), "for=\"[2001:db8::7]\";host=shop.test;proto=https", "https");
}

/// R01: what cannot be read is not believed, and neither is anything in front of it.
#[test]
fn junk_ends_what_is_believed() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, LOOPBACK);
    for junk in ["junk", "unknown", "_hidden", "192.0.2.7.8", "[::1", "192.0.2.7:99999", "\"192.0.2.7\"", "\u{ff}"] {
        let seen = told(&gateway, &upstream, &[&format!("x-forwarded-for: 6.6.6.6, {junk}")]);
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"), "{junk}");
    }
    let long = format!("x-forwarded-for: 6.6.6.6, {}", vec!["10.0.0.9"; 1000].join(","));
    assert_eq!(told(&gateway, &upstream, &[&long]).get("x-forwarded-for"), Some("10.0.0.9"), "a chain has an end");
    let gateway = behind(&upstream, FORWARDED);
    for junk in ["for=", "for=\"192.0.2.7", "for=192.0.2.7;for=192.0.2.8", "for=2001:db8::1", "192.0.2.7", "for=_x"] {
        let seen = told(&gateway, &upstream, &[&format!("forwarded: for=6.6.6.6, {junk}")]);
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"), "{junk}");
    }
}

/// W02, W05: a proxy's word cannot be taken away by naming it in Connection, and is passed to nobody as it came.
#[test]
fn the_word_of_a_proxy_cannot_be_nominated_away() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, LOOPBACK);
    let fields =
        ["connection: x-forwarded-for, x-forwarded-proto", "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: https"];
    let seen = told(&gateway, &upstream, &fields);
    assert_told(&seen, Some("192.0.2.7"), "for=192.0.2.7;host=shop.test;proto=https", "https");
}

#[test]
fn who_is_not_trusted_is_not_believed() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, "trusted_proxies = [\"10.0.0.0/8\", \"unix\", \"::1\"]");
    let seen = told(&gateway, &upstream, &["x-forwarded-for: 6.6.6.6", "x-forwarded-proto: https"]);
    assert_told(&seen, Some("127.0.0.1"), "for=127.0.0.1;host=shop.test;proto=http", "http");
}

/// One connection of a proxy carries many clients: each is told by its own name, and has its own budget.
#[test]
fn clients_of_one_connection_are_told_apart() {
    let upstream = Upstream::ok();
    let gateway = behind(&upstream, LOOPBACK);
    let mut proxy = Client::connect(gateway.address());
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1"] {
        let field = format!("x-forwarded-for: {client}");
        assert_eq!(proxy.request("GET", "/", &[&field]).unwrap().status(), 200);
        assert_eq!(upstream.seen().pop().unwrap().get("x-forwarded-for"), Some(client));
    }
    assert_eq!(proxy.request("GET", "/", &[]).unwrap().status(), 200);
    assert_eq!(upstream.seen().pop().unwrap().get("x-forwarded-for"), Some("127.0.0.1"));
    let mut from = |client: &str| {
        let field = format!("x-forwarded-for: 6.6.6.{}, {client}", client.len());
        proxy.request("GET", "/limited", &[&field]).unwrap().status()
    };
    assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.1")], [200, 200, 429]);
    assert_eq!(from("192.0.2.2"), 200);
    // R02: one network is one client, whichever of its addresses a proxy names.
    assert_eq!([from("2001:db8::1"), from("[2001:db8::ffff]:80"), from("2001:db8::2")], [200, 200, 429]);
}

/// Failed verifications count against the client and not against the proxy.
#[test]
fn failures_count_for_the_client() {
    let upstream = Upstream::ok();
    let text = text(&upstream, LOOPBACK).replace(
        "[upstreams]",
        "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"${SECRET}\"\nissuer = \"https://login.shop.test\"\naudience = \"shop\"\nfailures = \"1/h\"\n[defaults]\nauth = \"users\"\n[upstreams]",
    );
    let gateway = Gateway::start(&text);
    let ask = |client: &str, token: &str| {
        let fields = [format!("x-forwarded-for: {client}"), format!("authorization: Bearer {token}")];
        gateway.get("/", &[&fields[0], &fields[1]]).status()
    };
    let bad = format!("{}x", token("ada"));
    assert_eq!([ask("192.0.2.1", &bad), ask("192.0.2.1", &bad)], [401, 429]);
    assert_eq!([ask("192.0.2.2", &bad), ask("192.0.2.3", &token("ada"))], [401, 200]);
}

/// A reload changes who is believed, for connections that are open too.
#[test]
fn a_reload_changes_whom_to_believe() {
    let upstream = Upstream::ok();
    let mut gateway = behind(&upstream, "");
    let mut kept = Client::connect(gateway.address());
    let seen = |kept: &mut Client| {
        assert_eq!(kept.request("GET", "/", &["x-forwarded-for: 192.0.2.7"]).unwrap().status(), 200);
        upstream.seen().pop().unwrap().get("x-forwarded-for").map(str::to_owned)
    };
    assert_eq!(seen(&mut kept).as_deref(), Some("127.0.0.1"));
    gateway.reload(&text(&upstream, LOOPBACK)).unwrap();
    assert_eq!(seen(&mut kept).as_deref(), Some("192.0.2.7"));
    gateway.reload(&text(&upstream, FORWARDED)).unwrap();
    assert_eq!(seen(&mut kept).as_deref(), Some("127.0.0.1"));
}
