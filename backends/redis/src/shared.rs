//! What requests and the keeper share.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_core::limit::{Algorithm, Charge, MemoryStore, Mode, RateLimitStore, Verdict};
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::{Clock, Moment};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::absence::Absence;
use crate::keys::Keys;
use crate::link::{Link, MOST_WAITING};
use crate::near::Near;
use crate::script::{Epoch, ServerTime};
use crate::state::{Counts, State, StateCell};
use crate::url::StoreUrl;

/// The longest time that a node decides by itself after data was lost. Longer windows start anew with what it counted till then.
const LONGEST_RECOVERY: Duration = Duration::from_secs(600);

/// What requests and the keeper share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// In tests: what the script takes the time from, instead of the server's.
    pub(crate) hand: Option<Clock>,
    pub(crate) keys: Keys,
    /// What a request may wait at most.
    pub(crate) timeout: Duration,
    pub(crate) url: StoreUrl,
    pub(crate) runtime: Handle,
    pub(crate) counts: Counts,
    state: StateCell,
    /// The connection in force, while there is one.
    pub(crate) link: ArcSwapOption<Link>,
    /// Those of the runtimes that ask.
    pub(crate) near: Near,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Wakes the keeper when the connection was lost, or the data.
    pub(crate) wake: Notify,
    waiting: AtomicUsize,
    pub(crate) nodes: AtomicU32,
    /// What subjects are hashed under, once that is known; its bytes besides, to be offered again.
    pub(crate) subjects: ArcSwapOption<([u8; 16], SubjectKey)>,
    /// Of the data that was counted in, by tag; one server has one, the first. 0: none yet.
    epochs: Box<[AtomicU64; 256]>,
    /// What was admitted for this node.
    pub(crate) local: MemoryStore,
    /// What was admitted for this node while the server was lost.
    pub(crate) absence: Absence,
    /// The longest time in which any limit that was asked for becomes whole, in nanoseconds.
    longest: AtomicU64,
    /// Until when lost data is recovered, in nanoseconds; outlives a loss of the connection.
    recovers: AtomicU64,
}

