//! The warm path of the policies allocates nothing: counted, not believed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use portcullis_core::Answer;
use portcullis_core::admit::{Head, Services, authenticate, route};
use portcullis_core::auth::{
    ApiKey, ApiKeyVerifier, Auth, Forward, JwtVerifier, KeyHash, Scheme, TokenSources, TokenVerifier,
};
use portcullis_core::headers::{Family, Proto, TrustedProxies};
use portcullis_core::layer::{AdmitLayer, AuthenticateLayer, RateLimitLayer};
use portcullis_core::limit::{Algorithm, MemoryStore, Mode, Policies, RateLimitStore, Rule};
use portcullis_core::plan::{Share, Split, UpstreamIndex};
use portcullis_core::route::{Entry, Params, Table, canonical_host, canonicalise};
use portcullis_core::source::{Facts, Source};
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::Clock;
use portcullis_core::upstream::{Ask, Breaker, Hash, LeastRequest, Pool, RoundRobin, Snapshot};
use portcullis_suite::{Gateway, SECRET, token};
use tower_layer::Layer;
use tower_service::Service;

/// The value of an answer that is there at once.
fn now<T: Unpin + 'static>(answer: Answer<T>) -> T {
    match std::pin::pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory answers at once"),
    }
}

use std::future::Future;

/// How often `warm` allocates in its hundredth to two hundredth run.
fn allocations(mut warm: impl FnMut()) -> u64 {
    (0..100).for_each(|_| warm());
    measure(|| (0..100).for_each(|_| warm())).count_total
}

#[test]
fn routing_allocates_nothing() {
    let entries = (0..1000).map(|number| Entry {
        pattern: format!("/svc{number}/items/{{id}}/**").parse().unwrap(),
        hosts: vec!["shop.test".parse().unwrap()],
        methods: vec![],
    });
    let table = Table::new(entries.collect()).unwrap();
    let count = allocations(|| {
        let host = canonical_host("shop.test:8080").unwrap();
        let path = canonicalise("/svc500/items/7/a/b").unwrap();
        let found = table.find(&host, path.as_str(), &Method::GET).unwrap();
        assert_eq!(table.params(&found, path.as_str()).get("id"), Some("7"));
    });
    assert_eq!(count, 0);
}

#[test]
fn limiting_allocates_nothing() {
    let store = MemoryStore::new();
    let key = SubjectKey::random();
    let headers = HeaderMap::new();
    let facts = Facts {
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        headers: &headers,
        host: "shop.test",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/orders/7",
        query: None,
    };
    let rule = |name: &str, source: Source| Rule::new(name, "1000000/s".parse().unwrap()).keyed_by(source);
    let rules = [
        rule("a", Source::identity_or_client()),
        rule("b", "host+path".parse().unwrap()),
        rule("c", "everyone".parse().unwrap()),
    ];
    let count = allocations(|| {
        let charges = [0, 1, 2].map(|number: usize| rules[number].charge(&key, &facts));
        assert!(now(store.take(&charges)).unwrap().admitted);
        assert!(now(store.take(&charges[..1])).unwrap().admitted);
    });
    assert_eq!(count, 0);
}

/// Whatever the algorithm; a log only while it grows, and never again once it is full.
#[test]
fn limiting_allocates_nothing_by_any_algorithm() {
    let (key, headers) = (SubjectKey::random(), HeaderMap::new());
    for algorithm in Algorithm::ALL {
        let store = MemoryStore::new();
        let rule = |name: &str| Rule::new(name, "50/day".parse().unwrap()).algorithm(algorithm);
        let rules = [rule("enforced"), rule("watched").mode(Mode::Shadow), rule("too")];
        let count = allocations(|| {
            let charges = [0, 1, 2].map(|number: usize| rules[number].charge(&key, &client(&headers, 7)));
            let _ = now(store.take(&charges)).unwrap();
        });
        assert_eq!(count, 0, "{algorithm:?}");
    }
}

