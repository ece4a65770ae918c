//! Servers that are names (U12): looked up beside requests, by their TTL, and never lost to a resolver that fails.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::commands::Running;
use portcullis_suite::{Gateway, NameServer, Record, Reply, Upstream, eventually};

/// Upstreams on one port of several addresses of this machine.
struct Fleet {
    port: u16,
    servers: Vec<Upstream>,
}

/// A fleet has addresses of its own, so that tests that run at one time do not meet.
static FLEETS: AtomicU32 = AtomicU32::new(0);

impl Fleet {
    fn start<const N: usize>() -> (Self, [String; N]) {
        let fleet = FLEETS.fetch_add(1, Ordering::Relaxed) + std::process::id() % 200 * 256;
        let [_, _, high, low] = fleet.to_be_bytes();
        let addresses = std::array::from_fn(|index| format!("127.{}.{high}.{low}", 10 + index));
        let first = TcpListener::bind((addresses[0].as_str(), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = addresses.iter().skip(1).map(|address| TcpListener::bind((address.as_str(), port)).unwrap());
        let listeners: Vec<_> = std::iter::once(first).chain(rest).collect();
        let servers = listeners.into_iter().map(|listener| Upstream::on(listener, |_| Reply::ok("ok"))).collect();
        (Self { port, servers }, addresses)
    }

    fn seen(&self) -> Vec<usize> {
        self.servers.iter().map(|server| server.seen().len()).collect()
    }

    fn connections(&self) -> Vec<usize> {
        self.servers.iter().map(Upstream::connections).collect()
    }
}

/// `[server]` is written by the prelude of other tests: here is all of it.
fn head(names: &NameServer, server: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 1\nresolver = [\"{}\"]\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n",
        names.address()
    )
}

fn app(names: &NameServer, settings: &str, port: u16) -> String {
    format!(
        "{}[upstreams.app]\nservers = [\"http://app.test:{port}\"]\nbalance = \"round-robin\"\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        head(names, "resolver_loopback = true")
    )
}

fn addresses(gateway: &Gateway, port: u16) -> Option<f64> {
    gateway.metric(&format!("portcullis_name_addresses{{server=\"http://app.test:{port}\"}}"))
}

/// Those that requests go to: they follow the addresses by a moment.
fn endpoints(gateway: &Gateway) -> Option<f64> {
    gateway.metric("portcullis_upstream_endpoints{upstream=\"app\"}")
}

fn lookups(gateway: &Gateway, port: u16, result: &str) -> f64 {
    let line = format!("portcullis_name_lookups_total{{server=\"http://app.test:{port}\",result=\"{result}\"}}");
    gateway.metric(&line).unwrap()
}

fn is_stale(gateway: &Gateway, port: u16) -> bool {
    gateway.metric(&format!("portcullis_name_stale{{server=\"http://app.test:{port}\"}}")) == Some(1.0)
}

#[test]
fn every_address_of_a_name_is_a_server_and_is_called_by_the_name() {
    let (names, (fleet, [one, two])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&one, &two], 60));
    let gateway = Gateway::start(&app(&names, "", fleet.port));
    // Whoever comes before the first answer waits for it.
    assert_eq!(gateway.get("/", &[]).status(), 200);
    eventually("both are known", || endpoints(&gateway) == Some(2.0));
    assert_eq!(addresses(&gateway, fleet.port), Some(2.0));
    let before = fleet.seen();
    for _ in 0..10 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    let more: Vec<_> = fleet.seen().iter().zip(before).map(|(now, before)| now - before).collect();
    assert_eq!(more, [5, 5]);
    // The client's host goes on as it came; a request without one gets the name, not the address.
    let mut client = portcullis_suite::Client::connect(gateway.address());
    client.send("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 200);
    let seen: Vec<_> = fleet.servers.iter().flat_map(Upstream::seen).collect();
    let old = seen.iter().find(|request| request.target() == "/old").unwrap();
    assert_eq!(old.get("host"), Some(format!("app.test:{}", fleet.port).as_str()));
}

#[test]
fn traffic_moves_with_the_record_and_who_stays_keeps_its_connection() {
    let (names, (fleet, [stays, goes, comes])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&stays, &goes], 1));
    let gateway = Gateway::start(&app(&names, "", fleet.port));
    eventually("both are known", || endpoints(&gateway) == Some(2.0));
    for _ in 0..4 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!((fleet.seen(), fleet.connections()), (vec![2, 2, 0], vec![1, 1, 0]));

    names.set("app.test", Record::of([&comes, &stays], 1));
    eventually("the new one is asked", || {
        assert_eq!(gateway.get("/", &[]).status(), 200);
        !fleet.servers[2].seen().is_empty()
    });
    let gone = fleet.servers[1].seen().len();
    for _ in 0..4 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!(fleet.servers[1].seen().len(), gone, "who left is asked no more");
    assert_eq!(fleet.connections(), [1, 1, 1], "nobody was connected to again");
    eventually("the connection to the one that left is closed", || fleet.servers[1].open() == 0);
    // What it opened is counted on.
    assert_eq!(gateway.metric("portcullis_upstream_connections_opened_total{upstream=\"app\"}"), Some(3.0));
}

