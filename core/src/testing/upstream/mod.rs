//! The suite of [`UpstreamPicker`]: what any picker has to do, however it chooses.
//!
//! ```
//! use portcullis_core::testing::upstream::{Claims, Driver, conformance};
//! use portcullis_core::upstream::{Ask, EndpointIndex, Snapshot, UpstreamPicker};
//! use std::sync::Arc;
//!
//! /// Always the first that was not tried: the others are spares.
//! struct InOrder;
//!
//! impl UpstreamPicker for InOrder {
//!     fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
//!         (0..pool.members().len()).map(EndpointIndex).find(|index| !ask.tried.contains(index))
//!     }
//! }
//!
//! struct Drive;
//! impl Driver for Drive {
//!     fn picker(&self, _: &Snapshot) -> Arc<dyn UpstreamPicker> {
//!         Arc::new(InOrder)
//!     }
//!     fn claims(&self) -> Claims {
//!         Claims { weights: false, ..Claims::default() }
//!     }
//! }
//! conformance(&Drive);
//! ```
//!
//! That a pick neither allocates nor waits is part of the contract too, and is for a counting allocator to show, which is the
//! test binary's own to install.

use std::num::NonZeroU32;
use std::sync::Arc;

mod choice;
mod share;
#[cfg(test)]
mod tests;

use super::random::ScriptedRandom;
use super::rules::{Rules, holds};
use crate::upstream::{Ask, EndpointIndex, EndpointUrl, Snapshot, UpstreamPicker};

/// How the suite gets pickers.
pub trait Driver: Sync {
    /// A fresh picker for this pool.
    fn picker(&self, pool: &Snapshot) -> Arc<dyn UpstreamPicker>;

    /// What it claims beyond the contract; that it goes by weight, unless said otherwise.
    fn claims(&self) -> Claims {
        Claims::default()
    }
}

/// What a picker claims beyond the contract of [`UpstreamPicker`]; the suite holds it to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Where nothing is in flight, endpoints get requests in proportion to their weights, give or take two in a hundred of all.
    /// True by default.
    pub weights: bool,
    /// Where one endpoint fails and its requests are tried again, the others get them in proportion to their weights, give or
    /// take as much. False by default: a picker that takes turns gives a failed endpoint's to whoever is next.
    pub retries: bool,
    /// Requests with the same key go to the same endpoint while nothing is in flight, whatever the randomness. False by default.
    pub keys: bool,
}

impl Default for Claims {
    fn default() -> Self {
        Self { weights: true, retries: false, keys: false }
    }
}

/// What holds, and what shows it.
type Rule = (&'static str, fn(&dyn Driver));

const RULES: [Rule; 8] = [
    ("an empty pool has no endpoint", choice::an_empty_pool_has_none),
    ("only an endpoint of the pool is picked", choice::only_of_the_pool),
    ("what was tried is not picked again", choice::what_was_tried_is_not_picked),
    ("there is none only when all were tried", choice::none_only_when_all_were_tried),
    ("each endpoint is reached once the others were tried", choice::each_endpoint_is_reached),
    ("endpoints that are busy change none of this", choice::busy_endpoints_change_nothing),
    ("threads that pick at once get endpoints of the pool", choice::threads_may_pick_at_once),
    ("the largest weights overflow nothing", choice::the_largest_weights_overflow_nothing),
];

/// Runs the whole suite: some hundred thousand picks.
///
/// # Panics
/// The picker does not do what [`UpstreamPicker`] promises, or what [`Driver::claims`] says. The panic names each rule that does
/// not hold, what the suite expected and what it saw.
pub fn conformance(driver: &dyn Driver) {
    let mut rules = Rules::new("UpstreamPicker");
    for (rule, check) in RULES {
        rules.check(rule, || check(driver));
    }
    let claims = driver.claims();
    if claims.weights {
        rules.check("endpoints get what they weigh", || share::endpoints_get_what_they_weigh(driver));
    }
    if claims.retries {
        rules.check("those that are left get what they weigh", || {
            share::those_that_are_left_get_what_they_weigh(driver)
        });
    }
    if claims.keys {
        rules.check("the same key is the same endpoint", || share::the_same_key_is_the_same_endpoint(driver));
    }
    rules.finish();
}

/// A pool of endpoints with these weights, and a picker for it.
struct Asked {
    pool: Snapshot,
    picker: Arc<dyn UpstreamPicker>,
    random: ScriptedRandom,
}

impl Asked {
    #[expect(clippy::expect_used, reason = "a suite fails by panicking, and these URLs are good")]
    fn new(driver: &dyn Driver, weights: &[u32]) -> Self {
        let server = |(number, weight): (usize, &u32)| {
            let url: EndpointUrl = format!("http://127.0.0.1:{}", 7_000 + number).parse().expect("a good URL");
            (url, NonZeroU32::new(*weight).unwrap_or(NonZeroU32::MIN))
        };
        let pool = Snapshot::new(weights.iter().enumerate().map(server), None);
        let picker = driver.picker(&pool);
        // The ends of the range first: that is where arithmetic goes wrong.
        let ends = [0, u64::MAX, u64::MAX >> 32, u64::MAX << 32, 1, u64::MAX - 1, 1 << 63, 1 << 31];
        Self { pool, picker, random: ScriptedRandom::seeded(7).first(ends) }
    }

    /// A pick for a request with a key or without, with fresh randomness.
    fn pick(&mut self, tried: &[EndpointIndex]) -> Option<EndpointIndex> {
        let random = self.random.draw();
        let key = (!random.is_multiple_of(3)).then(|| self.random.draw());
        self.picker.pick(&self.pool, &Ask { key, tried, random })
    }

    fn len(&self) -> usize {
        self.pool.members().len()
    }

    /// A pick, which must be one of the pool that was not tried.
    #[track_caller]
    fn picks(&mut self, tried: &[EndpointIndex]) -> Option<EndpointIndex> {
        let picked = self.pick(tried);
        let (members, weights) = (self.len(), self.weights());
        holds!(picked.is_some(), "{picked:?}, of {members} endpoints with weights {weights:?}, tried: {tried:?}");
        if let Some(picked) = picked {
            holds!(picked.0 < members, "{picked:?}, of {members} endpoints with weights {weights:?}");
            holds!(!tried.contains(&picked), "{picked:?}, tried: {tried:?}");
        }
        picked
    }

    fn weights(&self) -> Vec<u32> {
        self.pool.members().iter().map(|member| member.weight.get()).collect()
    }
}

/// The pools that are asked for: small and large, even and uneven.
fn pools() -> Vec<Vec<u32>> {
    let uneven = (0..20).map(|number| 1 + number % 7).collect();
    vec![
        vec![1],
        vec![1, 1],
        vec![5, 1],
        vec![1, 1, 1],
        vec![7, 2, 1],
        vec![1; 8],
        vec![3, 1, 4, 1, 5, 9, 2, 6],
        uneven,
    ]
}
