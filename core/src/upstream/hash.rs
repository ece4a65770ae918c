//! Equal keys to one endpoint: consistent hashing with bounded load.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{Ask, EndpointIndex, Member, Snapshot, UpstreamPicker};

/// Sends requests with the same key to the same endpoint, as long as that has room.
///
/// It is weighted rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates"): each endpoint is at
/// some distance from a key, by its URL alone, and the nearest one wins. So every node makes the same choice, a restart changes
/// nothing, and an endpoint more or less moves only the keys that it must: those that the lost one had, or that the new one is nearest
/// to. The load is bounded (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads"): an endpoint that has a
/// quarter more in flight than its share of all is passed over for the next nearest, so that a key that everybody asks for does not bury
/// one server.
///
/// A request without a key goes by chance. Costs one short hash and one logarithm for each endpoint of the pool; it allocates nothing.
#[derive(Clone, Debug)]
pub struct Hash {
    /// A fixed number for each endpoint's URL and address, by its index: its place among the others means nothing.
    seeds: Box<[u64]>,
    /// All weights together.
    weights: u64,
}

impl Hash {
    /// A picker for this pool.
    pub fn new(pool: &Snapshot) -> Self {
        let seed = |member: &Member| {
            let mut hasher = SipHasher13::new_with_keys(0, 0);
            hasher.write(member.endpoint.url().to_string().as_bytes());
            // The addresses of one name have one URL.
            if let Some(address) = member.endpoint.address() {
                hasher.write(address.to_string().as_bytes());
            }
            hasher.finish()
        };
        let weights = pool.members().iter().map(|member| u64::from(member.weight.get())).sum();
        Self { seeds: pool.members().iter().map(seed).collect(), weights }
    }

    /// The nearest of those that `fits`.
    fn nearest(&self, pool: &Snapshot, key: u64, fits: impl Fn(usize, &Member) -> bool) -> Option<EndpointIndex> {
        let members = pool.members().iter().zip(&self.seeds).enumerate();
        let fitting = members.filter(|(index, (member, _))| fits(*index, member));
        let distances = fitting.map(|(index, (member, seed))| (index, distance(*seed, key, member)));
        distances.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| EndpointIndex(index))
    }
}

impl UpstreamPicker for Hash {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        let Some(key) = ask.key else { return pool.random((ask.random >> 32) as u32, None, ask) };
        let untried = |index: usize| !ask.tried.contains(&EndpointIndex(index));
        let in_flight = || pool.members().iter().map(|member| u64::from(member.endpoint.in_flight()));
        let all: u64 = in_flight().sum::<u64>() + 1;
        let has_room = |member: &Member| {
            let (has, weight) = (u64::from(member.endpoint.in_flight()), u64::from(member.weight.get()));
            // Fewer than 5/4 of its share, rounded up, without a division.
            u128::from(has) * 4 * u128::from(self.weights) < u128::from(all) * 5 * u128::from(weight)
        };
        // There is always one with room, but it may have been tried.
        self.nearest(pool, key, |index, member| untried(index) && has_room(member))
            .or_else(|| self.nearest(pool, key, |index, _| untried(index)))
    }
}

