use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Map;
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::Answer;
use crate::auth::{AuthError, Identity, TokenSource, TokenVerifier};
use crate::limit::{Charge, HeaderFamilies, MemoryStore, OnFailure, RateLimitStore, Rule, StoreError, Verdict};
use crate::rejection::Rejection;
use crate::time::UnixTime;

mod contract;
mod plan;

/// A token is its owner's id; "bad" is bad. It remembers none, and answers when it is let.
#[derive(Clone, Default)]
struct Names {
    /// Whether answers come later, and then whether they have come.
    later: bool,
    answered: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    remembers: bool,
}

impl Names {
    fn identity(token: &str) -> Result<Arc<Identity>, AuthError> {
        if token == "bad" {
            Err(AuthError::Invalid("bad"))
        } else {
            Identity::new("names", token, Map::new(), None).map(Arc::new)
        }
    }
}

impl TokenVerifier for Names {
    fn verify(&self, token: &str, _: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let identity = Self::identity(token);
        if self.later {
            Answer::later(After(Arc::clone(&self.answered), Cell::new(Some(identity))))
        } else {
            Answer::Now(identity)
        }
    }

    fn recall(&self, token: &str, _: UnixTime) -> Option<Arc<Identity>> {
        self.remembers.then(|| Self::identity(token).ok())?
    }
}

/// Ready once it is said so.
struct After<T>(Arc<AtomicBool>, Cell<Option<T>>);

impl<T: Unpin> Future for After<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let value = self.0.load(Ordering::Relaxed).then(|| self.1.take()).flatten();
        value.map_or(Poll::Pending, Poll::Ready)
    }
}

/// A store across the network: it decides at once and says so later, or fails.
#[derive(Clone)]
struct Far {
    answered: Arc<AtomicBool>,
    fails: bool,
    memory: Arc<MemoryStore>,
}

impl RateLimitStore for Far {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        let Answer::Now(verdict) = self.memory.take(charges) else { panic!("memory answers now") };
        let said = if self.fails { Err(StoreError::new("lost")) } else { verdict };
        Answer::later(After(Arc::clone(&self.answered), Cell::new(Some(said))))
    }
}

fn far(fails: bool, answered: bool) -> Far {
    Far { answered: Arc::new(AtomicBool::new(answered)), fails, memory: Arc::default() }
}

/// Says who asks, and counts who asked.
#[derive(Clone, Debug, Default)]
struct Inner {
    asked: Arc<AtomicUsize>,
}

impl Service<Request<Bytes>> for Inner {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Text>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::id);
        ready(Ok(Response::new(Text(Some(format!("{who} {:?}", request.body()).into())))))
    }
}

/// A body of one piece.
#[derive(Debug)]
struct Text(Option<Bytes>);

impl http_body::Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(http_body::Frame::data(text))))
    }
}

/// The whole text of a body.
fn text<B: http_body::Body<Data = Bytes, Error = Infallible>>(body: B) -> String {
    let (mut body, mut text) = (pin!(body), String::new());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(body.is_end_stream() || body.size_hint().exact().is_none());
    text
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a service says to one request, which it need not wait for.
fn say<S, R>(service: &mut S, request: Request<Bytes>) -> Response<Body<R>>
where
    S: Service<Request<Bytes>, Response = Response<Body<R>>, Error = Infallible>,
{
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    match poll(pin!(service.call(request))) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("nothing has to wait here"),
    }
}

fn request(fields: &[(&str, &str)]) -> Request<Bytes> {
    let builder = fields
        .iter()
        .fold(Request::builder().uri("/orders?a=b"), |builder, (name, value)| builder.header(*name, *value));
    builder.body(Bytes::from_static(b"sent")).unwrap()
}

fn bearer(token: &str) -> Request<Bytes> {
    request(&[("authorization", &format!("Bearer {token}"))])
}

fn rule(rate: &str) -> Rule {
    Rule::new("per-user", rate.parse().unwrap())
}

#[test]
fn a_good_token_is_an_identity_and_a_bad_one_the_gateways_answer() {
    for remembers in [false, true] {
        let inner = Inner::default();
        let mut service = AuthenticateLayer::new(Names { remembers, ..Names::default() }).layer(inner.clone());
        assert_eq!(text(say(&mut service, bearer("ada")).into_body()), "ada b\"sent\"");
        for (request, rejection) in [(request(&[]), "missing-token"), (bearer("bad"), "invalid-token")] {
            let refused = say(&mut service, request);
            let reason = refused.extensions().get::<Rejection>().unwrap().clone();
            assert_eq!((refused.status(), reason.code()), (StatusCode::UNAUTHORIZED, rejection));
            let expected = reason.response(None);
            assert_eq!(refused.headers(), expected.headers());
            assert!(refused.body().is_refusal());
            assert_eq!(text(refused.into_body()).as_bytes(), expected.body());
        }
        assert_eq!(inner.asked.load(Ordering::Relaxed), 1, "what is refused goes no further");
    }
}

