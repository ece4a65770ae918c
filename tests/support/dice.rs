//! Chance that a test can repeat: the same seed, the same throws.

use std::time::Duration;

/// A sequence of numbers that looks random (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`, which is not zero.
    pub fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.throw() % sides as u64).unwrap()
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.below(these.len())]
    }

    /// A time from the first to the second, both included, in whole microseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let room = u64::try_from((most - least).as_micros()).unwrap();
        least + Duration::from_micros(self.throw() % (room + 1))
    }
}
