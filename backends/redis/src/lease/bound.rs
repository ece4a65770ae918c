//! How much one node may be ahead of what the store has counted.
//!
//! What a node spends, the store has counted before (the node *held* it) or counts after (the node *owed* it). Of any span of time,
//! therefore: what is admitted in it is at most what was counted in it, which is what exact counting admits, and what all nodes held
//! at its beginning, and what all of them owe at its end. So the two are bounded apart, and all nodes' bounds of both together are
//! the overshoot.

use std::num::NonZeroU32;

/// How much one node may hold and owe of one subject's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Counted by the store and not yet spent.
    pub(crate) hold: u32,
    /// Spent and not yet counted by the store.
    pub(crate) owe: u32,
}

impl Part {
    /// Nothing: every decision is the store's.
    pub(crate) const NONE: Self = Self { hold: 0, owe: 0 };

    /// Of an overshoot that so many nodes share.
    pub(crate) fn of(overshoot: u32, nodes: NonZeroU32) -> Self {
        let part = overshoot / nodes;
        // What is owed is what a request finds that comes first, or before more could be had: as much as what is held then lasts for.
        let owe = part / 2;
        Self { hold: part - owe, owe }
    }

    /// Whether a request of this cost can be decided ahead at all. One that could only be paid of what is held could not be the first.
    pub(crate) fn covers(self, cost: u32) -> bool {
        // What is held is no less than what is owed.
        (1..=self.owe).contains(&cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(overshoot: u32, nodes: u32) -> Part {
        Part::of(overshoot, NonZeroU32::new(nodes).unwrap())
    }

    #[test]
    fn all_parts_together_are_no_more_than_the_overshoot() {
        for overshoot in (0..300).chain([u32::MAX - 1, u32::MAX]) {
            for nodes in (1..40).chain([1_000, u32::MAX]) {
                let Part { hold, owe } = part(overshoot, nodes);
                assert!(u64::from(nodes) * (u64::from(hold) + u64::from(owe)) <= overshoot.into());
                assert!(hold >= owe && hold - owe <= 1, "{overshoot} of {nodes}");
            }
        }
    }

    #[test]
    fn what_a_part_cannot_owe_is_not_decided_ahead() {
        assert!(!part(1, 1).covers(1));
        assert!(part(2, 1).covers(1) && !part(3, 2).covers(1) && part(4, 2).covers(1));
        assert!(part(20, 2).covers(5) && !part(20, 2).covers(6));
        assert!(!part(20, 2).covers(0), "a question spends nothing");
    }
}
