//! What is stored: bounded by bytes, each entry until the end of its last use, found by a borrowed key without an allocation.
//!
//! An entry is all variants of one key. moka weighs and evicts; a scan of keys that are asked for once does not displace those that
//! are asked for often (TinyLFU). What was invalidated or purged meanwhile is known by numbers: each invalidation and each purge has
//! the next one, and a fetch remembers which was the last before it began.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use moka::Expiry;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use portcullis_core::caching::MAX_VARIANTS;
use portcullis_core::time::{Clock, Moment};

use super::budget::Budget;
use super::purge::{Purge, Purges};
use super::stored::{Origin, Stored};
use crate::observe::Metrics;

type Variants = Arc<[Arc<Stored>]>;

/// The store.
pub(crate) struct Store {
    budget: Arc<Budget>,
    clock: Clock,
    entries: Cache<Box<[u8]>, Variants>,
    hasher: RandomState,
    /// By a hash of the URL: the last invalidation of one of those that share the place.
    invalidated: Box<[AtomicU64]>,
    /// The number of the last invalidation or purge.
    last: AtomicU64,
    purges: RwLock<Purges>,
    size: u64,
}

/// URLs share this many places: who shares one with what is written to is asked for once too often, and never wrong.
const SLOTS: usize = 1 << 17;

/// moka weighs in numbers of 32 bits: an entry may have 256 GiB.
const UNIT: usize = 64;

