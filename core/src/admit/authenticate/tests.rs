use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Map;

use super::*;
use crate::Answer;
use crate::auth::{Forward, Scheme, TokenSources, TokenVerifier};
use crate::limit::{MemoryStore, Rule};
use crate::route::Params;
use crate::subject::SubjectKey;
use crate::time::{Clock, UnixTime};

/// Says of every token what it is told to say, now or later.
struct Says {
    answer: Result<&'static str, AuthError>,
    asked: AtomicUsize,
    later: bool,
}

impl TokenVerifier for Says {
    fn verify(&self, _: &str, _: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let identity = |id: &'static str| Identity::new("says", id, Map::new(), None).map(Arc::new);
        let answer = self.answer.and_then(identity);
        if self.later { Answer::Later(Box::pin(async { answer })) } else { Answer::Now(answer) }
    }
}

const GOOD: Result<&str, AuthError> = Ok("ada");
const BAD: Result<&str, AuthError> = Err(AuthError::Invalid("bad"));
const AWAY: Result<&str, AuthError> = Err(AuthError::Unavailable);

/// A verifier called as its header, which may fail once an hour.
fn auth(header: &'static str, answer: Result<&'static str, AuthError>) -> (Auth, Arc<Says>) {
    let verifier = Arc::new(Says { answer, asked: AtomicUsize::new(0), later: header.len().is_multiple_of(2) });
    let failures = Rule::new(header, "1/h".parse().unwrap()).keyed_by("client".parse().unwrap());
    let auth = Auth {
        name: header.into(),
        verifier: Arc::clone(&verifier) as Arc<dyn TokenVerifier>,
        failures: Some(Arc::new(failures)),
        forward: [].into(),
        forward_token: false,
        scheme: if header == "one" { Scheme::Bearer } else { Scheme::ApiKey },
        token: TokenSources::new([format!("header:{header}").parse().unwrap()]),
    };
    (auth, verifier)
}

/// What the client is told, and who accepted it.
fn outcome(auths: &[&Auth], sent: &[&str], store: &MemoryStore) -> Result<String, Rejection> {
    let headers: HeaderMap =
        sent.iter().map(|name| (name.parse().unwrap(), HeaderValue::from_static("token"))).collect();
    let (clock, subjects) = (Clock::system(), SubjectKey::from_bytes([7; 16]));
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
    let services = Services { clock: &clock, local: None, store, subjects: &subjects };
    let asked = pin!(authenticate(auths.iter().copied(), &facts, services));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.map(|accepted| accepted.auth.name.to_string()),
        Poll::Pending => panic!("all is at hand"),
    }
}

fn status(auths: &[&Auth], sent: &[&str], store: &MemoryStore) -> u16 {
    outcome(auths, sent, store).map_or_else(|rejection| rejection.status().as_u16(), |_| 200)
}

#[test]
fn the_first_that_accepts_decides_and_the_rest_are_not_asked() {
    let store = MemoryStore::new();
    for (first, second, sent, expected) in [
        (GOOD, GOOD, &["one", "four"][..], Ok("one")),
        (GOOD, GOOD, &["four"], Ok("four")),
        (GOOD, BAD, &["one", "four"], Ok("one")),
        (BAD, GOOD, &["one", "four"], Ok("four")),
        (AWAY, GOOD, &["one", "four"], Ok("four")),
        (AWAY, GOOD, &["one"], Err(503)),
        (AWAY, BAD, &["four"], Err(401)),
        (GOOD, GOOD, &[], Err(401)),
    ] {
        let ((one, _), (four, asked)) = (auth("one", first), auth("four", second));
        let outcome = outcome(&[&one, &four], sent, &store);
        let outcome = outcome.as_deref().map_err(|rejection| rejection.status().as_u16());
        assert_eq!(outcome, expected, "{first:?} {second:?} {sent:?}");
        if outcome == Ok("one") {
            assert_eq!(asked.asked.load(Ordering::Relaxed), 0);
        }
    }
}

#[test]
fn a_failure_counts_once_against_each_that_refused_and_only_when_nobody_accepts() {
    let store = MemoryStore::new();
    let ((one, one_asked), (four, _), (good, _)) = (auth("one", BAD), auth("four", BAD), auth("good", GOOD));
    for _ in 0..3 {
        assert_eq!(status(&[&one, &good], &["one", "good"], &store), 200);
    }
    assert_eq!(one_asked.asked.load(Ordering::Relaxed), 3);
    assert_eq!(status(&[&one, &four], &["one", "four"], &store), 401);
    assert_eq!(status(&[&one], &["one"], &store), 429);
    assert_eq!(status(&[&four], &["four"], &store), 429);
    assert_eq!(one_asked.asked.load(Ordering::Relaxed), 4, "not looked at any more");
    assert_eq!(status(&[&one, &good], &["one", "good"], &store), 200, "passed over, and another accepts");
    assert_eq!(status(&[&one, &good], &[], &store), 401, "nothing was sent, so nothing failed");
}

/// 503 says "later" of a token that may be good, 429 likewise; 401 only where nothing else can be said.
#[test]
fn the_gentlest_refusal_is_told() {
    let store = MemoryStore::new();
    let ((one, _), (four, _), (away, _)) = (auth("one", BAD), auth("four", BAD), auth("away", AWAY));
    assert_eq!(status(&[&one, &away], &["one", "away"], &store), 503);
    assert_eq!(status(&[&one, &four], &["one", "four"], &store), 429, "the refusal above counted");
    assert_eq!(status(&[&one, &away], &["one", "away"], &store), 503);
}

#[test]
fn a_challenge_is_of_every_verifier_and_the_reason_of_the_first() {
    let store = MemoryStore::new();
    let ((one, _), (four, _)) = (auth("one", BAD), auth("four", BAD));
    let asked = Challenge::default().asking(Scheme::Bearer).asking(Scheme::ApiKey);
    assert_eq!(outcome(&[&one, &four], &[], &store), Err(Rejection::MissingToken { challenge: asked }));
    let refused = Rejection::InvalidToken { challenge: asked.refusing(Scheme::Bearer), reason: "bad" };
    assert_eq!(outcome(&[&four, &one], &["one"], &store), Err(refused));
}

/// What cannot be forwarded is refused by the verifier that accepted it, as if it had not.
#[test]
fn a_claim_that_is_not_fit_for_a_header_is_a_refusal() {
    let store = MemoryStore::new();
    let ((mut one, _), (good, _)) = (auth("one", Ok("ada, eve")), auth("good", GOOD));
    one.forward = [Forward { header: "x-id".parse().unwrap(), claim: "id".into() }].into();
    assert_eq!(outcome(&[&one, &good], &["one", "good"], &store).as_deref(), Ok("good"));
    let refused = outcome(&[&one], &["one"], &store);
    assert!(matches!(refused, Err(Rejection::InvalidToken { reason: "claim", .. })), "{refused:?}");
}