/// A million clients under one limit take at most 150 MB: bytes that were really asked for, at the fill at which every part
/// of the map has just doubled. A sliding log takes its times besides.
#[test]
fn a_client_takes_at_most_150_bytes() {
    const CLIENTS: u32 = 120_000;
    let (key, headers) = (SubjectKey::random(), HeaderMap::new());
    for (algorithm, most) in [
        (Algorithm::TokenBucket, 150),
        (Algorithm::FixedWindow, 150),
        (Algorithm::SlidingWindow, 150),
        (Algorithm::SlidingLog, 150 + 48 + 8),
    ] {
        let rule = Rule::new("one", "100/day".parse().unwrap()).algorithm(algorithm);
        let mut kept = None;
        let counted = measure(|| {
            let store = MemoryStore::new();
            for number in 0..CLIENTS {
                let _ = now(store.take(&[rule.charge(&key, &client(&headers, number))])).unwrap();
            }
            kept = Some(store);
        });
        assert_eq!(kept.unwrap().stats().keys, CLIENTS as usize);
        let each = counted.bytes_current / i64::from(CLIENTS);
        assert!(each <= most, "{algorithm:?}: {each} bytes a client");
    }
}

fn client(headers: &HeaderMap, number: u32) -> Facts<'_> {
    Facts {
        client: Some(IpAddr::V4(Ipv4Addr::from(number))),
        headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    }
}

#[test]
fn a_remembered_token_allocates_nothing() {
    let verifier = JwtVerifier::hs256(SECRET).issuer("https://login.shop.test").audience("shop").build().unwrap();
    let (token, clock) = (token("ada"), Clock::system());
    let count = allocations(|| {
        let identity = now(verifier.verify(&token, clock.unix())).unwrap();
        assert_eq!(identity.id(), "ada");
    });
    assert_eq!(count, 0);
}

/// Who a request is from, what its upstream is told of it, and the token's way there: nothing is made anew.
#[test]
fn a_remembered_identity_allocates_nothing() {
    let key = "pk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    let known = ApiKey { claims: serde_json::Map::new(), expires: None, hash: KeyHash::of(key), id: "acme".to_owned() };
    let partners = Auth {
        failures: Some(Arc::new(Rule::new("failures", "1/h".parse().unwrap()))),
        forward: [Forward { header: "x-partner-id".parse().unwrap(), claim: "id".into() }].into(),
        scheme: Scheme::ApiKey,
        token: TokenSources::new(["header:x-api-key", "cookie:key", "query:key"].map(|place| place.parse().unwrap())),
        ..Auth::bearer("partners", Arc::new(ApiKeyVerifier::new("partners", [known]).unwrap()))
    };
    let verifier = JwtVerifier::hs256(SECRET).issuer("https://login.shop.test").audience("shop").build().unwrap();
    let users = Auth {
        forward: [Forward { header: "x-user-id".parse().unwrap(), claim: "sub".into() }].into(),
        ..Auth::bearer("users", Arc::new(verifier))
    };
    let (clock, store, subjects) = (Clock::system(), MemoryStore::new(), SubjectKey::random());
    let services = Services { clock: &clock, local: None, store: &store, subjects: &subjects };
    let bearer = format!("Bearer {}", token("ada"));
    let sent: [(&str, &str, Option<&str>, &str); 4] = [
        ("authorization", &bearer, None, "ada"),
        ("x-api-key", key, None, "acme"),
        ("cookie", &format!("a=b; key={key}"), None, "acme"),
        ("x-none", "", Some(&format!("a=b&key={key}")), "acme"),
    ];
    for (name, value, query, id) in sent {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        let facts = Facts {
            client: None,
            headers: &headers,
            host: "",
            identity: None,
            method: &Method::GET,
            params: Params::EMPTY,
            path: "/",
            query,
        };
        let count = allocations(|| {
            let mut asked = std::pin::pin!(authenticate([&users, &partners].into_iter(), &facts, services));
            let accepted = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(accepted)) = accepted else { panic!("a good token") };
            assert_eq!((accepted.identity.id(), accepted.claims.iter().count()), (id, 1));
        });
        assert_eq!(count, 0, "{name}");
    }
}

const GUARDED: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
[[routes]]
path = "/orders/{id}"
auth = "users"
limits = ["900/ms", "800/ms"]
respond = { status = 200, body = "here" }
"#;

/// What nobody waits for.
fn at_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("all is at hand"),
    }
}

