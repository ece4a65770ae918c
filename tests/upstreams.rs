//! Upstreams that are several, broken, slow or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_core::time::{Clock, UnixTime};
use portcullis_suite::{Client, Gateway, Reply, Stage, Upstream, eventually};

fn app(settings: &str, servers: &[String]) -> String {
    let servers: Vec<_> = servers.iter().map(|url| format!("\"{url}\"")).collect();
    format!(
        "[upstreams.app]\nservers = [{}]\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        servers.join(", ")
    )
}

/// Addresses that nobody listens on: ports below 10 are nobody's on any machine that runs tests.
fn closed(number: u8) -> String {
    format!("http://127.0.0.1:{number}")
}

#[test]
fn round_robin_takes_turns_by_weight() {
    let (light, heavy) = (Upstream::ok(), Upstream::ok());
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\", {{ url = \"{}\", weight = 2 }}]\nbalance = \"round-robin\"\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        light.url(),
        heavy.url()
    ));
    for _ in 0..30 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!((light.seen().len(), heavy.seen().len()), (10, 20));
}

#[test]
fn least_request_avoids_the_busy_one() {
    let (busy, free) = (Upstream::start(|_| Reply::Silence), Upstream::ok());
    let gateway = Gateway::start(&app("balance = \"least-request\"", &[busy.url(), free.url()]));
    // Until one request hangs at the busy one.
    let mut hanging = Vec::new();
    while busy.open() == 0 {
        let mut client = Client::connect(gateway.address());
        client.send("GET /hang HTTP/1.1\r\nhost: a\r\n\r\n");
        hanging.push(client);
        eventually("the request arrives somewhere", || busy.seen().len() + free.seen().len() >= hanging.len());
    }
    let before = free.seen().len();
    for _ in 0..20 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!((free.seen().len() - before, busy.seen().len()), (20, 1));
}

/// The same value goes to the same server, whatever else the request is, and to another when that is gone; who has no such value goes by
/// its address.
#[test]
fn equal_values_go_to_one_server_and_to_another_when_it_is_gone() {
    let upstreams = [Upstream::ok(), Upstream::ok(), Upstream::ok()];
    let urls = upstreams.each_ref().map(Upstream::url);
    let gateway = Gateway::start(&app("balance = \"hash:header:x-tenant\"", &urls));
    let seen = || upstreams.each_ref().map(|upstream| upstream.seen().len());
    let ask = |fields: &[&str], path: &str| {
        let before = seen();
        assert_eq!(gateway.get(path, fields).status(), 200);
        let after = seen();
        (0..3).find(|index| after[*index] > before[*index]).unwrap()
    };
    let tenants: Vec<_> = (0..60).map(|tenant| format!("x-tenant: t{tenant}")).collect();
    let first: Vec<_> = tenants.iter().map(|tenant| ask(&[tenant], "/a")).collect();
    let again: Vec<_> = tenants.iter().map(|tenant| ask(&[tenant], "/b")).collect();
    assert_eq!(first, again);
    assert!((0..3).all(|index| first.contains(&index)), "{first:?}");
    let by_client = ask(&[], "/a");
    assert!((0..5).all(|_| ask(&[], "/c") == by_client), "they have one address");
    drop(gateway);

    let [gone, ..] = upstreams;
    let url = gone.url();
    drop(gone);
    let gateway = Gateway::start(&app("balance = \"hash:header:x-tenant\"", &[url, urls[1].clone(), urls[2].clone()]));
    for tenant in &tenants {
        assert_eq!(gateway.get("/a", &[tenant]).status(), 200);
    }
}

/// U01: an endpoint that cannot be connected to is passed over; with none left it is a 502.
#[test]
fn a_dead_endpoint_is_passed_over() {
    let alive = Upstream::ok();
    let gateway = Gateway::start(&app("balance = \"round-robin\"", &[closed(1), alive.url(), closed(2)]));
    for _ in 0..9 {
        assert_eq!(Client::ask(gateway.address(), "POST", "/", &["content-length: 0"]).status(), 200);
    }
    assert_eq!(alive.seen().len(), 9);
}

