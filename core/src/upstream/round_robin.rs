//! Smooth weighted round robin.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Ask, EndpointIndex, Snapshot, UpstreamPicker};

/// One round is at most about so many turns: what heavy, awkward weights cost in memory (16 KiB) and, after a failed
/// attempt, in steps. Weights whose ratio needs more are rounded; each endpoint keeps at least one turn.
const MAX_ROUND: i64 = 4096;

/// Smooth weighted round robin: in each round every endpoint gets as many turns as it weighs, spread out so that a heavy
/// one gets no burst. All workers take turns from one counter, so the shares are exact for the gateway as a whole. A retry takes no
/// turn: it goes to any that is left, by weight.
///
/// The order of a round is worked out once, when the picker is made; a pick is one atomic addition and one look-up.
#[derive(Debug)]
pub struct RoundRobin {
    round: Box<[EndpointIndex]>,
    next: AtomicUsize,
}

impl RoundRobin {
    /// For these endpoints and weights.
    pub fn new(snapshot: &Snapshot) -> Self {
        let weights: Vec<_> = snapshot.members().iter().map(|member| member.weight).collect();
        Self { round: spread(&turns(&weights)), next: AtomicUsize::new(0) }
    }
}

impl UpstreamPicker for RoundRobin {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        // A retry is nobody's turn: with one endpoint of two that fails, each request's retry would take the turn of the other, and
        // the next request would come to the one that fails again.
        if !ask.tried.is_empty() {
            return pool.random((ask.random >> 32) as u32, None, ask);
        }
        // Only that each turn is taken once matters, and that is the addition's atomicity: no ordering is needed.
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.round.len())?;
        self.round.get(turn).copied()
    }
}

/// How many turns of a round each endpoint gets: the weights in lowest terms, rounded where a round would be too long.
fn turns(weights: &[NonZeroU32]) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |divisor, weight| gcd(weight.get(), divisor)).max(1);
    let turns = weights.iter().map(|weight| i64::from(weight.get() / divisor));
    let total: i64 = turns.clone().sum();
    if total <= MAX_ROUND {
        return turns.collect();
    }
    // At most 2^32 * 2^12, and few enough of them: no overflow.
    turns.map(|turns| (turns * MAX_ROUND / total).max(1)).collect()
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Puts the turns in a smooth order. At each place everyone's credit grows by its turns; the richest (the first of
/// equals) takes the place and pays the whole round.
fn spread(turns: &[i64]) -> Box<[EndpointIndex]> {
    // No credit is ever further from zero than a round: it is at most `MAX_ROUND` and one for each endpoint.
    let round: i64 = turns.iter().sum();
    let mut credits = vec![0; turns.len()];
    let place = |_| {
        let (mut first, mut most) = (0, i64::MIN);
        for (index, (credit, turns)) in credits.iter_mut().zip(turns).enumerate() {
            *credit += turns;
            if *credit > most {
                (first, most) = (index, *credit);
            }
        }
        *credits.get_mut(first)? -= round;
        Some(EndpointIndex(first))
    };
    (0..round).filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pool::tests::snapshot;
    use super::*;

    fn picks(weights: &[u32], tried: &[usize], count: usize) -> Vec<usize> {
        let snapshot = snapshot(weights);
        let picker = RoundRobin::new(&snapshot);
        let tried: Vec<_> = tried.iter().copied().map(EndpointIndex).collect();
        let ask = Ask { key: None, tried: &tried, random: 0 };
        (0..count).filter_map(|_| picker.pick(&snapshot, &ask)).map(|index| index.0).collect()
    }

    #[test]
    fn a_heavy_endpoint_gets_its_turns_spread_out() {
        assert_eq!(picks(&[1, 1, 1], &[], 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(picks(&[5, 1, 1], &[], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&[10, 20], &[], 6), [1, 0, 1, 1, 0, 1]);
        assert_eq!(picks(&[3], &[], 2), [0, 0]);
    }

    #[test]
    fn what_was_tried_is_left_out_until_nothing_is_left() {
        // What is left goes by weight, and takes nobody's turn.
        assert_eq!(picks(&[1, 1, 1], &[1], 4), [0; 4], "with the lowest of numbers");
        assert_eq!(picks(&[1, 1], &[0], 3), [1, 1, 1]);
        assert_eq!(picks(&[1, 1], &[1, 0], 3), [0; 0]);
        assert_eq!(picks(&[], &[], 3), [0; 0]);
    }

    #[test]
    fn a_round_is_bounded_and_nobody_starves() {
        let weights = [u32::MAX, 1, u32::MAX - 1, 2];
        let round = RoundRobin::new(&snapshot(&weights)).round;
        assert!(round.len() <= 4096 + weights.len(), "{}", round.len());
        assert!((0..weights.len()).all(|index| round.contains(&EndpointIndex(index))));
    }

    #[test]
    fn threads_share_one_round() {
        let snapshot = snapshot(&[3, 1]);
        let picker = RoundRobin::new(&snapshot);
        let heavy = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let picked = picker.pick(&snapshot, &Ask { key: None, tried: &[], random: 0 });
                        heavy.fetch_add(usize::from(picked == Some(EndpointIndex(0))), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(heavy.into_inner(), 300);
    }

    proptest! {
        /// In any window of one round each endpoint has exactly its turns, and at no place is it far from its exact share.
        #[test]
        fn every_round_is_exact_and_smooth(weights in prop::collection::vec(1_u32..20, 1..6), start in 0_usize..50) {
            let total: u32 = weights.iter().sum();
            let picked = picks(&weights, &[], start + total as usize);
            for (index, weight) in weights.iter().enumerate() {
                let turns = picked[start..].iter().filter(|picked| **picked == index).count();
                prop_assert_eq!(turns, *weight as usize);
                for place in 1..=total as usize {
                    let had = picked[..place.min(picked.len())].iter().filter(|picked| **picked == index).count();
                    let share = f64::from(*weight) * place as f64 / f64::from(total);
                    prop_assert!((had as f64 - share).abs() <= weights.len() as f64, "{had} of {share}");
                }
            }
        }
    }
}