/// Steps 1 to 3 of a request whose token is remembered: route, verify, take.
#[test]
fn a_warm_admission_allocates_nothing() {
    let plan = Gateway::config(GUARDED).unwrap().plan;
    let (clock, store, subjects) = (Clock::system(), MemoryStore::new(), SubjectKey::random());
    let services = Services { clock: &clock, local: None, store: &store, subjects: &subjects };
    let request = request();
    let count = allocations(|| {
        let head = Head {
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            headers: request.headers(),
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
        };
        let admitted = at_once(route(&plan, head).unwrap().admit(services)).unwrap();
        assert_eq!(admitted.identity.unwrap().id(), "ada");
    });
    assert_eq!(count, 0);
}

fn request() -> Request<()> {
    let bearer = format!("Bearer {}", token("ada"));
    Request::builder().uri("/orders/7").header("host", "shop.test").header("authorization", bearer).body(()).unwrap()
}

/// Answers with room for what a layer says.
#[derive(Clone)]
struct Roomy;

impl Service<Request<()>> for Roomy {
    type Response = Response<()>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response<()>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let mut response = Response::new(());
        response.headers_mut().reserve(16);
        std::future::ready(Ok(response))
    }
}

/// What a layer adds is what it puts into the request's extensions (a box for each, and the map that holds them) and the one
/// header value that is made anew: numbers below a thousand are static.
#[test]
fn a_layer_adds_what_it_puts_into_extensions() {
    const MAP: u64 = 2;
    const VALUE: u64 = 1;
    let verifier = JwtVerifier::hs256(SECRET).issuer("https://login.shop.test").audience("shop").build().unwrap();
    let rule = Rule::new("per-user", "900/ms".parse().unwrap());
    let two = AuthenticateLayer::new(verifier).layer(RateLimitLayer::new(MemoryStore::new(), rule).layer(Roomy));
    let plan = AdmitLayer::new(Gateway::config(GUARDED).unwrap().plan, MemoryStore::new()).layer(Roomy);
    let bare = counted(Roomy);
    assert_eq!(counted(two) - bare, 100 * (MAP + VALUE + 1), "the identity");
    assert_eq!(counted(plan) - bare, 100 * (MAP + VALUE + 3), "the identity, the route, and its parameters' text");
}

fn counted<R>(mut service: impl Service<Request<()>, Response = Response<R>>) -> u64 {
    let request = request();
    allocations(|| {
        let status = at_once(service.call(request.clone())).map(|answer| answer.status());
        assert!(status.is_ok_and(|status| status == 200));
    })
}

#[test]
fn picking_allocates_nothing() {
    let snapshot = || {
        let servers = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"];
        Snapshot::new(servers.map(|url| (url.parse().unwrap(), std::num::NonZeroU32::MIN)), None)
    };
    let turns = Pool::new("turns", snapshot(), Arc::new(RoundRobin::new(&snapshot())));
    let least = Pool::new("least", snapshot(), Arc::new(LeastRequest));
    let hash = Pool::new("hash", snapshot(), Arc::new(Hash::new(&snapshot())));
    let (breaker, clock) = (Breaker::consecutive(5).build(), Clock::system());
    let mut random = 1_u64;
    let count = allocations(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let permit = breaker.permit(clock.now()).unwrap();
        let ask = Ask { key: Some(random), tried: &[], random };
        let _leases = [&turns, &least, &hash].map(|pool| pool.lease(&ask).unwrap());
        permit.settle(true, clock.now());
    });
    assert_eq!(count, 0);
}

/// Who is behind a proxy is found without an allocation; where nobody is trusted, nothing is even looked at.
#[test]
fn finding_the_client_allocates_nothing() {
    let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let told =
        |name: &'static str, value: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let fields = HeaderMap::from_iter([
        told("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.1"),
        told("x-forwarded-proto", "https"),
        told("forwarded", "for=6.6.6.6, for=\"[2001:db8::7]:443\";proto=https, for=10.0.0.1"),
    ]);
    let networks = || ["127.0.0.0/8", "10.0.0.0/8"].map(|network| network.parse().unwrap());
    let nobody = TrustedProxies::default();
    let by_list = TrustedProxies::new(networks(), Family::XForwardedFor);
    let by_element = TrustedProxies::new(networks(), Family::Forwarded);
    let client = |proxies: &TrustedProxies| proxies.arrival(peer, Proto::Http, &fields).client.unwrap();
    let count = allocations(|| {
        assert_eq!(Some(client(&nobody)), peer);
        assert_eq!(client(&by_list), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
        assert!(client(&by_element).is_ipv6());
    });
    assert_eq!(count, 0);
}

