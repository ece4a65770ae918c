//! All accounts of this node: a bounded map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use portcullis_core::limit::{Algorithm, Charge};
use portcullis_core::subject::Subject;
use portcullis_core::time::Moment;

use super::account::Account;

/// How many accounts there are at most: of clients that came in the last second, or have spent what they may. With its place in the map
/// one is some 400 bytes, so 40 MB when full; next to nothing when not. Whoever finds no room is decided by the store.
const MOST: usize = 100_000;

/// How many parts of the map are locked apart. Many, so that workers that ask for different clients rarely meet.
const SHARDS: usize = 64;

/// Whose account it is. What one algorithm counted says nothing to another.
pub(crate) type Place = (Subject, Algorithm);

type Shard = HashMap<Place, Account, BuildHasherDefault<Folded>>;

/// All accounts of this node. A lock is held for a few instructions, or while one part of the map is swept.
pub(crate) struct Book {
    shards: Box<[Mutex<Shard>]>,
    /// How many there are. Relaxed: nothing else is read on its word.
    len: AtomicUsize,
    most: usize,
}

/// Where a charge's account is.
pub(crate) fn place(charge: &Charge) -> Place {
    (charge.subject, charge.quota.algorithm)
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), len: AtomicUsize::new(0), most: MOST }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Changes the account of a charge, which is made where there is none. None where there is no room for it.
    pub(crate) fn change<T>(&self, charge: &Charge, now: Moment, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let mut shard = self.shard(charge.subject)?.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(place(charge)) {
            Entry::Occupied(known) => Some(change(known.into_mut())),
            Entry::Vacant(new) => {
                // A few more where several come at the same time.
                if self.len.load(Ordering::Relaxed) >= self.most {
                    return None;
                }
                self.len.fetch_add(1, Ordering::Relaxed);
                Some(change(new.insert(Account::new(charge, now))))
            }
        }
    }

    /// Changes an account, if there still is one.
    pub(crate) fn change_known<T>(&self, place: Place, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let mut shard = self.shard(place.0)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get_mut(&place).map(change)
    }

    /// Looks at every account, and keeps those of which it is said.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&mut Account) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, account| keep(account));
            self.len.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
    }

    fn shard(&self, subject: Subject) -> Option<&Mutex<Shard>> {
        // Of the upper half, whose hash is of the client; the map uses the lower. Truncated: any bits do.
        let anywhere = (subject.as_u128() >> 64) as u64 % SHARDS as u64;
        self.shards.get(usize::try_from(anywhere).unwrap_or_default())
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A subject is a keyed hash already: its low half is hash enough, with the algorithm folded in.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    fn write_u128(&mut self, subject: u128) {
        self.0 ^= subject as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_takes_what_is_said() {
        // A slot of the map has a byte more, and seven of eight may be filled; a map that grows is twice as large as it was.
        assert!(size_of::<(Place, Account)>() <= 352, "{}", size_of::<(Place, Account)>());
    }

    #[test]
    fn a_full_book_makes_no_more_accounts() {
        let book = Book { most: 2, ..Book::new() };
        let charge = |client| crate::tests::charge("full", client, Algorithm::TokenBucket, 10);
        let now = Moment::default();
        let made: Vec<_> = (0..3).map(|client| book.change(&charge(client), now, |_| ()).is_some()).collect();
        assert_eq!(made, [true, true, false]);
        assert!(book.change(&charge(0), now, |_| ()).is_some(), "who is known stays");
        book.retain(|_| false);
        assert!(book.is_empty() && book.change(&charge(2), now, |_| ()).is_some());
    }
}
