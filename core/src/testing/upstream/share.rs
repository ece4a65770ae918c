//! Weights and keys: what pickers claim beyond the contract.

use super::{Ask, Asked, Driver, EndpointIndex};
use crate::testing::rules::{holds, same};

/// So many picks show a share to well under the tolerance.
const PICKS: u32 = 20_000;

/// How far a share may be off, of all picks.
const TOLERANCE: f64 = 0.02;

/// Requests of which those that meet `failing` try again, and what each endpoint got in the end beside what it weighs.
fn compare(asked: &mut Asked, failing: Option<usize>) {
    let failing = failing.map(EndpointIndex);
    let mut counts = vec![0_u32; asked.len()];
    for _ in 0..PICKS {
        // A request of its own each time, so that a picker by key spreads too.
        let key = Some(asked.random.draw());
        let mut pick = |tried: &[EndpointIndex]| {
            let random = asked.random.draw();
            asked.picker.pick(&asked.pool, &Ask { key, tried, random })
        };
        let picked = match pick(&[]) {
            Some(first) if Some(first) == failing => pick(&[first]),
            picked => picked,
        };
        if let Some(count) = picked.and_then(|index| counts.get_mut(index.0)) {
            *count += 1;
        }
    }
    let weights = asked.weights();
    let weight = |index: usize| match failing {
        Some(failing) if failing.0 == index => 0.0,
        _ => weights.get(index).copied().map_or(0.0, f64::from),
    };
    let total: f64 = (0..weights.len()).map(weight).sum();
    for (index, count) in counts.iter().enumerate() {
        let (had, share) = (f64::from(*count), weight(index) / total * f64::from(PICKS));
        holds!(
            (had - share).abs() <= TOLERANCE * f64::from(PICKS),
            "endpoint {index} had {count} of {PICKS} requests, its share is {share:.0}; weights {weights:?}, failing: {failing:?}"
        );
    }
}

pub(super) fn endpoints_get_what_they_weigh(driver: &dyn Driver) {
    for weights in [vec![1, 1, 1, 1], vec![7, 2, 1], vec![1, 9], vec![10, 20, 30, 40], vec![95, 5]] {
        compare(&mut Asked::new(driver, &weights), None);
    }
}

pub(super) fn those_that_are_left_get_what_they_weigh(driver: &dyn Driver) {
    compare(&mut Asked::new(driver, &[1, 1, 1, 1]), Some(2));
    compare(&mut Asked::new(driver, &[3, 2, 1, 2]), Some(0));
    compare(&mut Asked::new(driver, &[7, 2, 1]), Some(0));
}

pub(super) fn the_same_key_is_the_same_endpoint(driver: &dyn Driver) {
    let mut asked = Asked::new(driver, &[3, 1, 2, 1]);
    for _ in 0..200 {
        let key = Some(asked.random.draw());
        let mut pick = || {
            let random = asked.random.draw();
            asked.picker.pick(&asked.pool, &Ask { key, tried: &[], random })
        };
        let first = pick();
        for _ in 0..10 {
            same!(pick(), first, "one key, and other randomness");
        }
    }
}
