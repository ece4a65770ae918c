//! A server that says nothing, with paused time: how long a request waits, to the millisecond.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Algorithm, RateLimitStore};
use portcullis_core::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::charge;
use crate::link::{Link, MOST_WAITING};
use crate::shared::{Parts, Shared};
use crate::{RedisStore, State};

const TIMEOUT: Duration = Duration::from_millis(25);

/// A store over a stream, and the server's end of it, which has taken the script and says nothing more.
async fn store() -> (RedisStore, DuplexStream) {
    let (client, mut server) = tokio::io::duplex(1 << 20);
    let loaded = tokio::spawn(async move {
        let mut heard = Vec::new();
        while !heard.ends_with(crate::script::SOURCE.as_bytes()) && !heard.ends_with(b"\r\n") {
            server.read_buf(&mut heard).await.unwrap();
        }
        server.write_all(b"$3\r\nsha\r\n").await.unwrap();
        server
    });
    let link = Arc::new(Link::over(client).await.unwrap());
    let parts = Parts {
        clock: Clock::system(),
        hand: None,
        prefix: "portcullis".into(),
        runtime: Handle::current(),
        timeout: TIMEOUT,
        tls: None,
        url: "redis://nowhere".parse().unwrap(),
    };
    let shared = Arc::new(Shared::new(parts));
    shared.link.store(Some(link));
    shared.regain();
    (RedisStore::kept_by(oneshot::channel().0, shared), loaded.await.unwrap())
}

/// R08, R09
#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_timeout_and_then_nobody_waits() {
    let (store, _server) = store().await;
    let start = Instant::now();
    let mut waiting = JoinSet::new();
    for client in 0..500 {
        let store = store.clone();
        waiting.spawn(async move { store.take(&[charge("silent", client, Algorithm::TokenBucket, 10)]).await });
    }
    let answers = waiting.join_all().await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(start.elapsed(), TIMEOUT);
    assert!(matches!(store.state(), State::Lost { .. }));
    for _ in 0..500 {
        let Answer::Now(Err(_)) = store.take(&[charge("silent", 1, Algorithm::TokenBucket, 10)]) else {
            panic!("nobody waits for a server that is lost")
        };
    }
    assert_eq!(start.elapsed(), TIMEOUT);
    let counters = store.counters();
    assert_eq!((counters.timeouts, counters.errors, counters.decisions), (500, 1_000, 0));
}

/// R09
#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let (store, _server) = store().await;
    let one = [charge("silent", 1, Algorithm::TokenBucket, 10)];
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| store.take(&one)).collect();
    let Answer::Now(Err(_)) = store.take(&one) else { panic!("one more waits") };
    assert_eq!(store.state(), State::Shared, "being busy is no loss");
    // Whoever leaves makes room.
    drop(waiting);
    let Answer::Later(_) = store.take(&one) else { panic!("nobody waits now") };
}

/// A connection that breaks is noticed by whoever waits, at once.
#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_no_wait() {
    let (store, server) = store().await;
    let start = Instant::now();
    let waiting = tokio::spawn(store.take(&[charge("silent", 1, Algorithm::TokenBucket, 10)]));
    tokio::task::yield_now().await;
    drop(server);
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(store.state(), State::Lost { .. }));
    assert_eq!(store.counters().timeouts, 0);
}
