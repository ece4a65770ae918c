//! Leased mode on a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Algorithm, Charge, Mode, RateLimitStore};

use super::{charge, patient, until};
use crate::RedisStore;
use crate::testing::{Cluster, Server};

/// What is counted ahead: of so many in an hour, and so many more in the whole cluster.
fn leased(rule: &str, client: u32, algorithm: Algorithm, count: u32, overshoot: u32) -> Charge {
    Charge { overshoot, ..charge(rule, client, algorithm, count) }
}

/// So many stores, each of which has its part.
async fn nodes(url: &str, count: usize) -> Vec<RedisStore> {
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(patient(url).await);
    }
    until("they know of each other", || stores.iter().all(|store| store.nodes().get() as usize == count)).await;
    for (index, store) in stores.iter().enumerate() {
        let probe = leased("probe", u32::try_from(index).unwrap(), Algorithm::TokenBucket, 100_000, 10_000);
        let answers_now = || matches!(store.take(&[probe]), Answer::Now(Ok(_)));
        until("it has a part", answers_now).await;
    }
    stores
}

/// How often the script ran.
fn commands(server: &Server) -> u64 {
    let info = server.text(&["INFO", "commandstats"]);
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// What is left, by the server.
async fn left(store: &RedisStore, limit: &Charge) -> u64 {
    store.take(&[Charge { cost: 0, overshoot: 0, ..*limit }]).await.unwrap().remaining
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_admit_no_more_than_the_overshoot_allows() {
    let server = Server::start();
    let stores = nodes(&server.url(), 4).await;
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let limit = leased("hammer", 1, algorithm, 40_000, 2_000);
        let before = commands(&server);
        let (admitted, asked) = hammer(&stores, &limit).await;
        let (commands, asked) = (commands(&server) - before, u64::from(asked));
        // What nobody used is less than what nodes may hold.
        assert!((39_000..=42_000).contains(&admitted), "{algorithm:?}: {admitted}");
        let counters: Vec<_> = stores.iter().map(RedisStore::counters).collect();
        assert!(commands * 50 < asked, "{algorithm:?}: {commands} commands for {asked} requests: {counters:#?}");
    }
}

/// Takes until every store refuses. How many were admitted, and asked for.
async fn hammer(stores: &[RedisStore], limit: &Charge) -> (u32, u32) {
    let (admitted, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let callers: Vec<_> = stores
        .iter()
        .map(|store| {
            let (store, limit) = (store.clone(), *limit);
            let (admitted, asked) = (Arc::clone(&admitted), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut refused = 0;
                while refused < 500 {
                    let verdict = store.take(&[limit]).await.unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                    if verdict.admitted {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        refused = 0;
                    } else {
                        refused += 1;
                    }
                    // Some 20,000 a second, which is what a gateway does.
                    if asked.load(Ordering::Relaxed) % 20 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    (admitted.load(Ordering::Relaxed), asked.load(Ordering::Relaxed))
}

/// What was held goes back when nobody comes for a second; what was owed is paid.
#[tokio::test]
async fn what_is_not_used_goes_back() {
    let server = Server::start();
    let stores = nodes(&server.url(), 1).await;
    for algorithm in Algorithm::ALL {
        let limit = leased("idle", 1, algorithm, 1_000, 200);
        for _ in 0..40 {
            assert!(stores[0].take(&[limit]).await.unwrap().admitted);
        }
        until("it is taken ahead", || stores[0].counters().taken > 0).await;
        let mut seen = left(&stores[0], &limit).await;
        for _ in 0..1_000 {
            if (960..=961).contains(&seen) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            seen = left(&stores[0], &limit).await;
        }
        assert!((960..=961).contains(&seen), "{algorithm:?}: {seen}");
    }
    assert!(stores[0].counters().returned > 0);
}

/// A node that leaves takes nothing with it.
#[tokio::test]
async fn who_leaves_gives_back() {
    let server = Server::start();
    let mut stores = nodes(&server.url(), 2).await;
    let limit = leased("leaves", 1, Algorithm::FixedWindow, 1_000, 400);
    for _ in 0..60 {
        assert!(stores[0].take(&[limit]).await.unwrap().admitted);
    }
    until("it is taken ahead", || stores[0].counters().taken > 60).await;
    drop(stores.remove(0));
    let mut seen = 0;
    for _ in 0..500 {
        seen = left(&stores[0], &limit).await;
        if seen == 940 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{seen} are left");
}

/// With several charges all are paid or none: the ones that are decided here and those that the store decides.
#[tokio::test]
async fn charges_that_are_decided_in_two_places_hold_together() {
    let server = Server::start();
    let stores = nodes(&server.url(), 1).await;
    let wide = leased("wide", 1, Algorithm::FixedWindow, 1_000, 200);
    let narrow = charge("narrow", 1, Algorithm::FixedWindow, 10);
    let shadow = Charge { mode: Mode::Shadow, ..leased("shadow", 1, Algorithm::FixedWindow, 5, 0) };
    let mut verdicts = Vec::new();
    for _ in 0..20 {
        verdicts.push(stores[0].take(&[wide, narrow, shadow]).await.unwrap());
    }
    assert_eq!(verdicts.iter().filter(|verdict| verdict.admitted).count(), 10);
    assert_eq!(verdicts.iter().filter(|verdict| verdict.would_refuse.contains(2)).count(), 5);
    let (last, refused) = (verdicts[9], verdicts[19]);
    assert_eq!((last.decided, last.remaining, refused.decided), (1, 0, 1));
    for _ in 0..1_000 {
        if left(&stores[0], &wide).await == 990 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} are left", left(&stores[0], &wide).await);
}

/// In a Redis Cluster each place has orders of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_admits_no_more_than_the_overshoot_allows() {
    let cluster = Cluster::start();
    let stores = nodes(&cluster.url(), 2).await;
    for algorithm in Algorithm::ALL {
        for client in 10..16 {
            let limit = leased("spread", client, algorithm, 900, 90);
            let (admitted, _) = hammer(&stores, &limit).await;
            assert!((855..=990).contains(&admitted), "{algorithm:?}: {admitted}");
        }
    }
    assert!(stores.iter().all(|store| store.counters().leased > 3_000 && store.counters().errors == 0));
}

/// A part that is too small is decided by the store, to the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_too_small_is_exact() {
    let server = Server::start();
    let stores = nodes(&server.url(), 2).await;
    let limit = leased("small", 1, Algorithm::SlidingLog, 60, 3);
    assert_eq!(super::exact::admitted(&stores, 16, &[limit]).await, 60);
    assert!(stores.iter().all(|store| store.counters().narrow > 0));
}
