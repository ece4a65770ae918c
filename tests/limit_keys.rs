//! Whose budget a request spends, on the wire: every source, and what happens where it is absent.

use portcullis_core::time::{Clock, ManualClock, UnixTime};
use portcullis_suite::{Client, Gateway, claims, mint, token};

/// One an hour for each KEY, on a clock that stands still.
fn gateway(key: &str) -> (Gateway, ManualClock) {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let text = format!(
        r#"
        [limits.one]
        rate = "1/h"
        key = {key}
        [[routes]]
        path = "/k/{{id}}"
        respond = {{ status = 200 }}
        limits = ["one"]
        "#
    );
    (Gateway::with_clock(&text, clock), hand)
}

fn ask(gateway: &Gateway, (method, target, fields): (&str, &str, &[&str])) -> u16 {
    Client::ask(gateway.address(), method, target, fields).status()
}

type Ask = (&'static str, &'static str, &'static [&'static str]);

#[test]
fn each_source_has_a_budget_for_each_value() {
    // Of each source: a request, one that differs in all but the source, and one with another value.
    let of: [(&str, [Ask; 3]); 12] = [
        (
            "\"header:x-a\"",
            [("GET", "/k/1", &["x-a: 1"]), ("PUT", "/k/2?q=2", &["x-a: 1", "x-b: 2"]), ("GET", "/k/1", &["x-a: 2"])],
        ),
        (
            "\"cookie:s\"",
            [
                ("GET", "/k/1", &["cookie: t=0; s=1"]),
                ("PUT", "/k/2?q=2", &["cookie: s=1; t=9"]),
                ("GET", "/k/1", &["cookie: s=2; t=0"]),
            ],
        ),
        (
            "\"query:q\"",
            [("GET", "/k/1?q=a%20b", &[]), ("PUT", "/k/2?x=1&q=a%20b", &["x-a: 1"]), ("GET", "/k/1?q=a", &[])],
        ),
        ("\"param:id\"", [("GET", "/k/1", &[]), ("PUT", "/k/%31?q=2", &["x-a: 1"]), ("GET", "/k/2", &[])]),
        (
            "\"host\"",
            [
                ("GET", "/k/1", &["host: a.test"]),
                ("PUT", "/k/2", &["host: A.test.:80"]),
                ("GET", "/k/1", &["host: b.test"]),
            ],
        ),
        ("\"path\"", [("GET", "/k/1", &[]), ("PUT", "/k/2/../1?q=2", &["x-a: 1"]), ("GET", "/k/2", &[])]),
        ("\"method\"", [("GET", "/k/1", &[]), ("GET", "/k/2?q=2", &["x-a: 1"]), ("PUT", "/k/1", &[])]),
        (
            "\"header:x-a+query:q\"",
            [("GET", "/k/1?q=1", &["x-a: 1"]), ("PUT", "/k/2?q=1", &["x-a: 1"]), ("GET", "/k/1?q=2", &["x-a: 1"])],
        ),
        // The first that is present: the second counts only where the first is not.
        (
            "[\"header:x-a\", \"query:q\"]",
            [("GET", "/k/1?q=1", &["x-a: 1"]), ("GET", "/k/1?q=2", &["x-a: 1"]), ("GET", "/k/1?q=1", &[])],
        ),
        // A value that cannot be text is none.
        (
            "[\"header:x-a\", \"param:id\"]",
            [("GET", "/k/1", &["x-a: \u{fc}"]), ("GET", "/k/1", &[]), ("GET", "/k/2", &["x-a: \u{fc}"])],
        ),
        // One value of two sources is two budgets.
        (
            "[\"header:x-a\", \"header:x-b\"]",
            [
                ("GET", "/k/1", &["x-a: 1"]),
                ("GET", "/k/2", &["x-a: 1", "x-b: 2"]),
                ("GET", "/k/1", &["x-b: 1", "x-c: 1"]),
            ],
        ),
        (
            "[\"identity\", \"query:q\"]",
            [("GET", "/k/1?q=1", &["authorization: Bearer x"]), ("GET", "/k/2?q=1", &[]), ("GET", "/k/1?q=2", &[])],
        ),
    ];
    for (key, [first, same, other]) in of {
        let (gateway, _hand) = gateway(key);
        assert_eq!([ask(&gateway, first), ask(&gateway, same), ask(&gateway, other)], [200, 429, 200], "{key}");
        assert_eq!([ask(&gateway, first), ask(&gateway, other)], [429, 429], "{key}");
    }
}

#[test]
fn what_does_not_differ_is_one_budget() {
    for key in ["\"everyone\"", "\"client\"", "[\"identity\", \"client\"]"] {
        let (gateway, _hand) = gateway(key);
        let all: [Ask; 3] = [
            ("GET", "/k/1", &["x-forwarded-for: 192.0.2.1"]),
            ("PUT", "/k/2?q=2", &["x-user-id: ada", "forwarded: for=192.0.2.2"]),
            ("GET", "/k/3", &["host: other.test", "cookie: a=b", "authorization: Bearer x"]),
        ];
        assert_eq!(all.map(|one| ask(&gateway, one)), [200, 429, 429], "{key}");
    }
}

