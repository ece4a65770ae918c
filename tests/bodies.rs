//! Bodies stream both ways, within bounds, and nobody is waited for without an end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use portcullis_suite::{Client, Gateway, PATIENCE, Reply, Upstream};

const IMPATIENT: &str = r#"
listen = ["127.0.0.1:0"]
[server]
workers = 1
header_timeout = "200ms"
body_timeout = "200ms"
idle_timeout = "200ms"
[admin]
listen = "127.0.0.1:0"
[log]
access = "off"
"#;

fn impatient(upstream: &str) -> Gateway {
    Gateway::start(&format!(
        "{IMPATIENT}[upstreams]\napp = [\"{upstream}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"
    ))
}

fn open(upstream: &str) -> Gateway {
    Gateway::start(&format!("[upstreams]\napp = [\"{upstream}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"))
}

/// B08: by the declared length before a byte is read, and by counting.
#[test]
fn bodies_over_the_bound_are_413() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        "[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\nmax_body_size = \"10KiB\"\n",
        upstream.url()
    ));
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 107374182400\r\n\r\n");
    let refused = client.response().unwrap();
    assert_eq!((refused.status(), refused.json()["code"].as_str()), (413, Some("body-too-large")));
    assert!(upstream.seen().is_empty() && upstream.connections() == 0);

    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..12 {
        client.send(format!("400\r\n{}\r\n", "a".repeat(1024)));
    }
    assert_eq!(client.response().unwrap().status(), 413);
    assert!(upstream.seen().iter().all(|request| !request.complete));

    let mut client = Client::connect(gateway.address());
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10240\r\n\r\n{}", "a".repeat(10240)));
    assert_eq!(client.response().unwrap().status(), 200);
}

/// B08: a body without a length is counted to the byte, on routes of every kind, and "off" counts nothing.
#[test]
fn chunked_bodies_are_counted_to_the_byte() {
    let upstream = Upstream::start(|request| Reply::ok(&request.body.len().to_string()));
    let gateway = Gateway::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        log = {{ access = "off" }}
        admin = {{ listen = "" }}
        server = {{ max_body_size = "100B" }}
        [upstreams]
        app = ["{0}"]
        other = ["{0}"]
        [[routes]]
        path = "/**"
        upstream = "app"
        [[routes]]
        path = "/split"
        split = ["app", "other"]
        max_body_size = "1KiB"
        [[routes]]
        path = "/off"
        upstream = "app"
        max_body_size = "off"
        "#,
        upstream.url()
    ));
    let ask = |path: &str, chunks: &[usize]| {
        let mut client = Client::connect(gateway.address());
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"));
        for size in chunks {
            client.send(format!("{size:x};ext=1\r\n{}\r\n", "a".repeat(*size)));
        }
        client.send("0\r\n\r\n");
        let answer = client.response().unwrap();
        (answer.status(), if answer.status() == 200 { answer.text() } else { answer.json()["code"].to_string() })
    };
    let refused = (413, "\"body-too-large\"".to_owned());
    assert_eq!(ask("/", &[60, 40]), (200, "100".to_owned()));
    assert_eq!(ask("/", &[60, 41]), refused);
    assert_eq!(ask("/", &[101]), refused);
    assert_eq!(ask("/split", &[1000, 24]), (200, "1024".to_owned()));
    assert_eq!(ask("/split", &[1000, 25]), refused);
    assert_eq!(ask("/off", &[5000, 5000]), (200, "10000".to_owned()));
    let whole = upstream.seen().iter().filter(|request| request.complete).count();
    assert_eq!(whole, 3, "what is over its bound never arrives whole");
}

/// F09: the 100 comes after every check, and only when it is asked for.
#[test]
fn the_100_comes_after_the_checks() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams]
        app = ["{}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "any"
        audience = "any"
        [[routes]]
        path = "/open"
        upstream = "app"
        auth = "none"
        max_body_size = "1KiB"
        [[routes]]
        path = "/closed"
        upstream = "app"
        auth = "users"
        "#,
        upstream.url()
    ));
    let ask = |target: &str, length: usize, expect: &str| {
        let mut client = Client::connect(gateway.address());
        client
            .send(format!("POST {target} HTTP/1.1\r\nhost: a\r\nexpect: {expect}\r\ncontent-length: {length}\r\n\r\n"));
        let first = client.response().unwrap().status();
        if first == 100 {
            client.send("a".repeat(length));
            return (first, client.response().unwrap().status());
        }
        (first, 0)
    };
    assert_eq!(ask("/open", 5, "100-continue"), (100, 200));
    assert_eq!(ask("/closed", 5, "100-continue"), (401, 0));
    assert_eq!(ask("/open", 5000, "100-continue"), (413, 0));
    assert_eq!(ask("/nowhere", 5, "100-continue"), (404, 0));
    assert_eq!(ask("/open", 5, "200-ok"), (417, 0));
    assert_eq!(upstream.only().get("expect"), None);
}

