//! A bounded number of cells, swept a little at each use.
//!
//! Nothing here waits, spawns or walks the whole map. Each call looks at a few of the oldest cells and drops those that
//! are whole again, which changes nothing for anybody. A cell that still limits somebody is never dropped, however many
//! new subjects come: when the map is full of those, new subjects share one cell for each rule.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use dashmap::try_result::TryResult;

use super::Charge;
use super::cell::Cell;
use crate::subject::Subject;
use crate::time::Moment;

/// How many parts of the map are locked apart. Many, so that workers rarely meet and so that the growth of one part (which
/// moves its cells under its lock) moves a few thousand at most.
const SHARDS: usize = 512;

/// How many cells share a queue of candidates, and how many queues there are at most. Several, so that workers rarely
/// meet; few, so that the oldest cells of all come up soon.
const CELLS_A_QUEUE: usize = 1024;
const MOST_QUEUES: usize = 64;

/// How many cells a new one looks at. Two, so that the map does not grow for ever while every second cell is whole.
const LOOKS: usize = 2;

/// One call of so many looks at as many cells, though it makes none: what is whole goes away while nobody new comes, and
/// a call among a million keys is not mostly cache misses for the sake of others.
const CALLS_A_SWEEP: u64 = 4;

/// How many a call looks at that finds no room for a new subject.
const LOOKS_FOR_ROOM: usize = 16;

/// Where a charge was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In its subject's cell.
    Own,
    /// In the cell that a full map's new subjects share under the rule.
    Shared,
}

/// The map of cells. No call holds a guard of the map while it takes another, or while it takes a queue's lock.
pub(super) struct Cells {
    map: DashMap<Subject, Cell, BuildHasherDefault<LowBits>>,
    /// Every subject in the map once, oldest first, in the queue that its hash names.
    queues: Box<[Mutex<VecDeque<Subject>>]>,
    /// How many cells there are: a count of our own, because the map's locks every shard. Relaxed everywhere: nothing else
    /// is read on its word.
    len: AtomicUsize,
    capacity: usize,
    overflowed: AtomicU64,
}