#[test]
fn a_resolver_that_fails_takes_no_server_away() {
    let (names, (fleet, [one, two])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&one, &two], 0));
    let gateway = Gateway::start(&app(&names, "", fleet.port));
    eventually("both are known", || endpoints(&gateway) == Some(2.0));
    for failure in [Record::NoName, Record::Fails, Record::Nothing] {
        names.set("app.test", failure.clone());
        let before = lookups(&gateway, fleet.port, "failed");
        eventually("a look-up fails", || lookups(&gateway, fleet.port, "failed") > before);
        assert!(is_stale(&gateway, fleet.port), "{failure:?}");
        let seen = fleet.seen();
        for _ in 0..2 {
            assert_eq!(gateway.get("/", &[]).status(), 200, "{failure:?}");
        }
        assert_eq!(fleet.seen(), [seen[0] + 1, seen[1] + 1], "{failure:?}");
        names.set("app.test", Record::of([&two, &one], 0));
        eventually("it is found again", || !is_stale(&gateway, fleet.port));
    }
    assert_eq!(fleet.connections(), [1, 1]);
}

#[test]
fn what_a_family_had_outlasts_a_look_up_that_found_nothing() {
    let (names, (fleet, [one])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&one], 0));
    let gateway = Gateway::start(&app(&names, "", fleet.port));
    eventually("it is known", || addresses(&gateway, fleet.port) == Some(1.0));
    names.set("app.test", Record::NoName);
    eventually("it is not found", || is_stale(&gateway, fleet.port));
    names.set("app.test", Record::OnlyV6(vec!["2001:db8::1".parse().unwrap()], 0));
    eventually("it is found again", || !is_stale(&gateway, fleet.port));
    let found = lookups(&gateway, fleet.port, "ok");
    eventually("and again", || lookups(&gateway, fleet.port, "ok") > found);
    assert_eq!(gateway.get("/", &[]).status(), 200);
}

/// The one that knows answers long after those that do not, and only when it is asked again.
#[test]
fn a_server_that_cannot_say_is_not_the_last_that_is_asked() {
    let (fleet, [one]) = Fleet::start();
    for cannot in [Record::Fails, Record::Refuses, Record::Hangs] {
        let (names, second, third) = (NameServer::start(), NameServer::start(), NameServer::start());
        names.set("app.test", cannot.clone());
        second.set("app.test", Record::Fails);
        third.set("app.test", Record::Hangs);
        let first = format!("resolver = [\"{}\"", names.address());
        let all = format!("{first}, \"{}\", \"{}\"", second.address(), third.address());
        let gateway = Gateway::start(&app(&names, "", fleet.port).replace(&first, &all));
        eventually("the third is asked", || third.asked("app.test") > 1);
        third.set("app.test", Record::of([&one], 60));
        eventually("it is found", || addresses(&gateway, fleet.port) == Some(1.0));
        assert_eq!(lookups(&gateway, fleet.port, "failed"), 0.0, "{cannot:?}");
    }
}

#[test]
fn a_name_that_appears_later_is_found_without_a_restart() {
    let (names, (fleet, [one])) = (NameServer::start(), Fleet::start());
    let settings = "breaker = { failures = 2, recovery = \"1h\" }\neject = { failures = 2, for = \"1h\", max = 1.0 }";
    let gateway = Gateway::start(&app(&names, settings, fleet.port));
    for _ in 0..5 {
        // It is held against nobody: there is nobody yet.
        let answer = gateway.get("/", &[]);
        assert_eq!((answer.status(), &answer.json()["code"]), (502, &"name-not-found".into()));
        assert_eq!(answer.get("proxy-status"), Some("portcullis; error=dns_error"));
    }
    names.set("app.test", Record::of([&one], 60));
    eventually("it is found", || addresses(&gateway, fleet.port) == Some(1.0));
    assert_eq!(gateway.get("/", &[]).status(), 200);
}

#[test]
fn where_a_name_is_not_found_another_server_is_asked() {
    let (names, other) = (NameServer::start(), Upstream::ok());
    let text = app(&names, "", 80);
    let url = format!("\"http://app.test:80\", \"{}\"", other.url());
    let gateway = Gateway::start(&text.replace("\"http://app.test:80\"", &url));
    for _ in 0..4 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    // And the fallback, where there is no other.
    let (fallback, backup) =
        ("fallback = \"backup\"", format!("[upstreams.backup]\nservers = [\"{}\"]\n", other.url()));
    let backup = format!("{}{backup}", app(&names, fallback, 80));
    assert_eq!(Gateway::start(&backup).get("/", &[]).status(), 200);
}

