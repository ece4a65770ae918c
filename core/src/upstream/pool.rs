//! An upstream's endpoints together with the picker made for them, and the use of one by one request.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::{Ask, Endpoint, EndpointIndex, Snapshot, UpstreamPicker};
use crate::time::Moment;

/// An upstream's endpoints at one time, together with the picker made for them.
///
/// Immutable: a changed pool is a new one, swapped in whole, so that no picker ever meets endpoints it was not made
/// for. Made with [`Snapshot::new`] and the old pool's snapshot, it shares the endpoints whose URL stayed; leases on
/// the old one go on and still count.
pub struct Pool {
    name: Arc<str>,
    snapshot: Snapshot,
    picker: Arc<dyn UpstreamPicker>,
    resting: Box<[Arc<Endpoint>]>,
}

impl Pool {
    /// A pool of the upstream `name`, with a picker that was made for `snapshot`.
    pub fn new(name: impl Into<Arc<str>>, snapshot: Snapshot, picker: Arc<dyn UpstreamPicker>) -> Self {
        Self { name: name.into(), snapshot, picker, resting: Box::default() }
    }

    /// The same, and those who rest: of no picker's choice, and the [`last_resort`](Self::last_resort) of a request.
    #[must_use]
    pub fn with_resting(self, resting: impl IntoIterator<Item = Arc<Endpoint>>) -> Self {
        Self { resting: resting.into_iter().collect(), ..self }
    }

    /// The upstream's name.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The endpoints.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Picks an endpoint for a request that is known by `key`, leaving out those in `tried`; none when all endpoints were tried, or
    /// there are none: [`NoEndpoint`](super::NoEndpoint) says so as an error.
    ///
    /// The key is what a picker that keeps equal keys on one endpoint goes by (a customer, a session); round robin and least request
    /// do not look at it. It is hashed under fixed numbers, so that every process that asks means the same by it. The randomness of
    /// pickers that draw is this thread's generator of the `rand` crate, which the operating system seeds; whoever has to say what it is
    /// asks with [`lease`](Self::lease).
    pub fn pick(&self, key: &(impl Hash + ?Sized), tried: &Tried) -> Option<Lease> {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        key.hash(&mut hasher);
        self.lease(&Ask { key: Some(hasher.finish()), tried: tried.as_slice(), random: rand::random() })
    }

    /// The same, with everything that a picker may look at said by the caller: what the gateway calls. Allocates nothing.
    pub fn lease(&self, ask: &Ask<'_>) -> Option<Lease> {
        let index = self.picker.pick(&self.snapshot, ask)?;
        Some(Lease::of(&self.snapshot.get(index)?.endpoint, index))
    }

    /// One of those who rest, not among `tried`: for a request that has failed at all others. To ask somebody who may be well again beats
    /// asking once more who has just failed.
    pub fn last_resort(&self, tried: &[EndpointIndex], random: u64) -> Option<Lease> {
        let count = self.resting.len();
        let from = usize::try_from(random).unwrap_or_default().checked_rem(count)?;
        let places = (from..count).chain(0..from);
        let mut open = places.map(|place| (place, EndpointIndex(self.snapshot.members().len() + place)));
        let (place, index) = open.find(|(_, index)| !tried.contains(index))?;
        Some(Lease::of(self.resting.get(place)?, index))
    }

    /// Whom a request can come to: the endpoints, and those who rest.
    pub fn reachable(&self) -> usize {
        self.snapshot.members().len() + self.resting.len()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

/// The use of one endpoint by one request: counts it in flight there until it is dropped, exactly once.
///
/// It borrows nothing and rides on the response body, so that a slow answer counts until its last byte, and one that a
/// client abandons stops counting when its body is dropped.
#[derive(Debug)]
#[must_use = "a lease that is dropped at once counts nothing"]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    index: EndpointIndex,
}

impl Lease {
    fn of(endpoint: &Arc<Endpoint>, index: EndpointIndex) -> Self {
        endpoint.enter();
        Self { endpoint: Arc::clone(endpoint), index }
    }

    /// The endpoint.
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Takes note of how long the answer took, from the request to the complete head, which came at `now`: what
    /// [`PeakEwma`](super::PeakEwma) goes by. An attempt that took too long counts as that long; one that failed at once says nothing about
    /// how long an answer takes.
    pub fn observe(&self, latency: Duration, now: Moment) {
        self.endpoint.observe(latency, now);
    }

    /// Its place in the pool it was picked from, for [`Tried`]; those who rest come behind the others.
    pub const fn index(&self) -> EndpointIndex {
        self.index
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.leave();
    }
}

/// The endpoints one request has tried, at most [`Tried::MAX`]; kept inline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    indexes: [EndpointIndex; Self::MAX],
    len: usize,
}

