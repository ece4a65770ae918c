//! What becomes of a limit that its store does not decide.

use std::num::NonZeroU32;

use super::{Algorithm, Charge};

/// What becomes of a limit that its store does not decide: because it cannot be reached, or does not answer in time.
///
/// It is a policy of whoever asks, never of a store. One for each rule ([`Rule::on_failure`](super::Rule::on_failure)), since a paid
/// quota and a guard against floods want different ones. A [`MemoryStore`](super::MemoryStore) always decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// The request is let through, and this limit counts nothing.
    Allow,
    /// The request is refused: 503 with `Retry-After`.
    Deny,
    /// This node enforces its share of the limit from its own memory: the limit divided by the number of nodes that were last known
    /// ([`RateLimitStore::nodes`](super::RateLimitStore::nodes)). The default.
    #[default]
    Share,
}

impl OnFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Share, Self::Allow, Self::Deny];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Share => "share",
        }
    }
}

impl Charge {
    /// The same, against what one of `nodes` may admit by itself: count and burst divided, rounded down, so that all nodes together
    /// admit no more than the limit. At least 1, and a request whose cost the whole limit could pay never becomes one that can never
    /// be paid: with more nodes than that divides into, all together may admit one request for each node.
    #[must_use]
    pub fn share(mut self, nodes: NonZeroU32) -> Self {
        // What a single request takes at once, as far as the whole limit has it.
        let least = self.cost.clamp(1, self.quota.limit().max(1));
        let divided = |count: NonZeroU32, least: u32| {
            NonZeroU32::new((count.get() / nodes).max(least)).unwrap_or(NonZeroU32::MIN)
        };
        if self.quota.algorithm == Algorithm::TokenBucket {
            self.quota.burst = divided(self.quota.burst, least);
            self.quota.count = divided(self.quota.count, 1);
        } else {
            self.quota.count = divided(self.quota.count, least);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Mode, Quota};
    use super::*;
    use crate::subject::{RuleId, SubjectHasher, SubjectKey};

    /// Count and burst of one node's share.
    fn share(algorithm: Algorithm, (count, burst): (u32, u32), cost: u32, nodes: u32) -> (u32, u32) {
        let number = |number| NonZeroU32::new(number).unwrap();
        let (rule, key) = (RuleId::of("rule"), SubjectKey::from_bytes([7; 16]));
        let quota = Quota { count: number(count), period: Duration::from_secs(60), burst: number(burst), algorithm };
        let subject = SubjectHasher::new(&key).finish(rule);
        let quota = Charge { rule, subject, quota, cost, mode: Mode::Enforce, overshoot: 0 }.share(number(nodes)).quota;
        (quota.count.get(), quota.burst.get())
    }

    #[test]
    fn all_shares_together_are_no_more_than_the_limit() {
        use Algorithm::{FixedWindow, SlidingLog, SlidingWindow, TokenBucket};
        assert_eq!(share(TokenBucket, (100, 20), 1, 1), (100, 20));
        assert_eq!(share(TokenBucket, (100, 20), 1, 3), (33, 6));
        assert_eq!(share(TokenBucket, (100, 20), 1, 50), (2, 1));
        for window in [FixedWindow, SlidingLog, SlidingWindow] {
            assert_eq!(share(window, (100, 100), 1, 3).0, 33);
        }
    }

    #[test]
    fn a_request_that_the_limit_could_pay_can_be_paid_by_a_share() {
        assert_eq!(share(Algorithm::TokenBucket, (100, 20), 10, 3), (33, 10));
        assert_eq!(share(Algorithm::TokenBucket, (100, 20), 21, 3), (33, 20), "the limit could not");
        assert_eq!(share(Algorithm::FixedWindow, (10, 10), 5, 4).0, 5);
        assert_eq!(share(Algorithm::FixedWindow, (2, 2), 1, 100).0, 1);
        assert_eq!(share(Algorithm::TokenBucket, (2, 2), 0, u32::MAX), (1, 1), "a question is shared too");
    }
}
