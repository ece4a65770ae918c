//! Requests that are sent again, and those that must not be.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use portcullis_suite::{Client, Gateway, Message, Reply, Upstream, eventually};

fn app(settings: &str, upstreams: &[&Upstream]) -> String {
    let servers: Vec<_> = upstreams.iter().map(|upstream| format!("\"{}\"", upstream.url())).collect();
    // In turns, so that it is known who is asked first. The breaker is out of the way.
    format!(
        "[upstreams.app]\nservers = [{}]\nbalance = \"round-robin\"\nbreaker = {{ failures = 1000 }}\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        servers.join(", ")
    )
}

fn refusing(status: u16) -> Upstream {
    Upstream::start(move |_| Reply::status(status, "no"))
}

fn resetting() -> Upstream {
    Upstream::start(|_| Reply::Close(Vec::new()))
}

fn ask(gateway: &Gateway, method: &str, body: &str) -> Message {
    let mut client = Client::connect(gateway.address());
    client.send(format!("{method} /a?b HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    client.response().unwrap()
}

fn seen(upstreams: &[&Upstream]) -> Vec<usize> {
    upstreams.iter().map(|upstream| upstream.seen().len()).collect()
}

/// U06: what is safe to repeat goes to another server, and its client sees nothing of the first.
#[test]
fn what_is_idempotent_goes_to_another_server() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        for bad in [
            resetting(),
            refusing(502),
            refusing(503),
            refusing(504),
            Upstream::start(|_| Reply::raw("rubbish\r\n\r\n")),
        ] {
            let good = Upstream::ok();
            let gateway = Gateway::start(&app("", &[&bad, &good]));
            let answer = Client::ask(gateway.address(), method, "/a?b", &[]);
            assert_eq!((answer.status(), seen(&[&bad, &good])), (200, vec![1, 1]), "{method}");
            let [first, second] = [&bad, &good].map(Upstream::only);
            assert_eq!((first.start, first.fields), (second.start, second.fields), "the same request");
            assert_eq!(gateway.metric("portcullis_upstream_attempts_total{upstream=\"app\"}"), Some(2.0));
            assert_eq!(gateway.metric("portcullis_upstream_retries_total{upstream=\"app\"}"), Some(1.0));
        }
    }
}

/// U06: a request that reached a server and is not idempotent is never sent twice.
#[test]
fn what_is_not_idempotent_is_sent_once() {
    for method in ["POST", "PATCH", "PURGE"] {
        for (bad, status) in [(resetting(), 502), (refusing(503), 503)] {
            let good = Upstream::ok();
            let gateway = Gateway::start(&app("", &[&bad, &good]));
            assert_eq!(ask(&gateway, method, "body").status(), status, "{method}");
            assert_eq!(seen(&[&bad, &good]), [1, 0], "{method}");
        }
    }
}

/// A body goes again with its request, chunked or not, as long as it is short enough to be kept.
#[test]
fn a_body_goes_again_if_it_was_kept() {
    for (replay, status, expected) in [("4B", 200, vec![1, 1]), ("3B", 502, vec![1, 0])] {
        let (bad, good) = (resetting(), Upstream::ok());
        let gateway = Gateway::start(&app(&format!("retries = {{ replay = \"{replay}\" }}"), &[&bad, &good]));
        assert_eq!(ask(&gateway, "PUT", "body").status(), status, "{replay}");
        assert_eq!(seen(&[&bad, &good]), expected, "{replay}");
        assert!(good.seen().iter().all(|request| request.text() == "body"));
    }
    let (bad, good) = (resetting(), Upstream::ok());
    let gateway = Gateway::start(&app("", &[&bad, &good]));
    let mut client = Client::connect(gateway.address());
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!((bad.only().text(), good.only().text()), ("body".to_owned(), "body".to_owned()));
}

/// An answer that comes before the request is over is not the client's yet: the rest of the body goes on elsewhere.
#[test]
fn a_body_goes_on_where_its_request_goes_again() {
    // Answers at the head, and reads no more.
    let bad = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", bad.local_addr().unwrap());
    let (to, over) = mpsc::channel::<()>();
    let answering = thread::spawn(move || {
        let (mut stream, _) = bad.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").unwrap();
        let _ = over.recv();
    });
    let good = Upstream::ok();
    let gateway = Gateway::start(&app("", &[&good]).replace("servers = [", &format!("servers = [\"{url}\", ")));
    let mut client = Client::connect(gateway.address());
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo");
    eventually("the second one is asked", || good.connections() == 1);
    client.send("dy");
    assert_eq!(client.response().unwrap().status(), 200);
    assert_eq!(good.only().text(), "body");
    drop(to);
    answering.join().unwrap();
}

