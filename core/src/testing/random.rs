//! Randomness that is the same in each run.

use std::collections::VecDeque;

/// Randomness for tests: first what was written down, then numbers of a seed, the same in each run.
///
/// What draws at random in this crate takes the randomness as an argument ([`Ask::random`](crate::upstream::Ask::random)), so
/// this stands in for it as it is.
///
/// ```
/// use portcullis_core::testing::ScriptedRandom;
///
/// let mut random = ScriptedRandom::seeded(7).first([u64::MAX, 0]);
/// assert_eq!((random.draw(), random.draw()), (u64::MAX, 0));
/// assert_eq!(random.draw(), ScriptedRandom::seeded(7).draw());
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedRandom {
    script: VecDeque<u64>,
    state: u64,
}

impl ScriptedRandom {
    /// Numbers that this seed stands for: all 64 bits of each may be used.
    pub const fn seeded(seed: u64) -> Self {
        Self { script: VecDeque::new(), state: seed }
    }

    /// These first, in order.
    #[must_use]
    pub fn first(mut self, script: impl IntoIterator<Item = u64>) -> Self {
        self.script.extend(script);
        self
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.script.pop_front().unwrap_or_else(|| {
            // SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    /// The next number, from nought to `bound` - 1; nought where the bound is.
    pub fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.draw()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or_default()
    }
}

impl Iterator for ScriptedRandom {
    type Item = u64;

    /// Never ends.
    fn next(&mut self) -> Option<u64> {
        Some(self.draw())
    }
}
