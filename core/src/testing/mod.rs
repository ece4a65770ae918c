//! Prove an implementation of one of our traits, and test with time, randomness and tokens of your own (feature `testing`).
//!
//! Each trait has a suite that any implementation runs; ours do. A suite is one function that takes a *driver*, which is how it
//! gets what it tries and moves it; it returns when every rule of the trait's contract holds, and panics with all that do not:
//! the rule, what was expected, what was seen.
//!
//! | trait | suite | the driver gives |
//! |---|---|---|
//! | [`RateLimitStore`](crate::limit::RateLimitStore) | [`limit::conformance`] | the store; moves its time on |
//! | [`TokenVerifier`](crate::auth::TokenVerifier) | [`auth::conformance`] | a verifier, and tokens that it accepts |
//! | [`UpstreamPicker`](crate::upstream::UpstreamPicker) | [`upstream::conformance`] | a picker for a pool; what it claims beyond the contract |
//! | `KeySource` | `key_source::conformance` (feature `jwt`) | a source, and the issuer that it asks |
//!
//! And for any test: [`Clock::manual`] stands still until its [`ManualClock`] moves it; [`ScriptedRandom`] draws the same in each
//! run; `mint` signs a token with a secret, `SigningKey` one with a private key that everybody has (both feature `jwt`; `mint` is
//! [`auth::mint`](crate::auth)'s own, since a login service signs with it too); [`wait()`] waits for an answer without a runtime.
//!
//! # A store of one's own
//!
//! Say that limits are to live in a cache that all of one's services share. The trait is one method, and what it promises is
//! atomicity: a limit decision is one step at the store. Memcached would do it with `gets` and `cas`, tried again until nobody
//! came between; below, a lock is that step, so that the example runs. The algorithms that a store counts by are its choice; this
//! one knows fixed windows, and answers everything else with an error.
//!
//! ```
//! use portcullis_core::Answer;
//! use portcullis_core::limit::{Algorithm, Charge, ChargeSet, Mode, RateLimitStore, StoreError, Verdict};
//! use portcullis_core::subject::Subject;
//! use portcullis_core::time::{Clock, Moment};
//! use std::collections::HashMap;
//! use std::sync::Mutex;
//! use std::time::Duration;
//!
//! struct Windows {
//!     clock: Clock,
//!     /// Until when a count counts, and what was spent.
//!     spent: Mutex<HashMap<Subject, (Moment, u32)>>,
//! }
//!
//! /// Takes one charge, and says how its limit stands then.
//! fn take_one(spent: &mut HashMap<Subject, (Moment, u32)>, index: usize, charge: &Charge, now: Moment) -> Verdict {
//!     let (period, limit) = (charge.quota.period.as_nanos() as u64, charge.quota.limit());
//!     let end = Moment::from_nanos((now.as_nanos() / period + 1) * period);
//!     let (until, count) = spent.entry(charge.subject).or_default();
//!     if *until <= now {
//!         *count = 0;
//!     }
//!     *until = end;
//!     // A cost of 0 asks for 1. The quota may be another than last time: what was spent stays spent.
//!     let admitted = count.saturating_add(charge.cost.max(1)) <= limit;
//!     if admitted {
//!         *count += charge.cost;
//!     }
//!     let left = end.since(now);
//!     Verdict {
//!         admitted,
//!         decided: index,
//!         limit: limit.into(),
//!         remaining: limit.saturating_sub(*count).into(),
//!         reset: if *count == 0 { Duration::ZERO } else { left },
//!         wait: if admitted { Duration::ZERO } else { left },
//!         alone: false, would_refuse: ChargeSet::EMPTY,
//!     }
//! }
//!
//! /// The one that decides: of those refused the longest wait, else the smallest share left.
//! fn deciding(verdicts: &[Verdict]) -> Option<Verdict> {
//!     let refused = verdicts.iter().filter(|one| !one.admitted).max_by_key(|one| one.wait);
//!     let share = |one: &Verdict| one.remaining as f64 / one.limit as f64;
//!     refused.or_else(|| verdicts.iter().min_by(|a, b| share(a).total_cmp(&share(b)))).copied()
//! }
//!
//! impl Windows {
//!     fn decide(&self, charges: &[Charge]) -> Result<Verdict, StoreError> {
//!         if charges.iter().any(|charge| charge.quota.algorithm != Algorithm::FixedWindow) {
//!             return Err(StoreError::new("only fixed windows are counted here"));
//!         }
//!         let mut spent = self.spent.lock().map_err(|_| StoreError::new("a thread died"))?;
//!         let now = self.clock.now();
//!         let of = |mode| charges.iter().enumerate().filter(move |(_, charge)| charge.mode == mode);
//!         // All that are enforced, or none of them.
//!         let taken: Vec<_> = of(Mode::Enforce).map(|(at, charge)| take_one(&mut spent, at, charge, now)).collect();
//!         if taken.iter().any(|one| !one.admitted) {
//!             for one in taken.iter().filter(|one| one.admitted) {
//!                 let charge = &charges[one.decided];
//!                 spent.entry(charge.subject).and_modify(|(_, count)| *count -= charge.cost);
//!             }
//!             return Ok(deciding(&taken).expect("one was refused"));
//!         }
//!         // Those in the shadow each by itself: they refuse nothing.
//!         let shadows: Vec<_> = of(Mode::Shadow).map(|(at, charge)| take_one(&mut spent, at, charge, now)).collect();
//!         let refused = shadows.iter().filter(|one| !one.admitted);
//!         let would_refuse = refused.fold(ChargeSet::EMPTY, |set, one| set.with(one.decided));
//!         let none = Verdict {
//!             admitted: true, decided: 0, limit: 0, remaining: 0,
//!             reset: Duration::ZERO, wait: Duration::ZERO, alone: false, would_refuse,
//!         };
//!         let decided = deciding(&taken).or_else(|| deciding(&shadows)).unwrap_or(none);
//!         Ok(Verdict { admitted: true, wait: Duration::ZERO, would_refuse, ..decided })
//!     }
//! }
//!
//! impl RateLimitStore for Windows {
//!     fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
//!         // A store across the network: `Answer::later(async move { … })`, with what it needs cloned into it.
//!         Answer::Now(self.decide(charges))
//!     }
//! }
//!
//! // And the proof: a clock that stands still, a driver that moves it, the suite.
//! use portcullis_core::testing::{ManualClock, limit};
//! use portcullis_core::time::UnixTime;
//! use std::sync::Arc;
//!
//! struct Drive(Arc<Windows>, ManualClock);
//!
//! impl limit::Driver for Drive {
//!     fn store(&self) -> Arc<dyn RateLimitStore> {
//!         self.0.clone()
//!     }
//!     fn advance(&self, by: Duration) {
//!         self.1.advance(by);
//!     }
//!     fn algorithms(&self) -> &[Algorithm] {
//!         &[Algorithm::FixedWindow]
//!     }
//! }
//!
//! let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
//! limit::conformance(&Drive(Arc::new(Windows { clock, spent: Mutex::default() }), hand));
//! ```
//!
//! A store whose time is not the process's (a script that asks the server, an expiry in the cache) needs a way to be told the time
//! in tests: a constructor behind a feature, that hands it `now`. [`limit`] lists what such stores get wrong most often.
//!
//! # What a failure looks like
//!
//! With the undoing of what was spent left out of the store above:
//!
//! ```text
//! RateLimitStore: 3 of 26 rules do not hold
//!
//! - all charges of a request are spent, or none is (fixed-window)
//!   expected: (7, 0ns)
//!   saw:      (0, 0ns)
//!   of:       (remaining, wait) in Verdict { admitted: true, decided: 0, limit: 10, remaining: 0, … }
//!
//! - …
//! ```

pub mod auth;
#[cfg(feature = "jwt")]
pub mod key_source;
pub mod limit;
mod random;
mod rules;
pub mod upstream;
mod wait;

pub use random::ScriptedRandom;
pub use wait::wait;

#[cfg(feature = "jwt")]
pub use crate::auth::{SigningKey, mint};
pub use crate::time::{Clock, ManualClock};
