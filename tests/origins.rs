//! The origin that the tests of faults stand on: each fault looks on the wire as its name says.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use portcullis_suite::{Client, Delays, Digest, End, Fault, Message, Origin, eventually};

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\nx-marker: m\r\ncontent-length: 4\r\n\r\nbody";

/// One request on a connection of its own, and how that went on.
fn post(origin: &Origin) -> (Option<Message>, Client) {
    let mut client = Client::connect(origin.address());
    client.send(POST);
    (client.response(), client)
}

fn connect_error(origin: &Origin) -> Option<ErrorKind> {
    TcpStream::connect_timeout(&origin.address(), Duration::from_millis(200)).err().map(|error| error.kind())
}

#[test]
fn a_healthy_one_counts_what_reaches_it() {
    let origin = Origin::start("a");
    let mut client = Client::connect(origin.address());
    for _ in 0..3 {
        let answer = client.send(POST).response().unwrap();
        assert_eq!((answer.status(), answer.text(), answer.get("x-origin")), (200, "a".to_owned(), Some("a")));
    }
    let head = client.request("HEAD", "/", &[]).unwrap();
    assert_eq!((head.get("content-length"), head.body.len()), (Some("1"), 0));
    eventually("the answers are noted", || origin.arrivals().iter().all(|arrival| arrival.end == End::Answered));
    assert_eq!((origin.connections(), origin.open(), origin.count()), (1, 1, 4));
    let marked = origin.marked("m");
    assert_eq!((marked.len(), marked[2].body), (3, Some(Digest::of(b"body"))));
    drop(client);
    eventually("the connection is noted as closed", || origin.open() == 0);
}

/// The port is refused, and taken up again, without ever being anybody else's.
#[test]
fn a_port_is_closed_and_opened_again() {
    let origin = Origin::start("a");
    let (_, mut kept) = post(&origin);
    for _ in 0..20 {
        origin.set(Fault::Refuse);
        assert_eq!(connect_error(&origin), Some(ErrorKind::ConnectionRefused));
        assert!(kept.is_closed(), "who had a connection loses it");
        origin.set(Fault::Healthy);
        let (answer, client) = post(&origin);
        assert_eq!(answer.unwrap().status(), 200);
        kept = client;
    }
    origin.set(Fault::BlackHole);
    assert_eq!(connect_error(&origin), Some(ErrorKind::TimedOut));
    origin.set(Fault::Healthy);
    assert_eq!(post(&origin).0.unwrap().status(), 200);
    assert_eq!(origin.connections(), 22, "each that was answered, and no other");
}

/// Without a byte of an answer: by FIN or by RST, before, within and after the request.
#[test]
fn connections_end_without_an_answer() {
    for (fault, arrives, whole) in [
        (Fault::CloseAfterRequest, true, true),
        (Fault::ResetAfterRequest, true, true),
        (Fault::ResetWithinRequest, true, false),
        (Fault::ResetOnAccept, false, false),
    ] {
        let origin = Origin::start("a");
        origin.set(fault.clone());
        let (answer, mut client) = post(&origin);
        assert!(answer.is_none() && client.is_closed(), "{fault:?}");
        eventually("the connection is gone", || origin.connections() == 1 && origin.open() == 0);
        let arrivals = origin.arrivals();
        assert_eq!(arrivals.len(), usize::from(arrives), "{fault:?}");
        for arrival in arrivals {
            assert_eq!((arrival.body.is_some(), arrival.end), (whole, End::Broken), "{fault:?}");
        }
    }
}

/// A kept connection is closed under its next request, which is not read.
#[test]
fn kept_connections_go_stale() {
    let origin = Origin::start("a");
    origin.set(Fault::StaleConnections);
    let (answer, mut client) = post(&origin);
    assert_eq!(answer.unwrap().status(), 200, "a fresh one is served");
    assert!(client.send(POST).response().is_none());
    assert_eq!(origin.count(), 1);
}

