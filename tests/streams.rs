//! Long answers: each piece reaches the client before the upstream writes the next, and the upstream is let go with the client.
//! In lock-step, so that nothing here depends on time.

use std::thread;

use portcullis_suite::{Client, Gateway, Peer, Stage, eventually};

/// Free ports, and these keys of `[server]` and of the route.
fn gateway(server: &str, stage: &Stage, route: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = {{ listen = "127.0.0.1:0" }}
        log = {{ access = "off" }}
        [server]
        workers = 1
        {server}
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/**"
        upstream = "app"
        {route}
        "#,
        stage.url()
    ))
}

/// Asks for a stream, whose head is `head`.
fn stream(gateway: &Gateway, stage: &Stage, head: &str) -> (Client, Peer) {
    let mut client = Client::connect(gateway.address());
    client.send("GET /events HTTP/1.1\r\nhost: shop.test\r\naccept: text/event-stream\r\n\r\n");
    let mut peer = stage.accept();
    peer.request();
    peer.send(head);
    let seen = until(&mut client, "\r\n\r\n");
    assert!(seen.starts_with("HTTP/1.1 200 "), "{seen}");
    (client, peer)
}

/// Everything up to `end`, which nothing follows yet.
fn until(client: &mut Client, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        seen.extend(client.some().expect("it comes in time"));
    }
    String::from_utf8(seen).unwrap()
}

fn is_over(gateway: &Gateway) {
    let in_flight = "portcullis_upstream_in_flight{upstream=\"app\"}";
    eventually("nothing is in flight", || gateway.metric(in_flight) == Some(0.0));
}

const KINDS: [&str; 3] = ["text/event-stream", "application/x-ndjson", "application/octet-stream"];

/// The head alone, and then each event, however it is framed.
#[test]
fn each_event_arrives_before_the_next_is_written() {
    let stage = Stage::default();
    let gateway = gateway("", &stage, "");
    for kind in KINDS {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let (mut client, mut peer) = stream(&gateway, &stage, &head);
        for event in ["data: 1\n\n", ": a heartbeat\n\n", "data: 2\n\n"] {
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            peer.send(&chunk);
            assert_eq!(until(&mut client, &chunk), chunk);
        }
        peer.send("0\r\n\r\n");
        assert_eq!(until(&mut client, "0\r\n\r\n"), "0\r\n\r\n");
        is_over(&gateway);
    }
}

/// The same of a body that ends with its connection.
#[test]
fn an_unframed_stream_arrives_as_it_is_written() {
    let stage = Stage::default();
    let gateway = gateway("", &stage, "");
    let (mut client, mut peer) = stream(&gateway, &stage, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        peer.send(event);
        assert_eq!(until(&mut client, &format!("{event}\r\n")), format!("{:x}\r\n{event}\r\n", event.len()));
    }
    peer.finish();
    assert_eq!(until(&mut client, "0\r\n\r\n"), "0\r\n\r\n");
    is_over(&gateway);
}

/// `timeout` and the upstream's own are over with the head. How long others take in which it would have passed is shown by
/// others: requests beside it that are cut.
#[test]
fn no_deadline_of_the_head_ends_a_stream() {
    let stage = Stage::default();
    let gateway = gateway("body_timeout = \"100ms\"", &stage, "timeout = \"100ms\"");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let (mut client, mut peer) = stream(&gateway, &stage, head);
    for _ in 0..2 {
        let address = gateway.address();
        let slow = thread::spawn(move || Client::get(address, "/slow", &["connection: close"]).status());
        let mut other = stage.accept();
        other.request();
        assert_eq!(slow.join().unwrap(), 504);
    }
    peer.send("2\r\nok\r\n");
    assert_eq!(until(&mut client, "2\r\nok\r\n"), "2\r\nok\r\n");
}

/// A client that leaves between two events takes its upstream's connection with it at once, and not at the next event.
#[test]
fn the_upstream_is_let_go_with_the_client() {
    let stage = Stage::default();
    let gateway = gateway("", &stage, "");
    for kind in KINDS {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        let (client, mut peer) = stream(&gateway, &stage, &head);
        drop(client);
        assert!(peer.rest().is_empty());
        is_over(&gateway);
    }
    assert_eq!(gateway.metric("portcullis_endings_total{ending=\"client-gone\"}"), Some(3.0));
}

/// The same where the request has not ended: an answer that began early has a task of its own.
#[test]
fn the_upstream_is_let_go_in_the_middle_of_a_request_too() {
    let stage = Stage::default();
    let gateway = gateway("", &stage, "");
    let mut client = Client::connect(gateway.address());
    client.send("POST /talk HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nping\r\n");
    let mut peer = stage.accept();
    peer.expect("POST /talk HTTP/1.1\r\n");
    peer.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\npong");
    until(&mut client, "pong\r\n");
    client.send("5\r\nagain\r\n");
    drop(client);
    assert!(peer.rest().ends_with(b"5\r\nagain\r\n"));
    is_over(&gateway);
}