/// U01, U06: an answer that never begins is a 502, and a request that reached an upstream is not sent again.
#[test]
fn an_upstream_that_hangs_up_gets_the_request_once() {
    let upstream = Upstream::start(|_| Reply::Close(Vec::new()));
    let gateway = Gateway::start(&app("", &[upstream.url()]));
    let answer = Client::ask(gateway.address(), "POST", "/", &["content-length: 0"]);
    assert_eq!((answer.status(), answer.get("proxy-status")), (502, Some("portcullis; error=connection_terminated")));
    assert_eq!(upstream.seen().len(), 1);
}

/// U02: every way in which an answer can be cut is an error for the client, never a clean end.
#[test]
fn a_cut_answer_is_an_error_for_the_client() {
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", "a".repeat(100));
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n{}\r\n0\r\n\r\n", "a".repeat(100));
    for answer in [whole, chunked] {
        let cut = Arc::new(AtomicUsize::new(0));
        let at = Arc::clone(&cut);
        let text = answer.clone();
        let upstream = Upstream::start(move |_| Reply::Close(text.as_bytes()[..at.load(Ordering::SeqCst)].to_vec()));
        // The breaker is out of the way.
        let gateway = Gateway::start(&app("breaker = { failures = 1000 }", &[upstream.url()]));
        let body = answer.find("\r\n\r\n").unwrap() + 4;
        for length in (0..answer.len()).step_by(3).chain([answer.len() - 1]) {
            cut.store(length, Ordering::SeqCst);
            let mut client = Client::connect(gateway.address());
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let response = client.response();
            if length < body {
                assert_eq!(response.map(|response| response.status()), Some(502), "cut at {length}");
            } else {
                assert!(response.is_none_or(|response| !response.complete), "cut at {length} looked whole");
            }
        }
        cut.store(answer.len(), Ordering::SeqCst);
        assert!(gateway.get("/", &[]).complete);
    }
}

/// An idle connection that its server closed is replaced silently, even for a POST.
#[test]
fn a_stale_connection_is_replaced_silently() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&app("", &[upstream.url()]));
    let mut client = Client::connect(gateway.address());
    for _ in 0..20 {
        let answer = client.request("POST", "/", &["content-length: 0"]).unwrap();
        assert_eq!(answer.status(), 200);
        upstream.hang_up();
        eventually("the connection is gone", || upstream.open() == 0);
    }
    assert_eq!(upstream.seen().len(), 20);
}

#[test]
fn connections_are_used_again() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&app("", &[upstream.url()]));
    let mut client = Client::connect(gateway.address());
    for _ in 0..50 {
        assert_eq!(client.request("GET", "/", &[]).unwrap().status(), 200);
    }
    assert_eq!(upstream.connections(), 1);
}

/// F14: bytes after an answer end that connection; the next client never sees them.
#[test]
fn leftovers_of_an_answer_are_nobodys() {
    let upstream = Upstream::start(|request| match request.target() {
        "/long" => {
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        }
        _ => Reply::ok("mine"),
    });
    let gateway = Gateway::start(&app("", &[upstream.url()]));
    for _ in 0..10 {
        assert_eq!(gateway.get("/long", &[]).text(), "ok");
        assert_eq!(gateway.get("/", &[]).text(), "mine");
    }
}

/// U05: a deadline is a 504, and the upstream notices.
#[test]
fn an_upstream_that_is_silent_is_a_504() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let gateway = Gateway::start(&app("timeout = \"100ms\"", &[upstream.url()]));
    let answer = gateway.get("/", &[]);
    assert_eq!((answer.status(), answer.get("proxy-status")), (504, Some("portcullis; error=http_response_timeout")));
    eventually("the upstream's connection is closed", || upstream.open() == 0);
    let gateway = Gateway::start(&format!(
        "[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\ntimeout = \"100ms\"\n",
        upstream.url()
    ));
    assert_eq!(gateway.get("/", &[]).status(), 504, "the route's own deadline");
}

/// U14: a client that leaves takes its request to the upstream with it.
#[test]
fn a_client_that_leaves_is_not_waited_for() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let gateway = Gateway::start(&app("breaker = { failures = 1 }", &[upstream.url()]));
    for _ in 0..5 {
        let before = upstream.seen().len();
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        eventually("the request is there", || upstream.seen().len() > before);
        drop(client);
        eventually("the upstream's connection is closed", || upstream.open() == 0);
    }
    eventually("they are counted", || gateway.metric("portcullis_endings_total{ending=\"client-gone\"}") == Some(5.0));
    assert_eq!(gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}"), Some(0.0));
}

