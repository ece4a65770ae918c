//! Keys that change under a verifier.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;

/// A source that a test moves.
#[derive(Default)]
struct Scripted {
    now: Mutex<Option<Arc<KeySet>>>,
    /// What the next refresh finds.
    next: Mutex<Option<KeySet>>,
    refreshes: AtomicUsize,
}

impl Scripted {
    fn publish(&self, keys: KeySet) {
        *self.now.lock().unwrap() = Some(Arc::new(keys));
    }
}

#[async_trait::async_trait]
impl KeySource for Scripted {
    fn generation(&self) -> u64 {
        self.keys().map_or(0, |keys| keys.generation())
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        self.now.lock().unwrap().clone()
    }

    async fn refresh(&self, seen: u64) {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        assert_eq!(seen, self.generation());
        if let Some(next) = self.next.lock().unwrap().take() {
            self.publish(next);
        }
    }
}

fn one() -> SigningKey {
    SigningKey::new(Algorithm::RS256).named("one")
}

fn two() -> SigningKey {
    SigningKey::next(Algorithm::RS256).named("two")
}

fn set(keys: &[&SigningKey], generation: u64) -> KeySet {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap().numbered(generation)
}

fn verifier(source: &Arc<Scripted>) -> JwtVerifier {
    let source: Arc<dyn KeySource> = Arc::<Scripted>::clone(source);
    JwtVerifier::keys(source).algorithms([Algorithm::RS256]).issuer(ISSUER).audience("shop").build().unwrap()
}

/// The answer, and whether it was there at once.
fn ask(verifier: &JwtVerifier, token: &str) -> (Result<String, AuthError>, bool) {
    let mut answer = verifier.verify(token, UnixTime::from_secs(NOW));
    let at_once = matches!(answer, Answer::Now(_));
    match std::pin::Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => (result.map(|who| who.id().to_owned()), at_once),
        Poll::Pending => panic!("the script never waits"),
    }
}

const ADA: Result<&str, AuthError> = Ok("ada");

fn token(key: &SigningKey) -> String {
    key.token(&Value::Object(good()))
}

/// J08, J16: what a removed key signed is refused from the moment of the swap, remembered or not; the new key's tokens pass.
#[test]
fn a_removed_keys_tokens_fall_with_it() {
    let source = Arc::new(Scripted::default());
    source.publish(set(&[&one()], 1));
    let verifier = verifier(&source);
    let (old, new) = (token(&one()), token(&two()));
    assert_eq!(ask(&verifier, &old), (ADA.map(str::to_owned), true));
    assert!(verifier.recall(&old, UnixTime::from_secs(NOW)).is_some());

    source.publish(set(&[&one(), &two()], 2));
    assert!(verifier.recall(&old, UnixTime::from_secs(NOW)).is_none(), "vouched for by a set that is no more");
    assert_eq!(ask(&verifier, &old), (ADA.map(str::to_owned), true));
    assert_eq!(ask(&verifier, &new), (ADA.map(str::to_owned), true));

    source.publish(set(&[&two()], 3));
    assert!(verifier.recall(&old, UnixTime::from_secs(NOW)).is_none());
    assert_eq!(ask(&verifier, &old).0, Err(AuthError::Invalid(reason::KEY)));
    assert_eq!(ask(&verifier, &new), (ADA.map(str::to_owned), true));
}

/// J08: a key that is published later is found by asking once.
#[test]
fn an_unknown_key_is_asked_for() {
    let source = Arc::new(Scripted::default());
    source.publish(set(&[&one()], 1));
    *source.next.lock().unwrap() = Some(set(&[&one(), &two()], 2));
    let verifier = verifier(&source);
    assert_eq!(ask(&verifier, &token(&two())), (ADA.map(str::to_owned), false));
    assert_eq!(ask(&verifier, &token(&two())), (ADA.map(str::to_owned), true), "remembered under the new set");
    assert_eq!(source.refreshes.load(Ordering::SeqCst), 1);
}

/// J10: only a name that is not in the set asks; anything else about a token does not.
#[test]
fn nothing_but_an_unknown_name_asks_for_keys() {
    let source = Arc::new(Scripted::default());
    source.publish(set(&[&one()], 1));
    let verifier = verifier(&source);
    let good = token(&one());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let nameless = SigningKey::next(Algorithm::RS256).token(&Value::Object(super::good()));
    let elliptic = SigningKey::new(Algorithm::ES256).named("three");
    for bad in [format!("{signed}.AAAA"), nameless, token(&elliptic), "a.b.c".to_owned(), "x".repeat(9000)] {
        let (result, at_once) = ask(&verifier, &bad);
        assert!(matches!(result, Err(AuthError::Invalid(_))) && at_once, "{bad:.40}");
    }
    assert_eq!(source.refreshes.load(Ordering::SeqCst), 0);
    let (result, at_once) = ask(&verifier, &token(&two()));
    assert_eq!((result, at_once), (Err(AuthError::Invalid(reason::KEY)), false));
    assert_eq!(source.refreshes.load(Ordering::SeqCst), 1);
}

/// J09: without keys a token is neither good nor bad.
#[test]
fn without_keys_nothing_is_decided() {
    let source = Arc::new(Scripted::default());
    let verifier = verifier(&source);
    assert_eq!(ask(&verifier, &token(&one())).0, Err(AuthError::Unavailable));
    // What could never pass is refused all the same.
    assert_eq!(ask(&verifier, "a.b.c").0, Err(AuthError::Invalid(reason::MALFORMED)));
    *source.next.lock().unwrap() = Some(set(&[&one()], 1));
    assert_eq!(ask(&verifier, &token(&one())).0, ADA.map(str::to_owned));
}
