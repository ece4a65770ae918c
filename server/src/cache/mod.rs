//! Steps 4 and 7 of the eight: look up and store. The rules are in [`portcullis_core::caching`]; here is what is stored, and who waits
//! for whom.
//!
//! - **Look up** ([`lookup`]): after admission, so that nobody gets what it was not let through to. What is stored and may be used is
//!   sent ([`serve`]); the upstream hears nothing of it.
//! - **Miss** ([`miss`]): who asks first leads, and a task of its own asks the upstream ([`fetch`]); who asks for the same
//!   meanwhile waits for that one answer and streams it as it comes ([`flight`], [`flights`]).
//! - **Store** ([`store`]): when the body is complete, and never before. All of it has one bound in bytes ([`budget`]).
//! - **Invalidate** ([`changed`]): what was changed by an unsafe method, on any route; and what an operator purges ([`purge`]).
//!
//! Reading order: [`stored`], [`store`], [`flight`], [`flights`], [`lookup`], [`miss`], [`fetch`], [`serve`].

mod budget;
mod changed;
mod fetch;
pub(crate) mod flight;
pub(crate) mod flights;
pub(crate) mod generation;
mod head;
mod lookup;
mod miss;
mod plain;
pub(crate) mod purge;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod stored;
mod unshared;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};

use portcullis_core::Sharded;
use portcullis_core::time::Clock;

use self::flights::Flights;
use self::store::Store;
use self::unshared::Unshared;
use crate::observe::Metrics;

pub(crate) use self::changed::Changed;
pub(crate) use self::head::strip_tags;
pub(crate) use self::lookup::{LookedUp, Miss};
pub(crate) use self::miss::Missed;
pub(crate) use self::serve::{Hit, Shared};

/// The cache of all routes. It outlives a reload, unless its size changes.
#[derive(Debug)]
pub(crate) struct Cache {
    flights: Flights,
    generations: AtomicU64,
    pub(crate) store: Store,
    room: Sharded<Room>,
    unshared: Unshared,
    waiting: AtomicUsize,
}

/// A request that waits for an answer on its way.
#[derive(Debug)]
struct Waiting<'c>(&'c AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a thread writes a key before it is looked up: nothing is allocated for one.
#[derive(Debug, Default)]
struct Room {
    key: Vec<u8>,
    /// What a request says in the fields that an answer was chosen by.
    selected: Vec<u8>,
}

impl Cache {
    /// Of so many bytes.
    pub(crate) fn new(size: u64, clock: &Clock, metrics: &Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            flights: Flights::default(),
            generations: AtomicU64::new(0),
            store: Store::new(size, clock.clone(), Arc::clone(metrics)),
            room: Sharded::new(Room::default),
            unshared: Unshared::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// How many requests wait for an answer on its way.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed) as u64
    }

    /// Counts one more until it is dropped.
    fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        let mut room = self.room.mine();
        room.key.clear();
        room.selected.clear();
        room
    }
}
