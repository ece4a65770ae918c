//! So many in two fixed windows, the earlier one weighed by how much of it is less than a period ago.
//!
//! What was spent in the earlier window is taken as spread evenly over it. So nothing can be doubled at the edge of two
//! windows, two counts are all that is kept, and what is spent in a whole window is never more than the limit. A period that
//! begins with a burst at the end of one window can still see almost twice the limit, the second half of it evenly.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Quota;
use super::counters::Counters;
use super::fixed_window::end;
use crate::time::{Moment, nanos};

/// Brings the counts to the window that `now` is in.
///
/// `whole` says which windows they are of: a window's spending counts until the next one ends. Counted until this window's
/// end: of the window before. Anything else was counted under another period, and counts as spent now.
pub(super) fn settle(counters: &mut Counters, quota: &Quota, now: Moment) {
    let end = end(quota, now);
    if counters.whole() == end {
        if counters.used > 0 {
            (counters.earlier, counters.used) = (counters.used, 0);
        }
    } else if counters.whole() != end + period(quota) {
        (counters.earlier, counters.used) = (0, counters.used.saturating_add(counters.earlier));
        counters.set_whole(end + period(quota));
    }
}

/// What was spent in the earlier window and in this one, as far as it counts: a limit that is smaller than it was is used up,
/// and no more than that. What is kept stays as it is; the limit may grow again.
fn counts(counters: &Counters, quota: &Quota) -> (u32, u32) {
    (counters.earlier.min(quota.limit()), counters.used.min(quota.limit()))
}

/// Counts `cost`, at most the limit, in the current window, or says how long to wait.
pub(super) fn spend(counters: &mut Counters, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
    let (end, period) = (end(quota, now), quota.period_nanos());
    let left = nanos(end.since(now));
    let (earlier, spent) = counts(counters, quota);
    let used = spent.saturating_add(cost.get());
    let Some(room) = quota.limit().checked_sub(used) else {
        // Not in this window. In the next one this one is the earlier, and weighs less and less.
        let room = quota.limit().saturating_sub(cost.get());
        return Err(Duration::from_nanos(left.saturating_add(period - weighs_until(spent, room, period))));
    };
    // Compared crosswise: nothing is rounded, and nothing divided unless somebody has to wait.
    if u128::from(earlier) * u128::from(left) > u128::from(room) * u128::from(period) {
        return Err(Duration::from_nanos(left - weighs_until(earlier, room, period)));
    }
    counters.used = used;
    counters.set_whole(end + Duration::from_nanos(period));
    Ok(())
}

/// How much is left; what the earlier window weighs is rounded up.
pub(super) fn remaining(counters: &Counters, quota: &Quota, now: Moment) -> u32 {
    let left = nanos(end(quota, now).since(now));
    let (earlier, spent) = counts(counters, quota);
    let weight = (u128::from(earlier) * u128::from(left)).div_ceil(u128::from(quota.period_nanos()));
    let spent = u128::from(spent) + weight;
    quota.limit().saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
}

/// Gives `cost` back if the window in which it was spent still runs.
pub(super) fn refund(counters: &mut Counters, quota: &Quota, cost: u32, asked: Moment) {
    let end = end(quota, asked);
    if counters.whole() != end + period(quota) {
        return;
    }
    if counters.used == 0 {
        // Somebody has looked since: what was spent then is of the window before.
        counters.earlier = counters.earlier.saturating_sub(cost);
        if counters.earlier == 0 {
            *counters = Counters::default();
        }
        return;
    }
    counters.used = counters.used.saturating_sub(cost);
    match (counters.used, counters.earlier) {
        (0, 0) => *counters = Counters::default(),
        // As if nothing had been spent in this window: the counts are those of the one before.
        (0, _) => counters.set_whole(end),
        _ => {}
    }
}

fn period(quota: &Quota) -> Duration {
    Duration::from_nanos(quota.period_nanos())
}

/// How long before the end of the window `count` spent in the one before weighs no more than `room`.
fn weighs_until(count: u32, room: u32, period: u64) -> u64 {
    let until = u128::from(room) * u128::from(period) / u128::from(count.max(1));
    u64::try_from(until).unwrap_or(u64::MAX).min(period)
}
