//! Rate limits: rules, charges, verdicts, and the store that decides.
//!
//! A [`Rule`] says how much ([`Quota`]) whom (its key) may do. A request is charged under each of its route's rules; the
//! [`RateLimitStore`] takes all charges in one step and answers with one [`Verdict`]; [`headers`] tells the client.
//!
//! What is where: [`Rate`] reads `100/min`; `quota` bounds the numbers; `token_bucket`, `fixed_window` and `sliding_window`
//! are pure arithmetic on one subject's `counters` and a given time, `sliding_log` on its log; a `cell` is one or the other;
//! `cells` keeps a bounded number of them; `memory` makes a store of these, and `tally` a verdict.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Answer;
use crate::subject::{RuleId, Subject, SubjectKey};

mod cell;
mod cells;
mod counters;
mod fixed_window;
pub mod headers;
mod memory;
mod on_failure;
mod quota;
mod rate;
mod rule;
mod sliding_log;
mod sliding_window;
mod tally;
mod token_bucket;

#[cfg(test)]
mod tests;

pub use cell::Standing;
pub use headers::{HeaderFamilies, Policies};
pub use memory::{MemoryStore, Stats};
pub use on_failure::OnFailure;
pub use quota::{Algorithm, MAX_LOG, MAX_PERIOD, MIN_PERIOD, Quota};
pub use rate::{MAX_COUNT, Rate, RateError};
pub use rule::{MAX_NAME, Mode, Rule};
pub use tally::Tally;

/// Where limits are counted.
///
/// `testing::limit::conformance` (feature `testing`) checks what is promised here; every implementation runs it.
pub trait RateLimitStore: Send + Sync + 'static {
    /// Takes the charges of one request: all that are enforced hold together and are spent, or none is.
    ///
    /// - **Shadow** charges ([`Mode::Shadow`]) refuse nothing and are never in the way of others. When those that are enforced
    ///   hold, each shadow charge is taken by itself: it is spent if it holds, and else is one of [`Verdict::would_refuse`]. So
    ///   each is counted as if it were enforced beside them, and the only one that is new. When they do not hold, nothing is
    ///   spent and nothing is said of shadow charges: the request would have been refused anyway.
    /// - **Atomic.** Under any concurrency no limit admits more than its quota. With one charge the store admits exactly
    ///   as many as fit; with several, two requests at the same instant may each find the other's spending in their way,
    ///   and a store may then refuse one that a global lock would have let in.
    /// - **Time** is the store's own and never goes back: with a shared store all nodes see the same one.
    /// - **A refused charge costs nothing**, and neither do the others of its request.
    /// - **Cost 0** asks whether a charge of 1 would be admitted, and spends nothing.
    /// - **A cost above the limit** is refused, always; its `wait` is the time in which the limit becomes whole.
    /// - **A changed quota** under the same rule reads what was counted under the new numbers, as no worse than a limit
    ///   that is used up. What one algorithm counted says nothing to another: a changed one starts anew, and when it is changed
    ///   back goes on where it was.
    /// - No charges at all are admitted.
    ///
    /// # Errors
    /// The store could not be asked or did not answer in time. Nothing is said about what was spent. What happens to the
    /// request then is the caller's policy, never the store's.
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>>;

    /// How many nodes share this store, as last known: what a node divides by when it has to go on alone.
    fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    /// What subjects are hashed under by everybody who counts here. A store that several processes share says the same to all of
    /// them, or each would count the same client apart; none, the default: nobody else counts here, and who asks uses a key of its
    /// own.
    ///
    /// Asked for each request, so it waits for nothing and costs next to nothing: a store across the network says none until it
    /// has learnt the key, and may have to adopt another when its data is lost.
    fn subjects(&self) -> Option<SubjectKey> {
        None
    }

    /// The memory in which a store that several nodes share counts what it admitted for this one, so that a node that has to go
    /// on alone knows what it has let through already. None, the default: whoever asks counts its share in a memory of its own
    /// ([`OnFailure::Share`]).
    fn local(&self) -> Option<&MemoryStore> {
        None
    }

    /// Is told what was admitted in its absence: charges, as they are without any share, that it did not decide and its
    /// [`local`](Self::local) memory held. A store that others count in may make up for that when it decides again. Nothing by default.
    fn admitted_without(&self, _charges: &[Charge]) {}
}

/// A shared store is a store.
impl<S: RateLimitStore + ?Sized> RateLimitStore for Arc<S> {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        (**self).take(charges)
    }

    fn nodes(&self) -> NonZeroU32 {
        (**self).nodes()
    }

    fn subjects(&self) -> Option<SubjectKey> {
        (**self).subjects()
    }

    fn local(&self) -> Option<&MemoryStore> {
        (**self).local()
    }

    fn admitted_without(&self, charges: &[Charge]) {
        (**self).admitted_without(charges);
    }
}

/// What one request costs one subject under one rule. Made by [`Rule::charge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The rule, for the bucket that new subjects share when a store is full.
    pub rule: RuleId,
    /// Who pays; the rule is part of it.
    pub subject: Subject,
    /// The rule's quota, as it is now.
    pub quota: Quota,
    /// How much; 0 asks whether a charge of 1 would be admitted and spends nothing.
    pub cost: u32,
    /// Whether it can refuse.
    pub mode: Mode,
    /// How much more than the limit all nodes together may admit, so that each may decide ahead of what they share. 0: exactly the
    /// limit. A store of one node is exact whatever it says.
    pub overshoot: u32,
}

/// What the store says to all charges of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether all charges that are enforced held, and were spent.
    pub admitted: bool,
    /// Which charge (index into what was asked) decided: the refused one with the longest wait, else the one with the
    /// smallest share left. A shadow charge only where no other was asked. The numbers below are that charge's.
    pub decided: usize,
    /// The limit as headers show it: burst of a token bucket, count of a window. 0 when nothing was asked.
    pub limit: u64,
    /// What is left of it after this request.
    pub remaining: u64,
    /// Until the limit is whole again; zero when it is.
    pub reset: Duration,
    /// Until the request would be admitted if nobody else spent; zero when it was.
    pub wait: Duration,
    /// This node decided alone, by its share: the store that it shares with others did not, or has lost its data.
    pub alone: bool,
    /// Which shadow charges did not hold; none of a request that was refused.
    pub would_refuse: ChargeSet,
}

/// Some of the first 64 charges that were asked, by their index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChargeSet(u64);

impl ChargeSet {
    /// No charge.
    pub const EMPTY: Self = Self(0);

    /// With the charge at `index`; one beyond the first 64 is left out.
    #[must_use]
    pub fn with(self, index: usize) -> Self {
        let bit = u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index));
        Self(self.0 | bit.unwrap_or_default())
    }

    /// Whether the charge at `index` is in it.
    pub fn contains(self, index: usize) -> bool {
        index < 64 && self.0 >> index & 1 == 1
    }

    /// Whether none is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The indices of those in it, lowest first.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(lowest)
        })
    }
}

impl Verdict {
    /// Whole seconds after which a refused request is worth repeating: `wait` rounded up, at least 1 (RFC 9110, section
    /// 10.2.3).
    pub fn retry_after(&self) -> u64 {
        headers::seconds_up(self.wait).max(1)
    }
}

/// A store could not decide. The cause is for the log; there is nothing in it to act on.
#[derive(Debug)]
pub struct StoreError(Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// From the store's own error.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rate-limit store did not decide")
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}
