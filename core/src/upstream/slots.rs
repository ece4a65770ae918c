//! How often something happened lately: a ring of counters, each for a stretch of time.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use crate::time::{Moment, nanos};

/// So many whole slots make a window.
const WINDOW: u64 = 10;
/// More than a window has, so that a late writer and a reader do not meet.
const SLOTS: usize = 16;
/// A slot's word: its number in the upper bits, its count in these. At most 16.7 million are counted in one.
const COUNT_BITS: u32 = 24;
const LAST_COUNT: u64 = (1 << COUNT_BITS) - 1;
/// The shortest slot, in nanoseconds.
const SHORTEST: u64 = 1 << (COUNT_BITS + 1);

/// Counts what happens, and says how often it did within a window that ends now. Sixteen words on cache lines of their
/// own: counting is one compare-exchange, without a lock, and each is counted once.
///
/// A slot is a tenth of the window and has a number, which counts slots since the epoch. The number stands in the same
/// word as the count, so whoever comes first in a new slot replaces what stood there sixteen slots ago, in the same
/// step in which it counts itself.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Slots {
    words: [AtomicU64; SLOTS],
    /// The length of a slot in nanoseconds.
    length: u64,
}

impl Slots {
    /// Nothing has happened. A window is at least a third of a second: the number of a slot has 40 bits.
    pub(super) fn new(window: Duration) -> Self {
        let length = (nanos(window) / WINDOW).max(SHORTEST);
        Self { words: std::array::from_fn(|_| AtomicU64::new(0)), length }
    }

    /// The slot that `at` is in, from 1.
    pub(super) const fn number(&self, at: Moment) -> u64 {
        at.as_nanos() / self.length + 1
    }

    /// Counts one, now. What comes later than its place in the ring is not counted.
    pub(super) fn add(&self, now: Moment) {
        let number = self.number(now);
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of 16")]
        let Some(word) = self.words.get((number % SLOTS as u64) as usize) else { return };
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let (of, count) = (seen >> COUNT_BITS, seen & LAST_COUNT);
            let next = match of.cmp(&number) {
                std::cmp::Ordering::Less => number << COUNT_BITS | 1,
                std::cmp::Ordering::Equal if count < LAST_COUNT => seen + 1,
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => return,
            };
            // One location, and nothing else is read by it: no ordering is needed, here or where it is summed.
            match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => seen = current,
            }
        }
    }

    /// How many were counted within the window that ends now, in slots after number `after`. The oldest slot that is
    /// only partly within does not count: the sum is of nine to ten tenths of the window, and never of more than it.
    pub(super) fn sum(&self, now: Moment, after: u64) -> u64 {
        let after = after.max(self.number(now).saturating_sub(WINDOW));
        let counted = |word: &AtomicU64| {
            let seen = word.load(Ordering::Relaxed);
            if seen >> COUNT_BITS > after { seen & LAST_COUNT } else { 0 }
        };
        self.words.iter().map(counted).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(1_800_000_000_000_000_000) + Duration::from_millis(millis)
    }

    #[test]
    fn many_threads_over_many_slots_are_counted_each_once() {
        let slots = Slots::new(Duration::from_secs(10));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..9000).for_each(|millis| slots.add(at(millis))));
            }
        });
        assert_eq!(slots.sum(at(8999), 0), 36_000);
        assert_eq!(slots.sum(at(8999), slots.number(at(3999))), 20_000);
        assert_eq!(slots.sum(at(18_999), 0), 0);
    }

    #[test]
    fn what_comes_too_late_is_not_counted_and_nothing_runs_over() {
        let slots = Slots::new(Duration::ZERO);
        let end = Moment::from_nanos(u64::MAX);
        slots.add(end);
        slots.add(Moment::from_nanos(u64::MAX - (SLOTS as u64) * SHORTEST));
        assert_eq!(slots.sum(end, 0), 1);
        slots.words.iter().for_each(|word| word.store(slots.number(end) << COUNT_BITS | LAST_COUNT, Ordering::Relaxed));
        slots.add(end);
        assert_eq!(slots.sum(end, 0), LAST_COUNT * SLOTS as u64);
    }

    proptest! {
        #[test]
        fn sums_no_more_than_the_window_has_and_no_less_than_nine_tenths(
            pauses in prop::collection::vec(prop_oneof![4 => 0_u64..40, 2 => 0_u64..400, 1 => 0_u64..4000], 1..200),
        ) {
            let slots = Slots::new(Duration::from_secs(2));
            let (mut now, mut times) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                slots.add(at(now));
                times.push(now);
                let within = |millis: u64| times.iter().filter(|time| *time + millis > now).count() as u64;
                let sum = slots.sum(at(now), 0);
                prop_assert!((within(1800)..=within(2000)).contains(&sum), "{sum}");
            }
        }
    }
}
