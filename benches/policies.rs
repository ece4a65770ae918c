//! What each step costs, through the public API. `cargo bench -p portcullis-suite`.

use std::future::Future;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use portcullis::config::{LoadOptions, from_text_with};
use portcullis_core::Answer;
use portcullis_core::admit::{self, Head, Services};
use portcullis_core::auth::{Algorithm as Signature, IdentityHeaders, JwtVerifier, KeySet, TokenVerifier, bearer};
use portcullis_core::headers::{self, Forwarding, Proto};
use portcullis_core::limit::{Algorithm, HeaderFamilies, MemoryStore, Policies, RateLimitStore, Rule};
use portcullis_core::route::{Entry, Params, Table, canonical_host, canonicalise};
use portcullis_core::source::{Facts, Source};
use portcullis_core::subject::SubjectKey;
use portcullis_core::testing::SigningKey;
use portcullis_core::time::Clock;
use portcullis_core::upstream::{
    Ask, Breaker, Eject, LeastRequest, PeakEwma, Pool, Roster, RosterSettings, RoundRobin, Snapshot,
};
use portcullis_suite::{SECRET, claims, token};

/// The value of an answer that is there at once.
fn now<T: Unpin + 'static>(answer: Answer<T>) -> Option<T> {
    match std::pin::pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn table(routes: usize) -> Option<Table> {
    let entries = (0..routes).map(|number| {
        Some(Entry { pattern: format!("/svc{number}/items/{{id}}").parse().ok()?, hosts: vec![], methods: vec![] })
    });
    Table::new(entries.collect::<Option<_>>()?).ok()
}

fn route(c: &mut Criterion) {
    c.bench_function("route/canonical path", |b| b.iter(|| canonicalise(black_box("/svc7/items/42")).is_ok()));
    c.bench_function("route/canonical host", |b| b.iter(|| canonical_host(black_box("shop.test:8080")).is_ok()));
    for routes in [1, 100, 1000, 10_000] {
        let Some(table) = table(routes) else { continue };
        let path = format!("/svc{}/items/42", routes / 2);
        c.bench_function(&format!("route/find among {routes}"), |b| {
            b.iter(|| table.find("shop.test", black_box(&path), &Method::GET).is_ok());
        });
    }
}

fn authenticate(c: &mut Criterion) {
    let builder = || JwtVerifier::hs256(SECRET).issuer("https://login.shop.test").audience("shop").build();
    let (Ok(verifier), clock, token) = (builder(), Clock::system(), token("ada")) else { return };
    c.bench_function("authenticate/remembered token", |b| {
        b.iter(|| now(verifier.verify(black_box(&token), clock.unix())));
    });
    c.bench_function("authenticate/HS256 from scratch", |b| {
        b.iter_batched_ref(
            builder,
            |fresh| fresh.as_ref().ok().and_then(|fresh| now(fresh.verify(black_box(&token), clock.unix()))),
            criterion::BatchSize::SmallInput,
        );
    });
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        let _ = headers.try_insert(http::header::AUTHORIZATION, value);
    }
    c.bench_function("authenticate/bearer", |b| b.iter(|| bearer(black_box(&headers)).is_ok()));
}

/// Public keys, cold: more tokens than are remembered, one after the other, beside the library with the same checks.
fn signatures(c: &mut Criterion) {
    let clock = Clock::system();
    for algorithm in [Signature::RS256, Signature::ES256, Signature::EdDSA] {
        let key = SigningKey::new(algorithm);
        let tokens: Vec<_> = (0..5000).map(|number| key.token(&claims(&format!("user-{number}")))).collect();
        let Ok(keys) = KeySet::from_pem(key.pem()) else { return };
        let verifier =
            JwtVerifier::keys(keys).algorithms([algorithm]).issuer("https://login.shop.test").audience("shop").build();
        let Ok(verifier) = verifier else { return };
        let mut next = tokens.iter().cycle();
        c.bench_function(&format!("signature/{algorithm} cold"), |b| {
            b.iter(|| next.next().and_then(|token| now(verifier.verify(black_box(token), clock.unix()))?.ok()));
        });
        let library = Library::new(algorithm, key.pem());
        c.bench_function(&format!("signature/{algorithm} by the library"), |b| {
            b.iter(|| next.next().map(|token| library.decode(black_box(token))));
        });
    }
}

/// What the library does by itself, told to check what we check.
struct Library {
    key: Option<jsonwebtoken::DecodingKey>,
    validation: jsonwebtoken::Validation,
}

