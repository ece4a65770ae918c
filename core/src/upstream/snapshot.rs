//! The endpoints of a pool at one time, with their weights.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Ask, Endpoint, EndpointIndex, EndpointUrl};

/// The endpoints of a pool at one time, in the configuration's order. Immutable: a changed pool is a new snapshot.
#[derive(Debug)]
pub struct Snapshot {
    members: Box<[Member]>,
    /// All members weigh the same, so a weighted choice is a plain one.
    uniform: bool,
}

/// An endpoint's place in a pool.
#[derive(Clone, Debug)]
pub struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its share of the requests, relative to the other members'.
    pub weight: NonZeroU32,
}

impl Snapshot {
    /// The named servers. Where `old` has an endpoint of the same URL, that one goes on, with what it counts.
    pub fn new(servers: impl IntoIterator<Item = (EndpointUrl, NonZeroU32)>, old: Option<&Self>) -> Self {
        let member = |(url, weight)| {
            let known = old.and_then(|old| old.members.iter().find(|member| *member.endpoint.url() == url));
            let endpoint = known.map_or_else(|| Arc::new(Endpoint::new(url)), |member| Arc::clone(&member.endpoint));
            Member { endpoint, weight }
        };
        Self::of(servers.into_iter().map(member))
    }

    /// These members, as they stand.
    pub fn of(members: impl IntoIterator<Item = Member>) -> Self {
        let members: Box<[_]> = members.into_iter().collect();
        let uniform = members.windows(2).all(|pair| matches!(pair, [a, b] if a.weight == b.weight));
        Self { members, uniform }
    }

    /// The endpoints with their weights; an [`EndpointIndex`] is a place in this.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member at `index`, if there is one.
    pub fn get(&self, index: EndpointIndex) -> Option<&Member> {
        self.members.get(index.0)
    }

    /// A random member, in proportion to the weights, among those that were not tried and are not `except`.
    ///
    /// Among equal weights with nothing tried this is one multiplication; otherwise it looks at each member twice.
    pub(super) fn random(&self, random: u32, except: Option<EndpointIndex>, ask: &Ask<'_>) -> Option<EndpointIndex> {
        if self.uniform && ask.tried.is_empty() {
            let left_out = except.map_or(0, |_| 1);
            let drawn = below(random, self.members.len().saturating_sub(left_out) as u64)?;
            let index = usize::try_from(drawn).ok()?;
            // The members after the one left out move up by one.
            return Some(EndpointIndex(index + usize::from(except.is_some_and(|except| index >= except.0))));
        }
        let open = || {
            let numbered = self.members.iter().enumerate().map(|(index, member)| (EndpointIndex(index), member));
            numbered.filter(|(index, _)| Some(*index) != except && !ask.tried.contains(index))
        };
        let total = open().map(|(_, member)| u64::from(member.weight.get())).sum();
        let mut point = below(random, total)?;
        for (index, member) in open() {
            point = match point.checked_sub(member.weight.get().into()) {
                Some(rest) => rest,
                None => return Some(index),
            };
        }
        None
    }
}

/// A random number from 0 to `bound` - 1, by the multiplication that needs no division; none when `bound` is zero. Its
/// bias is at most bound / 2^32, nothing beside the noise of real traffic.
fn below(random: u32, bound: u64) -> Option<u64> {
    let scaled = (u128::from(random) * u128::from(bound)) >> 32;
    if bound == 0 { None } else { u64::try_from(scaled).ok() }
}

#[cfg(test)]
mod tests {
    use super::super::pool::tests::snapshot;
    use super::*;

    fn ask(tried: &[EndpointIndex]) -> Ask<'_> {
        Ask { key: None, tried, random: 0 }
    }

    /// How often each member comes out when the randomness walks evenly through its range.
    fn counts(snapshot: &Snapshot, except: Option<usize>, tried: &[EndpointIndex]) -> Vec<usize> {
        let mut counts = vec![0; snapshot.members().len()];
        for step in 0..1000_u32 {
            let random = (2 * step + 1) * (u32::MAX / 2000);
            if let Some(index) = snapshot.random(random, except.map(EndpointIndex), &ask(tried)) {
                counts[index.0] += 1;
            }
        }
        counts
    }

    #[test]
    fn a_random_member_comes_in_proportion_to_its_weight() {
        assert_eq!(counts(&snapshot(&[1, 1, 1, 1]), None, &[]), [250; 4]);
        assert_eq!(counts(&snapshot(&[7, 2, 1]), None, &[]), [700, 200, 100]);
        assert_eq!(counts(&snapshot(&[5, 5]), Some(0), &[]), [0, 1000]);
        assert_eq!(counts(&snapshot(&[3, 3, 3, 3, 3]), Some(2), &[]), [250, 250, 0, 250, 250]);
        assert_eq!(counts(&snapshot(&[7, 3, 1]), Some(0), &[]), [0, 750, 250]);
        assert_eq!(counts(&snapshot(&[1, 1, 1]), Some(0), &[EndpointIndex(2)]), [0, 1000, 0]);
        assert_eq!(counts(&snapshot(&[1, 1]), Some(0), &[EndpointIndex(1)]), [0, 0]);
        assert_eq!(counts(&snapshot(&[1]), Some(0), &[]), [0]);
        assert_eq!(counts(&snapshot(&[]), None, &[]), [0; 0]);
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let members = snapshot(&[u32::MAX; 9]);
        let with_tried = members.random(u32::MAX, None, &ask(&[EndpointIndex(8)]));
        assert_eq!(with_tried, Some(EndpointIndex(7)));
    }
}
