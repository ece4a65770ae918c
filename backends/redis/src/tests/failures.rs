//! A server that fails, in each way that servers do.

use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Algorithm, Charge, RateLimitStore};
use portcullis_core::time::Clock;
use tokio::task::JoinSet;

use super::proxy::Proxy;
use super::{brisk, charge, is_lost, patient, until};
use crate::testing::Server;
use crate::{OpenError, RedisStore, State};

/// R08, R09: a server that hangs is noticed once, costs each request one timeout at most, and is found again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs() {
    let server = Server::start();
    let store = brisk(&server.url()).await;
    let limit = charge("hang", 1, Algorithm::FixedWindow, 1_000);
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 999);
    let clock = Clock::system();
    server.hang();
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let (store, clock) = (store.clone(), clock.clone());
        waiting.spawn(async move {
            let start = clock.now();
            assert!(store.take(&[limit]).await.is_err());
            clock.now().since(start)
        });
    }
    let longest = waiting.join_all().await.into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(1), "a request waited {longest:?}");
    assert!(is_lost(&store));
    let State::Lost { since } = store.state() else { panic!("{:?}", store.state()) };
    for _ in 0..1_000 {
        let Answer::Now(Err(_)) = store.take(&[limit]) else { panic!("somebody waits") };
    }
    assert_eq!(store.state(), State::Lost { since });
    let timeouts = store.counters().timeouts;
    server.go_on();
    let back = clock.now();
    until("it is found again", || store.state() == State::Shared).await;
    let took = clock.now().since(back);
    assert!(took < Duration::from_secs(4), "found after {took:?}");
    // What was asked while it hung may have been counted; nobody was reset.
    let verdict = store.take(&[limit]).await.unwrap();
    assert!(verdict.admitted && (898..=998).contains(&verdict.remaining), "{verdict:?}");
    assert_eq!(store.counters().timeouts, timeouts);
}

/// A server that hangs is noticed though nobody asks.
#[tokio::test]
async fn a_server_that_hangs_while_nobody_asks() {
    let server = Server::start();
    let store = brisk(&server.url()).await;
    server.hang();
    until("it is lost", || is_lost(&store)).await;
    server.go_on();
    until("it is found again", || store.state() == State::Shared).await;
    assert_eq!(store.counters().timeouts, 0);
}

