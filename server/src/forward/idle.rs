//! Connections that wait for their next request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_core::Sharded;
use tokio::time::Instant;

use super::connect::Connection;

/// How long a connection may wait. Shorter than the keep-alive of the servers one meets (Node 5 s is the exception, and
/// there the upstream's close is seen first), so that we rarely send into a connection that is being closed.
const REST: Duration = Duration::from_secs(55);

/// One that came back so lately need not be looked at for others' sake.
const FRESH: Duration = Duration::from_secs(1);

/// The idle connections of one server: a stack for each worker, and one bound for all of them together.
#[derive(Debug)]
pub(crate) struct Idle {
    shards: Sharded<VecDeque<Held>>,
    held: AtomicUsize,
    most: AtomicUsize,
    opened: AtomicU64,
    reused: Sharded<u64>,
}

#[derive(Debug)]
struct Held {
    connection: Box<Connection>,
    since: Instant,
}

impl Idle {
    /// At most `most` connections.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            shards: Sharded::new(VecDeque::new),
            held: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            opened: AtomicU64::new(0),
            reused: Sharded::new(|| 0),
        }
    }

    /// Changes the bound; those over it go as they are used.
    pub(crate) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The connection that was used last by this worker and still stands.
    pub(crate) fn check_out(&self, now: Instant) -> Option<Box<Connection>> {
        let mut shard = self.shards.mine();
        while let Some(mut held) = shard.pop_back() {
            self.held.fetch_sub(1, Ordering::Relaxed);
            if held.connection.is_quiet() && now.saturating_duration_since(held.since) < REST {
                *self.reused.mine() += 1;
                return Some(held.connection);
            }
        }
        None
    }

    /// Keeps a connection whose exchange ended cleanly; over the bound, it closes.
    pub(crate) fn check_in(&self, mut connection: Box<Connection>) {
        // The bound is kept by counting first: two workers at the edge cannot both take the last place.
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.most.load(Ordering::Relaxed) {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        connection.rest();
        let mut shard = self.shards.mine();
        let now = Instant::now();
        // The oldest are at the front; one look a time keeps a quiet shard from holding what the upstream has closed.
        let is_past = |held: &mut Held| {
            let rested = now.saturating_duration_since(held.since);
            rested >= REST || (rested >= FRESH && !held.connection.is_quiet())
        };
        if shard.front_mut().is_some_and(is_past) {
            shard.pop_front();
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
        shard.push_back(Held { connection, since: now });
    }

    /// Counts a fresh connection.
    pub(crate) fn note_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections opened, and how often one was used again.
    pub(crate) fn used(&self) -> (u64, u64) {
        let mut reused = 0;
        self.reused.for_each(|shard| reused += *shard);
        (self.opened.load(Ordering::Relaxed), reused)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}