/// Where no source is present the client counts: nobody escapes by leaving a field out.
#[test]
fn what_is_absent_counts_by_client() {
    for key in [
        "\"header:x-a\"",
        "\"cookie:s\"",
        "\"query:q\"",
        "\"identity\"",
        "\"claim:tenant\"",
        "\"header:x-a+query:z\"",
        "[\"cookie:s\", \"query:q\"]",
    ] {
        let (gateway, _hand) = gateway(key);
        let all: [Ask; 3] =
            [("GET", "/k/1", &[]), ("PUT", "/k/2", &["x-b: 1"]), ("GET", "/k/3?z=1", &["host: b.test"])];
        assert_eq!(all.map(|one| ask(&gateway, one)), [200, 429, 429], "{key}");
    }
}

const VERIFIERS: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
[auth.partners]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://partners.test"
audience = ["shop"]
[[routes]]
path = "/users"
respond = { status = 200 }
auth = "users"
limits = ["one"]
[[routes]]
path = "/partners"
respond = { status = 200 }
auth = "partners"
limits = ["one"]
"#;

/// Who is called the same by two verifiers is two: neither spends the other's budget.
#[test]
fn two_verifiers_never_share_a_budget() {
    let gateway = Gateway::start(&format!("{VERIFIERS}[limits.one]\nrate = \"1/h\"\nkey = \"identity\"\n"));
    let mut partner = claims("ada");
    partner["iss"] = "https://partners.test".into();
    let (user, partner) = (token("ada"), mint(&partner));
    let ask = |path: &str, token: &str| gateway.get(path, &[&format!("authorization: Bearer {token}")]).status();
    assert_eq!([ask("/users", &user), ask("/partners", &partner)], [200, 200]);
    assert_eq!([ask("/users", &user), ask("/partners", &partner)], [429, 429]);
}

/// I06: a claim counts only from a verified token, whatever headers say; one that is absent counts by client.
#[test]
fn claims_have_budgets() {
    let gateway = Gateway::start(&format!("{VERIFIERS}[limits.one]\nrate = \"1/h\"\nkey = \"claim:org.id\"\n"));
    let ask = |sub: &str, org: serde_json::Value| {
        let mut claims = claims(sub);
        claims["org"] = org;
        gateway.get("/users", &[&format!("authorization: Bearer {}", mint(&claims)), "org.id: 9"]).status()
    };
    let id = |id: serde_json::Value| serde_json::json!({ "id": id });
    assert_eq!([ask("ada", id("a".into())), ask("grace", id("a".into())), ask("ada", id("b".into()))], [200, 429, 200]);
    // A number is its digits.
    assert_eq!([ask("ada", id(7.into())), ask("ada", id("7".into()))], [200, 429]);
    assert_eq!([ask("ada", id(serde_json::Value::Null)), ask("grace", "none".into())], [200, 429]);
}

/// R02: an IPv4 client is the same one on a listener that takes both kinds of addresses.
#[test]
fn an_ipv4_client_is_one_however_it_arrives() {
    let with = |listen: &str| {
        format!(
            "listen = [\"{listen}\"]\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n[limits.one]\nrate = \"1/h\"\nkey = \"client\"\n\
             [[routes]]\npath = \"/k\"\nrespond = {{ status = 200 }}\nlimits = [\"one\"]\n"
        )
    };
    let mut gateway = Gateway::start(&with("127.0.0.1:0"));
    assert_eq!(gateway.get("/k", &[]).status(), 200);
    gateway.reload(&with("[::]:0")).unwrap();
    let both = gateway.address();
    assert!(both.is_ipv6(), "{both}");
    let four = Client::ask((std::net::Ipv4Addr::LOCALHOST, both.port()).into(), "GET", "/k", &[]);
    let six = Client::ask((std::net::Ipv6Addr::LOCALHOST, both.port()).into(), "GET", "/k", &[]);
    assert_eq!([four.status(), six.status()], [429, 200]);
}

/// A named limit is one budget wherever it stands; one inside a route, in either form, is that route's own.
#[test]
fn names_share_and_rates_do_not() {
    let gateway = Gateway::start(
        r#"
        [defaults]
        limits = ["shared"]
        [limits]
        shared = "3/h"
        [[routes]]
        path = "/a"
        respond = { status = 200 }
        [[routes]]
        path = "/b"
        respond = { status = 200 }
        limits = "shared"
        [[routes]]
        path = "/c"
        respond = { status = 200 }
        limits = ["1/h"]
        [[routes]]
        path = "/d"
        respond = { status = 200 }
        limits = [{ rate = "1/h" }]
        [[routes]]
        path = "/e"
        respond = { status = 200 }
        limits = []
        "#,
    );
    let ask = |path: &str| gateway.get(path, &[]).status();
    assert_eq!(["/a", "/b", "/a", "/b", "/a"].map(ask), [200, 200, 200, 429, 429]);
    assert_eq!(["/c", "/d", "/c", "/d", "/e", "/e"].map(ask), [200, 200, 429, 429, 200, 200]);
}

/// R02: whoever has a /64 has one budget, however many addresses come from it.
#[test]
fn an_ipv6_network_is_one_client() {
    let gateway = Gateway::start(
        r#"
        listen = ["127.0.0.1:0"]
        [server]
        trusted_proxies = ["127.0.0.0/8"]
        [admin]
        listen = ""
        [log]
        access = "off"
        [[routes]]
        path = "/k"
        respond = { status = 200 }
        limits = [{ rate = "1/h", key = "client" }]
        "#,
    );
    let ask = |client: &str| gateway.get("/k", &[&format!("x-forwarded-for: {client}")]).status();
    assert_eq!(["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"].map(ask), [200, 429, 200]);
    assert_eq!(["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"].map(ask), [200, 429, 200]);
}
