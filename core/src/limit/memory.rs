//! The store of one node: limits in its own memory.

use std::time::Duration;

use super::cell::{Cell, Standing};
use super::cells::{Cells, Home};
use super::{Charge, RateLimitStore, StoreError, Verdict};
use crate::answer::Answer;
use crate::time::{Clock, Moment};

/// Counts limits in memory, for one node. Answers at once; counting a subject that it knows allocates nothing.
///
/// It keeps one cell of 16 bytes for each subject under each rule that has spent anything, a million at most by default:
/// about 110 MB when full, next to nothing when not. A cell that is whole again is dropped, a few at each call. When all
/// cells limit somebody, new subjects share one cell for each rule, so a flood of them never frees those being limited;
/// [`stats`](Self::stats) counts that. Share it as an `Arc`.
///
/// ```
/// use portcullis_core::Answer;
/// use portcullis_core::limit::{MemoryStore, RateLimitStore};
///
/// let store = MemoryStore::new();
/// let Answer::Now(Ok(verdict)) = store.take(&[]) else { unreachable!("memory answers now") };
/// assert!(verdict.admitted);
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    cells: Cells,
}

/// How full a [`MemoryStore`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many cells there are; at most the capacity and one for each rule.
    pub keys: usize,
    /// How many there may be.
    pub capacity: usize,
    /// How many charges so far were counted in their rule's shared cell because there was no room.
    pub overflowed: u64,
}

impl MemoryStore {
    /// How many subjects are counted apart unless said otherwise.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// A store on the machine's clock, for [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) subjects.
    pub fn new() -> Self {
        Self::with(Clock::system(), Self::DEFAULT_CAPACITY)
    }

    /// A store on `clock` that counts at most `capacity` subjects apart. Allow some 110 bytes for each.
    pub fn with(clock: Clock, capacity: usize) -> Self {
        Self { clock, cells: Cells::new(capacity) }
    }

    /// How full it is now. Locks nothing.
    pub fn stats(&self) -> Stats {
        Stats { keys: self.cells.len(), capacity: self.cells.capacity(), overflowed: self.cells.overflowed() }
    }

    fn decide(&self, charges: &[Charge]) -> Verdict {
        let asked = self.clock.now();
        if let Some(first) = charges.first() {
            // The subject and the time together differ from call to call, so that all cells come up, whoever is asking.
            #[expect(clippy::cast_possible_truncation, reason = "any bits do")]
            self.cells.sweep(asked, first.subject.as_u128() as u64 ^ asked.as_nanos());
        }
        if let [Charge { cost: 0, .. }] = charges {
            // A question leaves no trace.
            return self.look(charges, asked).verdict();
        }
        // One charge needs no look ahead: its cell is locked while it is decided.
        if charges.len() > 1 {
            let tally = self.look(charges, asked);
            if tally.is_refused() {
                return tally.verdict();
            }
        }
        self.spend(charges, asked).verdict()
    }

    /// How all charges stand, one cell locked after the other.
    fn look(&self, charges: &[Charge], asked: Moment) -> Tally {
        let mut tally = Tally::default();
        for (index, charge) in charges.iter().enumerate() {
            let look = |cell: &mut Cell| cell.peek(&charge.quota, charge.cost, self.clock.now());
            tally.add(index, self.cells.look(charge, asked, look));
        }
        tally
    }

    /// Spends one charge after the other. Another request may have come between look and spend: what is refused then
    /// gives back what those before it spent.
    fn spend(&self, charges: &[Charge], asked: Moment) -> Tally {
        let mut tally = Tally::default();
        // One bit for each of the first 64: counted in its own cell. What went into a shared one is not given back.
        let mut own = 0_u64;
        for (index, charge) in charges.iter().enumerate() {
            // The clock is read while the cell is locked: so no cell ever sees time go back.
            let take = |cell: &mut Cell| cell.take(&charge.quota, charge.cost, self.clock.now());
            let (home, standing) = self.cells.change(charge, asked, take);
            tally.add(index, standing);
            if tally.is_refused() {
                self.give_back(charges.iter().take(index.min(64)), own, asked);
                break;
            }
            own |=
                u64::from(home == Home::Own).checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or_default();
        }
        tally
    }

    fn give_back<'a>(&self, spent: impl Iterator<Item = &'a Charge>, own: u64, asked: Moment) {
        for (index, charge) in spent.enumerate() {
            if own >> index & 1 == 1 {
                self.cells.change_own(charge, |cell| cell.refund(&charge.quota, charge.cost, asked, self.clock.now()));
            }
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimitStore for MemoryStore {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        Answer::Now(Ok(self.decide(charges)))
    }
}

/// Keeps the charge that decides: the refused one with the longest wait, else the one with the smallest share left.
#[derive(Default)]
struct Tally(Option<(usize, Standing)>);

impl Tally {
    fn add(&mut self, index: usize, standing: Standing) {
        if self.0.is_none_or(|(_, decided)| outweighs(&standing, &decided)) {
            self.0 = Some((index, standing));
        }
    }

    fn is_refused(&self) -> bool {
        self.0.is_some_and(|(_, decided)| decided.wait.is_some())
    }

    fn verdict(&self) -> Verdict {
        let nothing = Standing { limit: 0, remaining: 0, reset: Duration::ZERO, wait: None };
        let (decided, standing) = self.0.unwrap_or((0, nothing));
        Verdict {
            admitted: standing.wait.is_none(),
            decided,
            limit: standing.limit.into(),
            remaining: standing.remaining.into(),
            reset: standing.reset,
            wait: standing.wait.unwrap_or_default(),
        }
    }
}

fn outweighs(one: &Standing, other: &Standing) -> bool {
    // None is less than any wait, so a refusal outweighs an admission. Shares are compared crosswise, without division.
    let share = |of: &Standing, by: &Standing| u64::from(of.remaining) * u64::from(by.limit);
    one.wait > other.wait || (one.wait.is_none() && other.wait.is_none() && share(one, other) < share(other, one))
}
