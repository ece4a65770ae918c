//! So many in each period, counted from the Unix epoch.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Quota;
use super::cell::Cell;
use crate::time::Moment;

/// When the window that `now` is in ends.
pub(super) fn end(quota: &Quota, now: Moment) -> Moment {
    let period = quota.period_nanos();
    Moment::from_nanos((now.as_nanos() / period).saturating_add(1).saturating_mul(period))
}

/// Counts `cost` in the current window, or says how long to wait for the next.
pub(super) fn spend(cell: &mut Cell, quota: &Quota, cost: NonZeroU32, now: Moment) -> Result<(), Duration> {
    let end = end(quota, now);
    let used = cell.used.saturating_add(cost.get());
    if used > quota.limit() {
        return Err(end.since(now));
    }
    (cell.whole, cell.used) = (end, used);
    Ok(())
}

/// Gives `cost` back if the window in which it was spent still runs. A window that ended between asking and spending is
/// taken for another one: then nothing is given back.
pub(super) fn refund(cell: &mut Cell, quota: &Quota, cost: u32, asked: Moment) {
    if cell.whole == end(quota, asked) {
        cell.used = cell.used.saturating_sub(cost);
    }
    if cell.used == 0 {
        cell.whole = Moment::default();
    }
}