/// When nobody answers well, the client gets the last answer as it is.
#[test]
fn the_last_answer_is_passed_on() {
    let first = Upstream::start(|_| Reply::status(503, "first"));
    let second = Upstream::start(|_| Reply::status(502, "second"));
    let gateway = Gateway::start(&app("retries = 1", &[&first, &second]));
    let answer = gateway.get("/", &[]);
    assert_eq!((answer.status(), answer.text()), (502, "second".to_owned()));
}

/// Those that were not tried come first, then the others; never the one that just failed while there is another.
#[test]
fn the_same_server_comes_last() {
    let bad = [refusing(503), refusing(503), refusing(503)];
    let all: Vec<_> = bad.iter().collect();
    let gateway = Gateway::start(&app("retries = { attempts = 3, budget = 1.0, backoff = \"1ms\" }", &all));
    assert_eq!(gateway.get("/", &[]).status(), 503);
    let seen = seen(&all);
    assert!(seen.iter().all(|count| *count >= 1) && seen.iter().sum::<usize>() == 4, "{seen:?}");
    let alone = refusing(503);
    let gateway = Gateway::start(&app("retries = { attempts = 2, backoff = \"1ms\" }", &[&alone]));
    assert_eq!(gateway.get("/", &[]).status(), 503);
    assert_eq!(alone.seen().len(), 3);
}

/// `retries` says how often and after what; nothing, if it says so.
#[test]
fn only_what_is_asked_for_is_tried_again() {
    for (retries, reset, refused, connect) in [
        ("retries = 0", 502, 503, 502),
        ("retries = { on = [] }", 502, 503, 502),
        ("retries = { on = [\"connect\"] }", 502, 503, 200),
        ("retries = { on = [\"reset\"] }", 200, 503, 502),
        ("retries = { on = [\"503\"] }", 502, 200, 502),
    ] {
        for (bad, status) in [(resetting(), reset), (refusing(503), refused)] {
            let good = Upstream::ok();
            let gateway = Gateway::start(&app(retries, &[&bad, &good]));
            assert_eq!(gateway.get("/", &[]).status(), status, "{retries}");
        }
        let good = Upstream::ok();
        let text = app(retries, &[&good]).replace("servers = [", "servers = [\"http://127.0.0.1:1\", ");
        assert_eq!(Gateway::start(&text).get("/", &[]).status(), connect, "{retries}");
    }
}

/// A server that takes too long is left for another, within the time that the request has.
#[test]
fn a_server_that_hangs_is_left_for_another() {
    let (bad, good) = (Upstream::start(|_| Reply::Silence), Upstream::ok());
    let gateway = Gateway::start(&app("timeout = \"100ms\"", &[&bad, &good]));
    assert_eq!(gateway.get("/", &[]).status(), 200);
    assert_eq!(seen(&[&bad, &good]), [1, 1]);
    eventually("the first one is told", || bad.open() == 0);

    // No time is left for another.
    let (bad, good) = (Upstream::start(|_| Reply::Silence), Upstream::ok());
    let text = app("timeout = \"10s\"", &[&bad, &good]);
    let gateway = Gateway::start(&format!("{text}timeout = \"100ms\"\n"));
    assert_eq!(gateway.get("/", &[]).status(), 504);
    assert_eq!(seen(&[&bad, &good]), [1, 0]);
}

/// U07: a server that says when to come back is not asked before; another may be.
#[test]
fn retry_after_is_obeyed() {
    let busy = || Upstream::start(|_| Reply::raw("HTTP/1.1 503 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"));
    let (bad, good) = (busy(), Upstream::ok());
    assert_eq!(Gateway::start(&app("", &[&bad, &good])).get("/", &[]).status(), 200);
    let dated = Upstream::start(|_| {
        Reply::raw("HTTP/1.1 503 No\r\nretry-after: Wed, 21 Oct 2065 07:28:00 GMT\r\ncontent-length: 0\r\n\r\n")
    });
    for alone in [busy(), dated] {
        let answer = Gateway::start(&app("", &[&alone])).get("/", &[]);
        assert_eq!((answer.status(), answer.get("retry-after").is_some()), (503, true));
        assert_eq!(alone.seen().len(), 1);
    }
}

/// U07: where everything fails, retries are a share of what was asked.
#[test]
fn retries_keep_to_their_budget() {
    let bad = [refusing(503), refusing(503)];
    let all: Vec<_> = bad.iter().collect();
    let gateway = Gateway::start(&app("retries = { attempts = 3, budget = 0.1, backoff = \"1ms\" }", &all));
    let mut client = Client::connect(gateway.address());
    for _ in 0..1000 {
        assert_eq!(client.request("GET", "/", &[]).unwrap().status(), 503);
    }
    let (requests, retries) = (1000, seen(&all).iter().sum::<usize>() - 1000);
    // A tenth, or three a second over the ten seconds that are looked back on.
    assert!((1..=requests / 10).contains(&retries), "{retries} retries");
    assert_eq!(gateway.metric("portcullis_upstream_retries_total{upstream=\"app\"}"), Some(retries as f64));
    let refused = gateway.metric("portcullis_upstream_retries_refused_total{upstream=\"app\"}").unwrap();
    assert!(refused >= 800.0, "{refused}");
}