#[test]
fn a_request_id_is_told_and_one_that_is_none_is_not() {
    let mut service = AuthenticateLayer::new(Names::default()).layer(Inner::default());
    let refused = say(&mut service, request(&[("x-request-id", "abc-1")]));
    assert_eq!(refused.headers()["x-request-id"], "abc-1");
    assert!(text(refused.into_body()).contains(r#""instance":"abc-1""#));
    let refused = say(&mut service, request(&[("x-request-id", "<script>")]));
    assert!(!refused.headers().contains_key("x-request-id"));
    assert!(!text(refused.into_body()).contains("instance"));
}

#[test]
fn limits_are_by_identity_and_told_in_each_answer() {
    let limit = RateLimitLayer::new(MemoryStore::new(), rule("100/h").burst(2));
    let mut service = AuthenticateLayer::new(Names::default()).layer(limit.layer(Inner::default()));
    let left = |answer: &Response<_>| answer.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned();
    for (who, status, remaining) in
        [("ada", 200, "1"), ("ada", 200, "0"), ("bob", 200, "1"), ("ada", 429, "0"), ("bob", 200, "0")]
    {
        let answer = say(&mut service, bearer(who));
        assert_eq!((answer.status().as_u16(), &*left(&answer)), (status, remaining), "{who}");
        assert_eq!(answer.headers()["ratelimit-policy"], r#""per-user";q=2;w=72"#);
        assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
    }
}

#[test]
fn families_shadow_and_failure_policies_are_what_was_asked_for() {
    let families = HeaderFamilies { x_ratelimit: false, ..HeaderFamilies::default() };
    let layer = RateLimitLayer::new(MemoryStore::new(), rule("1/h")).headers(families);
    let names = |headers: &HeaderMap| headers.keys().filter(|name| name.as_str().contains("ratelimit")).count();
    assert_eq!(names(say(&mut layer.layer(Inner::default()), request(&[])).headers()), 2);

    let mut shadow = RateLimitLayer::new(MemoryStore::new(), rule("1/h")).shadow().layer(Inner::default());
    for _ in 0..3 {
        let answer = say(&mut shadow, request(&[]));
        assert_eq!((answer.status().as_u16(), names(answer.headers())), (200, 0));
    }

    for (on_failure, statuses) in [
        (None, [200, 429]),
        (Some(OnFailure::Share), [200, 429]),
        (Some(OnFailure::Allow), [200, 200]),
        (Some(OnFailure::Deny), [503, 503]),
    ] {
        let layer = RateLimitLayer::new(far(true, true), rule("1/h"));
        let layer = on_failure.map_or(layer.clone(), |on_failure| layer.on_failure(on_failure));
        let mut service = layer.layer(Inner::default());
        assert_eq!(statuses, [(); 2].map(|()| say(&mut service, request(&[])).status().as_u16()), "{on_failure:?}");
    }
}

/// Where the address is, the embedder says; without it and without an identity there is one bucket for all.
#[test]
fn clients_are_told_apart_by_the_address_that_the_embedder_finds() {
    let from = |last: u8| {
        let mut request = request(&[]);
        request.extensions_mut().insert(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        request
    };
    let layer = RateLimitLayer::new(MemoryStore::new(), rule("1/h"));
    let statuses = |layer: &RateLimitLayer| {
        let mut service = layer.layer(Inner::default());
        [1, 2, 1].map(|last| say(&mut service, from(last)).status().as_u16())
    };
    assert_eq!(statuses(&layer.clone().client(|parts| parts.extensions.get().copied())), [200, 200, 429]);
    assert_eq!(statuses(&layer), [200, 429, 429], "all of them together, in one bucket of their own");
}

/// All rules of a layer hold together or nothing is spent, and clones and layers over one store are one budget.
#[test]
fn several_rules_hold_together_in_one_store() {
    let store = Arc::new(MemoryStore::new());
    let everyone = || Rule::new("everyone", "4/h".parse().unwrap()).keyed_by("everyone".parse().unwrap());
    let layer = RateLimitLayer::new(Arc::clone(&store), rule("1/h")).and(everyone());
    let mut service = AuthenticateLayer::new(Names::default()).layer(layer.layer(Inner::default()));
    let mut status = |who| say(&mut service, bearer(who)).status().as_u16();
    assert_eq!([status("ada"), status("ada"), status("ada"), status("bob"), status("bob")], [200, 429, 429, 200, 429]);
    let other: Arc<dyn RateLimitStore> = store;
    let mut other = RateLimitLayer::new(other, everyone()).layer(Inner::default());
    assert_eq!(
        say(&mut other, request(&[])).headers()["x-ratelimit-remaining"],
        "1",
        "two were spent, and this is the third"
    );
    let many = (0..9).fold(layer, |layer, number| layer.and(Rule::new(format!("{number}"), "1/s".parse().unwrap())));
    assert!(many.problem().is_some_and(|problem| problem.contains("at most 8")));
    assert_eq!(say(&mut many.layer(Inner::default()), request(&[])).status(), 500);
}

/// A key that reads host or path reads the one form of them.
#[test]
fn no_spelling_of_host_or_path_is_another_budget() {
    let by = rule("1/h").keyed_by("host+path".parse().unwrap());
    let mut service = RateLimitLayer::new(MemoryStore::new(), by).layer(Inner::default());
    let mut status = |host: &str, path: &str| {
        let request = Request::builder().uri(path).header("host", host).body(Bytes::new()).unwrap();
        say(&mut service, request).status().as_u16()
    };
    assert_eq!(status("shop.test", "/a/b"), 200);
    for (host, path) in [("SHOP.test:80", "/a/b"), ("shop.test.", "/x/../a//b"), ("shop.test", "/a/%62")] {
        assert_eq!(status(host, path), 429, "{host}{path}");
    }
    assert_eq!((status("shop.test", "/a/c"), status("other.test", "/a/b")), (200, 200));
}

#[test]
fn failures_are_bounded_where_asked_and_only_for_who_fails() {
    let from = |last: u8, token: &str| {
        let mut request = bearer(token);
        request.extensions_mut().insert(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        request
    };
    let failures = Rule::new("failures", "2/h".parse().unwrap()).keyed_by("client".parse().unwrap());
    let names = Names::default();
    let mut service = AuthenticateLayer::new(names.clone())
        .failures(MemoryStore::new(), failures)
        .client(|parts| parts.extensions.get().copied())
        .layer(Inner::default());
    let mut status = |last, token| say(&mut service, from(last, token)).status().as_u16();
    assert_eq!([status(1, "bad"), status(1, "bad"), status(1, "bad"), status(1, "ada")], [401, 401, 429, 429]);
    assert_eq!(names.asked.load(Ordering::Relaxed), 2, "no longer looked at");
    assert_eq!([status(2, "ada"), status(2, "bad")], [200, 401]);
    assert_eq!(
        [(); 5].map(|()| say(&mut AuthenticateLayer::new(names.clone()).layer(Inner::default()), bearer("bad"))
            .status()
            .as_u16()),
        [401; 5]
    );
}

#[test]
fn claims_are_forwarded_where_asked_and_cannot_be_forged() {
    /// Answers with the fields that it got.
    #[derive(Clone)]
    struct Fields;
    impl Service<Request<Bytes>> for Fields {
        type Response = Response<Text>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Text>, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: Request<Bytes>) -> Self::Future {
            let mut response = Response::new(Text(None));
            *response.headers_mut() = request.headers().clone();
            ready(Ok(response))
        }
    }
    let layer = AuthenticateLayer::new(Names::default()).token("header:x-key".parse::<TokenSource>().unwrap());
    let sent = || request(&[("x-key", "ada"), ("x-user-id", "root"), ("x_user_id", "root"), ("x-other", "kept")]);
    let plain = say(&mut layer.layer(Fields), sent());
    assert_eq!(plain.headers()["x-user-id"], "root", "who forwards nothing removes nothing");
    let forwarding = layer.forward("x-user-id".parse().unwrap(), "id");
    let answer = say(&mut forwarding.layer(Fields), sent());
    assert_eq!(
        (&answer.headers()["x-user-id"], &answer.headers()["x-other"]),
        (&"ada".parse().unwrap(), &"kept".parse().unwrap())
    );
    assert!(!answer.headers().contains_key("x_user_id"));
}

/// The outer limit admitted, the inner one refused: the answer is about the one that refused.
#[test]
fn an_outer_limit_does_not_talk_over_an_inner_refusal() {
    let inner = RateLimitLayer::new(MemoryStore::new(), rule("1/h"));
    let outer = RateLimitLayer::new(MemoryStore::new(), Rule::new("outer", "50/h".parse().unwrap()));
    /// Two layers make bodies in bodies.
    type Nested = Response<Body<Body<Text>>>;
    let mut service = outer.layer(inner.layer(Inner::default()));
    let mut ask = || -> Nested {
        match poll(pin!(service.call(request(&[])))) {
            Poll::Ready(Ok(response)) => response,
            Poll::Pending => panic!("nothing has to wait here"),
        }
    };
    assert!(ask().headers()["ratelimit"].to_str().unwrap().starts_with("\"outer\""));
    let refused = ask();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["ratelimit"].to_str().unwrap().starts_with("\"per-user\";r=0"));
}
