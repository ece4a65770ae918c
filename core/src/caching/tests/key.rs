//! The key: no two requests that differ in a part of it share one.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::auth::Identity;
use crate::source::Source;

fn rule(key: &[&str], per: &[&str]) -> CacheRule {
    let sources = |texts: &[&str]| texts.iter().map(|text| text.parse::<Source>().unwrap()).collect::<Vec<_>>();
    CacheRule {
        key: (!key.is_empty()).then(|| sources(key).into()),
        per: (!per.is_empty()).then(|| Source::first_of(sources(per))),
        ..CacheRule::on()
    }
}

const ROUTE: KeyRoute<'static> = KeyRoute { name: "orders", generation: 1 };
const ORIGIN: Origin<'static> = Origin { scheme: Scheme::Https, host: "shop.test", port: 443 };

fn key_of(rule: &CacheRule, facts: &Facts<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_key(&mut out, rule, ROUTE, ORIGIN, facts).unwrap();
    out
}

/// C01
#[test]
fn every_part_counts() {
    let headers = HeaderMap::new();
    let base = facts(&Method::GET, &headers);
    let rule = CacheRule::on();
    let key = |route, origin, facts: &Facts<'_>| {
        let mut out = Vec::new();
        write_key(&mut out, &rule, route, origin, facts).unwrap();
        out
    };
    let keys = [
        key(ROUTE, ORIGIN, &base),
        key(KeyRoute { name: "order", ..ROUTE }, ORIGIN, &base),
        key(KeyRoute { generation: 2, ..ROUTE }, ORIGIN, &base),
        key(ROUTE, Origin { scheme: Scheme::Http, ..ORIGIN }, &base),
        key(ROUTE, Origin { host: "shop.tes", ..ORIGIN }, &base),
        key(ROUTE, Origin { host: "", ..ORIGIN }, &base),
        key(ROUTE, Origin { port: 8443, ..ORIGIN }, &base),
        key(ROUTE, ORIGIN, &Facts { path: "/orders/", ..base }),
        key(ROUTE, ORIGIN, &Facts { path: "/Orders", ..base }),
        key(ROUTE, ORIGIN, &Facts { query: Some(""), ..base }),
        key(ROUTE, ORIGIN, &Facts { query: Some("a=1"), ..base }),
        key(ROUTE, ORIGIN, &Facts { query: Some("a=1&b=2"), ..base }),
        key(ROUTE, ORIGIN, &Facts { query: Some("b=2&a=1"), ..base }),
        key(ROUTE, ORIGIN, &Facts { path: "/orders?a=1", ..base }),
    ];
    for (at, one) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| one != other), "{at}");
    }
    // RFC 9111, section 4: HEAD is answered with what GET has stored.
    assert_eq!(keys[0], key(ROUTE, ORIGIN, &facts(&Method::HEAD, &headers)));
    // What no key has tells nothing apart.
    let more = fields(&["cookie: a=b", "x-a: 1"]);
    assert_eq!(keys[0], key(ROUTE, ORIGIN, &facts(&Method::GET, &more)));
}

#[test]
fn what_a_route_says_in_their_place() {
    let headers = fields(&["x-a: 1", "cookie: c=1"]);
    let base = Facts { query: Some("page=2&utm=x"), ..facts(&Method::GET, &headers) };
    let by_page = rule(&["host", "path", "query:page"], &[]);
    let key = |facts: &Facts<'_>| key_of(&by_page, facts);
    assert_eq!(key(&base), key(&Facts { query: Some("utm=y&page=2"), ..base }));
    assert_eq!(key(&base), key(&Facts { query: Some("page=%32"), ..base }));
    for other in [
        Facts { query: Some("page=3"), ..base },
        Facts { query: Some("page="), ..base },
        Facts { query: Some("Page=2"), ..base },
        Facts { query: None, ..base },
        Facts { path: "/other", ..base },
        Facts { host: "other.test", ..base },
    ] {
        assert_ne!(key(&base), key(&other), "{other:?}");
    }
    // An absent value is one of its own, and so is its place.
    assert_ne!(key(&Facts { query: Some("page="), ..base }), key(&Facts { query: None, ..base }));
    let two = rule(&["query:a", "query:b"], &[]);
    let value = |query| key_of(&two, &Facts { query: Some(query), ..base });
    assert_ne!(value("a=1"), value("b=1"));
    assert_ne!(value("a=1&b=2"), value("a=2&b=1"));
    assert_ne!(value("a=1&b=2"), value("a=12"));
    // Neither does one kind stand for another, nor the default for a list that reads the same.
    let keys: Vec<_> =
        [&["header:x-a"][..], &["cookie:c"], &["header:x-a", "cookie:c"], &["header:x-a+cookie:c"], &["host"], &[]]
            .iter()
            .map(|key| key_of(&rule(key, &[]), &base))
            .collect();
    assert!((0..keys.len()).all(|at| keys.iter().skip(at + 1).all(|other| *other != keys[at])));
}