/// An answer that no client sees leaves its connection as good as new.
#[test]
fn connections_survive_answers_that_are_not_passed_on() {
    let bad = [refusing(503), refusing(503)];
    let all: Vec<_> = bad.iter().collect();
    let gateway = Gateway::start(&app("eject = \"off\"\nretries = { budget = 1.0, backoff = \"1ms\" }", &all));
    let mut client = Client::connect(gateway.address());
    for _ in 0..20 {
        assert_eq!(client.request("GET", "/", &[]).unwrap().status(), 503);
    }
    assert_eq!(seen(&all), [20, 20]);
    assert!(all.iter().all(|upstream| upstream.connections() <= 1), "one client, one worker, one connection each");
}

/// V01 for retries: everybody gets their own answer.
#[test]
fn retried_requests_do_not_cross() {
    let failing = Upstream::start({
        let counted = std::sync::atomic::AtomicUsize::new(0);
        move |request| {
            let turn = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if turn.is_multiple_of(3) {
                Reply::Close(Vec::new())
            } else {
                Reply::ok(request.get("x-mark").unwrap_or_default())
            }
        }
    });
    let other = Upstream::start(|request| Reply::ok(request.get("x-mark").unwrap_or_default()));
    let gateway =
        Gateway::start(&app("retries = { attempts = 3, budget = 1.0, backoff = \"1ms\" }", &[&failing, &other]));
    thread::scope(|scope| {
        for thread in 0..4 {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut client = Client::connect(gateway.address());
                for turn in 0..50 {
                    let mark = format!("{thread}-{turn}");
                    let answer = client.request("GET", "/", &[&format!("x-mark: {mark}")]).unwrap();
                    assert_eq!((answer.status(), answer.text()), (200, mark));
                }
            });
        }
    });
    let marks: HashSet<_> = other
        .seen()
        .iter()
        .chain(&failing.seen())
        .filter_map(|request| request.get("x-mark").map(str::to_owned))
        .collect();
    assert_eq!(marks.len(), 200);
    eventually("nothing is in flight", || {
        gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(0.0)
    });
}

/// U07: what a server said of its own return is kept in mind while others are asked.
#[test]
fn retry_after_is_kept_in_mind() {
    let busy = Upstream::start(|_| Reply::raw("HTTP/1.1 503 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"));
    let other = refusing(503);
    let retries = "retries = { attempts = 3, budget = 1.0, backoff = \"1ms\" }";
    let gateway = Gateway::start(&app(retries, &[&busy, &other]));
    assert_eq!(gateway.get("/", &[]).status(), 503);
    assert_eq!(seen(&[&busy, &other]), [1, 1]);
}

/// A server is not blamed for a time that was up before it was asked for long.
#[test]
fn who_is_asked_last_is_not_blamed_for_the_time() {
    let (slow, other) = (Upstream::start(|_| Reply::Silence), Upstream::start(|_| Reply::Silence));
    let settings = "timeout = \"200ms\"\neject = { failures = 5 }";
    let gateway = Gateway::start(&format!("{}timeout = \"300ms\"\n", app(settings, &[&slow, &other])));
    assert_eq!(gateway.get("/", &[]).status(), 504);
    assert_eq!(seen(&[&slow, &other]), [1, 1]);
    let all: serde_json::Value = gateway.admin("/api/upstreams").json();
    let failures: Vec<_> = (0..2).map(|place| all["upstreams"][0]["servers"][place]["failures"].as_u64()).collect();
    assert_eq!(failures, [Some(1), Some(0)]);
}

/// HTTP/1.0 allows a request without a host: each server that is asked gets its own, behind which the body is still whole.
#[test]
fn a_request_without_a_host_has_that_of_the_server_it_is_sent_to() {
    let (bad, good) = (refusing(503), Upstream::ok());
    let gateway = Gateway::start(&app("retries = { budget = 1.0, backoff = \"1ms\" }", &[&bad, &good]));
    let mut client = Client::connect(gateway.address());
    client.send("PUT / HTTP/1.0\r\ncontent-length: 4\r\n\r\nbody");
    assert_eq!(client.response().unwrap().status(), 200);
    for server in [&bad, &good] {
        let (request, own) = (server.only(), server.address().to_string());
        assert_eq!((request.all("host").collect::<Vec<_>>(), request.text()), (vec![own.as_str()], "body".to_owned()));
    }
}
