//! What the algorithms that count keep for one subject: a time and two counts.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::cell::Standing;
use super::{Algorithm, Quota, fixed_window, sliding_window, token_bucket};
use crate::time::Moment;

/// What a subject has spent, by one algorithm. The default has spent nothing.
///
/// They name no quota: the rule of each charge says how to read them, so a changed rule goes on where the old one was. A
/// sliding log has none; asked all the same, they are a bucket's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    /// See [`whole`](Self::whole). Never zero, so that a cell that holds a log instead needs no byte to say so.
    whole: NonZeroU64,
    /// Windows: what is spent in the current one, when it last was.
    pub(super) used: u32,
    /// Sliding window: what was spent in the one before.
    pub(super) earlier: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self { whole: NonZeroU64::MIN, used: 0, earlier: 0 }
    }
}

impl Counters {
    /// When the limit is whole again, whatever the algorithm: the time at which a bucket is full (the theoretical arrival
    /// time of the cell rate algorithm), or at which the last window that counts ends. Not after now: nothing is spent.
    pub(super) fn whole(&self) -> Moment {
        Moment::from_nanos(self.whole.get())
    }

    pub(super) fn set_whole(&mut self, whole: Moment) {
        self.whole = NonZeroU64::new(whole.as_nanos()).unwrap_or(NonZeroU64::MIN);
    }

    /// Spends `cost`, if it fits.
    pub(super) fn take(&mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Standing {
        self.settle(quota, now);
        let wait = self.spend(quota, cost, now).err();
        self.standing(quota, now, wait)
    }

    /// Whether [`take`](Self::take) would admit, and what is left before it.
    pub(super) fn peek(mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Standing {
        self.settle(quota, now);
        let mut copy = self;
        let wait = copy.spend(quota, cost, now).err();
        self.standing(quota, now, wait)
    }

    /// Gives back `cost` that a take after `asked` spent.
    pub(super) fn refund(&mut self, quota: &Quota, cost: u32, asked: Moment, now: Moment) {
        match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::refund(self, quota, cost, asked),
            Algorithm::SlidingWindow => sliding_window::refund(self, quota, cost, asked),
            Algorithm::SlidingLog | Algorithm::TokenBucket => token_bucket::refund(self, quota, cost, now.since(asked)),
        }
    }

    /// Reads what is kept under the quota as it is now; changes nothing when the quota did not change.
    fn settle(&mut self, quota: &Quota, now: Moment) {
        if self.whole() <= now {
            *self = Self::default();
            return;
        }
        match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::settle(self, quota, now),
            Algorithm::SlidingWindow => sliding_window::settle(self, quota, now),
            Algorithm::SlidingLog | Algorithm::TokenBucket => token_bucket::settle(self, quota, now),
        }
    }

    fn spend(&mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
        // Asked here, before any arithmetic: a cost of billions times an interval of days is no 64-bit number.
        if cost.get() > quota.limit() {
            return Err(quota.whole_after());
        }
        match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::spend(self, quota, cost, now),
            Algorithm::SlidingWindow => sliding_window::spend(self, quota, cost, now),
            Algorithm::SlidingLog | Algorithm::TokenBucket => token_bucket::spend(self, quota, cost, now),
        }
    }

    fn standing(&self, quota: &Quota, now: Moment, wait: Option<Duration>) -> Standing {
        let remaining = match quota.algorithm {
            Algorithm::FixedWindow => fixed_window::remaining(self, quota),
            Algorithm::SlidingWindow => sliding_window::remaining(self, quota, now),
            Algorithm::SlidingLog | Algorithm::TokenBucket => token_bucket::remaining(self, quota, now),
        };
        Standing { limit: quota.limit(), remaining, reset: self.whole().since(now), wait }
    }
}
