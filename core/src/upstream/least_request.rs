//! Least request, by the power of two choices.

use super::{Ask, EndpointIndex, Member, Snapshot, UpstreamPicker};

/// Draws two different endpoints at random, in proportion to their weights, and takes the one with fewer requests in
/// flight for its weight; of equals, the one drawn first.
///
/// Two draws suffice: the longest queue grows as log log n, not as log n / log log n (Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing"). A scan for the least loaded of all would send every worker of every gateway
/// to the same endpoint at the same moment. Where nothing is in flight, the first draw decides, so idle endpoints too
/// share by weight.
///
/// Costs two draws and reads two counters; with unequal weights, or after a failed attempt, a draw looks at each
/// endpoint of the pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastRequest;

impl UpstreamPicker for LeastRequest {
    #[expect(clippy::cast_possible_truncation, reason = "each draw takes its own half of the random bits")]
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        let first = pool.random((ask.random >> 32) as u32, None, ask)?;
        let Some(second) = pool.random(ask.random as u32, Some(first), ask) else {
            return Some(first);
        };
        let lighter = is_lighter(pool.get(second)?, pool.get(first)?);
        Some(if lighter { second } else { first })
    }
}

/// Whether `a` has less in flight for its weight than `b`: a/w < b/v without the divisions.
fn is_lighter(a: &Member, b: &Member) -> bool {
    let load = |of: &Member, other: &Member| u64::from(of.endpoint.in_flight()) * u64::from(other.weight.get());
    load(a, b) < load(b, a)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pool::tests::snapshot;
    use super::*;

    /// Both halves of the randomness: where in its range the first draw falls, and where the second, in thousandths.
    fn random(first: u64, second: u64) -> u64 {
        let part = |thousandths: u64| (2 * thousandths + 1) * (u64::from(u32::MAX) / 2000);
        part(first) << 32 | part(second)
    }

    fn pick(pool: &Snapshot, tried: &[EndpointIndex], random: u64) -> Option<usize> {
        LeastRequest.pick(pool, &Ask { key: None, tried, random }).map(|index| index.0)
    }

    fn load(pool: &Snapshot, in_flight: &[u32]) {
        for (member, count) in pool.members().iter().zip(in_flight) {
            (0..*count).for_each(|_| member.endpoint.enter());
        }
    }

    #[test]
    fn of_two_the_less_loaded_is_taken_whichever_is_drawn_first() {
        let pool = snapshot(&[1, 1]);
        load(&pool, &[3, 2]);
        assert_eq!((pick(&pool, &[], random(0, 0)), pick(&pool, &[], random(999, 0))), (Some(1), Some(1)));
    }

    #[test]
    fn load_counts_by_weight() {
        let pool = snapshot(&[4, 1]);
        load(&pool, &[7, 2]);
        assert_eq!((pick(&pool, &[], random(0, 0)), pick(&pool, &[], random(999, 0))), (Some(0), Some(0)));
    }

    #[test]
    fn idle_endpoints_share_by_weight() {
        let pool = snapshot(&[3, 1]);
        let heavy = (0..1000).filter(|step| pick(&pool, &[], random(*step, 999 - step)) == Some(0)).count();
        assert_eq!(heavy, 750);
    }

    #[test]
    fn what_was_tried_is_left_out_until_nothing_is_left() {
        let pool = snapshot(&[1, 1, 1]);
        load(&pool, &[0, 5, 6]);
        let tried = [EndpointIndex(0), EndpointIndex(1), EndpointIndex(2)];
        assert_eq!(pick(&pool, &tried[..1], random(999, 999)), Some(1));
        assert_eq!(pick(&pool, &tried[..2], random(0, 0)), Some(2));
        assert_eq!(pick(&pool, &tried, random(0, 0)), None);
        assert_eq!(pick(&snapshot(&[]), &[], random(0, 0)), None);
        assert_eq!(pick(&snapshot(&[2]), &[], random(500, 500)), Some(0));
    }

    proptest! {
        /// Never one that was tried, never the most loaded when it stands alone in that, and always one while any is left.
        #[test]
        fn never_the_worst(
            weights in prop::collection::vec(1_u32..50, 1..9),
            loads in prop::collection::vec(0_u32..20, 9),
            tried in prop::collection::btree_set(0_usize..9, 0..9),
            random: u64,
        ) {
            let pool = snapshot(&weights);
            load(&pool, &loads);
            let tried: Vec<_> = tried.into_iter().map(EndpointIndex).collect();
            let open: Vec<_> = (0..weights.len()).filter(|index| !tried.contains(&EndpointIndex(*index))).collect();
            let picked = pick(&pool, &tried, random);
            prop_assert_eq!(picked.is_some(), !open.is_empty());
            if let Some(picked) = picked {
                prop_assert!(open.contains(&picked));
                let load = |index: usize| f64::from(loads[index]) / f64::from(weights[index]);
                let others = open.iter().filter(|index| **index != picked);
                prop_assert!(open.len() == 1 || others.clone().any(|other| load(*other) >= load(picked)));
            }
        }
    }
}