/// How far an endpoint is from `key`: exponentially distributed with its weight as the rate, so that the smallest of several falls to
/// each in proportion to its weight.
fn distance(seed: u64, key: u64, member: &Member) -> f64 {
    let mut hasher = SipHasher13::new_with_keys(seed, 0);
    hasher.write(&key.to_le_bytes());
    // 53 bits, and a half, so that it is neither 0 nor 1.
    let unit = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -unit.ln() / f64::from(member.weight.get())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::pool::tests::snapshot;
    use super::super::{Endpoint, EndpointUrl};
    use super::*;

    fn pick(pool: &Snapshot, key: u64, tried: &[EndpointIndex]) -> Option<usize> {
        Hash::new(pool).pick(pool, &Ask { key: Some(key), tried, random: 0 }).map(|index| index.0)
    }

    /// How many of `keys` keys each endpoint gets.
    fn spread(pool: &Snapshot, keys: u64) -> Vec<usize> {
        let (picker, mut counts) = (Hash::new(pool), vec![0; pool.members().len()]);
        for key in 0..keys {
            let picked = picker.pick(pool, &Ask { key: Some(key), tried: &[], random: key }).unwrap();
            counts[picked.0] += 1;
        }
        counts
    }

    /// Of 100,000 keys over ten endpoints the fullest has 1.5 % more than its share.
    #[test]
    fn keys_are_spread_by_weight() {
        let counts = spread(&snapshot(&[1; 10]), 100_000);
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
        let counts = spread(&snapshot(&[3, 1]), 100_000);
        assert!((74_500..75_500).contains(&counts[0]), "{counts:?}");
    }

    /// The addresses of one name are as far apart as servers with names of their own.
    #[test]
    fn keys_are_spread_over_the_addresses_of_one_name() {
        let url: EndpointUrl = "http://app.internal:80".parse().unwrap();
        let member = |last: u8| {
            let endpoint = Arc::new(Endpoint::new(url.clone()).at(([10, 0, 0, last], 80).into()));
            Member { endpoint, weight: 1.try_into().unwrap() }
        };
        let of = |pool: &Snapshot, key| {
            let index = pick(pool, key, &[]).unwrap();
            pool.members()[index].endpoint.address()
        };
        let [all, without] = [vec![1, 2, 3], vec![3, 1]].map(|last| Snapshot::of(last.into_iter().map(member)));
        let counts = spread(&all, 30_000);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let moved = (0..3_000).filter(|key| of(&all, *key) != of(&without, *key)).count();
        let lost = (0..3_000).filter(|key| of(&all, *key) == Some(([10, 0, 0, 2], 80).into())).count();
        assert_eq!(moved, lost, "and who leaves takes only its own keys along");
    }

    /// Whoever leaves takes only its own keys along, wherever the others then stand.
    #[test]
    fn an_endpoint_less_moves_only_its_own_keys() {
        let url = |port: u64| -> EndpointUrl { format!("http://127.0.0.1:{port}").parse().unwrap() };
        let pool = |ports: &[u64]| Snapshot::new(ports.iter().map(|port| (url(*port), 1.try_into().unwrap())), None);
        let (before, after) = (pool(&[1, 2, 3, 4, 5]), pool(&[5, 1, 4, 2]));
        let of = |pool: &Snapshot, key| {
            let index = pick(pool, key, &[]).unwrap();
            pool.members()[index].endpoint.authority().to_owned()
        };
        let moved = (0..10_000).filter(|key| of(&before, *key) != of(&after, *key)).count();
        let lost = (0..10_000).filter(|key| of(&before, *key) == "127.0.0.1:3").count();
        assert_eq!(moved, lost);
    }

    /// One key for all: nobody gets more than a quarter over its share, and who has room gets the rest.
    #[test]
    fn one_key_does_not_bury_one_endpoint() {
        let pool = snapshot(&[1, 1, 2]);
        let first = pick(&pool, 7, &[]).unwrap();
        for sent in 1..=400_u64 {
            let index = pick(&pool, 7, &[]).unwrap();
            let member = &pool.members()[index];
            member.endpoint.enter();
            let share = sent as f64 * f64::from(member.weight.get()) / 4.0;
            assert!(f64::from(member.endpoint.in_flight()) <= (share * 1.25).ceil(), "after {sent}");
        }
        pool.members().iter().for_each(|member| (0..member.endpoint.in_flight()).for_each(|_| member.endpoint.leave()));
        assert_eq!(pick(&pool, 7, &[]), Some(first), "and comes back when there is room");
    }

    #[test]
    fn what_was_tried_is_left_out_until_nothing_is_left() {
        let pool = snapshot(&[1, 1]);
        let first = pick(&pool, 7, &[]).unwrap();
        assert_eq!(pick(&pool, 7, &[EndpointIndex(first)]), Some(1 - first));
        pool.members()[1 - first].endpoint.enter();
        assert_eq!(pick(&pool, 7, &[EndpointIndex(first)]), Some(1 - first), "even where that has no room");
        assert_eq!(pick(&pool, 7, &[EndpointIndex(0), EndpointIndex(1)]), None);
    }
}