/// B04: a head that is never complete.
#[test]
fn a_slow_head_is_408_and_silence_is_closed() {
    let upstream = Upstream::ok();
    let gateway = impatient(&upstream.url());
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ");
    let answer = client.response().expect("an answer before the end");
    assert_eq!((answer.status(), answer.get("connection")), (408, Some("close")));
    assert!(client.is_closed());
    assert!(Client::connect(gateway.address()).is_closed(), "a connection that says nothing");
    let mut client = Client::connect(gateway.address());
    assert_eq!(client.request("GET", "/", &[]).unwrap().status(), 200);
    assert!(client.is_closed(), "a connection that says nothing more");
    assert_eq!(upstream.seen().len(), 1);
}

/// B05: a body that stops coming.
#[test]
fn a_slow_body_is_408_and_does_not_count_against_the_upstream() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        "{IMPATIENT}[upstreams.app]\nservers = [\"{}\"]\nbreaker = {{ failures = 1 }}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        upstream.url()
    ));
    for _ in 0..3 {
        let mut client = Client::connect(gateway.address());
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello");
        assert_eq!(client.response().map(|answer| answer.status()), Some(408));
        assert!(client.is_closed());
    }
    assert_eq!(gateway.get("/", &[]).status(), 200, "the breaker is closed");
}

/// B05: an upstream that stops in the middle is cut, and a client that stops reading is too.
#[test]
fn a_stalled_answer_is_cut() {
    let upstream = Upstream::start(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"));
    let gateway = impatient(&upstream.url());
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.complete, answer.text()), (200, false, "hello".to_owned()));
}

/// An event stream may be silent for longer than another answer, and not for ever.
#[test]
fn an_event_stream_has_a_silence_of_its_own() {
    let upstream = Upstream::start(|request| {
        let kind = if request.target() == "/events" { "text/event-stream" } else { "text/plain" };
        Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\ndata: 1\n\n"))
    });
    let gateway = Gateway::start(&format!(
        "{}[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        IMPATIENT.replace("workers = 1", "workers = 1\nstream_idle_timeout = \"2s\""),
        upstream.url()
    ));
    let (tell, ended) = mpsc::channel();
    for target in ["/events", "/plain"] {
        let (tell, address) = (tell.clone(), gateway.address());
        thread::spawn(move || {
            let answer = Client::get(address, target, &[]);
            tell.send((target, answer.complete, answer.text())).unwrap();
        });
    }
    let next = || ended.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next(), ("/plain", false, "data: 1\n\n".to_owned()));
    assert_eq!(next(), ("/events", false, "data: 1\n\n".to_owned()));
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    // Endless: back-pressure has to stop it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, sent) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
        let mut total = 0_u64;
        while stream.write_all(chunk.as_bytes()).is_ok() {
            total += 0x10000;
        }
        told.send(total).unwrap();
    });
    let gateway = impatient(&url);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let total = sent.recv_timeout(PATIENCE).expect("the upstream's connection is cut");
    // What the two sockets' buffers took, and no more: B09.
    assert!(total < 64 * 1024 * 1024, "{total} bytes were taken for a client that reads nothing");
}

/// B09: bytes go through as they come, in both directions, before either body is complete.
#[test]
fn both_bodies_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = open(&format!("http://{}", listener.local_addr().unwrap()));
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    read_until(&mut stream, b"one");
    client.send("3\r\ntwo\r\n");
    read_until(&mut stream, b"two");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nleft").unwrap();
    let mut raw = Vec::new();
    read_some(&mut client, &mut raw, b"left");
    client.send("0\r\n\r\n");
    read_until(&mut stream, b"0\r\n\r\n");
    stream.write_all(b"over").unwrap();
    read_some(&mut client, &mut raw, b"leftover");
}

fn read_until(stream: &mut TcpStream, what: &[u8]) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !seen.windows(what.len()).any(|window| window == what) {
        let read = stream.read(&mut buffer).expect("it comes in time");
        assert_ne!(read, 0, "it ended before {what:?}");
        seen.extend_from_slice(&buffer[..read]);
    }
}

fn read_some(client: &mut Client, seen: &mut Vec<u8>, what: &[u8]) {
    while !seen.windows(what.len()).any(|window| window == what) {
        seen.extend(client.some().expect("it comes in time"));
    }
}

/// A large body arrives whole, both ways.
#[test]
fn large_bodies_arrive_whole() {
    let big = "0123456789abcdef".repeat(256 * 1024);
    let answer = big.clone();
    let upstream =
        Upstream::start(move |request| Reply::ok(if request.body.len() == answer.len() { &answer } else { "short" }));
    let gateway = open(&upstream.url());
    let mut client = Client::connect(gateway.address());
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{big}", big.len()));
    let answer = client.response().unwrap();
    assert!(answer.complete && answer.text() == big);
}