impl Library {
    fn new(algorithm: Signature, pem: &str) -> Self {
        let (key, algorithm) = match algorithm {
            Signature::RS256 => {
                (jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()), jsonwebtoken::Algorithm::RS256)
            }
            Signature::ES256 => {
                (jsonwebtoken::DecodingKey::from_ec_pem(pem.as_bytes()), jsonwebtoken::Algorithm::ES256)
            }
            _ => (jsonwebtoken::DecodingKey::from_ed_pem(pem.as_bytes()), jsonwebtoken::Algorithm::EdDSA),
        };
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_issuer(&["https://login.shop.test"]);
        validation.set_audience(&["shop"]);
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self { key: key.ok(), validation }
    }

    fn decode(&self, token: &str) -> bool {
        let Some(key) = &self.key else { return false };
        jsonwebtoken::decode::<serde_json::Map<String, serde_json::Value>>(token, key, &self.validation).is_ok()
    }
}

/// A flood of bad tokens, once its client is over `failures`, beside a flood that a limit refuses.
fn refusals(c: &mut Criterion) {
    let key = SigningKey::new(Signature::RS256);
    let text = format!(
        r#"
        [upstreams]
        app = ["http://127.0.0.1:7001"]
        [auth.users]
        kind = "jwt"
        algorithms = ["RS256"]
        public_key = """{}"""
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
        "#,
        key.pem()
    );
    let Ok(config) = from_text_with("bench", &text, &|_| None, LoadOptions::default()) else { return };
    let (clock, store, subjects) = (Clock::system(), MemoryStore::new(), SubjectKey::random());
    let services = Services { clock: &clock, local: None, store: &store, subjects: &subjects };
    let bad = SigningKey::next(Signature::RS256).token(&claims("mallory"));
    let mut headers = HeaderMap::new();
    let _ = headers.try_insert("host", HeaderValue::from_static("shop.test"));
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {bad}")) {
        let _ = headers.try_insert("authorization", value);
    }
    for (name, path) in [("429 by a limit", "/limited"), ("bad token over `failures`", "/me")] {
        let Ok(uri) = path.parse() else { return };
        let head = Head {
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            headers: &headers,
            method: &Method::GET,
            uri: &uri,
            version: http::Version::HTTP_11,
        };
        c.bench_function(&format!("refuse/{name}"), |b| {
            b.iter(|| {
                let routed = admit::route(&config.plan, head).ok()?;
                let mut admitting = std::pin::pin!(routed.admit(services));
                match admitting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(result) => Some(result.is_err()),
                    Poll::Pending => None,
                }
            });
        });
    }
}

fn limit(c: &mut Criterion) {
    let (store, key, headers) = (MemoryStore::new(), SubjectKey::random(), HeaderMap::new());
    let Ok(rate) = "1000000000/s".parse() else { return };
    let rules = [
        Rule::new("one", rate),
        Rule::new("two", rate).keyed_by(Source::identity_or_client()),
        Rule::new("three", rate).keyed_by(Source::identity_or_client()),
    ];
    for (name, rules) in [("one limit", &rules[..1]), ("three limits", &rules[..])] {
        c.bench_function(&format!("limit/{name}"), |b| {
            b.iter(|| {
                let charges: [_; 3] =
                    std::array::from_fn(|i| rules.get(i).map(|rule| rule.charge(&key, &facts(&headers, 7))));
                let charges: Vec<_> = charges.into_iter().flatten().collect();
                now(store.take(black_box(&charges)))
            });
        });
    }
    let mut client = 0_u32;
    c.bench_function("limit/a new client each time", |b| {
        b.iter(|| {
            client = client.wrapping_add(1);
            now(store.take(&[rules[0].charge(&key, &facts(&headers, client))]))
        });
    });
}

