//! The layers of core in other people's servers: axum and plain hyper, over real sockets; what they refuse with is the gateway's own answer.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use portcullis_core::auth::{Algorithm, Identity, JwtVerifier, JwtVerifierBuilder, NoKeys};
use portcullis_core::layer::{AdmitLayer, AuthenticateLayer, Matched, RateLimitLayer};
use portcullis_core::limit::{MemoryStore, Rule};
use portcullis_core::time::Clock;
use portcullis_suite::{Client, Gateway, Message, SECRET, Upstream, claims, forge, token};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

/// A server of somebody else's on a free port, until it is dropped.
struct Served {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Served {
    fn get(&self, target: &str, fields: &[&str]) -> Message {
        Client::get(self.address, target, fields)
    }
}

/// Serves on a runtime of two threads, or on one that is driven by a single thread.
fn served<F: Future<Output = ()> + Send + 'static>(threads: usize, serve: impl FnOnce(TcpListener) -> F) -> Served {
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve(listener));
    Served { address, _runtime: runtime }
}

async fn axum(listener: TcpListener, app: Router) {
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
}

fn users() -> JwtVerifierBuilder {
    JwtVerifier::hs256(SECRET).issuer("https://login.shop.test").audience("shop")
}

fn peer(parts: &http::request::Parts) -> Option<IpAddr> {
    parts.extensions.get().map(|ConnectInfo(address): &ConnectInfo<SocketAddr>| address.ip())
}

const VERIFIER: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
forward = { "x-user-id" = "id" }
[limits.per-user]
rate = "60/h"
burst = 2
[[routes]]
path = "/me"
auth = "users"
limits = ["per-user"]
upstream = "app"
"#;

fn gateway_text(upstream: &Upstream) -> String {
    format!("[upstreams]\napp = [\"{}\"]\n{VERIFIER}", upstream.url())
}

/// All of an answer that is not about the moment or the connection.
fn told(answer: &Message) -> (u16, Vec<(String, String)>, String) {
    let about_the_moment = ["connection", "date", "via"];
    let mut fields: Vec<_> = answer.fields.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    fields.retain(|(name, _)| !about_the_moment.contains(&&**name));
    fields.sort();
    (answer.status(), fields, answer.text())
}

/// What of a passed answer is about limits.
fn limits(answer: &Message) -> Vec<(String, String)> {
    let (_, mut fields, _) = told(answer);
    fields.retain(|(name, _)| name.contains("ratelimit") || name == "retry-after");
    fields
}

/// The same requests to both, one after the other; what is refused is the same to the byte, and what passes says the same of limits.
fn assert_same(gateway: &Gateway, other: &Served) {
    let (good, forged) = (token("ada"), forge(&claims("ada")));
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let mut statuses = Vec::new();
    for fields in [
        vec![],
        vec![bearer(&forged)],
        vec![bearer("x")],
        vec![bearer(&good), bearer(&good)],
        vec![bearer(&good)],
        vec![bearer(&good)],
        vec![bearer(&good)],
        vec![bearer(&forged)],
    ] {
        let mut fields: Vec<_> = fields.iter().map(|field| &**field).collect();
        fields.push("x-request-id: req-1");
        let (ours, theirs) = (gateway.get("/me", &fields), other.get("/me", &fields));
        statuses.push(ours.status());
        if ours.status() == 200 {
            assert_eq!((theirs.status(), limits(&theirs)), (200, limits(&ours)));
            assert_eq!(limits(&ours).len(), 5);
        } else {
            assert_eq!(told(&theirs), told(&ours), "{fields:?}");
        }
    }
    assert_eq!(statuses, [401, 401, 401, 401, 200, 200, 429, 401]);
}

/// Both count by one clock, which stands still.
fn clock() -> Clock {
    Clock::manual(Clock::system().unix()).0
}

#[test]
fn two_layers_refuse_as_the_gateway_does() {
    let (clock, upstream) = (clock(), Upstream::ok());
    let gateway = Gateway::with_clock(&gateway_text(&upstream), clock.clone());
    let rule = Rule::new("per-user", "60/h".parse().unwrap()).burst(2);
    let app = Router::new()
        .route("/me", get(|Extension(who): Extension<Identity>| async move { who.id().to_owned() }))
        .layer(RateLimitLayer::new(MemoryStore::with(clock.clone(), 100), rule).client(peer))
        .layer(AuthenticateLayer::new(users().build().unwrap()).clock(clock));
    let served = served(2, |listener| axum(listener, app));
    assert_same(&gateway, &served);
}

