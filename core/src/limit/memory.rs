//! The store of one node: limits in its own memory.

use super::cell::Cell;
use super::cells::{Cells, Home};
use super::tally::Tally;
use super::{Charge, ChargeSet, Mode, RateLimitStore, StoreError, Verdict};
use crate::answer::Answer;
use crate::subject::SubjectKey;
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
    subjects: SubjectKey,
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
        Self { clock, cells: Cells::new(capacity), subjects: SubjectKey::random() }
    }

    /// How full it is now. Locks nothing.
    pub fn stats(&self) -> Stats {
        Stats { keys: self.cells.len(), capacity: self.cells.capacity(), overflowed: self.cells.overflowed() }
    }

    /// [`take`](RateLimitStore::take), which memory always answers.
    pub(crate) fn decide(&self, charges: &[Charge]) -> Verdict {
        let asked = self.clock.now();
        if let Some(first) = charges.first() {
            self.cells.sweep(first, asked);
        }
        if let [Charge { cost: 0, .. }] = charges {
            // A question leaves no trace.
            return self.look(charges, asked).verdict();
        }
        // One that is enforced needs no look ahead: its cell is locked while it is decided.
        if enforced(charges).nth(1).is_some() {
            let tally = self.look(charges, asked);
            if tally.is_refused() {
                return tally.verdict();
            }
        }
        let mut tally = self.spend(charges, asked);
        if !tally.is_refused() {
            self.watch(charges, asked, &mut tally);
        }
        tally.verdict()
    }

    /// How the charges stand that are enforced, one cell locked after the other; a shadow one only where it is alone.
    fn look(&self, charges: &[Charge], asked: Moment) -> Tally {
        let mut tally = Tally::default();
        for (index, charge) in charges.iter().enumerate() {
            if charge.mode == Mode::Enforce || charges.len() == 1 {
                let look = |cell: &mut Cell| cell.peek(&charge.quota, charge.cost, self.clock.now());
                tally.add(index, charge.mode, self.cells.look(charge, asked, look));
            }
        }
        tally
    }

    /// Spends one enforced charge after the other. Another request may have come between look and spend: what is refused
    /// then gives back what those before it spent.
    fn spend(&self, charges: &[Charge], asked: Moment) -> Tally {
        let mut tally = Tally::default();
        // Those that were counted in their own cells. What went into a shared one is not given back.
        let mut own = ChargeSet::EMPTY;
        for (index, charge) in enforced(charges) {
            let home = self.take_one(index, charge, asked, &mut tally);
            if tally.is_refused() {
                self.give_back(charges, own, asked);
                break;
            }
            if home == Home::Own {
                own = own.with(index);
            }
        }
        tally
    }

    /// Takes each shadow charge by itself.
    fn watch(&self, charges: &[Charge], asked: Moment, tally: &mut Tally) {
        for (index, charge) in charges.iter().enumerate().filter(|(_, charge)| charge.mode == Mode::Shadow) {
            self.take_one(index, charge, asked, tally);
        }
    }

    fn take_one(&self, index: usize, charge: &Charge, asked: Moment, tally: &mut Tally) -> Home {
        // The clock is read while the cell is locked: so no cell ever sees time go back.
        let take = |cell: &mut Cell| cell.take(&charge.quota, charge.cost, self.clock.now());
        let (home, standing) = self.cells.change(charge, asked, take);
        tally.add(index, charge.mode, standing);
        home
    }

    fn give_back(&self, charges: &[Charge], spent: ChargeSet, asked: Moment) {
        for charge in spent.indices().filter_map(|index| charges.get(index)) {
            self.cells.change_own(charge, |cell| cell.refund(&charge.quota, charge.cost, asked, self.clock.now()));
        }
    }
}

/// The charges that can refuse, with their places.
fn enforced(charges: &[Charge]) -> impl Iterator<Item = (usize, &Charge)> {
    charges.iter().enumerate().filter(|(_, charge)| charge.mode == Mode::Enforce)
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

    /// Its own, random: whoever shares the store counts the same subjects.
    fn subjects(&self) -> Option<SubjectKey> {
        Some(self.subjects.clone())
    }
}
