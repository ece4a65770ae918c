//! One step, so many times: for counting its instructions, which do not depend on what else the machine does.
//!
//! ```text
//! cargo bench --bench counted --no-run
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/deps/counted-… route-10000 1000
//! ```
//!
//! What callgrind collects for 11,000 times, less what it does for 1,000, is 10,000 steps and nothing of the preparation.
//! The steps: `route-N` finds a route among N; `limited` refuses by a limit, `bad-token` by a token whose client has failed
//! too often.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue, Method, Uri};
use portcullis::config::{Config, LoadOptions, from_text_with};
use portcullis_core::admit::{self, Head, Services};
use portcullis_core::auth::Algorithm;
use portcullis_core::limit::MemoryStore;
use portcullis_core::route::{Entry, Table};
use portcullis_core::subject::SubjectKey;
use portcullis_core::testing::SigningKey;
use portcullis_core::time::Clock;
use portcullis_suite::claims;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(step), Some(times)) = (args.next(), args.next().and_then(|times| times.parse().ok())) else { return };
    match step.strip_prefix("route-").and_then(|routes| routes.parse().ok()) {
        Some(routes) => find_route(routes, times),
        None => refuse(if step == "limited" { "/limited" } else { "/me" }, times),
    }
}

fn find_route(routes: usize, times: usize) {
    let entries = (0..routes).filter_map(|number| {
        Some(Entry { pattern: format!("/svc{number}/items/{{id}}").parse().ok()?, hosts: vec![], methods: vec![] })
    });
    let Ok(table) = Table::new(entries.collect()) else { return };
    let path = format!("/svc{}/items/42", routes / 2);
    for _ in 0..times {
        black_box(table.find("shop.test", black_box(&path), &Method::GET).is_ok());
    }
}

/// Steps 1 to 3 for a request that is refused: after its first time it is by what was counted then.
fn refuse(path: &'static str, times: usize) {
    let key = SigningKey::new(Algorithm::RS256);
    let Some(config) = config(key.pem()) else { return };
    let (clock, store, subjects) = (Clock::system(), MemoryStore::new(), SubjectKey::random());
    let services = Services { clock: &clock, local: None, store: &store, subjects: &subjects };
    let bad = SigningKey::next(Algorithm::RS256).token(&claims("mallory"));
    let Ok(bad) = HeaderValue::from_str(&format!("Bearer {bad}")) else { return };
    let headers = HeaderMap::from_iter([
        (http::header::HOST, HeaderValue::from_static("shop.test")),
        (http::header::AUTHORIZATION, bad),
    ]);
    let uri = Uri::from_static(path);
    for _ in 0..times {
        let head = Head {
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            headers: black_box(&headers),
            method: &Method::GET,
            uri: &uri,
            version: http::Version::HTTP_11,
        };
        let Ok(routed) = admit::route(&config.plan, head) else { return };
        let polled = pin!(routed.admit(services)).as_mut().poll(&mut Context::from_waker(Waker::noop()));
        black_box(matches!(polled, Poll::Ready(Err(_))));
    }
}

fn config(pem: &str) -> Option<Config> {
    let text = format!(
        r#"
        [upstreams]
        app = ["http://127.0.0.1:7001"]
        [auth.users]
        kind = "jwt"
        algorithms = ["RS256"]
        public_key = """{pem}"""
        issuer = "https://login.shop.test"
        audience = ["shop"]
        failures = "1/h"
        [[routes]]
        path = "/limited"
        upstream = "app"
        auth = "none"
        limits = ["1/h"]
        [[routes]]
        path = "/me"
        upstream = "app"
        auth = "users"
        "#
    );
    from_text_with("counted", &text, &|_| None, LoadOptions::default()).ok()
}
