//! Charges of one request in several places of a cluster, and a server of it that fails.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Mode, RateLimitStore};

use super::exact::admitted;
use super::{brisk, charge, is_lost, patient, until};
use crate::testing::{Cluster, Server};
use crate::{RedisStore, State};

/// A charge of somebody else, kept elsewhere.
fn elsewhere(than: &Charge, algorithm: Algorithm, count: u32) -> Charge {
    let mut others = (1_000..).map(|client| charge("elsewhere", client, algorithm, count));
    others.find(|other| other.subject.tag() != than.subject.tag()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_in_several_places_hold_together() {
    let cluster = Cluster::start();
    let store = patient(&cluster.url()).await;
    for algorithm in Algorithm::ALL {
        let wide = charge("wide", 1, algorithm, 10);
        let narrow = elsewhere(&wide, algorithm, 3);
        let seen = Charge { mode: Mode::Shadow, ..elsewhere(&narrow, algorithm, 10) };
        for charges in [[wide, narrow, seen], [seen, narrow, wide], [narrow, wide, seen]] {
            let verdict = store.take(&charges).await.unwrap();
            assert!(verdict.admitted, "{algorithm:?}: {verdict:?}");
            assert_eq!((charges[verdict.decided], verdict.limit), (narrow, 3), "{algorithm:?}: {verdict:?}");
        }
        for _ in 0..3 {
            let verdict = store.take(&[wide, seen, narrow]).await.unwrap();
            assert_eq!(
                (verdict.admitted, verdict.decided, verdict.remaining),
                (false, 2, 0),
                "{algorithm:?}: {verdict:?}"
            );
            assert!(verdict.would_refuse.is_empty());
        }
        // What was refused cost nobody anything.
        for (charge, left) in [(wide, 7), (Charge { mode: Mode::Enforce, ..seen }, 7)] {
            let verdict = store.take(&[Charge { cost: 0, ..charge }]).await.unwrap();
            assert_eq!(verdict.remaining, left, "{algorithm:?}: {verdict:?}");
        }
    }
}

/// R10: with several places at the same time, never one more, and what is refused is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_places() {
    let cluster = Cluster::start();
    let stores = [patient(&cluster.url()).await, patient(&cluster.url()).await];
    for algorithm in Algorithm::ALL {
        let wide = charge("wide", 2, algorithm, 200);
        let narrow = elsewhere(&wide, algorithm, 60);
        let passed = admitted(&stores, 16, &[wide, narrow]).await;
        assert!((1..=60).contains(&passed), "{algorithm:?}: {passed}");
        let more = admitted(&stores, 4, &[wide]).await;
        // A bucket is given back less than was taken, by what may have flowed in meanwhile: moments.
        let least = u32::from(algorithm != Algorithm::TokenBucket) as usize;
        assert!((199 + least..=200).contains(&(passed + more)), "{algorithm:?}: {passed} and {more}");
        // Who met another at the same instant may have been refused; afterwards nothing is in the way.
        let more = admitted(&stores, 4, &[narrow]).await;
        assert!((59 + least..=60).contains(&(passed + more)), "{algorithm:?}: {passed} and {more}");
    }
}

/// A cluster is lost as a whole, and found when all of it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_hangs() {
    let mut cluster = Cluster::start();
    let store = brisk(&cluster.url()).await;
    let limits: Vec<_> = (0..20).map(|client| charge("hang", client, Algorithm::FixedWindow, 10)).collect();
    for limit in &limits {
        assert!(store.take(&[*limit]).await.unwrap().admitted);
    }
    cluster.servers()[2].hang();
    until("it is lost", || is_lost(&store)).await;
    cluster.servers()[2].go_on();
    until("it is found again", || store.state() == State::Shared).await;
    for limit in &limits {
        assert_eq!(store.take(&[*limit]).await.unwrap().remaining, 8);
    }
}

/// R10: keys that move to another server are followed there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_move() {
    let mut cluster = Cluster::start();
    let store = patient(&cluster.url()).await;
    let limits: Vec<_> = Algorithm::ALL.map(|algorithm| charge("moves", 1, algorithm, 10)).into();
    for limit in &limits {
        assert_eq!(store.take(&[*limit]).await.unwrap().remaining, 9);
    }
    for round in 0..2 {
        if round == 0 {
            cluster.move_place(&format!("{{{:02x}}}", limits[0].subject.tag()));
        }
        for limit in &limits {
            assert_eq!(store.take(&[*limit]).await.unwrap().remaining, 8 - round);
        }
    }
    assert_eq!((store.counters().errors, store.counters().shares), (0, 0));
}

/// R10: a server that is gone, and its replica that takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over() {
    let mut cluster = Cluster::start();
    cluster.add_replica(1);
    let store = RedisStore::builder(&cluster.url()).unwrap().timeout(Duration::from_secs(1)).connect().await.unwrap();
    let limits: Vec<_> = (0..20).map(|client| charge("over", client, Algorithm::TokenBucket, 10)).collect();
    for limit in &limits {
        assert_eq!(store.take(&[*limit]).await.unwrap().remaining, 9);
    }
    let has_all = |servers: &[Server]| servers[1].keys().len() == servers[3].keys().len();
    until("the replica has it", || has_all(cluster.servers())).await;
    cluster.servers()[1].kill();
    until("it is lost", || is_lost(&store)).await;
    until("it is found again", || store.state() == State::Shared).await;
    // Each server finds out by itself, and refuses until then.
    let knows = |server: &Server| server.text(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    until("all servers know", || [0, 2, 3].iter().all(|place| knows(&cluster.servers()[*place]))).await;
    for limit in &limits {
        assert_eq!(store.take(&[*limit]).await.unwrap().remaining, 8);
    }
}
