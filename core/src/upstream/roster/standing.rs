//! What is known of one endpoint, as far as it decides whether it may be asked. Pure: every step takes its time.

use std::time::Duration;

use super::{Eject, Thresholds};
use crate::time::{Moment, nanos};

/// In so many steps a returning endpoint gets its weight back.
pub(super) const STEPS: u32 = 10;

/// What is known of one endpoint.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) checks_failed: u64,
    pub(super) checks_passed: u64,
    /// Ejections ever.
    pub(super) ejections: u64,
    pub(super) healthy: bool,
    /// Results in a row that say otherwise than `healthy`.
    against: u32,
    /// The next rest is this many times the first, and one more.
    grown: u32,
    pub(super) rests_until: Option<Moment>,
    /// When its last rest ended.
    returned: Moment,
    pub(super) warms_since: Option<Moment>,
}

impl Standing {
    /// Of an endpoint that nothing is known of: it is asked.
    pub(super) fn new() -> Self {
        Self {
            checks_failed: 0,
            checks_passed: 0,
            ejections: 0,
            healthy: true,
            against: 0,
            grown: 0,
            rests_until: None,
            returned: Moment::default(),
            warms_since: None,
        }
    }

    pub(super) const fn is_out(&self) -> bool {
        !self.healthy || self.rests_until.is_some()
    }

    /// Begins a rest: longer with each that follows another, and shorter again by one for each time that it has stood for as long as the
    /// first one. `jitter`, from 0 to 1, is how much of a tenth it is longer, so that the gateways of a fleet do not come back at once.
    pub(super) fn eject(&mut self, eject: &Eject, jitter: f64, now: Moment) -> Duration {
        let good = nanos(now.since(self.returned)).checked_div(nanos(eject.rest)).unwrap_or(u64::MAX);
        self.grown = self.grown.saturating_sub(u32::try_from(good).unwrap_or(u32::MAX));
        let rest = eject.rest.saturating_mul(self.grown + 1);
        let rest = rest.saturating_add(rest.mul_f64(jitter.clamp(0.0, 1.0) / 10.0));
        self.grown = (self.grown + 1).min(Eject::MOST_GROWN - 1);
        self.ejections += 1;
        self.rest(rest, now);
        rest
    }

    /// Rests for so long, or for as long as it does already.
    pub(super) fn rest(&mut self, rest: Duration, now: Moment) {
        self.rests_until = self.rests_until.max(Some(now + rest));
    }

    /// Ends the rest when its time has come; true when it has.
    pub(super) fn wake(&mut self, now: Moment) -> bool {
        let wakes = self.rests_until.is_some_and(|until| until <= now);
        if wakes {
            (self.rests_until, self.returned, self.warms_since) = (None, now, Some(now));
        }
        wakes
    }

    /// Takes a check's result; true when that changed what the endpoint is taken for.
    pub(super) fn check(&mut self, passed: bool, thresholds: &Thresholds, now: Moment) -> bool {
        *if passed { &mut self.checks_passed } else { &mut self.checks_failed } += 1;
        self.against = if passed == self.healthy { 0 } else { self.against.saturating_add(1) };
        let enough = if passed { thresholds.healthy } else { thresholds.unhealthy };
        if self.against < enough.get() {
            return false;
        }
        (self.healthy, self.against) = (passed, 0);
        if passed {
            self.warms_since = Some(now);
        }
        true
    }

    /// How many tenths of its weight it has at `now`, if it warms up over `slow_start`.
    pub(super) fn warmth(&self, slow_start: Duration, now: Moment) -> u32 {
        let Some(since) = self.warms_since else { return STEPS };
        let step = nanos(slow_start / STEPS);
        let steps = nanos(now.since(since)).checked_div(step).unwrap_or(u64::from(STEPS));
        u32::try_from(steps).unwrap_or(STEPS).saturating_add(1).min(STEPS)
    }

    /// When it next changes by itself, if it does.
    pub(super) fn next(&self, slow_start: Duration, now: Moment) -> Option<Moment> {
        let warmth = self.warmth(slow_start, now);
        let warmer = self.warms_since.filter(|_| warmth < STEPS && !self.is_out());
        let warmer = warmer.map(|since| since + slow_start / STEPS * warmth);
        self.rests_until.into_iter().chain(warmer).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1_800_000_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn eject() -> Eject {
        Eject { rest: 10 * SECOND, ..Eject::default() }
    }

    #[test]
    fn rests_grow_to_a_bound_and_shrink_while_it_stands() {
        let (mut standing, mut now) = (Standing::new(), START);
        let mut next = |stood: u32| {
            now = now + stood * SECOND;
            let rest = standing.eject(&eject(), 0.0, now);
            now = now + rest;
            assert!(standing.wake(now));
            rest.as_secs()
        };
        assert_eq!([next(0), next(1), next(9)], [10, 20, 30], "each at once after the last");
        assert_eq!([next(20), next(100)], [20, 10], "one shorter for each ten seconds");
        let rests: Vec<_> = (0..40).map(|_| next(0)).collect();
        assert_eq!(rests.last(), Some(&300));
    }

    #[test]
    fn jitter_makes_a_rest_a_tenth_longer_at_most() {
        let rest = |jitter| Standing::new().eject(&eject(), jitter, START).as_millis();
        assert_eq!(
            [rest(0.0), rest(0.5), rest(1.0), rest(f64::INFINITY), rest(-1.0)],
            [10_000, 10_500, 11_000, 11_000, 10_000]
        );
    }

    #[test]
    fn only_so_many_results_in_a_row_change_its_health() {
        let thresholds = Thresholds::default();
        let mut standing = Standing::new();
        let mut changes = |results: &str| -> Vec<usize> {
            let results = results.chars().enumerate();
            results.filter(|(_, result)| standing.check(*result == '+', &thresholds, START)).map(|(at, _)| at).collect()
        };
        assert_eq!(changes("--+--+-+--+"), [0; 0], "one of two fails, and it stays");
        assert_eq!(changes("---"), [2]);
        assert_eq!(changes("+-+--+-"), [0; 0]);
        assert_eq!(changes("++"), [1]);
    }

    #[test]
    fn warmth_grows_by_steps() {
        let mut standing = Standing::new();
        assert_eq!((standing.warmth(10 * SECOND, START), standing.next(10 * SECOND, START)), (10, None));
        standing.eject(&eject(), 0.0, START);
        let back = START + 10 * SECOND;
        assert_eq!(standing.next(10 * SECOND, START), Some(back));
        assert!(!standing.wake(START + 9 * SECOND) && standing.wake(back));
        let mut now = back;
        for step in 1..10 {
            assert_eq!(standing.warmth(10 * SECOND, now), step);
            now = standing.next(10 * SECOND, now).unwrap();
            assert_eq!(now, back + step * SECOND);
        }
        assert_eq!((standing.warmth(10 * SECOND, now), standing.next(10 * SECOND, now)), (10, None));
        assert_eq!(standing.warmth(Duration::ZERO, back), 10, "where it is off, all at once");
    }
}