/// The plan of the very same file, in front of plain hyper on one thread.
#[test]
fn a_plan_in_a_layer_refuses_as_the_gateway_does() {
    let (clock, upstream) = (clock(), Upstream::ok());
    let text = gateway_text(&upstream);
    let gateway = Gateway::with_clock(&text, clock.clone());
    let plan = Gateway::config(&text).unwrap().plan;
    let layer = AdmitLayer::new(plan, MemoryStore::with(clock.clone(), 100)).clock(clock);
    let served = served(1, |listener| hyper(listener, layer));
    assert_same(&gateway, &served);
    for (target, fields) in [("/nothing", vec![]), ("/%2e%2e%2f", vec![]), ("/me", vec!["host: x", "host: y"])] {
        let fields: Vec<_> = fields.into_iter().chain(["x-request-id: req-2"]).collect();
        assert_eq!(told(&served.get(target, &fields)), told(&gateway.get(target, &fields)), "{target}");
    }
    let ada = format!("authorization: Bearer {}", token("bob"));
    let passed = served.get("/me", &[&ada, "x-user-id: root", "x_user_id: root"]);
    assert_eq!(passed.text(), "bob by /me as [\"bob\"]", "a forged identity is gone, and so is the token");
}

/// Answers with who asks, by which route, and what it is told in fields.
#[derive(Clone)]
struct WhoAsks;

impl Service<Request<Incoming>> for WhoAsks {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let id = request.extensions().get::<Identity>().map_or("nobody", Identity::id);
        let route = request.extensions().get::<Matched>().map_or("none", Matched::name);
        let fields = ["x-user-id", "x_user_id", "authorization"].map(|name| request.headers().get_all(name).iter());
        let told: Vec<_> = fields.into_iter().flatten().collect();
        ready(Ok(Response::new(Full::from(format!("{id} by {route} as {told:?}")))))
    }
}

async fn hyper(listener: TcpListener, layer: AdmitLayer) {
    let service = layer.layer(WhoAsks);
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(service.clone());
        let serve = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(serve.await) });
    }
}

/// Keys that were never had: neither says anything of the token.
#[test]
fn a_verifier_without_keys_is_503_in_both() {
    let upstream = Upstream::ok();
    let nobody = Upstream::start(|_| portcullis_suite::Reply::Close(Vec::new()));
    let keys = format!("jwks = \"{}/keys\"", nobody.url());
    let text = gateway_text(&upstream).replace("secret = \"${SECRET}\"", &keys).replace("HS256", "RS256");
    let gateway = Gateway::start(&text);
    let verifier =
        JwtVerifier::source(Arc::new(NoKeys), [Algorithm::RS256]).issuer("https://login.shop.test").audience("shop");
    let app = Router::new().route("/me", get(async || "me")).layer(AuthenticateLayer::new(verifier.build().unwrap()));
    let served = served(2, |listener| axum(listener, app));
    let token =
        portcullis_core::auth::mint(Algorithm::HS256, SECRET.as_bytes(), claims("ada").as_object().unwrap()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let unknown = format!("authorization: Bearer eyJhbGciOiJSUzI1NiJ9.{rest}");
    let (ours, theirs) =
        (gateway.get("/me", &[&unknown, "x-request-id: 1"]), served.get("/me", &[&unknown, "x-request-id: 1"]));
    assert_eq!(ours.status(), 503);
    assert_eq!(told(&theirs), told(&ours));
}

/// Where the address is, the server says; one client's failures keep out nobody else, and its good token still passes.
#[test]
fn failures_are_bounded_by_address_under_axum() {
    let failures = Rule::new("failures", "2/h".parse().unwrap()).keyed_by("client".parse().unwrap());
    let verifier = users().build().unwrap();
    let layer = AuthenticateLayer::new(verifier).failures(MemoryStore::new(), failures).client(peer);
    let app = Router::new().route("/me", get(async || "me")).layer(layer);
    let served = served(2, |listener| axum(listener, app));
    let (good, bad) =
        (format!("authorization: Bearer {}", token("ada")), format!("authorization: Bearer {}", forge(&claims("ada"))));
    let statuses = [&good, &bad, &bad, &bad, &good].map(|token| served.get("/me", &[token]).status());
    assert_eq!(statuses, [200, 401, 401, 429, 200]);
}

/// Many clients of one key at once: exactly the limit passes, whatever the runtime.
#[test]
fn the_count_is_exact_under_concurrency() {
    for threads in [1, 4] {
        let rule = Rule::new("all", "40/h".parse().unwrap()).keyed_by("everyone".parse().unwrap());
        let app = Router::new().route("/", get(async || "here")).layer(RateLimitLayer::new(MemoryStore::new(), rule));
        let served = served(threads, |listener| axum(listener, app));
        let passed: usize = std::thread::scope(|scope| {
            let ask = || (0..25).filter(|_| served.get("/", &[]).status() == 200).count();
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(passed, 40);
    }
}