#[test]
fn choosing_among_a_split_allocates_nothing() {
    let share = |name, index| Share::new(name, UpstreamIndex(index), 50);
    let by = "cookie:session".parse().unwrap();
    let split = Split::new(Some(by), [share("orders", 0), share("next", 1)]).unwrap();
    let headers = HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_static("a=b; session=7"))]);
    let facts = Facts {
        client: None,
        headers: &headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    let without = Facts { headers: &HeaderMap::new(), ..facts };
    let count = allocations(|| {
        assert_eq!(split.choose(&facts, 1), split.choose(&facts, u64::MAX));
        assert_ne!(split.choose(&without, 1), split.choose(&without, u64::MAX));
    });
    assert_eq!(count, 0);
}

/// What a client is told costs the one value that is made anew; numbers below a thousand are static.
#[test]
fn limit_headers_cost_their_values() {
    let rules = [Arc::new(Rule::new("per-user", "100/min".parse().unwrap()))];
    let policies = Policies::new(&rules);
    let store = MemoryStore::new();
    let key = SubjectKey::random();
    let headers = HeaderMap::new();
    let facts = Facts {
        client: None,
        headers: &headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    let verdict = now(store.take(&[rules[0].charge(&key, &facts)])).unwrap();
    let mut out = HeaderMap::with_capacity(16);
    let count = allocations(|| {
        out.clear();
        policies.write(&verdict, portcullis_core::limit::HeaderFamilies::default(), &mut out);
        assert_eq!(out.len(), 5);
    });
    assert_eq!(count, 100, "one for each answer");
}

/// All that core has to say of a request that is answered with what is stored, and of an answer that comes.
#[test]
fn a_hit_in_the_cache_allocates_nothing() {
    use portcullis_core::caching::{
        Answered, Ask, CacheStatus, KeyRoute, Origin, Reuse, Scheme, Sent, reuse, sent, storable, write_key,
    };
    use portcullis_core::plan::CacheRule;

    let fields = |lines: &[(&'static str, &'static str)]| -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(field).collect()
    };
    let asked = fields(&[
        ("host", "shop.test:8080"),
        ("accept-encoding", "gzip, br"),
        ("if-none-match", "\"b\", \"a\""),
        ("cache-control", "max-age=30, max-stale=5"),
    ]);
    let answer = fields(&[
        ("cache-control", "public, max-age=60, stale-if-error=600"),
        ("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
        ("etag", "\"a\""),
        ("vary", "accept-encoding"),
    ]);
    let (clock, rule) = (Clock::system(), CacheRule::on());
    let (uri, query) = ("/orders?page=2".parse().unwrap(), Some("page=2"));
    let facts = Facts { headers: &asked, query, ..client(&asked, 7) };
    let ask = Ask::of(&rule, &facts, false).unwrap();
    let (received, wall) = (clock.now(), clock.unix());
    let answered = Answered { status: http::StatusCode::OK, headers: &answer, asked: received, received, wall };
    // The age of an answer is that of its date: it is as fresh as one that came now.
    let fresh = Answered { wall: portcullis_core::time::UnixTime::from_secs(1_795_521_600), ..answered };
    let stored = storable(&rule, &ask, &fresh, &|_| false).unwrap();
    let mut buffer = Vec::with_capacity(256);
    let count = allocations(|| {
        let ask = Ask::of(&rule, &facts, false).unwrap();
        let origin = Origin::of(Scheme::Http, facts.host, &uri, facts.headers);
        buffer.clear();
        write_key(&mut buffer, &rule, KeyRoute { name: "orders", generation: 1 }, origin, &facts).unwrap();
        stored.vary.write(facts.headers, &mut buffer);
        let now = clock.now();
        assert_eq!(reuse(&stored.freshness, &ask.control, now), Reuse::Fresh);
        assert_eq!(sent(facts.method, facts.headers, fresh.status, fresh.headers, 10, wall), Sent::NotModified);
        assert!(!CacheStatus::hit(stored.freshness.ttl(now)).text().as_bytes().is_empty());
    });
    assert_eq!(count, 0);
    // What is stored costs the list of fields that it was chosen by, and nothing besides.
    let count = allocations(|| drop(storable(&rule, &ask, &fresh, &|_| false).unwrap()));
    assert!(count <= 200, "{count} in a hundred answers");
}
