//! State that threads do not contend for: one padded, locked shard for each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// One shard of `T` a thread, each behind a lock of its own that only that thread takes in the common case.
///
/// Threads are numbered as they start, so as many threads as there are shards rarely meet; when they do, the lock keeps
/// them right. There is no `thread_local!`: the state belongs to its owner and goes with it.
pub struct Sharded<T>(Box<[Padded<T>]>);

/// Two cache lines, so that neighbours do not slow each other down (the prefetcher of x86-64 works in pairs).
#[repr(align(128))]
struct Padded<T>(Mutex<T>);

impl<T> Sharded<T> {
    /// As many shards as twice the machine's cores, so that a few helper threads do not displace workers.
    pub fn new(make: impl FnMut() -> T) -> Self {
        let shards = thread::available_parallelism().map_or(8, |cores| cores.get() * 2).next_power_of_two();
        Self::with_shards(shards, make)
    }

    /// A stated number of shards, at least one.
    pub fn with_shards(shards: usize, mut make: impl FnMut() -> T) -> Self {
        Self((0..shards.max(1)).map(|_| Padded(Mutex::new(make()))).collect())
    }

    /// The calling thread's shard. Hold the guard for a few instructions and never across an `.await`.
    pub fn mine(&self) -> MutexGuard<'_, T> {
        let mut number = ThreadNumber(0);
        thread::current().id().hash(&mut number);
        let shards = self.0.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "smaller than the number of shards")]
        let index = (number.0 % shards) as usize;
        #[expect(clippy::indexing_slicing, reason = "a remainder of the length, and there is at least one shard")]
        lock(&self.0[index].0)
    }

    /// What `f` finds in the first shard that has it, each locked while it is looked at.
    pub fn find<R>(&self, mut f: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        self.0.iter().find_map(|shard| f(&mut lock(&shard.0)))
    }

    /// Every shard in turn, each locked while it is looked at.
    pub fn for_each(&self, mut f: impl FnMut(&mut T)) {
        for shard in &self.0 {
            f(&mut lock(&shard.0));
        }
    }
}

/// A panic while a shard was locked leaves counters and caches that are still whole: every change to them is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharded").field("shards", &self.0.len()).finish_non_exhaustive()
    }
}

/// Takes a thread id's number as it is: the standard library counts threads from one.
struct ThreadNumber(u64);

impl Hasher for ThreadNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
