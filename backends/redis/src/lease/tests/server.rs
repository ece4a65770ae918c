//! A model of what the script counts, for one subject: as plain as can be.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Quota, Standing};

/// Times are nanoseconds.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) quota: Quota,
    /// Bucket: when it is full.
    full: u64,
    /// Windows and log: when each was counted.
    counted: Vec<u64>,
}

impl Server {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, full: 0, counted: Vec::new() }
    }

    pub(super) fn period(&self) -> u64 {
        u64::try_from(self.quota.window().as_nanos()).unwrap()
    }

    pub(super) fn interval(&self) -> u64 {
        u64::try_from(self.quota.interval().as_nanos()).unwrap()
    }

    /// As much as there is of `most`.
    pub(super) fn take(&mut self, most: u32, now: u64) -> u32 {
        // What is two periods old counts nowhere.
        let old = now.saturating_sub(2 * self.period());
        self.counted.drain(..self.counted.partition_point(|time| *time < old));
        let mut given = 0;
        while given < most && self.wait(now).is_none() {
            match self.quota.algorithm {
                Algorithm::TokenBucket => self.full = self.full.max(now) + self.interval(),
                _ => self.counted.push(now),
            }
            given += 1;
        }
        given
    }

    /// All of it, or nothing.
    pub(super) fn take_all(&mut self, cost: u32, now: u64) -> bool {
        let kept = (self.full, self.counted.len());
        let taken = self.take(cost, now) == cost;
        if !taken {
            self.full = kept.0;
            self.counted.truncate(kept.1);
        }
        taken
    }

    pub(super) fn give_back(&mut self, count: u32, at: u64, now: u64) {
        let window = |time: u64| time / self.period();
        match self.quota.algorithm {
            Algorithm::TokenBucket => self.full = self.full.saturating_sub(self.interval() * u64::from(count)),
            Algorithm::SlidingLog => (0..count).for_each(|_| {
                if let Some(place) = self.counted.iter().position(|time| *time == at) {
                    self.counted.remove(place);
                }
            }),
            // The last window in which anything was counted; a fixed one, while it lasts. Whichever of it: a window knows its count only.
            algorithm => {
                let is_over = algorithm == Algorithm::FixedWindow && window(at) != window(now);
                if !is_over && self.counted.last().is_some_and(|last| window(*last) == window(at)) {
                    let of_it = self.counted.iter().rev().take_while(|time| window(**time) == window(at)).count();
                    let kept = self.counted.len() - of_it.min(usize::try_from(count).unwrap());
                    self.counted.truncate(kept);
                }
            }
        }
    }

    /// How much counts now, times the period.
    fn weight(&self, now: u64) -> u128 {
        let period = self.period();
        let (window, left) = (now / period, period - now % period);
        let weigh = |time: &u64| match self.quota.algorithm {
            Algorithm::SlidingLog if *time + period > now => period,
            Algorithm::FixedWindow | Algorithm::SlidingWindow if time / period == window => period,
            Algorithm::SlidingWindow if time / period + 1 == window => left,
            _ => 0,
        };
        self.counted.iter().map(|time| u128::from(weigh(time))).sum()
    }

    /// How long until one more has room; none: now.
    fn wait(&self, now: u64) -> Option<u64> {
        let period = self.period();
        match self.quota.algorithm {
            Algorithm::TokenBucket => {
                let wait = (self.full.max(now) + self.interval()).saturating_sub(now + period);
                (wait > 0).then_some(wait)
            }
            // Of the others it is enough to know that something changes by then.
            algorithm => {
                let most = u128::from(self.quota.limit() - 1) * u128::from(period);
                let oldest = self
                    .counted
                    .iter()
                    .find(|time| *time + period > now)
                    .map_or(period, |oldest| oldest + period - now);
                (self.weight(now) > most).then_some(match algorithm {
                    Algorithm::SlidingLog => oldest,
                    Algorithm::SlidingWindow => self.interval().min(period - now % period),
                    _ => period - now % period,
                })
            }
        }
    }

    pub(super) fn standing(&self, now: u64) -> Standing {
        let left = match self.quota.algorithm {
            Algorithm::TokenBucket => {
                (self.period() - self.full.saturating_sub(now).min(self.period())) / self.interval()
            }
            _ => u64::from(self.quota.limit())
                .saturating_sub(u64::try_from(self.weight(now).div_ceil(self.period().into())).unwrap()),
        };
        Standing {
            limit: self.quota.limit(),
            remaining: u32::try_from(left).unwrap(),
            reset: Duration::ZERO,
            wait: self.wait(now).map(Duration::from_nanos),
        }
    }
}

/// Whether no span of time saw more admitted than exact counting may let pass in it, and `more`.
pub(super) fn holds(quota: &Quota, admitted: &[(u64, u32)], more: u32) -> Result<(), String> {
    let server = Server::new(*quota);
    let (period, limit) = (server.period(), quota.limit());
    // What was admitted until each of them.
    let sums: Vec<u32> = std::iter::once(0)
        .chain(admitted.iter().scan(0, |sum, (_, cost)| {
            *sum += cost;
            Some(*sum)
        }))
        .collect();
    let before = |time: u64| sums[admitted.partition_point(|(at, _)| *at < time)];
    let within =
        |most: u32, what: &str, sum: u32| if sum <= most { Ok(()) } else { Err(format!("{sum} of {most} in {what}")) };
    if quota.algorithm == Algorithm::TokenBucket {
        return bucket_holds(&server, admitted, more);
    }
    for (start, _) in admitted {
        let window = start / period * period;
        let in_window = before(window + period) - before(window);
        let in_period = before(start + period) - before(*start);
        match quota.algorithm {
            Algorithm::FixedWindow => within(limit + more, "a window", in_window)?,
            Algorithm::SlidingLog => within(limit + more, "a period", in_period)?,
            _ => {
                within(limit + more, "a window", in_window)?;
                within(2 * limit - 1 + more, "a period", in_period)?;
            }
        }
    }
    Ok(())
}

/// What is in the bucket of whoever looks from the worst beginning: never less than none.
fn bucket_holds(server: &Server, admitted: &[(u64, u32)], more: u32) -> Result<(), String> {
    let most = u64::from(server.quota.limit() + more) * server.interval();
    let (mut full, mut last) = (0, 0);
    for (at, cost) in admitted {
        assert!(*at >= last, "in order");
        last = *at;
        full = u64::max(full, *at) + u64::from(*cost) * server.interval();
        if full - at > most {
            return Err(format!(
                "{} of {} at once",
                (full - at).div_ceil(server.interval()),
                server.quota.limit() + more
            ));
        }
    }
    Ok(())
}
