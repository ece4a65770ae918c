//! What is kept for one subject under one rule: sixteen bytes, whatever the algorithm.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Algorithm, Quota, fixed_window, token_bucket};
use crate::time::Moment;

/// What a subject has spent. The default has spent nothing.
///
/// It names no quota: the rule of each charge says how to read it, so a changed rule goes on where the old one was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// When the limit is whole again, whatever the algorithm: the time at which a bucket is full (the theoretical arrival
    /// time of the cell rate algorithm), or the end of the window. Not after now: nothing is spent.
    pub(super) whole: Moment,
    /// Fixed window: what is spent until then.
    pub(super) used: u32,
    /// Whose numbers these are.
    algorithm: Algorithm,
}

/// How a charge stands with its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset: Duration,
    /// Refused, and until when; none: admitted.
    pub(super) wait: Option<Duration>,
}

impl Cell {
    /// Spends `cost`, if it fits. A cost of 0 asks whether 1 would fit.
    ///
    /// For one cell, `now` must never go back: read the clock while the cell is locked.
    pub(super) fn take(&mut self, quota: &Quota, cost: u32, now: Moment) -> Standing {
        let Some(cost) = NonZeroU32::new(cost) else { return self.peek(quota, cost, now) };
        self.settle(quota, now);
        let wait = self.spend(quota, cost, now).err();
        self.standing(quota, now, wait)
    }

    /// Whether [`take`](Self::take) would admit, and what is left before it; spends nothing.
    pub(super) fn peek(&mut self, quota: &Quota, cost: u32, now: Moment) -> Standing {
        self.settle(quota, now);
        let mut copy = *self;
        let wait = copy.spend(quota, NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN), now).err();
        self.standing(quota, now, wait)
    }

    /// Gives back `cost` that a take after `asked` spent. What time has given back since, or may have, is not given
    /// twice: between the two no more can pass than the quota allows.
    pub(super) fn refund(&mut self, quota: &Quota, cost: u32, asked: Moment, now: Moment) {
        if self.algorithm != quota.algorithm {
            return;
        }
        match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::refund(self, quota, cost, asked),
            Algorithm::TokenBucket => token_bucket::refund(self, quota, cost, now.since(asked)),
        }
    }

    /// Whether forgetting the cell changes nothing.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.whole <= now
    }

    /// Reads what is kept under the quota as it is now; changes nothing when the quota did not change.
    fn settle(&mut self, quota: &Quota, now: Moment) {
        if self.algorithm != quota.algorithm || self.is_idle(now) {
            *self = Self { algorithm: quota.algorithm, ..Self::default() };
            return;
        }
        match quota.algorithm {
            Algorithm::FixedWindow => self.whole = fixed_window::end(quota, now),
            Algorithm::TokenBucket => self.whole = self.whole.min(now + quota.whole_after()),
        }
    }

    fn spend(&mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
        // Asked here, before any arithmetic: a cost of billions times an interval of days is no 64-bit number.
        if cost.get() > quota.limit() {
            return Err(quota.whole_after());
        }
        match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::spend(self, quota, cost, now),
            Algorithm::TokenBucket => token_bucket::spend(self, quota, cost, now),
        }
    }

    fn standing(&self, quota: &Quota, now: Moment, wait: Option<Duration>) -> Standing {
        let remaining = match quota.algorithm {
            Algorithm::FixedWindow => quota.limit().saturating_sub(self.used),
            Algorithm::TokenBucket => token_bucket::remaining(self, quota, now),
        };
        Standing { limit: quota.limit(), remaining, reset: self.whole.since(now), wait }
    }
}
