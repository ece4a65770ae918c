//! Who fetches what now: by key, in shards, asked on misses only.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use portcullis_core::caching::{RequestControl, Reuse, reuse};
use portcullis_core::time::Moment;

use super::flight::{Flight, Reader};
use super::stored::{Head, Origin, Stored};
use super::{Cache, Room};

/// A fetch of an answer, whose followers may be told of a stored one instead.
pub(super) type Fetch = Flight<Head, Arc<Stored>>;

/// A place at one.
pub(crate) type Follower = Reader<Head, Arc<Stored>>;

/// All that go on.
#[derive(Debug)]
pub(super) struct Flights {
    count: AtomicUsize,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

type Shard = HashMap<Box<[u8]>, Vec<Aloft>>;

/// One that others may join.
#[derive(Debug)]
struct Aloft {
    began: u64,
    fetch: Arc<Fetch>,
    slot: usize,
}

const SHARDS: usize = 64;

/// More do not go on at a time; whoever comes then asks for itself.
const MOST: usize = 16 * 1024;

/// Of one key: its variants, and what was invalidated meanwhile.
const MOST_OF_KEY: usize = 16;

impl Default for Flights {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { count: AtomicUsize::new(0), hasher: RandomState::new(), shards }
    }
}

impl Flights {
    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "a remainder of their number")]
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a miss finds a place.
pub(super) enum Boarding {
    /// Nowhere: it asks for itself.
    Alone,
    /// Somebody asks already.
    Follow(Follower),
    /// It asks for all.
    Lead(Landing, Follower),
    /// It is stored by now.
    Stored(Arc<Stored>),
}

/// What a miss is at.
pub(super) struct Wanted<'r> {
    pub(super) key: &'r [u8],
    pub(super) control: &'r RequestControl,
    pub(super) fields: &'r HeaderMap,
    pub(super) most: usize,
    pub(super) slot: usize,
    pub(super) with: Company,
}

impl Wanted<'_> {
    /// Whether it needs nothing else than this.
    fn takes(&self, stored: &Stored, now: Moment) -> bool {
        reuse(&stored.freshness(now), self.control, now) == Reuse::Fresh
    }
}

/// With whom a miss may share a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// With everybody of its key.
    Anybody,
    /// With nobody who asks already: it is one too many then.
    IfNobody,
    /// With who comes later: what went before is too old for it.
    Later,
    /// With nobody.
    Nobody,
}

/// A fetch that goes on. However it ends, whoever waits for it is told.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) began: u64,
    pub(super) cache: Arc<Cache>,
    pub(super) fetch: Arc<Fetch>,
    pub(super) key: Box<[u8]>,
    is_known: bool,
}

impl Cache {
    /// A place for a miss.
    pub(super) fn board(self: &Arc<Self>, wanted: &Wanted<'_>) -> Boarding {
        let Wanted { key, fields, most, slot, with, .. } = *wanted;
        let mut shard = self.flights.shard(key);
        let Room { selected, .. } = &mut *self.room();
        let known = shard.get(key).map_or(&[][..], Vec::as_slice);
        if with == Company::Anybody {
            let mut joined = known.iter().filter(|aloft| self.is_good(aloft.began, aloft.slot));
            if let Some(reader) = joined.find_map(|aloft| aloft.fetch.join(|head| head.is_for(fields, selected))) {
                return Boarding::Follow(reader);
            }
            // Under the lock: one that has just landed has stored before it was forgotten.
            if let (Some(stored), _) = self.store.find(key, fields, selected)
                && wanted.takes(&stored, self.store.now())
            {
                return Boarding::Stored(stored);
            }
        }
        let is_asked_for = || known.iter().any(|aloft| self.is_good(aloft.began, aloft.slot));
        if with == Company::IfNobody && is_asked_for() {
            return Boarding::Alone;
        }
        let is_full = self.flights.count.load(Ordering::Relaxed) >= MOST || known.len() >= MOST_OF_KEY;
        let Some(claim) = self.store.budget().claim(0).filter(|_| !is_full) else { return Boarding::Alone };
        let began = self.store.last();
        let fetch = Fetch::new(most, claim);
        let Some(reader) = fetch.join(|_| true) else { return Boarding::Alone };
        let is_known = with != Company::Nobody;
        if is_known {
            shard.entry(key.into()).or_default().push(Aloft { began, fetch: Arc::clone(&fetch), slot });
        }
        self.flights.count.fetch_add(1, Ordering::Relaxed);
        Boarding::Lead(Landing { began, cache: Arc::clone(self), fetch, key: key.into(), is_known }, reader)
    }

    /// Whether an answer with this head is for who asked with these fields.
    pub(super) fn is_for(&self, head: &Head, fields: &HeaderMap) -> bool {
        head.is_for(fields, &mut self.room().selected)
    }

    /// Whether nothing was invalidated or purged since that could concern it.
    fn is_good(&self, began: u64, slot: usize) -> bool {
        self.store.is_current(began, slot) && self.store.is_unpurged(began)
    }
}

impl Landing {
    /// Where its answer comes from.
    pub(super) fn origin(&self, url: &str, slot: usize) -> Origin {
        Origin { began: self.began, slot, tags: Box::default(), url: url.into() }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let flights = &self.cache.flights;
        flights.count.fetch_sub(1, Ordering::Relaxed);
        if self.is_known {
            let mut shard = flights.shard(&self.key);
            if let Some(known) = shard.get_mut(&self.key) {
                known.retain(|aloft| !Arc::ptr_eq(&aloft.fetch, &self.fetch));
                if known.is_empty() {
                    shard.remove(&self.key);
                }
            }
        }
        self.fetch.end();
    }
}
