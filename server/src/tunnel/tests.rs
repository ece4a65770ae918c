//! In memory, on paused time.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, Version};
use portcullis_core::time::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Tunnel;
use crate::body::Tail;
use crate::config::{LoadOptions, from_text_with};
use crate::forward::Trail;
use crate::gateway::{Brought, State};
use crate::listen::serve::drive;
use crate::listen::watch::{Overdue, Patience, Watch, Watched};
use crate::observe::{AccessLog, Ending, Metrics, Observer, Record};

/// How a tunnel ended, and how many bytes went up and down.
type Told = (Ending, u64, u64);

/// A tunnel that runs: both ends of it, what is told of it, and how its connection ended.
struct Running {
    client: DuplexStream,
    upstream: DuplexStream,
    told: oneshot::Receiver<Told>,
    connection: JoinHandle<Option<Overdue>>,
}

const LIMIT: Duration = Duration::from_secs(60);

/// With `early` read of the client and of the upstream already, over streams that hold so many bytes.
fn start(early: [&str; 2], holds: usize) -> Running {
    let text = "[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n";
    let config = from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap();
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let watcher = move |record: &Record, _| {
        let told = (record.ending, record.bytes_received, record.bytes_sent);
        tell.lock().unwrap().take().unwrap().send(told).unwrap();
    };
    let (log, metrics) = (Arc::new(AccessLog::off()), Arc::new(Metrics::new(&Clock::system())));
    let observer = Observer::new(Clock::system(), log, metrics).watched_by(&[Arc::new(watcher)]);
    let record = Arc::new(observer).open(Method::GET, Version::HTTP_11);
    let gateway = State::new(config, Clock::system(), AccessLog::off(), Brought::default()).unwrap();
    let watch = Watch::new();
    let (client, here) = duplex(holds);
    let (upstream, there) = duplex(holds);
    let tail =
        Box::new(Tail { exchange: None, flow: None, record, trail: Trail::default(), watch: Arc::clone(&watch) });
    let [up, down] = early.map(BytesMut::from);
    let here = Watched { stream: here, watch: Arc::clone(&watch) };
    let tunnel = Tunnel::new((here, up), (there, down), tail, gateway.open_tunnel());
    let patience = Patience { header: LIMIT / 60, body: LIMIT / 60, stream: LIMIT, idle: LIMIT / 60 };
    let connection = tokio::spawn(async move {
        let overdue = drive(&gateway, &watch, patience, pin!(tunnel.run())).await;
        assert_eq!(gateway.tunnels(), 0);
        overdue
    });
    Running { client, upstream, told, connection }
}

/// What comes next of one end.
async fn next(from: &mut DuplexStream, length: usize) -> String {
    let mut seen = vec![0; length];
    from.read_exact(&mut seen).await.unwrap();
    String::from_utf8(seen).unwrap()
}

/// Everything until the end.
async fn rest(from: &mut DuplexStream) -> String {
    let mut seen = String::new();
    from.read_to_string(&mut seen).await.unwrap();
    seen
}

#[tokio::test(start_paused = true)]
async fn silence_ends_it_and_bytes_of_either_way_put_that_off() {
    let Running { mut client, mut upstream, told, connection } = start(["", ""], 1024);
    let began = Instant::now();
    for _ in 0..3 {
        sleep(LIMIT - Duration::from_secs(1)).await;
        client.write_all(b"up").await.unwrap();
        assert_eq!(next(&mut upstream, 2).await, "up");
        sleep(LIMIT - Duration::from_secs(1)).await;
        upstream.write_all(b"down").await.unwrap();
        assert_eq!(next(&mut client, 4).await, "down");
    }
    let last = Instant::now();
    assert_eq!((rest(&mut client).await, rest(&mut upstream).await), (String::new(), String::new()));
    let silent = last.elapsed();
    assert!((LIMIT..LIMIT + Duration::from_millis(20)).contains(&silent), "{silent:?} of {:?}", began.elapsed());
    assert_eq!(connection.await.unwrap(), Some(Overdue::Silence));
    assert_eq!(told.await.unwrap(), (Ending::Idle, 6, 12));
}

/// Bytes that are not taken are no bytes that go through.
#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_silent_too() {
    let Running { client: _client, mut upstream, told, connection } = start(["", ""], 64);
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        while upstream.write_all(&[0; 64]).await.is_ok() {
            sent += 64;
        }
        sent
    });
    assert_eq!(connection.await.unwrap(), Some(Overdue::Silence));
    assert_eq!(told.await.unwrap(), (Ending::Idle, 0, 64));
    assert!(flood.await.unwrap() <= 4 * 64, "more was taken than one piece and what two streams hold");
}

/// What was read before goes first, whatever its size, through streams that take little at a time.
#[tokio::test(start_paused = true)]
async fn what_was_read_already_goes_first() {
    let early = ["first, ".repeat(10_000), "before, ".repeat(5_000)];
    let Running { mut client, mut upstream, told, connection } = start([&early[0], &early[1]], 7);
    let (up, down) = tokio::join!(
        async {
            client.write_all(b"then").await.unwrap();
            client.shutdown().await.unwrap();
            rest(&mut client).await
        },
        async {
            let up = rest(&mut upstream).await;
            upstream.write_all(b"after").await.unwrap();
            upstream.shutdown().await.unwrap();
            up
        }
    );
    assert!(down == format!("{}then", early[0]) && up == format!("{}after", early[1]));
    assert_eq!(connection.await.unwrap(), None);
    assert_eq!(told.await.unwrap(), (Ending::ClientClosed, 70_004, 40_005));
}

#[tokio::test(start_paused = true)]
async fn each_end_that_is_gone_is_told_of() {
    // One that is dropped is closed both ways: what is written to it fails.
    let Running { mut client, upstream, told, .. } = start(["", ""], 64);
    drop(upstream);
    assert_eq!(rest(&mut client).await, "");
    client.write_all(b"x").await.unwrap();
    assert_eq!(told.await.unwrap().0, Ending::UpstreamCut);

    let Running { client, mut upstream, told, .. } = start(["", ""], 64);
    drop(client);
    assert_eq!(rest(&mut upstream).await, "");
    upstream.write_all(b"x").await.unwrap();
    assert_eq!(told.await.unwrap().0, Ending::ClientGone);
}

/// A gateway that stops takes what it runs with it.
#[tokio::test(start_paused = true)]
async fn who_is_cut_by_the_gateway_is_told_of_as_such() {
    let Running { mut client, mut upstream, told, connection } = start(["", ""], 64);
    client.write_all(b"up").await.unwrap();
    assert_eq!(next(&mut upstream, 2).await, "up");
    connection.abort();
    assert_eq!(told.await.unwrap(), (Ending::Stopped, 2, 0));
    assert!(timeout(LIMIT, rest(&mut client)).await.unwrap().is_empty());
}
