//! What the script tells of a limit, made what a client is told: the arithmetic of `portcullis_core`'s own memory, exact.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Quota, Standing};

/// What the script tells of one charge. What it means depends on the algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Windows: spent in this one. Log: how many it remembers.
    pub(crate) first: u32,
    /// Sliding window: spent in the one before.
    pub(crate) second: u32,
    /// Bucket: until it is full. Windows: until this one ends. Log: how long its newest counts.
    pub(crate) time: Duration,
    /// Log: how long those count that stand in the way of the cost.
    pub(crate) other: Duration,
}

impl Told {
    /// How a charge of `cost` stands that holds, or does not.
    pub(crate) fn standing(&self, quota: &Quota, cost: u32, holds: bool) -> Standing {
        let (remaining, reset) = match quota.algorithm {
            Algorithm::FixedWindow => (quota.limit().saturating_sub(self.first), self.when(self.first > 0, self.time)),
            Algorithm::SlidingLog => (quota.limit().saturating_sub(self.first), self.time),
            Algorithm::SlidingWindow => (self.left_of_two(quota), self.last_of_two(quota)),
            _ => (self.left_in_bucket(quota), self.time),
        };
        let wait = (!holds).then(|| self.wait(quota, cost.max(1)));
        Standing { limit: quota.limit(), remaining, reset, wait }
    }

    fn wait(&self, quota: &Quota, cost: u32) -> Duration {
        if cost > quota.limit() {
            return quota.whole_after();
        }
        match quota.algorithm {
            Algorithm::FixedWindow => self.time,
            Algorithm::SlidingLog => self.other,
            Algorithm::SlidingWindow => self.wait_for_two(quota, cost),
            _ => (self.time + quota.interval().saturating_mul(cost)).saturating_sub(quota.window()),
        }
    }

    fn left_in_bucket(&self, quota: &Quota) -> u32 {
        let left = quota.window().saturating_sub(self.time).as_nanos() / quota.interval().as_nanos().max(1);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// What was spent in this window and in the one before, as far as it counts.
    fn two(&self, quota: &Quota) -> (u32, u32) {
        (self.first.min(quota.limit()), self.second.min(quota.limit()))
    }

    /// What the earlier window weighs is rounded up.
    fn left_of_two(&self, quota: &Quota) -> u32 {
        let (spent, earlier) = self.two(quota);
        let weight = (u128::from(earlier) * self.time.as_nanos()).div_ceil(quota.window().as_nanos().max(1));
        quota.limit().saturating_sub(u32::try_from(u128::from(spent) + weight).unwrap_or(u32::MAX))
    }

    /// What is spent in this window counts until the next one ends.
    fn last_of_two(&self, quota: &Quota) -> Duration {
        match (self.first, self.second) {
            (0, earlier) => self.when(earlier > 0, self.time),
            _ => self.time + quota.window(),
        }
    }

    /// Until the window before weighs no more than the cost leaves room for; if this one is in the way, it is that one then.
    fn wait_for_two(&self, quota: &Quota, cost: u32) -> Duration {
        let (spent, earlier) = self.two(quota);
        match quota.limit().checked_sub(spent.saturating_add(cost)) {
            Some(room) => self.time.saturating_sub(weighs_until(earlier, room, quota.window())),
            None => {
                let room = quota.limit().saturating_sub(cost);
                (self.time + quota.window()).saturating_sub(weighs_until(spent, room, quota.window()))
            }
        }
    }

    fn when(&self, counts: bool, time: Duration) -> Duration {
        if counts { time } else { Duration::ZERO }
    }
}

/// How long before the end of a window `count` spent in the one before weighs no more than `room`.
fn weighs_until(count: u32, room: u32, period: Duration) -> Duration {
    let until = u128::from(room) * period.as_nanos() / u128::from(count.max(1));
    Duration::from_nanos(u64::try_from(until).unwrap_or(u64::MAX)).min(period)
}
