//! A bucket that refills evenly: the generic cell rate algorithm, in the arithmetic of the governor crate.
//!
//! governor decides; what it does not do, counters of ours add: a limiter is made on the stack for one decision, over a
//! [`View`] of one subject's counters and a clock whose origin is always the epoch. So they mean the same to every quota and
//! outlive a reload, and governor's own maps, which never forget a key, are not needed.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};

use super::Quota;
use super::counters::Counters;
use crate::time::Moment;

/// The end of the times that are counted with: the year 2262. With the bound on the time a bucket takes to fill, no sum
/// of governor's leaves 64 bits.
const LAST_NANOS: u64 = 1 << 63;

/// A bucket is no emptier than one of its size can be.
pub(super) fn settle(counters: &mut Counters, quota: &Quota, now: Moment) {
    counters.set_whole(counters.whole().min(now + quota.whole_after()));
}

/// Takes `cost`, at most the quota's limit, from the bucket, or says how long to wait until it is in it.
pub(super) fn spend(counters: &mut Counters, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
    let Some(shape) = governor::Quota::with_period(quota.interval()) else {
        return Err(quota.whole_after()); // an interval is never zero
    };
    let shape = shape.allow_burst(NonZeroU32::new(quota.limit()).unwrap_or(NonZeroU32::MIN));
    let now = Nanos::from(now.as_nanos().min(LAST_NANOS));
    let view = View(std::cell::Cell::new(Nanos::from(counters.whole().as_nanos())));
    let clock = EpochThen { now, started: std::cell::Cell::new(false) };
    let limiter = RateLimiter::<NotKeyed, View, EpochThen, NoOpMiddleware<Nanos>>::new(shape, view, clock);
    match limiter.check_n(cost) {
        Ok(Ok(())) => {
            counters.set_whole(Moment::from_nanos(limiter.into_state_store().0.get().as_u64()));
            Ok(())
        }
        Ok(Err(not_until)) => Err(not_until.wait_time_from(now)),
        Err(_more_than_the_burst) => Err(quota.whole_after()),
    }
}

/// How much is in the bucket.
pub(super) fn remaining(counters: &Counters, quota: &Quota, now: Moment) -> u32 {
    let missing = counters.whole().as_nanos().saturating_sub(now.as_nanos());
    let whole = quota.fill_nanos().saturating_sub(missing) / quota.interval_nanos();
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// Puts `cost` back, less what may have flowed in since it was taken: a bucket that became full meanwhile lost that, and
/// nobody may have it a second time. Exact when no time has passed.
pub(super) fn refund(counters: &mut Counters, quota: &Quota, cost: u32, since: Duration) {
    let put_back = quota.interval().saturating_mul(cost).saturating_sub(since);
    counters.set_whole(Moment::from_nanos(counters.whole().as_nanos().saturating_sub(crate::time::nanos(put_back))));
}

/// One subject's counters as governor's state store: the time at which the bucket is full.
struct View(std::cell::Cell<Nanos>);

impl StateStore for View {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, full_at) = decide(Some(self.0.get()))?;
        self.0.set(full_at);
        Ok(outcome)
    }
}

/// A clock for one decision. A limiter asks the time once when it is made and counts from then: that is the epoch for
/// all of ours.
struct EpochThen {
    now: Nanos,
    started: std::cell::Cell<bool>,
}

impl Clock for EpochThen {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if self.started.replace(true) { self.now } else { Nanos::from(0) }
    }
}
