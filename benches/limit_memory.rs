//! What a million clients under one limit take: bytes asked for, and bytes resident. `cargo bench --bench limit_memory`.
#![expect(clippy::print_stdout, reason = "a report")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;
use http::{HeaderMap, Method};
use portcullis_core::limit::{Algorithm, MemoryStore, RateLimitStore, Rule};
use portcullis_core::route::Params;
use portcullis_core::source::Facts;
use portcullis_core::subject::SubjectKey;

const CLIENTS: u32 = 1_000_000;

fn main() {
    let (key, headers) = (SubjectKey::random(), HeaderMap::new());
    let Ok(rate) = "100/day".parse() else { return };
    // All stores stay, so that none is made of memory that another one left.
    let mut stores = Vec::new();
    for algorithm in Algorithm::ALL {
        let rule = Rule::new("one", rate).algorithm(algorithm);
        let before = resident();
        let counted = measure(|| {
            let store = MemoryStore::new();
            for client in 0..CLIENTS {
                drop(black_box(store.take(&[rule.charge(&key, &facts(&headers, client))])));
            }
            stores.push(store);
        });
        println!(
            "{:<14} {CLIENTS} clients: {} MB asked for, {} MB at most, {} MB resident",
            algorithm.name(),
            counted.bytes_current / 1_000_000,
            counted.bytes_max / 1_000_000,
            (resident() - before) / 1_000_000,
        );
    }
}

fn facts(headers: &HeaderMap, client: u32) -> Facts<'_> {
    Facts {
        client: Some(IpAddr::V4(Ipv4Addr::from(client))),
        headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    }
}

/// Bytes of this process in memory; zero where there is no /proc.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
