//! Our own verifiers run the suite, and it finds what is wrong with others.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

#[cfg(feature = "jwt")]
mod jwt {
    use serde_json::json;

    use super::super::*;
    use crate::auth::{Algorithm, JwtVerifier, NoKeys, mint};
    use crate::testing::SigningKey;

    const SECRET: &[u8; 64] = b"sixty-four-bytes-are-enough-for-every-hash-that-there-is-in-here";
    const LEEWAY: Duration = Duration::from_secs(30);

    fn claims(holder: &Holder) -> serde_json::Value {
        json!({ "sub": holder.id, "exp": holder.expires.as_secs() })
    }

    struct Secret(Algorithm);
    impl Driver for Secret {
        fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
            let token = |holder: &Holder| mint(self.0, SECRET, claims(holder).as_object().unwrap()).unwrap();
            let verifier =
                JwtVerifier::secret(SECRET).algorithms([self.0]).any_issuer().any_audience().build().unwrap();
            (Arc::new(verifier), holders.iter().map(token).collect())
        }
        fn leeway(&self) -> Duration {
            LEEWAY
        }
    }

    struct Public(Algorithm);
    impl Public {
        fn tokens(&self, holders: &[Holder]) -> Vec<String> {
            let key = SigningKey::new(self.0).named("one");
            holders.iter().map(|holder| key.token(&claims(holder))).collect()
        }
    }
    impl Driver for Public {
        fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
            let set = json!({ "keys": [SigningKey::new(self.0).named("one").jwk()] }).to_string();
            let keys = crate::auth::KeySet::from_jwks(set.as_bytes()).unwrap();
            let verifier = JwtVerifier::keys(keys).algorithms([self.0]).any_issuer().any_audience().build().unwrap();
            (Arc::new(verifier), self.tokens(holders))
        }
        fn leeway(&self) -> Duration {
            LEEWAY
        }
        fn unavailable(&self, holders: &[Holder]) -> Option<(Arc<dyn TokenVerifier>, Vec<String>)> {
            let source = JwtVerifier::keys(Arc::new(NoKeys)).algorithms([self.0]);
            let verifier = source.any_issuer().any_audience().build().unwrap();
            Some((Arc::new(verifier), self.tokens(holders)))
        }
    }

    #[test]
    fn signed_tokens_conform() {
        conformance(&Secret(Algorithm::HS256));
        conformance(&Secret(Algorithm::HS512));
        conformance(&Public(Algorithm::ES256));
        conformance(&Public(Algorithm::EdDSA));
    }
}

#[cfg(feature = "api-key")]
#[test]
fn api_keys_conform() {
    use crate::auth::{ApiKey, ApiKeyVerifier, KeyHash, generate_api_key};

    struct Keys;
    impl Driver for Keys {
        fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
            let tokens: Vec<_> = holders.iter().map(|_| generate_api_key().unwrap()).collect();
            let keys = holders.iter().zip(&tokens).map(|(holder, token)| ApiKey {
                claims: serde_json::Map::new(),
                expires: Some(holder.expires),
                hash: KeyHash::of(token),
                id: holder.id.clone(),
            });
            (Arc::new(ApiKeyVerifier::new("partners", keys).unwrap()), tokens)
        }
        fn longest(&self) -> usize {
            512
        }
    }
    conformance(&Keys);
}

/// What a verifier does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Good, when it could not be checked.
    AcceptsUnchecked,
    /// Invalid, when it could not be checked.
    BlamesTheClient,
    /// Unavailable, for what is no token.
    BlamesItself,
    /// Compares what comes first.
    ComparesPrefixes,
    /// Who leaves keeps the lock.
    KeepsTheLock,
    /// Good for a second more than all leeway.
    LastsTooLong,
    /// Looks the text up, however long.
    LooksUpAnything,
    /// One place for the token that is being looked at.
    OnePlace,
    /// Cuts a text in the middle of a character.
    Panics,
    /// Good without end once it was accepted.
    RemembersForEver,
    /// Recalls without end what was accepted.
    RecallsForEver,
    /// Recalls what was only asked for.
    RecallsRefused,
    /// Recalls somebody else.
    RecallsTheLast,
    /// Takes the time from whoever asked last.
    TimeNeverGoesBack,
    /// Space around it is nothing.
    Trims,
}

struct Table {
    fault: Fault,
    known: HashMap<String, Holder>,
    /// Cannot get at what it knows.
    down: bool,
    asked: Mutex<HashSet<String>>,
    last: Mutex<String>,
    latest: Mutex<UnixTime>,
    busy: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(id: &str) -> Arc<Identity> {
    Arc::new(Identity::new("table", id, serde_json::Map::new(), None).unwrap())
}

impl Table {
    fn find(&self, token: &str) -> Option<&Holder> {
        match self.fault {
            Fault::ComparesPrefixes => {
                self.known.iter().find(|(known, _)| token.starts_with(&known[..6])).map(|(_, holder)| holder)
            }
            Fault::Trims => self.known.get(token.trim()),
            _ => self.known.get(token),
        }
    }

