//! What turned out to be for one client only, lately: nobody waits for the next answer to find that out again.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::time::Moment;

/// Marks by a hash of the key, in a table of a fixed size: a newer mark takes an older one's place.
#[derive(Debug)]
pub(super) struct Unshared(Box<[AtomicU64]>);

const PLACES: usize = 4096;

/// How long a mark counts, in seconds. Then one request finds out whether it is still so.
const LASTS: u64 = 10;

/// Half of a mark says whose it is, half when it was made.
const HALF: u32 = 32;

impl Default for Unshared {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Unshared {
    pub(super) fn note(&self, hash: u64, now: Moment) {
        if let Some(place) = self.place(hash) {
            place.store(hash >> HALF << HALF | seconds(now), Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, hash: u64, now: Moment) -> bool {
        let mark = self.place(hash).map_or(0, |place| place.load(Ordering::Relaxed));
        mark != 0 && mark >> HALF == hash >> HALF && seconds(now).wrapping_sub(mark & u64::from(u32::MAX)) < LASTS
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(hash % PLACES as u64).ok()?)
    }
}

fn seconds(now: Moment) -> u64 {
    (now.as_nanos() / 1_000_000_000) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_mark_is_of_one_key_and_of_a_few_seconds() {
        let (marks, now) = (Unshared::default(), Moment::from_nanos(1_700_000_000_000_000_000));
        let hash = 0x1234_5678_9abc_def0;
        assert!(!marks.has(hash, now));
        marks.note(hash, now);
        assert!(marks.has(hash, now) && marks.has(hash, now + Duration::from_secs(9)));
        assert!(!marks.has(hash, now + Duration::from_secs(10)));
        assert!(!marks.has(hash ^ (1 << 63), now), "another key of the same place");
        marks.note(hash ^ (1 << 63), now);
        assert!(!marks.has(hash, now), "it took the place");
    }
}
