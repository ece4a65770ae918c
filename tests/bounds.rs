//! How many requests an upstream has at a time, and how many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_suite::{Client, Gateway, Reply, Stage, Upstream, eventually};

fn text(upstream: &Upstream, settings: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{}\"]\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        upstream.url()
    )
}

fn hanging(gateway: &Gateway, target: &str) -> Client {
    let mut client = Client::connect(gateway.address());
    client.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
    client
}

fn gauge(gateway: &Gateway, name: &str) -> f64 {
    gateway.metric(&format!("portcullis_upstream_{name}{{upstream=\"app\"}}")).unwrap()
}

/// Exactly so many are there and exactly so many wait; one more is a 503 at once. Who leaves makes room.
#[test]
fn over_the_bounds_it_is_a_503_at_once() {
    let well = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&well);
    let upstream =
        Upstream::start(move |_| if script.load(Ordering::SeqCst) { Reply::ok("well") } else { Reply::Silence });
    let gateway = Gateway::start(&text(&upstream, "max_connections = 3\nmax_pending = 2"));
    let there: Vec<_> = (0..3).map(|_| hanging(&gateway, "/there")).collect();
    eventually("they are there", || upstream.seen().len() == 3);
    let mut waiting: Vec<_> = (0..2)
        .map(|number| {
            let client = hanging(&gateway, &format!("/waits/{number}"));
            eventually("it waits", || gauge(&gateway, "pending") == f64::from(number + 1));
            client
        })
        .collect();
    for _ in 0..5 {
        let refused = gateway.get("/", &[]);
        assert_eq!((refused.status(), refused.json()["code"].as_str()), (503, Some("upstream-full")));
        assert_eq!(refused.get("proxy-status"), Some("portcullis; error=connection_limit_reached"));
        assert!(refused.get("retry-after").is_some());
    }
    assert_eq!((upstream.seen().len(), gauge(&gateway, "in_flight")), (3, 3.0), "nobody else came that far");
    // One that waits leaves, and another may wait.
    drop(waiting.pop());
    eventually("it is gone", || gauge(&gateway, "pending") == 1.0);
    let mut last = hanging(&gateway, "/waits/last");
    eventually("it waits", || gauge(&gateway, "pending") == 2.0);
    well.store(true, Ordering::SeqCst);
    drop(there);
    for client in waiting.iter_mut().chain([&mut last]) {
        assert_eq!(client.response().unwrap().text(), "well");
    }
    eventually("all is empty", || gauge(&gateway, "pending") == 0.0 && gauge(&gateway, "in_flight") == 0.0);
    assert_eq!(gateway.metric("portcullis_upstream_breaker_opened_total{upstream=\"app\"}"), Some(0.0));
    assert_eq!(gateway.get("/", &[]).text(), "well");
}

/// A place is taken until the answer's last byte.
#[test]
fn an_answer_that_streams_keeps_its_place() {
    let upstream = Upstream::start(|request| match request.target() {
        "/stream" => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
        _ => Reply::ok("ok"),
    });
    let gateway = Gateway::start(&text(&upstream, "max_connections = 1\nmax_pending = 0"));
    let mut client = hanging(&gateway, "/stream");
    assert!(client.some().is_some(), "it has begun");
    assert_eq!(gateway.get("/", &[]).status(), 503);
    drop(client);
    eventually("it is free", || gateway.get("/", &[]).status() == 200);
}

/// A reload with another bound throws nobody out, and lets in who waits.
#[test]
fn a_reload_changes_the_bound_and_keeps_what_is_there() {
    let upstream = Upstream::start(|request| match request.target() {
        "/there" => Reply::Silence,
        _ => Reply::ok("ok"),
    });
    let mut gateway = Gateway::start(&text(&upstream, "max_connections = 1"));
    let _there = hanging(&gateway, "/there");
    eventually("it is there", || upstream.seen().len() == 1);
    let mut waiting = hanging(&gateway, "/waits");
    eventually("it waits", || gauge(&gateway, "pending") == 1.0);
    gateway.reload(&text(&upstream, "max_connections = 2")).unwrap();
    assert_eq!(waiting.response().unwrap().text(), "ok");
    gateway.reload(&text(&upstream, "max_connections = 1\nmax_pending = 0")).unwrap();
    assert_eq!(gateway.get("/", &[]).json()["code"], "upstream-full");
}