    fn check(&self, token: &str, now: UnixTime) -> Verdict {
        let remembered = lock(&self.asked).contains(token);
        lock(&self.asked).insert(token.to_owned());
        match self.fault {
            Fault::Panics if token.len() > 30 => drop(token[..20].to_owned()),
            Fault::BlamesItself if !self.known.contains_key(token) => return Err(AuthError::Unavailable),
            Fault::OnePlace => token.clone_into(&mut lock(&self.last)),
            _ => {}
        }
        std::thread::yield_now();
        let token = if self.fault == Fault::OnePlace { lock(&self.last).clone() } else { token.to_owned() };
        let holder = self.find(&token).ok_or(AuthError::Invalid("unknown"))?;
        if self.down {
            return match self.fault {
                Fault::AcceptsUnchecked => Ok(identity(&holder.id)),
                Fault::BlamesTheClient => Err(AuthError::Invalid("unknown")),
                _ => Err(AuthError::Unavailable),
            };
        }
        let ends = holder.expires.as_secs() + u64::from(self.fault == Fault::LastsTooLong);
        let now = match self.fault {
            Fault::TimeNeverGoesBack => {
                let mut latest = lock(&self.latest);
                *latest = now.max(*latest);
                *latest
            }
            _ => now,
        };
        let holds = now.as_secs() < ends || (self.fault == Fault::RemembersForEver && remembered);
        if holds { Ok(identity(&holder.id)) } else { Err(AuthError::Invalid("expired")) }
    }
}

impl TokenVerifier for Table {
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Verdict> {
        if token.len() > 8 * 1024 && self.fault != Fault::LooksUpAnything {
            return Answer::Now(Err(AuthError::Invalid("too_long")));
        }
        let verdict = self.check(token, now);
        if self.fault == Fault::LooksUpAnything {
            return Answer::later(async { verdict });
        }
        if self.fault != Fault::KeepsTheLock {
            return Answer::Now(verdict);
        }
        let (busy, mut mine, mut verdict) = (Arc::clone(&self.busy), false, Some(verdict));
        Answer::later(std::future::poll_fn(move |cx| {
            if !mine {
                if busy.swap(true, Ordering::SeqCst) {
                    return std::task::Poll::Ready(Err(AuthError::Unavailable));
                }
                mine = true;
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            busy.store(false, Ordering::SeqCst);
            std::task::Poll::Ready(verdict.take().unwrap_or(Err(AuthError::Unavailable)))
        }))
    }

    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        let asked = lock(&self.asked).contains(token);
        let holder = self.find(token);
        match self.fault {
            Fault::RecallsRefused if asked => Some(identity("ada")),
            Fault::RecallsTheLast => Some(identity("bob")).filter(|_| holder.is_some()),
            Fault::RecallsForEver if asked => holder.map(|holder| identity(&holder.id)),
            _ => {
                let holder = holder.filter(|holder| asked && !self.down && now < holder.expires)?;
                Some(identity(&holder.id))
            }
        }
    }
}

struct Drive(Fault);

impl Drive {
    fn table(&self, holders: &[Holder], down: bool) -> (Arc<dyn TokenVerifier>, Vec<String>) {
        let tokens: Vec<String> = holders
            .iter()
            .enumerate()
            .map(|(at, holder)| format!("{at:x}-{at}-key-of-{}-0123456789", holder.id))
            .collect();
        let known = tokens.iter().cloned().zip(holders.iter().cloned()).collect();
        let table = Table {
            fault: self.0,
            known,
            down,
            asked: Mutex::default(),
            last: Mutex::default(),
            latest: Mutex::default(),
            busy: Arc::default(),
        };
        (Arc::new(table), tokens)
    }
}

impl Driver for Drive {
    fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
        self.table(holders, false)
    }
    fn unavailable(&self, holders: &[Holder]) -> Option<(Arc<dyn TokenVerifier>, Vec<String>)> {
        Some(self.table(holders, true))
    }
}

fn report(fault: Fault) -> String {
    match catch_unwind(AssertUnwindSafe(|| conformance(&Drive(fault)))) {
        Ok(()) => String::new(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}

#[test]
fn each_fault_is_found_and_named() {
    assert_eq!(report(Fault::None), "");
    for (fault, rule) in [
        (Fault::AcceptsUnchecked, "what cannot be checked is unavailable, neither good nor invalid"),
        (Fault::BlamesItself, "what is no token is invalid"),
        (Fault::BlamesTheClient, "what cannot be checked is unavailable, neither good nor invalid"),
        (Fault::ComparesPrefixes, "a good token that was changed is invalid"),
        (Fault::KeepsTheLock, "a caller that leaves spoils nothing"),
        (Fault::LastsTooLong, "a token is good until it expires"),
        (Fault::LooksUpAnything, "a text that is too long is refused at once"),
        (Fault::OnePlace, "tokens are not mixed up under concurrency"),
        (Fault::Panics, "no text makes it panic"),
        (Fault::RecallsForEver, "a remembered token expires like any other"),
        (Fault::RecallsRefused, "what was refused is never recalled"),
        (Fault::RecallsTheLast, "what is recalled is what would be accepted"),
        (Fault::RemembersForEver, "a remembered token expires like any other"),
        (Fault::TimeNeverGoesBack, "what holds depends on the time that is given, and on no other"),
        (Fault::Trims, "a good token that was changed is invalid"),
    ] {
        let report = report(fault);
        assert!(report.contains(&format!("\n- {rule}\n")), "{fault:?} is not found by {rule:?}: {report}");
    }
}

/// A report is read by whoever wrote the verifier: the rule, what was expected, what was seen.
#[test]
fn a_report_says_what_was_seen() {
    let report = report(Fault::LastsTooLong);
    let expected = "TokenVerifier: 2 of 13 rules do not hold\n\n- a token is good until it expires\n  expected: matches!(verdict, \
                    Err(AuthError::Invalid(_)))\n  of:       Ok(\"ada\"), for \"0-0-key-of-ada-0123456789\" (25 bytes)";
    assert!(report.starts_with(expected), "{report}");
}