/// One of those that may wait.
pub(crate) struct Turn(Arc<Shared>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a store is made of.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) hand: Option<Clock>,
    pub(crate) prefix: Box<str>,
    pub(crate) runtime: Handle,
    pub(crate) timeout: Duration,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) url: StoreUrl,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            local: MemoryStore::with(parts.clock.clone(), MemoryStore::DEFAULT_CAPACITY),
            absence: Absence::new(parts.clock.clone()),
            clock: parts.clock,
            hand: parts.hand,
            keys: Keys::new(&parts.prefix),
            timeout: parts.timeout,
            url: parts.url,
            runtime: parts.runtime,
            counts: Counts::default(),
            state: StateCell::new(),
            link: ArcSwapOption::empty(),
            near: Near::default(),
            tls: parts.tls,
            wake: Notify::new(),
            waiting: AtomicUsize::new(0),
            nodes: AtomicU32::new(1),
            subjects: ArcSwapOption::empty(),
            epochs: Box::new([const { AtomicU64::new(0) }; 256]),
            longest: AtomicU64::new(0),
            recovers: AtomicU64::new(0),
        }
    }

    pub(crate) fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// A turn to wait for the server; none when too many do.
    pub(crate) fn turn(self: &Arc<Self>) -> Option<Turn> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        // Given back when it is dropped, also where it is none.
        let turn = Turn(Arc::clone(self));
        (before < MOST_WAITING).then_some(turn)
    }

    /// How it is doing now. A recovery that is over ends here.
    pub(crate) fn state(&self) -> State {
        let state = self.state.load();
        match state {
            State::Recovering { until } if until <= self.clock.now() => {
                if self.state.change(state, State::Shared) {
                    tracing::info!(store = %self.url, "the data of limits is recovered: Redis decides again");
                }
                self.state.load()
            }
            _ => state,
        }
    }

    /// Notices that the server is lost: once, whoever else does. A request of a connection that is no longer in force says nothing.
    pub(crate) fn lose(&self, link: &Arc<Link>, why: &dyn fmt::Display) {
        let state = self.state.load();
        let in_force = self.link.load().as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) || self.near.has(link);
        let lost = State::Lost { since: self.clock.now() };
        if in_force && matches!(state, State::Shared | State::Recovering { .. }) && self.state.change(state, lost) {
            tracing::warn!(store = %self.url, error = %why, "Redis is lost: limits go by their on_failure until it answers");
            self.near.clear();
            self.wake.notify_one();
        }
    }

    /// The server answered: it decides from now on, or from when lost data is recovered.
    pub(crate) fn regain(&self) {
        let state = self.state.load();
        if matches!(state, State::Shared | State::Recovering { .. }) {
            return;
        }
        let until = Moment::from_nanos(self.recovers.load(Ordering::Relaxed));
        let left = until.since(self.clock.now());
        let next = if left.is_zero() { State::Shared } else { State::Recovering { until } };
        if !self.state.change(state, next) {
            return;
        }
        match next {
            State::Recovering { .. } => self.say_lost(left),
            _ => tracing::info!(store = %self.url, nodes = self.nodes(), "Redis answers: it decides the limits"),
        }
    }

    pub(crate) fn is_recovering(&self) -> bool {
        matches!(self.state.load(), State::Recovering { .. })
    }

    /// Which data this node has counted in.
    pub(crate) fn epoch(&self, tag: u8) -> Epoch {
        self.slot(tag).load(Ordering::Acquire)
    }

    /// A name for data that has none: another each time, since a name that came twice would hide a loss.
    pub(crate) fn offered() -> Epoch {
        rand::random::<Epoch>().max(1)
    }

    fn slot(&self, tag: u8) -> &AtomicU64 {
        // An index of a byte is below 256.
        let [first, ..] = &*self.epochs;
        self.epochs.get(usize::from(tag)).unwrap_or(first)
    }

    /// Learns which data there is. Another than was counted in: that is lost.
    pub(crate) fn learn(&self, tag: u8, epoch: Epoch) {
        let known = self.epoch(tag);
        if known == epoch {
            return;
        }
        // First the state and then the name: who finds the new name finds the new state.
        if known != 0 {
            self.recover();
        }
        // Another one who learns it at the same time has said all there is to say.
        let _ = self.slot(tag).compare_exchange(known, epoch, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Decides alone for as long as what was counted in the lost data could matter.
    fn recover(&self) {
        // A server of a cluster that lost its data is noticed once for each tag that it had.
        if self.url.is_cluster() && self.recovers.load(Ordering::Relaxed) > self.clock.now().as_nanos() {
            return;
        }
        // What only nodes know is offered again.
        self.wake.notify_one();
        let longest = Duration::from_nanos(self.longest.load(Ordering::Relaxed)).min(LONGEST_RECOVERY);
        if longest.is_zero() {
            return; // it was asked for nothing yet
        }
        let until = self.clock.now() + longest;
        self.recovers.fetch_max(until.as_nanos(), Ordering::Relaxed);
        let state = self.state.load();
        let is_first = state == State::Shared;
        if matches!(state, State::Shared | State::Recovering { .. })
            && self.state.change(state, State::Recovering { until })
            && is_first
        {
            self.say_lost(longest);
        }
    }

    fn say_lost(&self, left: Duration) {
        let (store, nodes) = (&self.url, self.nodes());
        tracing::warn!(%store, nodes, recovers_in = ?left, "Redis has lost the data of limits: this node goes on with its share");
    }

    /// Remembers how long these limits could matter.
    pub(crate) fn see(&self, charges: &[Charge]) {
        let longest = charges.iter().map(|charge| charge.quota.whole_after()).max().unwrap_or_default();
        let longest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        if self.longest.load(Ordering::Relaxed) < longest {
            self.longest.fetch_max(longest, Ordering::Relaxed);
        }
    }

    /// Counts what Redis admitted for this node in its own memory too, where nothing is refused.
    pub(crate) fn remember(&self, charges: &[Charge], verdict: &Verdict) {
        for (index, charge) in charges.iter().enumerate() {
            if charge.cost > 0 && !verdict.would_refuse.contains(index) {
                // What is in a bucket is told by the time until it is full, and a share of it fills more slowly: what was spent of
                // the whole would be less of the share. Windows and logs tell what was spent.
                let is_bucket = charge.quota.algorithm == Algorithm::TokenBucket;
                let charge = if is_bucket { charge.share(self.nodes()) } else { *charge };
                // Memory answers now, and a charge in the shadow is never refused.
                drop(self.local.take(&[Charge { mode: Mode::Shadow, ..charge }]));
            }
        }
    }

    /// What the script is told of the time: nothing but in tests.
    pub(crate) fn told_time(&self) -> Option<ServerTime> {
        let now = self.hand.as_ref()?.now().as_nanos();
        let [.., a, b, c, d, e] = (now / 1_000_000_000).to_be_bytes();
        let [f, g, h, i] = ((now % 1_000_000_000) as u32).to_be_bytes();
        Some([a, b, c, d, e, f, g, h, i])
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).field("state", &self.state.load()).finish_non_exhaustive()
    }
}
