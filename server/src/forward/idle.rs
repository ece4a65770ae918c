//! Connections that wait for their next request.

use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_core::Sharded;
use tokio::time::{Instant, sleep};

use super::connect::Connection;
use crate::servers::{Server, Servers};

/// How long a connection may wait. Shorter than the keep-alive of the servers one meets (Node 5 s is the exception, and
/// there the upstream's close is seen first), so that we rarely send into a connection that is being closed.
const REST: Duration = Duration::from_secs(55);

/// One that came back so lately need not be looked at for others' sake.
const FRESH: Duration = Duration::from_secs(1);

/// Often enough that none is kept for much longer than it may wait.
const SWEEP: Duration = Duration::from_secs(5);

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

impl Held {
    fn is_past(&mut self, now: Instant) -> bool {
        let rested = now.saturating_duration_since(self.since);
        rested >= REST || (rested >= FRESH && !self.connection.is_quiet())
    }
}

/// Sweeps the idle connections of these servers now and then, for as long as there are any.
pub(crate) async fn sweep(servers: Weak<Servers>) {
    loop {
        sleep(SWEEP).await;
        let Some(servers) = servers.upgrade() else { return };
        let now = Instant::now();
        servers.roster.endpoints().iter().filter_map(|endpoint| Server::of(endpoint)).for_each(|server| {
            server.idle.sweep(now);
        });
    }
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
        // The oldest are at the front; one look a time is hardly noticed, and a busy shard holds nothing that its server has closed.
        if shard.front_mut().is_some_and(|held| held.is_past(now)) {
            shard.pop_front();
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
        shard.push_back(Held { connection, since: now });
    }

    /// Closes what has waited too long or was closed by its server, whoever keeps it: a worker that has nothing to do looks at nothing.
    fn sweep(&self, now: Instant) {
        self.shards.for_each(|shard| {
            let before = shard.len();
            shard.retain_mut(|held| !held.is_past(now));
            self.held.fetch_sub(before - shard.len(), Ordering::Relaxed);
        });
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

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;
    use tokio::time::advance;

    use super::*;
    use crate::stream::Stream;

    /// Threads that have nothing to do any more keep connections from nobody.
    #[tokio::test(start_paused = true)]
    async fn what_other_threads_keep_is_swept() {
        let idle = Idle::new(8);
        let (mut ours, theirs): (Vec<_>, Vec<_>) = (0..8).map(|_| UnixStream::pair().unwrap()).unzip();
        std::thread::scope(|scope| {
            for stream in theirs {
                let (idle, connection) = (&idle, Connection::new(Stream::Unix(stream)));
                scope.spawn(move || idle.check_in(connection));
            }
        });
        idle.sweep(Instant::now() + FRESH * 2);
        assert_eq!(idle.len(), 8, "all are open and silent");
        ours.truncate(3);
        // The runtime looks at its sockets when it has nothing else to do.
        advance(FRESH * 2).await;
        idle.sweep(Instant::now());
        assert_eq!(idle.len(), 3);
        advance(REST).await;
        idle.sweep(Instant::now());
        assert_eq!(idle.len(), 0);
    }
}