/// U09: closed, open, half-open with one probe, closed again. The clock is the test's.
#[test]
fn the_breaker_opens_rests_probes_and_closes() {
    let well = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&well);
    let upstream =
        Upstream::start(
            move |_| if script.load(Ordering::SeqCst) { Reply::ok("well") } else { Reply::status(503, "ill") },
        );
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let gateway = Gateway::with_clock(
        &app("retries = 0\nbreaker = { failures = 5, recovery = \"30s\" }", &[upstream.url()]),
        clock,
    );
    for _ in 0..5 {
        assert_eq!(gateway.get("/", &[]).text(), "ill", "the service's own answer");
    }
    let refused = gateway.get("/", &[]);
    assert_eq!((refused.status(), refused.json()["code"].as_str()), (503, Some("circuit-open")));
    assert_eq!(refused.get("proxy-status"), Some("portcullis; error=destination_unavailable"));
    // Up to a tenth longer than it says, by chance.
    let wait: u64 = refused.get("retry-after").unwrap().parse().unwrap();
    assert!((30..=33).contains(&wait), "{wait}");
    assert_eq!(upstream.seen().len(), 5, "it is left alone");
    hand.advance(Duration::from_secs(wait));
    assert_eq!(gateway.get("/", &[]).text(), "ill", "the probe");
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open");
    assert_eq!(upstream.seen().len(), 6);
    well.store(true, Ordering::SeqCst);
    hand.advance(Duration::from_secs(59));
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open", "the second rest is twice as long");
    hand.advance(Duration::from_secs(8));
    for _ in 0..10 {
        assert_eq!(gateway.get("/", &[]).text(), "well");
    }
    assert_eq!(gateway.metric("portcullis_upstream_breaker_opened_total{upstream=\"app\"}"), Some(2.0));
    assert_eq!(gateway.metric("portcullis_upstream_breaker_reopened_total{upstream=\"app\"}"), Some(1.0));
}

/// U08: a share of the last requests, where there are enough of them: failures that are never in a row.
#[test]
fn the_breaker_opens_by_the_share_of_failures_within_its_window() {
    let upstream = Upstream::start(|request| match request.target() {
        "/ill" => Reply::status(503, "ill"),
        _ => Reply::ok("well"),
    });
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let settings = "retries = 0\nbreaker = { failure_ratio = 0.5, window = \"10s\", minimum = 20, recovery = \"5s\" }";
    let gateway = Gateway::with_clock(&app(settings, &[upstream.url()]), clock);
    let ask = |path: &str| gateway.get(path, &[]).text();
    for _ in 0..9 {
        assert_eq!((ask("/ill"), ask("/")), ("ill".to_owned(), "well".to_owned()));
    }
    // What is older than the window is forgotten.
    hand.advance(Duration::from_secs(10));
    for _ in 0..9 {
        assert_eq!((ask("/ill"), ask("/")), ("ill".to_owned(), "well".to_owned()));
    }
    assert_eq!((ask("/"), ask("/ill")), ("well".to_owned(), "ill".to_owned()), "ten of twenty");
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open");
    assert_eq!(upstream.seen().len(), 38);
    hand.advance(Duration::from_secs(6));
    assert_eq!(ask("/"), "well");
    assert_eq!(gateway.metric("portcullis_upstream_breaker_opened_total{upstream=\"app\"}"), Some(1.0));
}

/// U09: a crowd that arrives as it half-opens: one of them is the probe.
#[test]
fn a_crowd_at_a_half_open_breaker_sends_one_probe() {
    let hang = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&hang);
    let upstream =
        Upstream::start(
            move |_| if script.load(Ordering::SeqCst) { Reply::Silence } else { Reply::status(502, "ill") },
        );
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let gateway = Gateway::with_clock(
        &app("timeout = \"2s\"\nretries = 3\nbreaker = { failures = 1, recovery = \"10s\" }", &[upstream.url()]),
        clock,
    );
    assert_eq!(gateway.get("/", &[]).status(), 502);
    assert_eq!(upstream.seen().len(), 4, "the first, and its retries");
    hang.store(true, Ordering::SeqCst);
    hand.advance(Duration::from_secs(11));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..40).map(|_| scope.spawn(|| gateway.get("/", &[]).status())).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 504).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 39, "{statuses:?}");
    assert_eq!(upstream.seen().len(), 5, "a probe is not tried again");
}