impl Tried {
    /// So many endpoints one request may try.
    pub const MAX: usize = 8;

    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; again changes nothing. False when there is no room for it: then the request has tried enough.
    pub fn insert(&mut self, index: EndpointIndex) -> bool {
        if self.as_slice().contains(&index) {
            return true;
        }
        let Some(place) = self.indexes.get_mut(self.len) else {
            return false;
        };
        *place = index;
        self.len += 1;
        true
    }

    /// Those tried, in order: what [`Ask::tried`] takes.
    pub fn as_slice(&self) -> &[EndpointIndex] {
        self.indexes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{EndpointUrl, RoundRobin};
    use super::*;

    /// A pool's endpoints with these weights, on ports from 7001.
    pub(in super::super) fn snapshot(weights: &[u32]) -> Snapshot {
        let server = |(index, weight): (usize, &u32)| (url(7001 + index), (*weight).try_into().unwrap());
        Snapshot::new(weights.iter().enumerate().map(server), None)
    }

    fn url(port: usize) -> EndpointUrl {
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    fn round_robin(snapshot: Snapshot) -> Pool {
        let picker = Arc::new(RoundRobin::new(&snapshot));
        Pool::new("users", snapshot, picker)
    }

    const ANY: Ask<'_> = Ask { key: None, tried: &[], random: 0 };

    #[test]
    fn a_lease_counts_until_it_is_dropped_wherever_that_is() {
        let pool = round_robin(snapshot(&[1]));
        let endpoint = Arc::clone(&pool.snapshot().members()[0].endpoint);
        let leases: Vec<_> = (0..3).filter_map(|_| pool.lease(&ANY)).collect();
        assert_eq!(endpoint.in_flight(), 3);
        drop(pool);
        std::thread::spawn(move || drop(leases)).join().unwrap();
        assert_eq!(endpoint.in_flight(), 0);
    }

    #[test]
    fn a_changed_pool_keeps_the_endpoints_whose_url_stayed() {
        let old = round_robin(snapshot(&[1, 1]));
        let (first, second) = (old.lease(&ANY).unwrap(), old.lease(&ANY).unwrap());
        let servers = [(url(7002), 5.try_into().unwrap()), (url(7003), 1.try_into().unwrap())];
        let new = round_robin(Snapshot::new(servers, Some(old.snapshot())));
        let in_flight =
            || new.snapshot().members().iter().map(|member| member.endpoint.in_flight()).collect::<Vec<_>>();
        assert_eq!(in_flight(), [1, 0]);
        assert_eq!(new.snapshot().members()[0].weight.get(), 5);
        drop((first, second));
        assert_eq!(in_flight(), [0, 0]);
    }

    #[test]
    fn a_picker_that_points_nowhere_yields_nothing() {
        struct Nowhere;
        impl UpstreamPicker for Nowhere {
            fn pick(&self, pool: &Snapshot, _: &Ask<'_>) -> Option<EndpointIndex> {
                Some(EndpointIndex(pool.members().len()))
            }
        }
        assert!(Pool::new("users", snapshot(&[1]), Arc::new(Nowhere)).lease(&ANY).is_none());
    }

    #[test]
    fn a_key_is_the_same_everywhere_and_every_pick_is_drawn_anew() {
        /// The endpoint that the key says; of the randomness it notes whether it ever differs.
        #[derive(Default)]
        struct ByKey(std::sync::Mutex<std::collections::BTreeSet<u64>>);
        impl UpstreamPicker for ByKey {
            fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
                self.0.lock().unwrap().insert(ask.random);
                let places = pool.members().len() as u64;
                Some(EndpointIndex(usize::try_from(ask.key? % places).ok()?)).filter(|index| !ask.tried.contains(index))
            }
        }
        let picker = Arc::new(ByKey::default());
        let pools =
            [(); 2].map(|()| Pool::new("users", snapshot(&[1; 5]), Arc::clone(&picker) as Arc<dyn UpstreamPicker>));
        let mut tried = Tried::new();
        let places: std::collections::BTreeSet<_> = (0..100)
            .map(|user| {
                let [one, other] = pools.each_ref().map(|pool| pool.pick(&("user", user), &tried).unwrap().index());
                assert_eq!(one, other);
                one
            })
            .collect();
        assert_eq!((places.len(), picker.0.lock().unwrap().len()), (5, 200));
        tried.insert(pools[0].pick("ada", &tried).unwrap().index());
        assert!(pools[0].pick("ada", &tried).is_none(), "what was tried is left out");
    }

    #[test]
    fn tried_is_bounded_and_holds_each_once() {
        let mut tried = Tried::new();
        assert!((0..Tried::MAX).all(|index| tried.insert(EndpointIndex(index)) && tried.insert(EndpointIndex(index))));
        assert!(!tried.insert(EndpointIndex(99)));
        assert!(tried.insert(EndpointIndex(3)));
        assert_eq!(tried.as_slice().len(), Tried::MAX);
    }
}
