//! Which of several upstreams a request goes to.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use super::UpstreamIndex;
use crate::source::{Facts, Source};
use crate::subject::{RuleId, Subject, SubjectKey};

/// Several upstreams, each with its share of the requests.
///
/// With a source, requests of the same value go to the same upstream, on every node and after every restart, for the choice
/// depends on nothing but the value, the upstreams' names and their weights. It is weighted rendezvous hashing: each
/// upstream has a score for the value, the best one wins, and its own weight alone moves it. So a changed weight, or an
/// upstream more or less, moves only the requests that it must. Two routes with the same upstreams and weights agree.
///
/// Without a source, or where it is absent, the choice is by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    by: Option<Source>,
    shares: Box<[Share]>,
    /// All weights together: more than nothing.
    total: u64,
}

/// One upstream of a [`Split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// A fixed number for the upstream's name: its scores come from it, so its place among the others means nothing.
    seed: u64,
    /// Which one.
    pub upstream: UpstreamIndex,
    /// Its share of the requests, relative to its siblings'; 0: it gets none.
    pub weight: u32,
}

impl Share {
    /// The share of the upstream called `name`.
    pub fn new(name: &str, upstream: UpstreamIndex, weight: u32) -> Self {
        Self { seed: RuleId::of(name).as_u64(), upstream, weight }
    }
}

/// Not a secret: who can choose the value can choose an upstream, which is what choosing a cookie is.
const KEY: SubjectKey = SubjectKey::from_bytes(*b"portcullis split");

impl Split {
    /// A split among `shares`; none when no weight is over zero.
    pub fn new(by: Option<Source>, shares: impl Into<Box<[Share]>>) -> Option<Self> {
        let shares = shares.into();
        let total = shares.iter().map(|share| u64::from(share.weight)).sum();
        (total > 0).then_some(Self { by, shares, total })
    }

    /// What the choice sticks to.
    pub fn by(&self) -> Option<&Source> {
        self.by.as_ref()
    }

    /// The upstreams with their weights.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// All weights together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether the choice for this request would always be the same.
    pub fn sticks(&self, facts: &Facts<'_>) -> bool {
        self.subject(facts).is_some()
    }

    /// The upstream of one request. `random` is used where there is nothing to stick to. Allocates nothing unless a claim
    /// is not a string or a query value is percent-coded.
    pub fn choose(&self, facts: &Facts<'_>, random: u64) -> UpstreamIndex {
        let chosen = match self.subject(facts) {
            Some(subject) => self.by_score(subject),
            None => self.by_chance(random),
        };
        // There is always one: the weights are more than nothing.
        chosen.or(self.shares.first()).map_or(UpstreamIndex(0), |share| share.upstream)
    }

    fn subject(&self, facts: &Facts<'_>) -> Option<Subject> {
        self.by.as_ref()?.present(&KEY, RuleId::of("split"), facts)
    }

    fn by_score(&self, subject: Subject) -> Option<&Share> {
        let taking = self.shares.iter().filter(|share| share.weight > 0);
        taking.min_by(|a, b| a.distance(subject).total_cmp(&b.distance(subject)))
    }

    fn by_chance(&self, random: u64) -> Option<&Share> {
        // The upper half of the product is below `total`, and evenly so (Lemire's multiplication).
        let mut at = ((u128::from(random) * u128::from(self.total)) >> 64) as u64;
        self.shares.iter().find(|share| match at.checked_sub(u64::from(share.weight)) {
            Some(left) => {
                at = left;
                false
            }
            None => true,
        })
    }
}

impl Share {
    /// How far the upstream is from `subject`: exponentially distributed with its weight as the rate, so that the smallest
    /// of several falls to each in proportion to its weight.
    fn distance(&self, subject: Subject) -> f64 {
        let mut hasher = SipHasher13::new_with_keys(self.seed, 0);
        hasher.write(&subject.as_u128().to_le_bytes());
        // 53 bits, and a half, so that it is neither 0 nor 1.
        let unit = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -unit.ln() / f64::from(self.weight)
    }
}

#[cfg(test)]
mod tests;
