//! Lost data: at most one limit more, and then as if nothing had been.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Mode, RateLimitStore};
use portcullis_core::time::{Clock, UnixTime};

use super::exact::admitted;
use super::{charge, patient, until};
use crate::testing::{Cluster, Server};
use crate::{Builder, RedisStore, State};

fn is_recovering(store: &RedisStore) -> bool {
    matches!(store.state(), State::Recovering { .. })
}

/// What is left of a limit in Redis.
async fn left(store: &RedisStore, limit: Charge) -> u64 {
    store.take(&[Charge { cost: 0, ..limit }]).await.unwrap().remaining
}

/// Two nodes; one uses up sixty of a hundred, and then the server starts again with nothing in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_starts_empty() {
    let mut server = Server::start();
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let open = || RedisStore::builder(&server.url()).unwrap().manual(clock.clone()).timeout(Builder::LONGEST_TIMEOUT);
    let stores = [open().connect().await.unwrap(), open().connect().await.unwrap()];
    until("they know each other", || stores.iter().all(|store| store.nodes().get() == 2)).await;
    let limit = charge("lost", 1, Algorithm::FixedWindow, 100);
    for _ in 0..60 {
        assert!(stores[0].take(&[limit]).await.unwrap().admitted);
    }
    let fresh = open();
    server.kill();
    until("it is lost", || stores.iter().all(super::is_lost)).await;
    server.start_again();
    // The other has no limit whose data could be lost.
    until("it is found", || is_recovering(&stores[0]) && stores[1].state() == State::Shared).await;
    // Its share is fifty, and it has let sixty through.
    assert_eq!(admitted(&stores[..1], 4, &[limit]).await, 0);
    // The other goes on in Redis.
    assert_eq!(left(&stores[1], limit).await, 100);
    for _ in 0..10 {
        assert!(stores[1].take(&[limit]).await.unwrap().admitted);
    }
    // Who comes now has no other data to remember.
    let fresh = fresh.connect().await.unwrap();
    assert_eq!((fresh.state(), left(&fresh, limit).await), (State::Shared, 90));
    hand.advance(Duration::from_secs(601));
    assert_eq!(stores[0].state(), State::Shared, "ten minutes at most");
    assert_eq!(admitted(&stores, 4, &[limit]).await, 90);
    // In all 160 of a hundred in this hour: less than one limit more.
    assert!(stores[0].counters().shares > 0);
}

/// Whoever knew the data shares what there is, and counts it behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_is_lost_costs_at_most_one_limit() {
    for algorithm in Algorithm::ALL {
        let server = Server::start();
        let stores = [
            patient(&server.url()).await,
            patient(&server.url()).await,
            patient(&server.url()).await,
            patient(&server.url()).await,
        ];
        until("they know each other", || stores.iter().all(|store| store.nodes().get() == 4)).await;
        let limit = charge("lost", 1, algorithm, 80);
        // All know the data; one has let through nearly all of the limit.
        for store in &stores {
            assert!(store.take(&[limit]).await.unwrap().admitted);
        }
        assert_eq!(admitted(&stores[..1], 4, &[limit]).await, 76);
        server.ask(&["FLUSHALL"]);
        // The first request after it sees it.
        let more = admitted(&stores, 8, &[limit]).await;
        assert!(stores.iter().all(is_recovering), "{algorithm:?}");
        let known = if algorithm == Algorithm::TokenBucket { 1..=80 } else { 57..=57 };
        assert!(known.contains(&more), "{algorithm:?}: {more} more");
        // What was admitted meanwhile is in the new data.
        let fresh = patient(&server.url()).await;
        let expected = 80 - u64::try_from(more).unwrap();
        let mut seen = left(&fresh, limit).await;
        for _ in 0..1_000 {
            if seen == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            seen = left(&fresh, limit).await;
        }
        assert_eq!(seen, expected, "{algorithm:?}");
        assert_eq!(stores[1].counters().errors, 0);
    }
}

/// A shadow limit is counted behind as well, and refuses nothing.
#[tokio::test]
async fn a_shadow_limit_is_shared_too() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let limit = charge("lost", 1, Algorithm::FixedWindow, 100);
    let shadow = Charge { mode: Mode::Shadow, ..charge("seen", 1, Algorithm::FixedWindow, 3) };
    assert!(store.take(&[limit, shadow]).await.unwrap().admitted);
    server.ask(&["FLUSHALL"]);
    let mut told = Vec::new();
    for _ in 0..4 {
        let verdict = store.take(&[limit, shadow]).await.unwrap();
        assert!(verdict.admitted);
        told.push(verdict.would_refuse.contains(1));
    }
    assert_eq!(told, [false, false, true, true]);
    assert!(is_recovering(&store));
}

/// In a cluster the server that lost its data is one of several.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_cluster_that_is_lost() {
    let mut cluster = Cluster::start();
    let store = patient(&cluster.url()).await;
    let limits: Vec<_> = (0..30).map(|client| charge("part", client, Algorithm::FixedWindow, 10)).collect();
    for limit in &limits {
        assert_eq!(admitted(std::slice::from_ref(&store), 2, &[*limit]).await, 10);
    }
    cluster.servers()[1].ask(&["FLUSHALL"]);
    let mut more = 0;
    for limit in &limits {
        more += admitted(std::slice::from_ref(&store), 2, &[*limit]).await;
    }
    // The only node has let through the whole of each, and remembers.
    assert_eq!(more, 0);
    assert!(is_recovering(&store));
}