/// R07
#[tokio::test]
async fn a_server_that_forgets_the_script() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let limit = charge("flush", 1, Algorithm::FixedWindow, 10);
    for remaining in (0..10).rev() {
        assert_eq!(store.take(&[limit]).await.unwrap().remaining, remaining);
        server.ask(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(store.counters().errors, 0);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_nothing_else_happens() {
    let server = Server::on_port(&["--requirepass", "right"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    for wrong in [server.url(), url("canary")] {
        let error = RedisStore::connect(&wrong).await.unwrap_err();
        assert!(matches!(&error, OpenError::Unreachable(_)), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.to_lowercase().contains("auth"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    let store = RedisStore::builder(&url("canary")).unwrap().open().unwrap();
    let Answer::Now(Err(_)) = store.take(&[charge("any", 1, Algorithm::TokenBucket, 1)]) else { panic!("it waits") };
    assert_eq!((store.state(), store.subjects().is_none()), (State::Connecting, true));
    assert!(!format!("{store:?}").contains("canary"));
    patient(&url("right")).await;
}

/// What the documentation says that an account needs is enough.
#[tokio::test]
async fn an_account_with_no_more_rights_than_it_needs() {
    let server = Server::on_port(&[]);
    let rights = "+eval +evalsha +script|load +ping +get +set +del +pexpire +time +llen +lindex +lset +ltrim +rpush +lrem \
                  +zadd +zrem +zremrangebyscore +zrange +xadd +xrange +xrevrange";
    let documented = include_str!("../lib.rs").lines().map(|line| line.trim_start_matches("//! ")).collect::<Vec<_>>();
    assert!(documented.join(" ").contains(rights), "the documentation says other rights");
    let mut account = vec!["ACL", "SETUSER", "limits", "on", ">secret", "~portcullis:*"];
    account.extend(rights.split(' '));
    server.ask(&account);
    let store = patient(&format!("redis://limits:secret@127.0.0.1:{}", server.port())).await;
    for algorithm in Algorithm::ALL {
        let limit = charge("rights", 1, algorithm, 2);
        for admitted in [true, true, false] {
            assert_eq!(store.take(&[limit]).await.unwrap().admitted, admitted, "{algorithm:?}");
        }
    }
    assert_eq!(store.counters().errors, 0);
}

/// Restarted with its data it goes on where it was: quotas outlive it.
#[tokio::test]
async fn a_server_that_is_killed_and_has_kept_its_data() {
    let mut server = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = brisk(&server.url()).await;
    let limit = charge("kept", 1, Algorithm::FixedWindow, 10);
    // A busy disk may take longer than a request may wait.
    while store.counters().decisions < 4 {
        let _ = store.take(&[limit]).await;
        until("it is shared", || store.state() == State::Shared).await;
    }
    let before = patient(&server.url()).await.take(&[Charge { cost: 0, ..limit }]).await.unwrap().remaining;
    server.kill();
    until("it is lost", || is_lost(&store)).await;
    server.start_again();
    until("it is found, and has lost nothing", || store.state() == State::Shared).await;
    let after = patient(&server.url()).await.take(&[Charge { cost: 0, ..limit }]).await.unwrap().remaining;
    assert_eq!(after, before);
}

/// Who writes the URL of one server of a cluster is told what to write.
#[tokio::test]
async fn a_server_of_a_cluster_is_not_the_only_one() {
    let server = Server::on_port(&["--cluster-enabled", "yes"]);
    let error = RedisStore::connect(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let error = RedisStore::connect("unix:/nowhere/redis.sock").await.unwrap_err();
    assert!(error.to_string().starts_with("the store cannot be used: "), "{error}");
}

/// It answers, and refuses to count: an error of each request that hears it, and no loss.
#[tokio::test]
async fn a_server_whose_memory_is_full() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let limit = charge("full", 1, Algorithm::FixedWindow, 10);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.take(&[limit]).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("OOM"), "{source}");
    assert_eq!(store.state(), State::Shared);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 9);
}

/// A server that cannot write its data to disk refuses to change it, and says so; a limit's `on_failure` decides meanwhile.
#[tokio::test]
async fn a_server_whose_disk_is_full() {
    let server = Server::with(&["--save", "3600 1", "--enable-protected-configs", "yes"]);
    let store = patient(&server.url()).await;
    let limit = charge("disk", 1, Algorithm::FixedWindow, 10);
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 9);
    // Where nobody can make a file, whoever it is.
    server.ask(&["CONFIG", "SET", "dir", "/proc"]);
    server.ask(&["BGSAVE"]);
    until("it notices", || server.text(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")).await;
    let error = store.take(&[limit]).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("MISCONF"), "{source}");
    assert_eq!(store.state(), State::Shared);
    server.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 8);
}

/// R10: what the replica had goes on, and whoever writes to what is a replica now looks for the primary.
#[tokio::test]
async fn a_failover() {
    let (mut old, new) = (Server::on_port(&[]), Server::on_port(&[]));
    new.ask(&["REPLICAOF", "127.0.0.1", &old.port().to_string()]);
    let proxy = Proxy::to(old.port()).await;
    let store = patient(&proxy.url()).await;
    let limit = charge("failover", 1, Algorithm::FixedWindow, 10);
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 9);
    until("the replica has it", || new.keys().len() == old.keys().len()).await;
    // A node that comes to the replica is told so.
    let error = RedisStore::connect(&new.url()).await.unwrap_err();
    assert!(error.to_string().contains("READONLY") || error.to_string().contains("read only"), "{error}");
    old.kill();
    proxy.lead_to(new.port());
    until("it is lost", || is_lost(&store)).await;
    new.ask(&["REPLICAOF", "NO", "ONE"]);
    until("the new one is found", || store.state() == State::Shared).await;
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 8);
    // And one that is demoted while the connection stands.
    new.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(store.take(&[limit]).await.is_err());
    assert!(is_lost(&store));
    new.ask(&["REPLICAOF", "NO", "ONE"]);
    until("it is found again", || store.state() == State::Shared).await;
    assert_eq!(store.take(&[limit]).await.unwrap().remaining, 7);
}

/// R09: a network on which every answer comes too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network() {
    let server = Server::on_port(&[]);
    let proxy = Proxy::to(server.port()).await;
    let store = brisk(&proxy.url()).await;
    let limit = charge("slow", 1, Algorithm::FixedWindow, 1_000);
    assert!(store.take(&[limit]).await.unwrap().admitted);
    proxy.delay(Duration::from_millis(600));
    assert!(store.take(&[limit]).await.is_err());
    assert!(is_lost(&store));
    // It answers, but too late for a request: so it stays lost.
    let reconnects = store.counters().reconnects;
    until("it was tried again", || store.counters().reconnects > reconnects || proxy.accepted() > 3).await;
    assert!(is_lost(&store));
    let timeouts = store.counters().timeouts;
    assert!(timeouts <= 2, "each request pays: {timeouts}");
    // However many ask, one looks for it.
    let accepted = proxy.accepted();
    for _ in 0..20_000 {
        assert!(store.take(&[limit]).await.is_err());
    }
    assert!(proxy.accepted() <= accepted + 50, "a storm: {} connections", proxy.accepted() - accepted);
    proxy.delay(Duration::ZERO);
    until("it is found again", || store.state() == State::Shared).await;
    assert!(store.take(&[limit]).await.unwrap().admitted);
}

/// R09: callers that leave at any point never get, nor cause others to get, the answer to another question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_callers_that_leave() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let mut callers = JoinSet::new();
    for caller in 0..2_000_u32 {
        let store = store.clone();
        callers.spawn(async move {
            // The limit is the tag: no two callers have the same.
            let limit = charge("storm", caller, Algorithm::FixedWindow, 1_000 + caller);
            let mut asked = Box::pin(store.take(&[limit]));
            if caller % 3 > 0 {
                let turns = caller % 7;
                for _ in 0..turns {
                    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context)));
                    if polled.await.is_ready() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                return;
            }
            let verdict = asked.await.unwrap();
            assert_eq!((verdict.limit, verdict.remaining), (u64::from(1_000 + caller), u64::from(999 + caller)));
        });
    }
    callers.join_all().await;
    assert_eq!((store.state(), store.counters().errors), (State::Shared, 0));
}
