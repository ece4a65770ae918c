//! How a store is doing.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::time::Moment;

/// How a store is doing. Read without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It was never connected yet: nothing is decided.
    Connecting,
    /// Redis does not answer: nothing is decided until it does.
    Lost {
        /// Since then.
        since: Moment,
    },
    /// Redis has lost its data: this node decides its share of each limit, from its own memory, while it fills the new data.
    Recovering {
        /// Until then at the latest.
        until: Moment,
    },
    /// Every decision is made in Redis.
    Shared,
}

/// What a store has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that Redis decided.
    pub decisions: u64,
    /// Requests that nobody decided, whatever the reason: `timeouts` among them.
    pub errors: u64,
    /// Requests that this node decided from what it had taken ahead, or may owe.
    pub leased: u64,
    /// Charges that were decided by Redis though their limit allows an overshoot: because this node's part of that is too small, or
    /// because it has none yet.
    pub narrow: u64,
    /// Charges that were decided by Redis because nothing was held, and no more could be owed.
    pub dry: u64,
    /// Charges that were paid before Redis had counted them.
    pub owed: u64,
    /// How much this node has taken from Redis, ahead or for what it owed.
    pub taken: u64,
    /// How much of that went back because nobody came.
    pub returned: u64,
    /// Connections that were made after the first.
    pub reconnects: u64,
    /// Requests that this node decided by its share because Redis had lost its data.
    pub shares: u64,
    /// Requests that waited as long as they may, and had no answer.
    pub timeouts: u64,
}

/// [`Counters`] that count. Relaxed everywhere: nothing else is read on their word.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) decisions: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) leased: AtomicU64,
    pub(crate) narrow: AtomicU64,
    pub(crate) dry: AtomicU64,
    pub(crate) owed: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) shares: AtomicU64,
    pub(crate) timeouts: AtomicU64,
}

impl Counts {
    pub(crate) fn read(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            decisions: read(&self.decisions),
            errors: read(&self.errors),
            leased: read(&self.leased),
            narrow: read(&self.narrow),
            dry: read(&self.dry),
            owed: read(&self.owed),
            taken: read(&self.taken),
            returned: read(&self.returned),
            reconnects: read(&self.reconnects),
            shares: read(&self.shares),
            timeouts: read(&self.timeouts),
        }
    }
}

pub(crate) fn count(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// A [`State`] in one number, so that a request reads it in one step: what it is in two bits, and a time to four nanoseconds.
#[derive(Debug)]
pub(crate) struct StateCell(AtomicU64);

const CONNECTING: u64 = 0;
const LOST: u64 = 1;
const RECOVERING: u64 = 2;
const SHARED: u64 = 3;

impl StateCell {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(packed(State::Connecting)))
    }

    pub(crate) fn load(&self) -> State {
        // Acquire: who reads that it is shared finds the connection.
        unpacked(self.0.load(Ordering::Acquire))
    }

    /// Changes it, if it still is what was read: so that of many who notice one thing, one says so.
    pub(crate) fn change(&self, from: State, to: State) -> bool {
        self.0.compare_exchange(packed(from), packed(to), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

fn packed(state: State) -> u64 {
    let at = |moment: Moment| moment.as_nanos() & !3;
    match state {
        State::Connecting => CONNECTING,
        State::Lost { since } => at(since) | LOST,
        State::Recovering { until } => at(until) | RECOVERING,
        State::Shared => SHARED,
    }
}

fn unpacked(number: u64) -> State {
    let moment = Moment::from_nanos(number & !3);
    match number & 3 {
        CONNECTING => State::Connecting,
        LOST => State::Lost { since: moment },
        RECOVERING => State::Recovering { until: moment },
        _ => State::Shared,
    }
}
