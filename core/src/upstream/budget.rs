//! The retry budget: how much retries may add to what an upstream is asked.

use std::time::Duration;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::time::Moment;

use super::slots::Slots;

/// What counts is this long ago at most.
const WINDOW: Duration = Duration::from_secs(10);
/// A tick is so many nanoseconds: a hundredth of the window.
const TICK: u64 = 100_000_000;
/// The ticks that a window may touch: a hundred, and one that is partly within.
const TICKS: usize = 101;
/// Shares are kept in millionths, so that what is allowed is a matter of whole numbers.
const WHOLE: u64 = 1_000_000;

/// Bounds retries to a share of live traffic, with a floor. Clones are the same budget, but for their bounds.
///
/// A bound on the retries of *one* request lets a sick upstream be asked several times as much as a healthy one, at the
/// worst moment. A budget bounds all of them together: when a retry is granted, then of the ten seconds that end there,
/// it and the retries before it are at most `share` of the requests, or `min_per_second` times ten, whichever is more.
/// So with a share of 0.2, an upstream that fails every request is asked at most 1.2 times as much, or the floor. It is the
/// budget of Finagle's `RetryBudget` and of Linkerd (20 %, at least 10 a second, over 10 seconds), but for its floor,
/// which holds instead of the share and does not come on top of it.
///
/// Exact under concurrency, on the safe side by the grain of its clock: a request counts for nine to ten seconds, a
/// retry for ten to ten and a tenth. A new budget has seen no requests: only its floor is there to be spent.
///
/// ```
/// use std::time::Duration;
/// use portcullis_core::{time::{Clock, UnixTime}, upstream::RetryBudget};
///
/// let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
/// let budget = RetryBudget::new(0.2).min_per_second(0);
///
/// (0..10).for_each(|_| budget.count(clock.now()));
/// assert!(budget.try_spend(clock.now()));
/// assert!(budget.try_spend(clock.now()));
/// assert!(!budget.try_spend(clock.now()), "two of ten");
///
/// // What is spent and what it was earned by are forgotten together.
/// time.advance(Duration::from_secs(11));
/// assert!(!budget.try_spend(clock.now()));
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    counts: Arc<Counts>,
    /// In millionths.
    share: u64,
    min_per_second: u32,
}

#[derive(Debug)]
struct Counts {
    requests: Slots,
    /// Behind a lock, since a retry is looked at and counted in one step; only those who want to retry come here.
    retries: Mutex<Retries>,
}

impl RetryBudget {
    /// A budget of `share` of live traffic, in millionths, and at least 3 retries a second. A share that is no number or
    /// below zero counts as zero; one of more than 1,000 counts as that.
    pub fn new(share: f64) -> Self {
        let counts = Counts { requests: Slots::new(WINDOW), retries: Mutex::new(Retries::new()) };
        Self { counts: Arc::new(counts), share: 0, min_per_second: 3 }.with_share(share)
    }

    /// The same budget, with what was counted, under another share.
    #[must_use]
    pub fn with_share(mut self, share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; no number is zero")]
        let millionths = (share.clamp(0.0, 1000.0) * WHOLE as f64).round() as u64;
        self.share = millionths;
        self
    }

    /// How many retries a second are always granted, counted over ten seconds; 3 by default.
    #[must_use]
    pub const fn min_per_second(mut self, retries: u32) -> Self {
        self.min_per_second = retries;
        self
    }

    /// Counts a request that a client sent; its retries do not count. One atomic step on cache lines of its own.
    pub fn count(&self, now: Moment) {
        self.counts.requests.add(now);
    }

    /// Spends one retry; false when the budget has none left, and then the request is not sent again.
    #[must_use = "where nothing was spent nothing may be sent"]
    pub fn try_spend(&self, now: Moment) -> bool {
        let allowed = self.allowed(now);
        let mut retries = self.retries();
        let spends = retries.sum(now) < allowed;
        if spends {
            retries.add();
        }
        spends
    }

    /// How many retries could be spent now: for metrics.
    pub fn left(&self, now: Moment) -> u64 {
        self.allowed(now).saturating_sub(self.retries().sum(now))
    }

    /// How many there may be in the window that ends now.
    fn allowed(&self, now: Moment) -> u64 {
        let requests = self.counts.requests.sum(now, 0);
        // At most 2^28 requests and 2^30 millionths.
        (requests * self.share / WHOLE).max(u64::from(self.min_per_second) * WINDOW.as_secs())
    }

    fn retries(&self) -> MutexGuard<'_, Retries> {
        // A panic cannot happen while it is held, and whole numbers are whole after one.
        self.counts.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Retries by tick.
#[derive(Debug)]
struct Retries {
    by_tick: [u32; TICKS],
    /// Where in the ring it is now.
    tick: u64,
    sum: u64,
}

impl Retries {
    const fn new() -> Self {
        Self { by_tick: [0; TICKS], tick: 0, sum: 0 }
    }

    /// How many there were in the ticks that the window touches. Time does not go back: of two threads whose readings
    /// crossed, the later one is meant.
    fn sum(&mut self, now: Moment) -> u64 {
        let tick = self.tick.max(now.as_nanos() / TICK);
        let passed = (tick - self.tick).min(TICKS as u64);
        for gone in tick - passed + 1..=tick {
            self.sum -= u64::from(std::mem::take(self.slot(gone)));
        }
        self.tick = tick;
        self.sum
    }

    /// Counts one at the time that was last said.
    fn add(&mut self) {
        let tick = self.tick;
        *self.slot(tick) += 1;
        self.sum += 1;
    }

    #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "a remainder of the length")]
    fn slot(&mut self, tick: u64) -> &mut u32 {
        &mut self.by_tick[(tick % TICKS as u64) as usize]
    }
}

#[cfg(test)]
mod tests;