fn limit_by_algorithm_and_size(c: &mut Criterion) {
    let (store, key, headers) = (MemoryStore::new(), SubjectKey::random(), HeaderMap::new());
    let Ok(slow) = "1000/day".parse() else { return };
    for algorithm in Algorithm::ALL {
        let rule = Rule::new("algorithm", slow).algorithm(algorithm);
        c.bench_function(&format!("limit/{}", algorithm.name()), |b| {
            b.iter(|| now(store.take(&[rule.charge(&key, &facts(&headers, black_box(7)))])));
        });
    }
    for clients in [1, 1_000, 1_000_000] {
        let (store, rule) = (MemoryStore::new(), Rule::new("among", slow));
        (0..clients).for_each(|client| drop(now(store.take(&[rule.charge(&key, &facts(&headers, client))]))));
        let mut random = 1_u32;
        c.bench_function(&format!("limit/among {clients} clients"), |b| {
            b.iter(|| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                now(store.take(&[rule.charge(&key, &facts(&headers, (random >> 8) % clients))]))
            });
        });
    }
    let told = [Arc::new(Rule::new("per-user", slow))];
    if let Some(Ok(verdict)) = now(store.take(&[told[0].charge(&key, &facts(&headers, 7))])) {
        let (policies, mut fields) = (Policies::new(&told), HeaderMap::with_capacity(16));
        c.bench_function("limit/headers", |b| {
            b.iter(|| {
                fields.clear();
                policies.write(black_box(&verdict), HeaderFamilies::default(), &mut fields);
            });
        });
    }
}

fn facts(headers: &HeaderMap, client: u32) -> Facts<'_> {
    Facts {
        client: Some(IpAddr::V4(Ipv4Addr::from(client))),
        headers,
        host: "shop.test",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/orders/7",
        query: None,
    }
}

fn pick(c: &mut Criterion) {
    let snapshot = || {
        let servers = (1..=10).filter_map(|port| format!("http://127.0.0.1:{port}").parse().ok());
        Snapshot::new(servers.map(|url| (url, NonZeroU32::MIN)), None)
    };
    let turns = Pool::new("turns", snapshot(), Arc::new(RoundRobin::new(&snapshot())));
    let least = Pool::new("least", snapshot(), Arc::new(LeastRequest));
    let mut random = 1_u64;
    let mut ask = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Ask { key: None, tried: &[], random }
    };
    c.bench_function("pick/round-robin", |b| b.iter(|| turns.lease(&ask())));
    c.bench_function("pick/least-request", |b| b.iter(|| least.lease(&ask())));
    let ewma = Pool::new("ewma", snapshot(), Arc::new(PeakEwma));
    for (member, latency) in ewma.snapshot().members().iter().zip(1..) {
        member.endpoint.observe(Duration::from_millis(latency), Clock::system().now());
    }
    c.bench_function("pick/peak-ewma", |b| b.iter(|| ewma.lease(&ask())));
    roster(c, &snapshot());
    let (breaker, clock) = (Breaker::consecutive(5).build(), Clock::system());
    c.bench_function("pick/breaker permit", |b| {
        b.iter(|| breaker.permit(clock.now()).map(|permit| permit.settle(true, clock.now())).is_ok());
    });
}

/// What a roster adds to a request: its pool, and what came of it.
fn roster(c: &mut Criterion, snapshot: &Snapshot) {
    let settings = RosterSettings { eject: Some(Eject::default()), ..RosterSettings::default() };
    let (clock, members) = (Clock::system(), snapshot.members().to_vec());
    let roster = Roster::new("roster", members, |_| Arc::new(LeastRequest), settings, clock.now());
    c.bench_function("pick/roster", |b| {
        b.iter(|| {
            let now = clock.now();
            let lease = roster.pool(now).lease(&Ask { key: None, tried: &[], random: 7 })?;
            lease.observe(Duration::from_millis(1), now);
            roster.settle(lease.endpoint(), true, now);
            Some(lease)
        });
    });
}

fn fields(c: &mut Criterion) {
    let mut request = HeaderMap::new();
    for (name, value) in [("host", "shop.test"), ("user-agent", "curl/8"), ("accept", "*/*"), ("x-trace", "abc")] {
        let _ = request.try_insert(name, HeaderValue::from_static(value));
    }
    let identities = IdentityHeaders::new(&[http::HeaderName::from_static("x-user-id")]);
    let mut forwarding = Forwarding::new(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), Proto::Http);
    c.bench_function("fields/inbound", |b| {
        b.iter_batched_ref(
            || request.clone(),
            |fields| {
                let _ = headers::remove_hop_by_hop(fields);
                headers::erase_forwarding(fields);
                identities.strip(fields);
                headers::request_id(fields, 7)
            },
            criterion::BatchSize::SmallInput,
        );
    });
    c.bench_function("fields/outbound", |b| {
        b.iter_batched_ref(
            || request.clone(),
            |fields| {
                let host = fields.get("host").cloned();
                let _ = forwarding.write(fields, host.as_ref());
                headers::continue_trace(fields, 7, 7).value()
            },
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(policies, route, authenticate, signatures, refusals, limit, limit_by_algorithm_and_size, pick, fields);
criterion_main!(policies);