/// U09: a probe whose client takes its time over the request keeps nobody else from finding out.
#[test]
fn a_slow_upload_does_not_hold_the_breaker() {
    let well = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&well);
    let upstream =
        Upstream::start(
            move |_| if script.load(Ordering::SeqCst) { Reply::ok("well") } else { Reply::status(502, "ill") },
        );
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let settings = "timeout = \"100ms\"\nretries = 0\nbreaker = { failures = 1, recovery = \"10s\" }";
    let gateway = Gateway::with_clock(&app(settings, &[upstream.url()]), clock);
    assert_eq!(gateway.get("/", &[]).status(), 502);
    well.store(true, Ordering::SeqCst);
    hand.advance(Duration::from_secs(12));
    let mut uploading = Client::connect(gateway.address());
    uploading.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na");
    eventually("it is the probe", || gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(1.0));
    eventually("another may try", || gateway.get("/", &[]).status() == 200);
    uploading.send("b");
    assert_eq!(uploading.response().unwrap().text(), "well");
}

/// What its client keeps a request waiting for is not the server's time, by which a picker goes.
#[test]
fn a_slow_upload_makes_no_server_slow() {
    let stage = Stage::default();
    let gateway = Gateway::start(&app("balance = \"peak-ewma\"", &[stage.url()]));
    let mut uploading = Client::connect(gateway.address());
    uploading.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na");
    let mut peer = stage.accept();
    // A known time passes while the gateway waits for the client.
    let slow = Upstream::start(|_| Reply::Silence);
    let waits = Gateway::start(&format!("{}timeout = \"400ms\"\n", app("", &[slow.url()])));
    assert_eq!(waits.get("/", &[]).status(), 504);
    uploading.send("b");
    assert_eq!(peer.request().text(), "ab");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(uploading.response().unwrap().status(), 200);
    let shown: serde_json::Value = serde_json::from_str(&gateway.admin("/api/upstreams").text()).unwrap();
    let latency = shown["upstreams"][0]["servers"][0]["latency_ms"].as_f64().unwrap();
    assert!(latency < 300.0, "{latency}");
}

/// U08: what a client does wrong, and what a service answers with 4xx or 500, is no failure.
#[test]
fn what_is_not_the_upstreams_fault_does_not_count() {
    let upstream = Upstream::start(|request| match request.target() {
        "/404" => Reply::status(404, ""),
        "/500" => Reply::status(500, ""),
        _ => Reply::ok("ok"),
    });
    let gateway =
        Gateway::start(&format!("{}max_body_size = \"1KiB\"\n", app("breaker = { failures = 2 }", &[upstream.url()])));
    for _ in 0..5 {
        assert_eq!(gateway.get("/404", &[]).status(), 404);
        assert_eq!(gateway.get("/500", &[]).status(), 500);
        let mut client = Client::connect(gateway.address());
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n800\r\n{}\r\n",
            "a".repeat(0x800)
        ));
        assert_eq!(client.response().unwrap().status(), 413);
    }
    assert_eq!(gateway.get("/", &[]).status(), 200);
}

/// F14: a length that the chunks contradict is not passed on.
#[test]
fn chunks_win_over_a_length() {
    let upstream = Upstream::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    });
    let gateway = Gateway::start(&app("", &[upstream.url()]));
    for _ in 0..3 {
        let answer = gateway.get("/", &[]);
        assert_eq!((answer.text(), answer.complete, answer.get("content-length")), ("hello".to_owned(), true, None));
    }
    assert_eq!(upstream.connections(), 3, "and its connection is not used again");
}

/// Every attempt is counted, those without a connection too: the two servers, and one of them again.
#[test]
fn attempts_are_counted() {
    let gateway = Gateway::start(&app("balance = \"round-robin\"", &[closed(1), closed(2)]));
    assert_eq!(gateway.get("/", &[]).status(), 502);
    assert_eq!(gateway.metric("portcullis_upstream_attempts_total{upstream=\"app\"}"), Some(3.0));
    assert_eq!(gateway.metric("portcullis_upstream_failures_total{upstream=\"app\",kind=\"connect\"}"), Some(3.0));
}