/// The same id from two verifiers is two people; nobody falls back to anything.
#[test]
fn whom_answers_are_kept_apart_for() {
    let headers = HeaderMap::new();
    let base = facts(&Method::GET, &headers);
    let claims = |tenant: &str| Map::from_iter([("tenant".to_owned(), Value::from(tenant))]);
    let who = |verifier: &str, id: &str, tenant: &str| Identity::new(verifier, id, claims(tenant), None).unwrap();
    let people =
        [who("users", "ada", "a"), who("partners", "ada", "a"), who("users", "bob", "b"), who("user", "sada", "b")];
    let by_id = rule(&[], &["identity"]);
    let by_tenant = rule(&[], &["claim:tenant"]);
    let keys: Vec<_> = people.iter().map(|who| key_of(&by_id, &Facts { identity: Some(who), ..base })).collect();
    assert!((0..keys.len()).all(|at| keys.iter().skip(at + 1).all(|other| *other != keys[at])));
    let tenants: Vec<_> = people.iter().map(|who| key_of(&by_tenant, &Facts { identity: Some(who), ..base })).collect();
    assert!(tenants[0] == tenants[1] && tenants[1] != tenants[2] && !keys.contains(&tenants[0]));
    let mut out = b"before".to_vec();
    for per in [&by_id, &by_tenant] {
        assert_eq!(write_key(&mut out, per, ROUTE, ORIGIN, &base), Err(Bypass::PerAbsent));
        assert_eq!(out, b"before");
    }
    let first = rule(&[], &["claim:tenant", "identity"]);
    let nobody = Identity::new("users", "ada", Map::new(), None).unwrap();
    assert_ne!(key_of(&first, &Facts { identity: Some(&nobody), ..base }), tenants[0]);
}

#[test]
fn ports_are_those_that_clients_name() {
    let of = |uri: &str, host: &str| {
        Origin::of(Scheme::Http, "shop.test", &uri.parse().unwrap(), &fields(&[&format!("host: {host}")]))
    };
    for (uri, host, port) in [
        ("/", "shop.test", 80),
        ("/", "shop.test:8080", 8080),
        ("/", "shop.test:80", 80),
        ("/", "shop.test:", 80),
        ("/", "[::1]", 80),
        ("/", "[::1]:8080", 8080),
        ("/", "shop.test:99999", 80),
        ("http://shop.test:81/", "shop.test:82", 81),
        ("http://shop.test/", "shop.test:82", 80),
    ] {
        assert_eq!(of(uri, host).port, port, "{uri} {host}");
    }
    assert_eq!(Origin::of(Scheme::Https, "", &"/".parse().unwrap(), &HeaderMap::new()).port, 443);
}

#[test]
fn a_target_is_one_whatever_route_and_whoever_it_is_stored_for() {
    let target = |path, query| {
        let mut out = Vec::new();
        write_target(&mut out, ORIGIN, path, query);
        out
    };
    assert_eq!(target("/a", None), target("/a", None));
    for (path, query) in [("/a", Some("")), ("/a", Some("b")), ("/ab", None), ("/", Some("a"))] {
        assert_ne!(target("/a", None), target(path, query));
    }
}

type Request = (bool, String, u16, String, Option<String>, String, Option<String>, Option<String>);

fn request() -> impl Strategy<Value = Request> {
    // Few letters, so that borders between parts are where the differences are.
    let text = || "[a:=&?/\u{1}]{0,3}";
    (
        any::<bool>(),
        text(),
        prop_oneof![Just(80_u16), Just(443)],
        text(),
        prop::option::of(text()),
        text(),
        prop::option::of("[ab]{0,2}"),
        prop::option::of("[ab]{1,2}"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The differential: bytes are equal exactly where all parts are.
    #[test]
    fn no_two_requests_that_differ_share_a_key(requests in prop::collection::vec(request(), 2..60)) {
        for rule in [rule(&[], &[]), rule(&["host", "path", "query:a", "header:x-a", "header:x-b"], &[]), rule(&[], &["identity"])] {
            let mut seen: HashMap<Vec<u8>, String> = HashMap::new();
            for (tls, host, port, path, query, route, field, id) in &requests {
                let lines: Vec<String> = field.iter().map(|value| format!("x-a: {value}")).collect();
                let headers = fields(&lines.iter().map(String::as_str).collect::<Vec<_>>());
                let identity = id.as_ref().map(|id| Identity::new("v", id.as_str(), Map::new(), None).unwrap());
                let facts = Facts {
                    host, path, query: query.as_deref(), identity: identity.as_ref(), ..facts(&Method::GET, &headers)
                };
                let origin = Origin { scheme: if *tls { Scheme::Https } else { Scheme::Http }, host, port: *port };
                let mut key = Vec::new();
                if write_key(&mut key, &rule, KeyRoute { name: route, generation: 0 }, origin, &facts).is_err() {
                    prop_assert!(rule.per.is_some() && id.is_none());
                    continue;
                }
                // What the key is of, written in a way that nobody could mistake.
                let text = |source: &str| source.parse::<Source>().unwrap().text(&facts).map(|text| text.into_owned());
                let parts = match (&rule.key, &rule.per) {
                    (Some(_), _) => format!("{:?}", (route, tls, Some(host).filter(|host| !host.is_empty()), path, text("query:a"), field)),
                    (None, Some(_)) => format!("{:?}", (route, tls, host, port, path, query, id)),
                    (None, None) => format!("{:?}", (route, tls, host, port, path, query)),
                };
                let other = seen.entry(key).or_insert_with(|| parts.clone());
                prop_assert_eq!(&*other, &parts);
            }
            let parts: std::collections::HashSet<_> = seen.values().collect();
            prop_assert_eq!(parts.len(), seen.len(), "one request has two keys");
        }
    }
}
