//! Leased mode: tokens that this node takes ahead, and decides from without asking.
//!
//! What is where: `bound` says how much a node may be ahead, and why that keeps the promise; `members` whether it may be now; an
//! `account` is what it holds and owes of one subject's limit, pure arithmetic; the `book` has all accounts; `ahead` decides requests
//! from it, and the `banker` asks the store in the background for what they need, by an `order` for each.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use portcullis_core::time::Moment;
use tokio::sync::Notify;

mod account;
mod ahead;
pub(crate) mod banker;
mod book;
mod bound;
mod members;
mod order;
#[cfg(test)]
mod tests;

pub(crate) use ahead::take;
pub(crate) use members::{Beat, Members};
pub(crate) use order::Order;

use account::Account;
use book::{Book, Place};
use bound::Part;
use members::MOST_NODES;

/// What this node holds and owes, and what part of each overshoot it has.
#[derive(Debug)]
pub(crate) struct Leases {
    book: Book,
    /// Whose accounts want an order. At most one entry for each.
    due: Mutex<Vec<Place>>,
    /// Wakes the banker.
    wake: Notify,
    /// How many nodes share.
    nodes: AtomicU32,
    /// Until when this node has its part, in nanoseconds.
    until: AtomicU64,
    /// The count of nodes whose part every account here keeps to.
    settled: AtomicU32,
}

impl Leases {
    pub(crate) fn new() -> Self {
        Self {
            book: Book::new(),
            due: Mutex::default(),
            wake: Notify::new(),
            nodes: AtomicU32::new(1),
            until: AtomicU64::new(0),
            settled: AtomicU32::new(MOST_NODES),
        }
    }

    fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// This node's part of an overshoot. Read while the account is locked: so whoever changes the count and then looks at every account
    /// knows that nobody goes by the old one.
    fn part(&self, overshoot: u32, now: Moment) -> Part {
        let may = now.as_nanos() < self.until.load(Ordering::Relaxed);
        if may { Part::of(overshoot, self.nodes()) } else { Part::NONE }
    }

    /// Learns how many nodes there are, and until when this one has a part.
    pub(crate) fn hear(&self, nodes: NonZeroU32, until: Option<Moment>) {
        let known = self.nodes();
        if known != nodes {
            // Who joins waits until every account here keeps to the smaller part; when one has left this one may keep to the larger at once.
            self.settled.fetch_min(known.min(nodes).get(), Ordering::Relaxed);
            self.nodes.store(nodes.get(), Ordering::Relaxed);
        }
        self.until.store(until.map_or(0, Moment::as_nanos), Ordering::Relaxed);
        if self.book.is_empty() {
            self.settle_for(nodes);
        }
    }

    /// The count of nodes whose part this one keeps to.
    pub(crate) fn settled(&self) -> u32 {
        self.settled.load(Ordering::Relaxed)
    }

    fn settle_for(&self, nodes: NonZeroU32) {
        if self.nodes() == nodes {
            self.settled.store(nodes.get().min(MOST_NODES), Ordering::Relaxed);
        }
    }

    /// Has the banker order for an account.
    fn want(&self, place: Place) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.push(place);
        let is_first = due.len() == 1;
        drop(due);
        if is_first {
            self.wake.notify_one();
        }
    }

    fn due(&self) -> Vec<Place> {
        std::mem::take(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the account that an order is for.
    fn change<T>(&self, order: &Order, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        self.book.change_known(book::place(&order.charge), change)
    }
}
