//! How long an endpoint takes to answer, by a moving average that never hides a peak.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::{Moment, nanos};

/// After so long without a sample, an average has 37 % of its weight left: Finagle's default. Shorter forgets a slow endpoint before it is
/// well again, longer leaves it unasked.
const MEMORY: Duration = Duration::from_secs(10);

/// Times are kept in units of 2^16 nanoseconds, 66 microseconds: 32 bits of them last for three days, and an endpoint that nobody asked
/// for half of that may seem to have been asked just now.
const UNIT: u32 = 16;

/// A moving average that rises to a peak at once and falls by time ("peak EWMA").
///
/// One word: the average in nanoseconds as a 32-bit float, and when it was taken. It is replaced as one, and nothing else is read by it: no
/// ordering is needed.
#[derive(Debug, Default)]
pub(super) struct Latency(AtomicU64);

impl Latency {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes a sample.
    pub(super) fn observe(&self, latency: Duration, now: Moment) {
        // A change is made again when another came between; it always comes to an end, as somebody's change went through.
        let _ = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let sample = nanos(latency).max(1) as f32;
            let (average, at) =
                Sample::of(word).map_or((sample, stamp(now)), |old| old.followed_by(sample, stamp(now)));
            Some(u64::from(average.to_bits()) << 32 | u64::from(at))
        });
    }

    /// The average and when it was taken; none before the first sample.
    pub(super) fn sample(&self) -> Option<Sample> {
        Sample::of(self.0.load(Ordering::Relaxed))
    }
}

/// An average, and when it was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    nanos: f32,
    at: u32,
}

impl Sample {
    /// Never zero, once there is one: samples are of a nanosecond at least.
    #[expect(clippy::cast_possible_truncation, reason = "each half of the word is taken by itself")]
    fn of(word: u64) -> Option<Self> {
        (word != 0).then(|| Self { nanos: f32::from_bits((word >> 32) as u32), at: word as u32 })
    }

    /// The average with one more sample, and when it was taken.
    fn followed_by(self, sample: f32, at: u32) -> (f32, u32) {
        let later = since(at, self.at);
        let left = remains(later);
        let average = if sample >= self.nanos { sample } else { self.nanos * left + sample * (1.0 - left) };
        (average, self.at.wrapping_add(later))
    }

    /// What is left of it at `now`, as nobody has asked since: an endpoint that was slow once is tried again.
    pub(super) fn at(self, now: Moment) -> Duration {
        Duration::from_secs_f32(self.nanos / 1e9 * remains(since(stamp(now), self.at)))
    }

    /// Both averages at one moment, whichever that is: of two that fall at the same rate only the time between them tells.
    pub(super) fn beside(self, other: Self) -> (f32, f32) {
        let later = self.at.wrapping_sub(other.at);
        // More than half of the range is the other way round.
        if later < u32::MAX / 2 {
            (self.nanos, other.nanos * remains(later))
        } else {
            (self.nanos * remains(later.wrapping_neg()), other.nanos)
        }
    }
}

/// How much later `at` is than `earlier`; nothing when it is not. Two threads may store what they took in another order than they looked
/// at the clock, and a moment back is not three days on.
const fn since(at: u32, earlier: u32) -> u32 {
    let later = at.wrapping_sub(earlier);
    if later < u32::MAX / 2 { later } else { 0 }
}

/// The share of an average that is left after so many units.
fn remains(units: u32) -> f32 {
    let memory = (nanos(MEMORY) >> UNIT) as f32;
    (-(units as f32) / memory).exp()
}

#[expect(clippy::cast_possible_truncation, reason = "only differences count")]
fn stamp(now: Moment) -> u32 {
    (now.as_nanos() >> UNIT) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1_800_000_000_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn millis(sample: Option<Sample>, now: Moment) -> f32 {
        sample.unwrap().at(now).as_secs_f32() * 1e3
    }

    #[test]
    fn it_rises_at_once_and_falls_by_time() {
        let latency = Latency::new();
        assert!(latency.sample().is_none());
        latency.observe(5 * MS, START);
        latency.observe(500 * MS, START);
        assert!((499.0..501.0).contains(&millis(latency.sample(), START)));
        // At the same moment a lower one weighs nothing, a memory later most.
        latency.observe(5 * MS, START);
        assert!((499.0..501.0).contains(&millis(latency.sample(), START)));
        latency.observe(5 * MS, START + MEMORY);
        let average = millis(latency.sample(), START + MEMORY);
        assert!((186.0..188.0).contains(&average), "{average}");
        let unasked = millis(latency.sample(), START + MEMORY * 4);
        assert!(unasked < 10.0, "{unasked}");
    }

    /// Two threads look at the clock, and the later one is first to say what it took.
    #[test]
    fn what_comes_in_the_wrong_order_hides_no_peak() {
        let latency = Latency::new();
        latency.observe(500 * MS, START + MS);
        latency.observe(5 * MS, START);
        let average = millis(latency.sample(), START + MS);
        assert!((499.0..501.0).contains(&average), "{average}");
        assert!((499.0..501.0).contains(&millis(latency.sample(), START)), "and one that looks back");
        latency.observe(5 * MS, START + MEMORY);
        let average = millis(latency.sample(), START + MEMORY);
        assert!((186.0..188.0).contains(&average), "{average}");
    }

    #[test]
    fn two_are_compared_at_one_moment() {
        let (slow, fast) = (Latency::new(), Latency::new());
        slow.observe(100 * MS, START);
        fast.observe(10 * MS, START);
        let costs = |slow: &Latency, fast: &Latency| slow.sample().unwrap().beside(fast.sample().unwrap());
        assert!(costs(&slow, &fast).0 > costs(&slow, &fast).1);
        // The slow one was not asked for half a minute.
        fast.observe(10 * MS, START + MEMORY * 3);
        let (a, b) = costs(&slow, &fast);
        let (c, d) = costs(&fast, &slow);
        assert!(a < b && (a, b) == (d, c), "{a} {b} {c} {d}");
    }
}
