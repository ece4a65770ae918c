//! So many in each period, counted from the Unix epoch.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Quota;
use super::counters::Counters;
use crate::time::Moment;

/// When the window that `now` is in ends.
pub(super) fn end(quota: &Quota, now: Moment) -> Moment {
    let period = quota.period_nanos();
    Moment::from_nanos((now.as_nanos() / period).saturating_add(1).saturating_mul(period))
}

/// What was counted until some end is counted until the end of this window, whatever the period was.
pub(super) fn settle(counters: &mut Counters, quota: &Quota, now: Moment) {
    counters.set_whole(end(quota, now));
}

/// Counts `cost` in the current window, or says how long to wait for the next.
pub(super) fn spend(counters: &mut Counters, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
    let end = end(quota, now);
    let used = counters.used.saturating_add(cost.get());
    if used > quota.limit() {
        return Err(end.since(now));
    }
    counters.used = used;
    counters.set_whole(end);
    Ok(())
}

/// How much of the window is left.
pub(super) fn remaining(counters: &Counters, quota: &Quota) -> u32 {
    quota.limit().saturating_sub(counters.used)
}

/// Gives `cost` back if the window in which it was spent still runs. A window that ended between asking and spending is
/// taken for another one: then nothing is given back.
pub(super) fn refund(counters: &mut Counters, quota: &Quota, cost: u32, asked: Moment) {
    if counters.whole() == end(quota, asked) {
        counters.used = counters.used.saturating_sub(cost);
    }
    if counters.used == 0 {
        *counters = Counters::default();
    }
}
