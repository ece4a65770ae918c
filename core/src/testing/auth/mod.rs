//! The suite of [`TokenVerifier`]: what any verifier has to do, whatever its tokens are.
//!
//! ```
//! use portcullis_core::auth::{Algorithm, JwtVerifier, TokenVerifier};
//! use portcullis_core::testing::{auth, mint};
//! use serde_json::json;
//! use std::{sync::Arc, time::Duration};
//!
//! const SECRET: &[u8] = b"a-secret-of-at-least-32-bytes-here";
//!
//! struct Jwt;
//!
//! impl auth::Driver for Jwt {
//!     fn verifier(&self, holders: &[auth::Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
//!         let verifier = JwtVerifier::hs256(SECRET).any_issuer().any_audience().build().unwrap();
//!         let token = |holder: &auth::Holder| {
//!             let claims = json!({ "sub": holder.id, "exp": holder.expires.as_secs() });
//!             mint(Algorithm::HS256, SECRET, claims.as_object().unwrap()).unwrap()
//!         };
//!         (Arc::new(verifier), holders.iter().map(token).collect())
//!     }
//!     fn leeway(&self) -> Duration {
//!         Duration::from_secs(30)
//!     }
//! }
//!
//! auth::conformance(&Jwt);
//! ```

use std::sync::Arc;
use std::time::Duration;

mod bad;
mod many;
mod memory;
#[cfg(test)]
mod tests;

use super::rules::{Rules, holds};
use super::wait::wait;
use crate::answer::Answer;
use crate::auth::{AuthError, Identity, TokenVerifier};
use crate::time::UnixTime;

/// How the suite gets verifiers, and tokens that they accept.
pub trait Driver: Sync {
    /// A fresh verifier, and for each of these a token that it accepts as that identity.
    fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>);

    /// How long a token may be, in bytes; 8 KiB unless said otherwise. A longer one is refused at once, before anything of it
    /// is decoded or looked up.
    fn longest(&self) -> usize {
        8 * 1024
    }

    /// How long after its end a token is still accepted, for clocks that differ; not at all unless said otherwise.
    fn leeway(&self) -> Duration {
        Duration::ZERO
    }

    /// A verifier that cannot get at what it checks tokens with (its keys were never fetched, its database is down), and for
    /// each of these a token that would be good. None, which is the default: there is no such state.
    fn unavailable(&self, holders: &[Holder]) -> Option<(Arc<dyn TokenVerifier>, Vec<String>)> {
        let _ = holders;
        None
    }

    /// Waits for an answer, on any thread. The default parks the thread, which does for a future that other threads
    /// drive; a verifier that needs its runtime's context waits inside it (`Handle::block_on`).
    ///
    /// # Errors
    /// The verifier's own.
    fn wait(&self, answer: Answer<Result<Arc<Identity>, AuthError>>) -> Result<Arc<Identity>, AuthError> {
        wait(answer)
    }
}

/// Whom a token is to be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The identity's id: short and plain.
    pub id: String,
    /// From when on the token is not accepted, leeway aside.
    pub expires: UnixTime,
}

/// The time at which the suite asks: some day in 2027.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// How long the suite's tokens hold.
const HOLDS: Duration = Duration::from_secs(600);

/// What holds, and what shows it.
type Rule = (&'static str, fn(&dyn Driver));

const RULES: [Rule; 13] = [
    ("a good token is its holder", memory::a_good_token_is_its_holder),
    ("what is no token is invalid", bad::what_is_no_token_is_invalid),
    ("a good token that was changed is invalid", bad::a_changed_token_is_invalid),
    ("no text makes it panic", bad::no_text_makes_it_panic),
    ("a text that is too long is refused at once", bad::a_long_text_is_refused_at_once),
    ("a token is good until it expires", memory::a_token_is_good_until_it_expires),
    ("a remembered token expires like any other", memory::a_remembered_token_expires),
    ("what holds depends on the time that is given, and on no other", memory::time_is_what_is_given),
    ("what is recalled is what would be accepted", memory::recalled_is_what_would_be_accepted),
    ("what was refused is never recalled", memory::what_was_refused_is_never_recalled),
    ("tokens are not mixed up under concurrency", many::tokens_are_not_mixed_up),
    ("a caller that leaves spoils nothing", many::a_caller_that_leaves_spoils_nothing),
    ("what cannot be checked is unavailable, neither good nor invalid", bad::what_cannot_be_checked_is_unavailable),
];

/// Runs the whole suite: some thousands of tokens.
///
/// # Panics
/// The verifier does not do what [`TokenVerifier`] promises. The panic names each rule that does not hold, what the suite
/// expected and what it saw.
pub fn conformance(driver: &dyn Driver) {
    let mut rules = Rules::new("TokenVerifier");
    for (rule, check) in RULES {
        rules.check(rule, || check(driver));
    }
    rules.finish();
}

type Verdict = Result<Arc<Identity>, AuthError>;

/// A verifier and its tokens, under the suite's questions.
struct Asked<'a> {
    driver: &'a dyn Driver,
    verifier: Arc<dyn TokenVerifier>,
    tokens: Vec<String>,
}

/// Holders of these ids whose tokens hold for ten minutes.
fn holders(ids: &[&str]) -> Vec<Holder> {
    ids.iter().map(|id| Holder { id: (*id).to_owned(), expires: after(HOLDS) }).collect()
}

/// So long after [`NOW`].
fn after(time: Duration) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() + time.as_secs())
}

impl<'a> Asked<'a> {
    fn new(driver: &'a dyn Driver, ids: &[&str]) -> Self {
        let (verifier, tokens) = driver.verifier(&holders(ids));
        holds!(tokens.len() == ids.len(), "the driver's tokens: {} for {} holders", tokens.len(), ids.len());
        Self { driver, verifier, tokens }
    }

    fn token(&self) -> &str {
        self.tokens.first().map_or("", String::as_str)
    }

    fn verify(&self, token: &str, now: UnixTime) -> Verdict {
        self.driver.wait(self.verifier.verify(token, now))
    }

    /// The token must be accepted as `id`.
    #[track_caller]
    fn accepts(&self, token: &str, now: UnixTime, id: &str) {
        let verdict = self.verify(token, now);
        holds!(verdict.as_ref().is_ok_and(|who| who.id() == id), "{:?}, for a token of {id:?}", told(&verdict));
    }

    /// The token must be refused, as the client's fault.
    #[track_caller]
    fn refuses(&self, token: &str, now: UnixTime) {
        let verdict = self.verify(token, now);
        holds!(matches!(verdict, Err(AuthError::Invalid(_))), "{:?}, for {}", told(&verdict), shown(token));
    }
}

/// A verdict as a report shows it: the id alone.
fn told(verdict: &Verdict) -> Result<&str, AuthError> {
    verdict.as_ref().map(|who| who.id()).map_err(|error| *error)
}

/// A text as a report shows it: its beginning and its length.
fn shown(text: &str) -> String {
    let begin: String = text.chars().take(60).collect();
    format!("{begin:?} ({} bytes)", text.len())
}
