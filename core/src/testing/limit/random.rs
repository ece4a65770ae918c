//! Random takes against the plainest model of each algorithm: a list of everything that was admitted.

use super::{Algorithm, Charge, Duration, Suite, quota};
use crate::testing::rules::{holds, same};

const PERIOD_MS: u64 = 10_000;
/// Divides the period, so that a bucket's interval is not rounded.
const COUNT: u32 = 8;
const STEPS: usize = 400;

/// What was admitted, when (milliseconds since the start of a window) and for how much.
#[derive(Default)]
struct Model(Vec<(u64, u32)>);

impl Model {
    fn sum(&self, from: u64, before: u64) -> u64 {
        self.0.iter().filter(|(at, _)| (from..before).contains(at)).map(|(_, cost)| u64::from(*cost)).sum()
    }

    /// What counts against a request at `now`, in thousandths.
    fn counts(&self, algorithm: Algorithm, now: u64) -> u64 {
        let start = now / PERIOD_MS * PERIOD_MS;
        match algorithm {
            Algorithm::FixedWindow => self.sum(start, now + 1) * 1_000,
            Algorithm::SlidingLog => self.sum((now + 1).saturating_sub(PERIOD_MS), now + 1) * 1_000,
            Algorithm::SlidingWindow => {
                let earlier = self.sum(start.saturating_sub(PERIOD_MS), start) * 1_000 * (start + PERIOD_MS - now);
                self.sum(start, now + 1) * 1_000 + earlier.div_ceil(PERIOD_MS)
            }
            // A bucket that leaks a thousandth of the count in a thousandth of the period.
            Algorithm::TokenBucket => {
                let (mut level, mut last) = (0_u64, 0);
                for (at, cost) in &self.0 {
                    level = level.saturating_sub((at - last) * u64::from(COUNT)) + u64::from(*cost) * PERIOD_MS;
                    last = *at;
                }
                (level.saturating_sub((now - last) * u64::from(COUNT)) * 1_000).div_ceil(PERIOD_MS)
            }
        }
    }

    /// The most that was admitted in any one period.
    fn most(&self) -> u64 {
        self.0.iter().map(|(at, _)| self.sum(*at, at + PERIOD_MS)).max().unwrap_or_default()
    }
}

impl Suite<'_> {
    pub(super) fn random_takes_are_the_model(&self, algorithm: Algorithm) {
        self.align(PERIOD_MS / 1_000);
        let quota = quota(algorithm, COUNT, PERIOD_MS / 1_000);
        let charge = self.charge("random", quota);
        let (mut model, mut now, mut random) = (Model::default(), 0, 1_u64);
        for _ in 0..STEPS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Mostly close together, now and then a pause.
            let gap = (random >> 60 & 1) * 100 + (random >> 55 & 1) * 700 + (random >> 40 & 3) / 3 * 2_900;
            let cost = 1 + (random >> 50 & 1) as u32;
            self.driver.advance(Duration::from_millis(gap));
            now += gap;
            let verdict = self.take(&[Charge { cost, ..charge }]);
            let holds = model.counts(algorithm, now) + u64::from(cost) * 1_000 <= u64::from(COUNT) * 1_000;
            same!(verdict.admitted, holds, "{algorithm:?} at {now} ms: {verdict:?} after {:?}", model.0);
            if verdict.admitted {
                model.0.push((now, cost));
            }
            let left = (u64::from(COUNT) * 1_000).saturating_sub(model.counts(algorithm, now)) / 1_000;
            same!(verdict.remaining, left, "{algorithm:?} at {now} ms after {:?}", model.0);
        }
        let worst = match algorithm {
            Algorithm::SlidingLog => COUNT,
            Algorithm::SlidingWindow => 2 * COUNT - 1,
            Algorithm::FixedWindow | Algorithm::TokenBucket => 2 * COUNT,
        };
        holds!(model.most() <= worst.into(), "{algorithm:?}: {} of {worst} in a period", model.most());
        holds!(model.most() >= COUNT.into(), "{algorithm:?}: the takes never came near the limit");
    }
}