impl Cells {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            map: DashMap::with_capacity_and_hasher_and_shard_amount(0, BuildHasherDefault::default(), SHARDS),
            queues: (0..(capacity / CELLS_A_QUEUE).clamp(1, MOST_QUEUES)).map(|_| Mutex::default()).collect(),
            len: AtomicUsize::new(0),
            capacity,
            overflowed: AtomicU64::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Changes the charge's cell, or the one its rule's new subjects share when there is no room; makes it if need be.
    pub(super) fn change<T>(&self, charge: &Charge, now: Moment, change: impl Fn(&mut Cell) -> T) -> (Home, T) {
        if let Some(done) = self.change_known(place(charge, charge.subject), &change) {
            return (Home::Own, done);
        }
        self.sweep_some(LOOKS, now, anywhere(charge, now));
        if self.reserve(now) {
            return (Home::Own, self.change_or_make(place(charge, charge.subject), &change));
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let shared = place(charge, Subject::overflow(charge.rule));
        let done = self.change_known(shared, &change).unwrap_or_else(|| {
            // Beyond the capacity: one for each rule, and rules are the operator's.
            self.len.fetch_add(1, Ordering::Relaxed);
            self.change_or_make(shared, &change)
        });
        (Home::Shared, done)
    }

    /// Looks at the cell that [`change`](Self::change) would take, and makes none.
    pub(super) fn look<T>(&self, charge: &Charge, now: Moment, look: impl Fn(&mut Cell) -> T) -> T {
        let shared = || self.change_known(place(charge, Subject::overflow(charge.rule)), &look);
        self.change_known(place(charge, charge.subject), &look)
            .or_else(|| (!self.has_room(now)).then(shared).flatten())
            .unwrap_or_else(|| look(&mut Cell::default()))
    }

    /// Changes the charge's own cell, if there still is one.
    pub(super) fn change_own(&self, charge: &Charge, change: impl Fn(&mut Cell)) {
        self.change_known(place(charge, charge.subject), &change);
    }

    /// Now and then drops a few cells that are whole at `now`, wherever they are.
    pub(super) fn sweep(&self, first: &Charge, now: Moment) {
        let anywhere = anywhere(first, now);
        if anywhere.is_multiple_of(CALLS_A_SWEEP) {
            self.sweep_some(LOOKS, now, anywhere);
        }
    }

    fn change_known<T>(&self, subject: Subject, change: &impl Fn(&mut Cell) -> T) -> Option<T> {
        self.map.get_mut(&subject).map(|mut cell| change(&mut cell))
    }

    /// For a subject that `len` counts already.
    fn change_or_make<T>(&self, subject: Subject, change: &impl Fn(&mut Cell) -> T) -> T {
        let (done, made) = match self.map.entry(subject) {
            Entry::Occupied(mut known) => (change(known.get_mut()), false),
            Entry::Vacant(place) => (change(&mut place.insert(Cell::default())), true),
        };
        if made {
            self.enqueue(subject);
        } else {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        done
    }

    /// Counts one more cell, if there is room.
    fn reserve(&self, now: Moment) -> bool {
        let count_one = || {
            self.len
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |len| (len < self.capacity).then_some(len + 1))
                .is_ok()
        };
        count_one() || (self.has_room(now) && count_one())
    }

    /// Whether there is room for one more cell, or some can be made.
    fn has_room(&self, now: Moment) -> bool {
        if self.len() >= self.capacity {
            self.sweep_some(LOOKS_FOR_ROOM, now, spread(now.as_nanos() ^ self.overflowed()));
        }
        self.len() < self.capacity
    }

    fn sweep_some(&self, looks: usize, now: Moment, anywhere: u64) {
        let start = anywhere / CALLS_A_SWEEP;
        for number in (start..).take(looks) {
            // A queue in use is somebody else's to sweep.
            let oldest = self.queue(number).and_then(|queue| queue.try_lock().ok()?.pop_front());
            let Some(subject) = oldest else { continue };
            if !self.drop_if_idle(subject, now) {
                self.enqueue(subject);
            }
        }
    }

    fn drop_if_idle(&self, subject: Subject, now: Moment) -> bool {
        // Looked at under a shared lock first, without waiting: most cells are in use and stay.
        let idle = match self.map.try_get(&subject) {
            TryResult::Present(cell) => cell.is_idle(now),
            TryResult::Absent => return true,
            TryResult::Locked => false,
        };
        let dropped = idle && self.map.remove_if(&subject, |_, cell| cell.is_idle(now)).is_some();
        if dropped {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        dropped
    }

    fn enqueue(&self, subject: Subject) {
        // Any bits of a hash do; the map uses the low ones.
        let high = (subject.as_u128() >> 64) as u64;
        if let Some(queue) = self.queue(high) {
            queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(subject);
        }
    }

    fn queue(&self, number: u64) -> Option<&Mutex<VecDeque<Subject>>> {
        #[expect(clippy::cast_possible_truncation, reason = "smaller than the number of queues")]
        let index = (number % self.queues.len() as u64) as usize;
        self.queues.get(index)
    }

    /// How many cells the count, the map and the queues say there are: the same when nobody is at work.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.len(), self.map.len(), self.queues.iter().map(|queue| queue.lock().unwrap().len()).sum()]
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        // A slot of the map is a subject, a cell and a control byte, and seven of eight slots may be filled.
        let queues: usize = self.queues.iter().map(|queue| queue.lock().unwrap().capacity()).sum();
        self.map.capacity() * 8 / 7 * (size_of::<(Subject, Cell)>() + 1) + queues * size_of::<Subject>()
    }
}

/// A number that differs from call to call, so that all cells come up, whoever is asking: of the subject and the time.
#[expect(clippy::cast_possible_truncation, reason = "any bits do")]
fn anywhere(charge: &Charge, now: Moment) -> u64 {
    spread(charge.subject.as_u128() as u64 ^ now.as_nanos())
}

/// Spread by a multiplication, and taken from the top where it mixes best.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// Under what the cell of `subject` is kept: what one algorithm counted says nothing to another.
fn place(charge: &Charge, subject: Subject) -> Subject {
    subject.counted_by(charge.quota.algorithm)
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("len", &self.len()).field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// A subject is a keyed hash already: its low half is hash enough for the map.
#[derive(Default)]
struct LowBits(u64);

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    fn write_u128(&mut self, subject: u128) {
        self.0 = subject as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached: a subject hashes as one 128-bit number.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
