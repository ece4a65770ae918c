//! Exact, over many nodes: never one more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Mode, RateLimitStore};
use redis::Value;

use super::{charge, patient, until};
use crate::RedisStore;
use crate::testing::{Cluster, Server};

/// How many of the takes of so many callers on each of these stores are admitted, when each takes until it is refused.
pub(super) async fn admitted(stores: &[RedisStore], callers: usize, charges: &[Charge]) -> usize {
    let mut callers: Vec<_> = stores
        .iter()
        .flat_map(|store| std::iter::repeat_n(store, callers))
        .map(|store| {
            let (store, charges): (_, Arc<[Charge]>) = (store.clone(), charges.into());
            tokio::spawn(async move {
                let mut admitted = 0;
                while store.take(&charges).await.unwrap().admitted {
                    admitted += 1;
                }
                admitted
            })
        })
        .collect();
    let mut sum = 0;
    for caller in &mut callers {
        sum += caller.await.unwrap();
    }
    sum
}

async fn four(url: &str) -> [RedisStore; 4] {
    [patient(url).await, patient(url).await, patient(url).await, patient(url).await]
}

/// Every key but has a time to live.
fn assert_all_keys_expire(server: &Server) {
    let keys = server.keys();
    assert!(!keys.is_empty());
    for key in keys {
        let Value::Int(lives) = server.ask(&["PTTL", &key]) else { panic!("PTTL {key}") };
        // -2: it has just expired.
        assert!(lives > 0 || lives == -2, "{key} lives {lives}");
    }
}

/// R06, R07
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_with_many_callers_admit_exactly_the_limit() {
    let server = Server::start();
    let stores = four(&server.url()).await;
    for algorithm in Algorithm::ALL {
        let limit = charge("exact", 1, algorithm, 700);
        assert_eq!(admitted(&stores, 64, &[limit]).await, 700, "{algorithm:?}");
        let (wide, narrow) = (charge("wide", 1, algorithm, 900), charge("narrow", 2, algorithm, 300));
        assert_eq!(admitted(&stores, 16, &[wide, narrow]).await, 300, "{algorithm:?}");
        // What the narrow one refused cost the wide one nothing.
        assert_eq!(admitted(&stores, 16, &[wide]).await, 600, "{algorithm:?}");
    }
    assert_all_keys_expire(&server);
    assert!(stores.iter().all(|store| store.counters().errors == 0), "{:?}", stores[0].counters());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_admits_exactly_the_limit() {
    let mut cluster = Cluster::start();
    let stores = four(&cluster.url()).await;
    for algorithm in Algorithm::ALL {
        for client in 0..6 {
            assert_eq!(admitted(&stores, 16, &[charge("exact", client, algorithm, 90)]).await, 90, "{algorithm:?}");
        }
        // The same client under two rules: one script.
        let (one, other) = (charge("wide", 1, algorithm, 90), charge("narrow", 1, algorithm, 30));
        assert_eq!(one.subject.tag(), other.subject.tag());
        assert_eq!(admitted(&stores, 16, &[one, other]).await, 30, "{algorithm:?}");
        assert_eq!(admitted(&stores, 16, &[one]).await, 60, "{algorithm:?}");
    }
    cluster.servers().iter().for_each(assert_all_keys_expire);
}

/// What every node counts in its own memory is what it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_knows_what_it_let_through() {
    let server = Server::start();
    let stores = [patient(&server.url()).await, patient(&server.url()).await];
    let limit = charge("known", 1, Algorithm::FixedWindow, 50);
    let shadow = Charge { mode: Mode::Shadow, ..charge("seen", 1, Algorithm::FixedWindow, 10) };
    for turn in 0..20 {
        stores[turn % 2].take(&[limit, shadow]).await.unwrap();
    }
    for store in &stores {
        let local = store.local().unwrap();
        let known = local.take(&[Charge { cost: 0, ..limit }]).await.unwrap();
        assert_eq!(known.remaining, 40);
        let known = local.take(&[Charge { cost: 0, mode: Mode::Enforce, ..shadow }]).await.unwrap();
        assert_eq!(known.remaining, 5, "what a shadow limit would have refused was not spent");
    }
}

/// Nodes count each other, and those that leave are gone.
#[tokio::test]
async fn nodes_are_counted() {
    let server = Server::start();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(patient(&server.url()).await);
    }
    until("all are known", || stores.iter().all(|store| store.nodes().get() == 3)).await;
    drop(stores.pop());
    until("one has left", || stores.iter().all(|store| store.nodes().get() == 2)).await;
    // Whoever is under another prefix is no node of these.
    let other = RedisStore::builder(&server.url()).unwrap().prefix("other").timeout(Duration::from_secs(10));
    assert_eq!(other.connect().await.unwrap().nodes().get(), 1);
}

/// All nodes hash subjects alike, and after lost data as well.
#[tokio::test]
async fn subjects_are_the_same_for_all() {
    let server = Server::start();
    let (one, other) = (patient(&server.url()).await, patient(&server.url()).await);
    let key = |store: &RedisStore| store.0.shared.subjects.load_full().unwrap().0;
    assert_eq!(key(&one), key(&other));
    let before = key(&one);
    server.ask(&["FLUSHALL"]);
    let is_back = || matches!(server.ask(&["EXISTS", "portcullis:key"]), Value::Int(1));
    until("the key is offered again", is_back).await;
    let fresh = patient(&server.url()).await;
    assert_eq!([key(&fresh), key(&one), key(&other)], [before; 3]);
    let prefixes: BTreeSet<_> =
        server.keys().into_iter().map(|key| key.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(prefixes, ["portcullis".to_owned()].into());
}

/// While the server keeps its data nothing that happens to it admits one more: it hangs, is killed and started again, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_trouble_admits_none_too_many() {
    const LIMIT: u32 = 3_000;
    let mut server = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(super::brisk(&server.url()).await);
    }
    let limit = charge("trouble", 1, Algorithm::SlidingLog, 1_000);
    let bucket = charge("trouble", 1, Algorithm::TokenBucket, LIMIT);
    let counted = Arc::new(AtomicU32::new(0));
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let (store, counted) = (stores[caller % 4].clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                // Until the limit is used up. Whoever has no answer asks again: it may have been counted, and was not admitted.
                loop {
                    match store.take(&[bucket, Charge { mode: Mode::Shadow, ..limit }]).await {
                        Ok(verdict) if verdict.admitted => counted.fetch_add(1, Ordering::Relaxed),
                        Ok(_) => return,
                        Err(_) => {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            0
                        }
                    };
                }
            })
        })
        .collect();
    let enough = |part: u32| {
        let counted = Arc::clone(&counted);
        move || counted.load(Ordering::Relaxed) >= LIMIT * part / 6
    };
    until("a part is admitted", enough(1)).await;
    server.hang();
    until("it is lost", || stores.iter().all(super::is_lost)).await;
    server.go_on();
    until("more is admitted", enough(2)).await;
    server.kill();
    server.start_again();
    until("more is admitted", enough(3)).await;
    for caller in callers {
        caller.await.unwrap();
    }
    let admitted = counted.load(Ordering::Relaxed);
    // Less where somebody had no answer and was counted; never more.
    assert!((LIMIT / 2..=LIMIT).contains(&admitted), "{admitted} of {LIMIT}");
    assert!(stores.iter().all(|store| store.counters().shares == 0), "no data was lost");
}
