//! So many in any period, exactly: each is remembered for a period.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::Quota;
use super::cell::Standing;
use crate::time::Moment;

/// When a subject spent what it spent in the last period: one time for each of it, oldest first. Eight bytes each, and
/// never more of them than a limit can be: [`MAX_LOG`](super::quota::MAX_LOG).
#[derive(Debug, Default)]
pub(super) struct Log {
    times: VecDeque<Moment>,
    /// When the last of them is a period ago.
    whole: Moment,
}

impl Log {
    pub(super) fn whole(&self) -> Moment {
        self.whole
    }

    /// Spends `cost`, if it fits.
    pub(super) fn take(&mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Standing {
        self.settle(quota, now);
        let wait = self.wait(quota, cost, now);
        if wait.is_none() {
            self.make_room(quota, cost);
            self.times.extend(std::iter::repeat_n(now, cost.get() as usize));
            self.whole = now + period(quota);
        }
        self.standing(quota, now, wait)
    }

    /// Whether [`take`](Self::take) would admit, and what is left before it.
    pub(super) fn peek(&mut self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Standing {
        self.settle(quota, now);
        self.standing(quota, now, self.wait(quota, cost, now))
    }

    /// Gives back `cost` that a take after `asked` spent. Others may have spent since: the oldest are taken, so that what
    /// stays is never forgotten too early. Exact when no time has passed.
    pub(super) fn refund(&mut self, quota: &Quota, cost: u32, asked: Moment) {
        let first = self.times.partition_point(|time| *time < asked);
        let last = first.saturating_add(cost as usize).min(self.times.len());
        self.times.drain(first..last);
        self.whole = self.times.back().map_or_else(Moment::default, |last| *last + period(quota));
    }

    /// Forgets what is a period ago. What a smaller limit than before has no place for stays, and makes nobody wait longer:
    /// the newest have to go last in any case.
    fn settle(&mut self, quota: &Quota, now: Moment) {
        while self.times.front().is_some_and(|oldest| *oldest + period(quota) <= now) {
            self.times.pop_front();
        }
        self.whole = self.times.back().map_or_else(Moment::default, |last| *last + period(quota));
    }

    /// Until so many of the oldest are a period ago that `cost` has room; none when it has.
    fn wait(&self, quota: &Quota, cost: NonZeroU32, now: Moment) -> Option<Duration> {
        let with = self.times.len().saturating_add(cost.get() as usize);
        let in_the_way = with.saturating_sub(quota.limit() as usize).checked_sub(1)?;
        // More than there are stand in the way of a cost above the limit.
        let last = self.times.get(in_the_way).filter(|_| cost.get() <= quota.limit());
        Some(last.map_or(quota.whole_after(), |last| (*last + period(quota)).since(now)))
    }

    /// Doubles the room, but never beyond the limit.
    fn make_room(&mut self, quota: &Quota, cost: NonZeroU32) {
        let needed = self.times.len() + cost.get() as usize;
        if needed > self.times.capacity() {
            let room = needed.max(2 * self.times.capacity()).min(quota.limit() as usize);
            self.times.reserve_exact(room.saturating_sub(self.times.len()));
        }
    }

    fn standing(&self, quota: &Quota, now: Moment, wait: Option<Duration>) -> Standing {
        let spent = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        let limit = quota.limit();
        Standing { limit, remaining: limit.saturating_sub(spent), reset: self.whole.since(now), wait }
    }

    /// How many bytes the times take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.times.capacity() * size_of::<Moment>()
    }

    #[cfg(test)]
    pub(super) fn copy(&self) -> Self {
        Self { times: self.times.clone(), whole: self.whole }
    }
}

fn period(quota: &Quota) -> Duration {
    Duration::from_nanos(quota.period_nanos())
}