/// What waits for ever ends with the other side, and the origin knows it.
#[test]
fn who_is_left_waiting_is_noted_when_he_leaves() {
    for fault in [Fault::Hang, Fault::HangAfterHead, Fault::Garbage, Fault::TooLargeHead] {
        let origin = Origin::start("a");
        origin.set(fault.clone());
        let mut client = Client::connect(origin.address());
        client.send(POST);
        eventually("it arrives", || origin.count() == 1);
        if !matches!(fault, Fault::Hang) {
            assert!(client.some().is_some(), "{fault:?}");
        }
        assert_eq!(origin.arrivals()[0].end, End::Open, "{fault:?}");
        drop(client);
        eventually("it is noted", || matches!(origin.arrivals()[0].end, End::Cut(_)));
    }
    let origin = Origin::start("a");
    origin.set(Fault::Hang);
    let mut client = Client::connect(origin.address());
    client.send(POST);
    eventually("it arrives", || origin.count() == 1);
    origin.hang_up();
    assert!(client.is_closed());
    eventually("it is noted as its own doing", || origin.arrivals()[0].end == End::Broken);
}

#[test]
fn answers_are_broken_off() {
    let origin = Origin::start("a");
    for fault in [Fault::Truncate, Fault::TruncateChunks] {
        origin.set(fault.clone());
        let answer = post(&origin).0.unwrap();
        assert_eq!((answer.status(), answer.complete, answer.text()), (200, false, "half".to_owned()), "{fault:?}");
        let mut client = Client::connect(origin.address());
        let head = client.request("HEAD", "/", &[]).unwrap();
        assert!(head.status() == 200 && client.is_closed(), "{fault:?}: a HEAD has nothing that could be cut");
    }
    origin.set(Fault::HalfHead);
    let mut client = Client::connect(origin.address());
    assert_eq!(client.send(POST).rest(), b"HTTP/1.1 200 OK\r\ncontent-le");
}

#[test]
fn answers_come_slowly_or_with_another_status() {
    let origin = Origin::start("a");
    origin.set(Fault::Trickle(Duration::ZERO));
    assert_eq!(post(&origin).0.unwrap().text(), "a");
    origin.set(Fault::Status(503, &["retry-after: 7"]));
    let answer = post(&origin).0.unwrap();
    assert_eq!((answer.status(), answer.get("retry-after")), (503, Some("7")));
    origin.set(Fault::SlowBy(Delays::of(1, &[(50, Duration::from_millis(1), Duration::from_millis(2))])));
    assert_eq!(post(&origin).0.unwrap().status(), 200);

    // In step with the test, byte by byte.
    origin.set(Fault::Step);
    let mut client = Client::connect(origin.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    for expected in *b"HTTP/1.1" {
        origin.step(1);
        assert_eq!(client.some().unwrap(), [expected]);
    }
    origin.step(10_000);
    assert!(String::from_utf8_lossy(&client.some().unwrap()).starts_with(' '));
}

/// Slowness is by chance, and the same for the same seed.
#[test]
fn delays_are_drawn_from_their_seed() {
    let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));
    let delays = |seed| {
        let delays = Delays::of(seed, &[(10, long, long * 2), (60, short, short)]);
        std::iter::repeat_with(|| delays.draw()).take(1000).collect::<Vec<_>>()
    };
    let (one, again, other) = (delays(1), delays(1), delays(2));
    assert!(one == again && one != other);
    let count = |holds: &dyn Fn(Duration) -> bool| one.iter().filter(|delay| holds(**delay)).count();
    assert!((50..150).contains(&count(&|delay| delay >= long)), "a tenth");
    assert!((500..700).contains(&count(&|delay| delay == short)), "six tenths");
    assert!((200..400).contains(&count(&|delay| delay.is_zero())), "the rest");
    assert!(one.iter().all(|delay| *delay <= long * 2));
}