#[test]
fn a_look_up_that_hangs_stalls_nobody_else() {
    let (names, other) = (NameServer::start(), Upstream::ok());
    names.set("app.test", Record::Hangs);
    let gateway = Gateway::start(&format!(
        "{}[upstreams.other]\nservers = [\"{}\"]\n[upstreams.app]\nservers = [\"http://app.test\"]\nconnect_timeout = \"50ms\"\n[[routes]]\npath = \"/other\"\nupstream = \"other\"\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        head(&names, ""),
        other.url()
    ));
    // One waits, as long as it may wait to connect.
    let mut waiting = portcullis_suite::Client::connect(gateway.address());
    waiting.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(gateway.get("/other", &[]).status(), 200);
    }
    let answer = waiting.response().unwrap();
    assert_eq!((answer.status(), &answer.json()["code"]), (504, &"name-timeout".into()));
    eventually("it was asked for", || names.asked("app.test") > 0);
    assert_eq!(addresses(&gateway, 80), Some(0.0), "and did not answer");
}

#[test]
fn addresses_that_no_name_may_stand_for_are_refused() {
    let (names, (fleet, [inside])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&inside, "169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "::1"], 1));
    let closed = app(&names, "breaker = { failures = 1000 }", fleet.port).replace("resolver_loopback = true", "");
    let gateway = Gateway::start(&closed);
    assert_eq!(gateway.get("/", &[]).status(), 502);
    eventually("it was looked up", || lookups(&gateway, fleet.port, "failed") > 0.0);
    assert_eq!(addresses(&gateway, fleet.port), Some(0.0));

    // One that may be is used, without the others.
    names.set("half.test", Record::of(["169.254.169.254", &inside], 1));
    let half = app(&names, "breaker = { failures = 1000 }", fleet.port);
    let gateway = Gateway::start(&half.replace("\"http://app.test", "\"http://half.test"));
    eventually("the one is asked", || gateway.get("/", &[]).status() == 200);
    let line = format!("portcullis_name_addresses{{server=\"http://half.test:{}\"}}", fleet.port);
    eventually("the one is known", || gateway.metric(&line) == Some(1.0));
}

/// One line for each, whatever the number of look-ups; and one when a name is not found any more.
#[test]
fn the_log_says_what_was_refused_and_what_is_not_found() {
    let names = NameServer::start();
    names.set("app.test", Record::of(["169.254.169.254", "192.0.2.1"], 0));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), app(&names, "", 80)).unwrap();
    let mut process = Running::start(&["run"], folder.path());
    let line = process.line("169.254.169.254");
    assert!(line.contains("link-local") && line.contains("http://app.test:80"), "{line}");
    let asked = names.asked("app.test");
    eventually("it is looked up again", || names.asked("app.test") >= asked + 2);
    names.set("app.test", Record::NoName);
    process.line("a name is not found");
    names.set("app.test", Record::of(["192.0.2.1"], 0));
    process.line("a name is found again");
    assert_eq!(process.lines_with("169.254.169.254"), 1);
}

#[test]
fn a_reload_keeps_what_was_found() {
    let (names, (fleet, [one, two])) = (NameServer::start(), Fleet::start());
    names.set("app.test", Record::of([&one, &two], 300));
    let mut gateway = Gateway::start(&app(&names, "", fleet.port));
    eventually("both are known", || endpoints(&gateway) == Some(2.0));
    for _ in 0..2 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    let asked = names.asked("app.test");
    names.set("app.test", Record::Hangs);
    gateway.reload(&app(&names, "timeout = \"7s\"", fleet.port)).unwrap();
    for _ in 0..2 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!((names.asked("app.test"), fleet.connections()), (asked, vec![1, 1]));

    // Another resolver, which does not answer: until it does, what was found holds.
    let others = NameServer::start();
    others.set("app.test", Record::Hangs);
    gateway.reload(&app(&others, "timeout = \"7s\"", fleet.port)).unwrap();
    eventually("the other is asked", || others.asked("app.test") > 0);
    for _ in 0..2 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!((addresses(&gateway, fleet.port), fleet.connections()), (Some(2.0), vec![1, 1]));
    others.set("app.test", Record::of([&two], 300));
    eventually("the other's answer counts", || addresses(&gateway, fleet.port) == Some(1.0));
}

#[test]
fn an_answer_that_is_too_long_for_one_packet_is_asked_for_again() {
    let names = NameServer::start();
    let many = (1..=100).map(|last| format!("192.0.2.{last}").parse().unwrap()).collect();
    names.set("app.test", Record::Addresses(many, 60));
    let gateway = Gateway::start(&app(&names, "", 80));
    eventually("all are known", || addresses(&gateway, 80) == Some(100.0));
}

#[test]
fn localhost_is_this_machine_whatever_a_resolver_says() {
    let (names, upstream) = (NameServer::start(), Upstream::ok());
    let url = upstream.url().replace("127.0.0.1", "localhost");
    let text = app(&names, "", 80).replace("http://app.test:80", &url);
    let gateway = Gateway::start(&text);
    assert_eq!(gateway.get("/", &[]).status(), 200);
    assert_eq!(names.asked("localhost"), 0);
}
