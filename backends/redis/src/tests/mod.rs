//! On real servers.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, Method};
use portcullis_core::limit::{Algorithm, Charge, Mode, Quota, Rule};
use portcullis_core::route::Params;
use portcullis_core::source::Facts;
use portcullis_core::subject::SubjectKey;

use crate::{RedisStore, State};

mod clock;
mod cluster;
mod conformance;
mod exact;
mod failures;
mod near;
mod proxy;
mod recovery;
mod silent;
mod tls;

/// What a client with this number is charged under a rule: 1 of so many in an hour.
fn charge(rule: &str, client: u32, algorithm: Algorithm, count: u32) -> Charge {
    let quota = quota(algorithm, count, Duration::from_secs(3_600));
    let headers = HeaderMap::new();
    let facts = Facts {
        client: Some(IpAddr::V4(Ipv4Addr::from_bits(client))),
        headers: &headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    let rule = Rule::new(rule, "1/s".parse().unwrap());
    Charge { quota, mode: Mode::Enforce, ..rule.charge(&SubjectKey::from_bytes([7; 16]), &facts) }
}

fn quota(algorithm: Algorithm, count: u32, period: Duration) -> Quota {
    let count = NonZeroU32::new(count).unwrap();
    Quota { count, period, burst: count, algorithm }
}

/// A store that waits as long as a busy machine needs.
async fn patient(url: &str) -> RedisStore {
    RedisStore::builder(url).unwrap().timeout(Duration::from_secs(10)).connect().await.unwrap()
}

/// A store whose requests may wait a quarter of a second.
async fn brisk(url: &str) -> RedisStore {
    RedisStore::builder(url).unwrap().timeout(Duration::from_millis(250)).connect().await.unwrap()
}

/// Polls until it has happened.
async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in 20 s it did not happen that {what}");
}

fn is_lost(store: &RedisStore) -> bool {
    matches!(store.state(), State::Lost { .. })
}