/// What a request waits for its turn is no part of the attempt that comes after: its server is not blamed for it.
#[test]
fn the_wait_for_a_turn_is_not_held_against_the_server() {
    let (stage, hangs) = (Stage::default(), Upstream::start(|_| Reply::Silence));
    // One worker, so that the connection that comes free is the one that is used again.
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n\
         [upstreams.app]\nservers = [\"{}\"]\ntimeout = \"200ms\"\nretries = 0\nmax_connections = 1\n\
         [upstreams.hangs]\nservers = [\"{}\"]\ntimeout = \"300ms\"\nretries = 0\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\n[[routes]]\npath = \"/hangs\"\nupstream = \"hangs\"\n",
        stage.url(),
        hangs.url()
    ));
    let mut first = hanging(&gateway, "/first");
    let mut peer = stage.accept();
    assert_eq!(peer.request().target(), "/first");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
    let mut second = hanging(&gateway, "/second");
    eventually("it waits", || gauge(&gateway, "pending") == 1.0);
    assert_eq!(gateway.get("/hangs", &[]).status(), 504, "more time passes than an attempt may take");
    peer.send("k");
    assert_eq!(first.response().unwrap().text(), "ok");
    assert_eq!(peer.request().target(), "/second", "on the connection that came free");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(second.response().unwrap().status(), 200);
}

/// Who waited for its turn may have hardly any time left: that it gets no answer then says nothing of the upstream.
#[test]
fn who_comes_late_blames_nobody() {
    let stage = Stage::default();
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\nretries = 0\nmax_connections = 1\nbreaker = {{ failures = 1 }}\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\n[[routes]]\npath = \"/short\"\nupstream = \"app\"\ntimeout = \"200ms\"\n",
        stage.url(),
    ));
    let mut first = hanging(&gateway, "/first");
    let mut peer = stage.accept();
    assert_eq!(peer.request().target(), "/first");
    let mut short = hanging(&gateway, "/short");
    eventually("it waits", || gauge(&gateway, "pending") == 1.0);
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert_eq!(first.response().unwrap().status(), 200);
    let _silent = stage.accept();
    assert_eq!(short.response().unwrap().status(), 504);
    let mut last = hanging(&gateway, "/last");
    let mut peer = stage.accept();
    assert_eq!(peer.request().target(), "/last", "the breaker is closed");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(last.response().unwrap().status(), 200);
}

/// A request that waits to be sent again is not at the upstream meanwhile, and keeps nobody else from it.
#[test]
fn who_waits_to_be_sent_again_has_no_place() {
    let asked = AtomicBool::new(false);
    let upstream = Upstream::start(move |request| match request.target() {
        "/again" if !asked.swap(true, Ordering::SeqCst) => {
            Reply::raw("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")
        }
        _ => Reply::ok("ok"),
    });
    let gateway = Gateway::start(&text(&upstream, "retries = { budget = 1.0 }\nmax_connections = 1\nmax_pending = 0"));
    let mut again = hanging(&gateway, "/again");
    eventually("it waits", || gateway.metric("portcullis_upstream_retries_total{upstream=\"app\"}") == Some(1.0));
    assert_eq!(gateway.get("/", &[]).text(), "ok");
    assert_eq!(again.response().unwrap().text(), "ok");
    assert_eq!(upstream.seen().len(), 3);
}

/// A request that was answered before its body had arrived is at the upstream until it has.
#[test]
fn an_early_answer_gives_no_place_back() {
    let stage = Stage::default();
    // One worker, so that the connection that comes free is the one that is used again.
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n\
         [upstreams.app]\nservers = [\"{}\"]\nretries = 0\nmax_connections = 1\nmax_pending = 0\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        stage.url()
    ));
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na");
    let mut peer = stage.accept();
    peer.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response_to_head().unwrap().status(), 401);
    assert_eq!(gauge(&gateway, "in_flight"), 1.0);
    assert_eq!(gateway.get("/", &[]).json()["code"], "upstream-full");
    client.send("b");
    assert_eq!(peer.request().text(), "ab");
    eventually("it is over", || gauge(&gateway, "in_flight") == 0.0);
    let mut next = hanging(&gateway, "/next");
    assert_eq!(peer.request().target(), "/next");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(next.response().unwrap().status(), 200);
}

/// An open breaker refuses at once, also where there is no place to be had.
#[test]
fn an_open_breaker_refuses_before_anybody_waits() {
    let upstream = Upstream::start(|request| match request.target() {
        "/stream" => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
        _ => Reply::status(503, "ill"),
    });
    let settings = "retries = 0\nbreaker = { failures = 1 }\nmax_pending = 0\nmax_connections";
    let mut gateway = Gateway::start(&text(&upstream, &format!("{settings} = 2")));
    let mut client = hanging(&gateway, "/stream");
    assert!(client.some().is_some(), "it has its place");
    assert_eq!(gateway.get("/", &[]).text(), "ill");
    gateway.reload(&text(&upstream, &format!("{settings} = 1"))).unwrap();
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open");
}