/// Nothing is kept for longer, whatever its origin says.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Store {
    /// Of at most `size` bytes, and a tenth more for what is on its way.
    pub(crate) fn new(size: u64, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let evicted = move |_: Arc<Box<[u8]>>, variants: Variants, cause: RemovalCause| {
            if cause == RemovalCause::Size {
                variants.iter().for_each(|stored| metrics.cache_evicted(&stored.head.route));
            }
        };
        let entries = Cache::<Box<[u8]>, Variants>::builder()
            .max_capacity(size / UNIT as u64)
            .weigher(|key, variants| weigh(key, variants))
            .eviction_policy(EvictionPolicy::tiny_lfu())
            .expire_after(UntilLastUse(clock.clone()))
            .eviction_listener(evicted)
            .build();
        Self {
            budget: Budget::new(size.saturating_add(size / 10)),
            clock,
            entries,
            hasher: RandomState::new(),
            invalidated: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            last: AtomicU64::new(0),
            purges: RwLock::default(),
            size,
        }
    }

    /// How large it may be.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// What all answers take that are stored, on their way or still being read.
    pub(crate) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// How many keys have something stored.
    pub(crate) fn keys(&self) -> u64 {
        self.entries.entry_count()
    }

    /// A hash of its own.
    pub(crate) fn hash(&self, of: &[u8]) -> u64 {
        self.hasher.hash_one(of)
    }

    /// Where a URL stands among the invalidated.
    pub(crate) fn slot(&self, url: &[u8]) -> usize {
        usize::try_from(self.hash(url) % SLOTS as u64).unwrap_or_default()
    }

    /// The number of the last invalidation or purge.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The variant under `key` for these fields of a request, and whether there is any. `room` is used and left as it was.
    pub(crate) fn find(&self, key: &[u8], fields: &HeaderMap, room: &mut Vec<u8>) -> (Option<Arc<Stored>>, bool) {
        let Some(variants) = self.entries.get(key) else { return (None, false) };
        let is_it = |stored: &&Arc<Stored>| {
            let Origin { began, slot, .. } = stored.head.origin;
            self.is_current(began, slot) && stored.head.is_for(fields, room)
        };
        (variants.iter().find(is_it).map(Arc::clone), true)
    }

    /// Whether what was asked for after `began` is not invalidated since.
    pub(crate) fn is_current(&self, began: u64, slot: usize) -> bool {
        self.invalidated.get(slot).is_none_or(|invalidated| invalidated.load(Ordering::Acquire) <= began)
    }

    /// Whether there was no purge since.
    pub(crate) fn is_unpurged(&self, began: u64) -> bool {
        self.purges.read().is_ok_and(|purges| purges.last() <= began)
    }

    /// Stores an answer beside the other variants of its key, unless it was purged or invalidated since it was asked for. Returns
    /// whether it was stored.
    pub(crate) fn put(&self, key: &[u8], stored: &Arc<Stored>) -> bool {
        let origin = &stored.head.origin;
        // Held until it is in: a purge that comes now finds it there.
        let Ok(purges) = self.purges.read() else { return false };
        if purges.is_forgotten(origin.began) || !self.is_current(origin.began, origin.slot) {
            return false;
        }
        match purges.verdict(origin) {
            Some(Purge { soft: false, .. }) => return false,
            Some(_) => stored.is_softened.store(true, Ordering::Relaxed),
            None => {}
        }
        let now = self.clock.now();
        self.entries.entry(key.into()).and_upsert_with(|entry| {
            let others = entry.map(moka::Entry::into_value);
            let others = others.iter().flat_map(|variants| variants.iter()).filter(|other| {
                let head = &other.head;
                !head.is_same_variant(&stored.head)
                    && head.freshness.kept_until() > now
                    && self.is_current(head.origin.began, head.origin.slot)
            });
            [stored].into_iter().chain(others).take(MAX_VARIANTS).map(Arc::clone).collect::<Variants>()
        });
        drop(purges);
        self.relieve();
        true
    }

    /// Lets moka evict if there is more than there should be: by itself it does so only now and then. For when something is stored, or
    /// there is no room for it.
    pub(crate) fn relieve(&self) {
        if self.budget.used() > self.size {
            self.entries.run_pending_tasks();
        }
    }

    /// Lets go of one variant.
    pub(crate) fn remove(&self, key: &[u8], gone: &Stored) {
        self.keep(key, |stored| !std::ptr::eq(&**stored, gone));
    }

    /// Whatever was asked for at these URLs before now is not used any more.
    pub(crate) fn invalidate(&self, slots: impl IntoIterator<Item = usize>) {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        for slot in slots {
            if let Some(place) = self.invalidated.get(slot) {
                place.fetch_max(number, Ordering::AcqRel);
            }
        }
    }

    /// Lets go of whatever `purge` is about, or makes it stale; how many there were. Looks at everything that is stored.
    pub(crate) fn purge(&self, purge: &Purge) -> u64 {
        {
            let Ok(mut purges) = self.purges.write() else { return 0 };
            let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
            purges.add(number, purge.clone());
        }
        let mut found = 0;
        for (key, variants) in &self.entries {
            let mut gone = false;
            for stored in variants.iter().filter(|stored| purge.is_about(&stored.head.origin)) {
                found += 1;
                if purge.soft {
                    stored.is_softened.store(true, Ordering::Relaxed);
                } else {
                    gone = true;
                }
            }
            if gone {
                self.keep(&key, |stored| !purge.is_about(&stored.head.origin));
            }
        }
        self.entries.run_pending_tasks();
        found
    }

    fn keep(&self, key: &[u8], keeps: impl Fn(&Arc<Stored>) -> bool) {
        self.entries.entry(key.into()).and_compute_with(|entry| {
            let Some(entry) = entry else { return Op::Nop };
            let all = entry.into_value();
            let kept: Variants = all.iter().filter(|stored| keeps(stored)).map(Arc::clone).collect();
            match kept.len() {
                0 => Op::Remove,
                len if len == all.len() => Op::Nop,
                _ => Op::Put(kept),
            }
        });
    }

    /// For tests: what moka has put off is done.
    #[cfg(test)]
    pub(crate) fn run_pending(&self) {
        self.entries.run_pending_tasks();
    }

    /// For tests: what moka says it holds.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.entries.weighted_size() * UNIT as u64
    }
}

fn weigh(key: &[u8], variants: &Variants) -> u32 {
    let bytes = key.len() + variants.iter().map(|stored| stored.weight()).sum::<usize>();
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// moka lets go of an entry when none of its variants can be used any more.
struct UntilLastUse(Clock);

impl UntilLastUse {
    /// Never none: moka's timers do not take that well.
    fn left(&self, variants: &Variants) -> Option<Duration> {
        let last = variants.iter().map(|stored| stored.head.freshness.kept_until()).max().unwrap_or(Moment::default());
        Some(last.since(self.0.now()).clamp(Duration::from_millis(1), LONGEST))
    }
}

impl Expiry<Box<[u8]>, Variants> for UntilLastUse {
    fn expire_after_create(&self, _: &Box<[u8]>, variants: &Variants, _: Instant) -> Option<Duration> {
        self.left(variants)
    }

    fn expire_after_update(
        &self,
        _: &Box<[u8]>,
        variants: &Variants,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.left(variants)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("size", &self.size).field("used", &self.budget.used()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
