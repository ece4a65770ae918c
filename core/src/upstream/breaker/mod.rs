//! The circuit breaker: stops asking an upstream that does not answer, and finds out when it does again.
//!
//! # How it stays right under concurrency
//!
//! Everything that decides is one word: which state, how many failures or probes, how many rests in a row, and until
//! when the upstream rests. Each change is one compare-exchange on that word, made by a pure function of its old value ([`Word`]), so every
//! change happens once, wholly, and in one order that all threads agree on. No other memory is published through the
//! word, so all orderings are `Relaxed`: a single location needs none. A thread may read a value that is older by the
//! time a cache line takes to travel: it then lets one more request through, as if that had come a moment earlier.
//!
//! The time at which a rest ends is never used twice. It therefore names the period, and a permit remembers it: a result
//! that comes in later than the period it was asked in says nothing about now, and is ignored.
//!
//! Where a share of the requests decides, they are counted beside the word ([`Tally`]): counting needs no agreement, only
//! the opening does, and that is a change of the word like any other. `tests/interleavings` holds all this to a model
//! checker, which tries every order in which threads can take these steps.

use std::fmt;
use std::time::Duration;

use crate::rejection::Rejection;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::time::Moment;

mod builder;
mod permit;
mod tally;
mod word;

pub use builder::BreakerBuilder;
pub use permit::{BreakerChange, OpenedBy, Permit};
use tally::Tally;
use word::{Kind, Rests, Word};

/// What a refused caller is told to wait while probes are under way: they are answered or given up soon.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// Stops asking an upstream that does not answer. Clones are the same breaker.
///
/// - **Closed**: everyone may ask. So many failures in a row open it ([`consecutive`](Self::consecutive); a success in
///   between starts the count anew), or too large a share of the last requests ([`failure_ratio`](Self::failure_ratio)).
/// - **Open**: nobody may ask, until `recovery` has passed.
/// - **Half-open**: a few may ask at a time, the probes. The first that succeeds closes it, the first that fails opens
///   it again, for twice as long ([`BreakerBuilder::max_recovery`]).
///
/// What a failure is, the caller decides: what says something about the upstream's health, so neither a client's fault
/// nor a client that left. Closed, a permit costs one load and a reference count. A success with no failure before it
/// writes nothing where failures in a row count, and is one compare-exchange on a counter where the share counts.
///
/// ```
/// use std::time::Duration;
/// use portcullis_core::{time::{Clock, UnixTime}, upstream::Breaker};
///
/// let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
/// let breaker = Breaker::consecutive(2).recovery(Duration::from_secs(30)).build();
///
/// for _ in 0..2 {
///     let permit = breaker.permit(clock.now())?;
///     permit.settle(false, clock.now());
/// }
/// let open = breaker.permit(clock.now()).unwrap_err();
/// assert_eq!(open.retry_after.as_secs(), 29); // and a bit
///
/// time.advance(Duration::from_secs(30));
/// let probe = breaker.permit(clock.now())?;
/// assert!(breaker.permit(clock.now()).is_err()); // one at a time
/// probe.settle(true, clock.now());
/// assert!(breaker.permit(clock.now()).is_ok());
/// # Ok::<(), portcullis_core::upstream::Open>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A packed [`Word`].
    word: AtomicU64,
    /// How often it has opened from closed, and again by a failed probe: for metrics only.
    opened: AtomicU64,
    reopened: AtomicU64,
    opens: Opens,
    probes: u16,
    rests: Rests,
    jitter: f64,
}

/// When a closed breaker opens.
#[derive(Debug)]
enum Opens {
    /// After so many failures in a row.
    Consecutive(u16),
    /// When too many of the last requests failed. Boxed: only a breaker of this kind has room for it.
    Ratio(Box<Tally>),
}

impl Shared {
    fn new(opens: Opens, probes: u16, rests: Rests, jitter: f64) -> Self {
        let [word, opened, reopened] = [Word::CLOSED.pack(), 0, 0].map(AtomicU64::new);
        Self { word, opened, reopened, opens, probes, rests, jitter }
    }
}

impl Breaker {
    /// A breaker that opens after so many failures in a row: from 1 (0 counts as 1) to 65,535 (more counts as that).
    pub fn consecutive(failures: u32) -> BreakerBuilder {
        BreakerBuilder::consecutive(failures)
    }

    /// A breaker that opens when this share of the requests that ended within a sliding window failed: 0.5 is half of them,
    /// over the last 10 seconds, if they were at least 20 ([`BreakerBuilder::window`], [`BreakerBuilder::minimum`]). Above 1, or no
    /// number, counts as 1.
    ///
    /// It is looked at whenever a request fails. After it has closed, the window begins anew with its next tenth.
    ///
    /// ```
    /// use portcullis_core::{time::{Clock, UnixTime}, upstream::{Breaker, BreakerChange, OpenedBy}};
    ///
    /// let (clock, _) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    /// let breaker = Breaker::failure_ratio(0.5).minimum(4).build();
    ///
    /// // Never two in a row, but every other one.
    /// for ok in [true, false, true] {
    ///     assert_eq!(breaker.permit(clock.now())?.settle(ok, clock.now()), None);
    /// }
    /// let change = breaker.permit(clock.now())?.settle(false, clock.now());
    /// assert!(matches!(change, Some(BreakerChange::Opened { by: OpenedBy::Ratio, .. })));
    /// # Ok::<(), portcullis_core::upstream::Open>(())
    /// ```
    pub fn failure_ratio(ratio: f64) -> BreakerBuilder {
        BreakerBuilder::failure_ratio(ratio)
    }

    fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Leave to ask the upstream once, to be settled with what came of it.
    ///
    /// # Errors
    ///
    /// [`Open`] while the upstream rests, and while as many probes are under way as may be.
    pub fn permit(&self, now: Moment) -> Result<Permit, Open> {
        let shared = &self.0;
        let mut seen = shared.word.load(Ordering::Relaxed);
        loop {
            let word = Word::unpack(seen);
            let probing = match word.kind {
                Kind::Closed => return Ok(self.given(word)),
                Kind::Open if !word.has_rested(now) => return Err(Open { retry_after: word.rest_left(now) }),
                Kind::HalfOpen if word.count >= shared.probes => return Err(Open { retry_after: WHILE_PROBING }),
                Kind::HalfOpen | Kind::Open => word.with_one_more_probe(),
            };
            match shared.word.compare_exchange_weak(seen, probing.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(self.given(probing)),
                Err(current) => seen = current,
            }
        }
    }

    /// What it does at this moment, for metrics and logs; who wants to ask takes a permit instead.
    pub fn state(&self, now: Moment) -> BreakerState {
        let word = Word::unpack(self.0.word.load(Ordering::Relaxed));
        match word.kind {
            Kind::Closed => BreakerState::Closed,
            Kind::Open if !word.has_rested(now) => BreakerState::Open { retry_after: word.rest_left(now) },
            Kind::HalfOpen | Kind::Open => BreakerState::HalfOpen,
        }
    }

    /// How often it has opened since it was made, reopening after a failed probe included.
    pub fn times_opened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed) + self.times_reopened()
    }

    /// How many of these were by a failed probe: it was still not there.
    pub fn times_reopened(&self) -> u64 {
        self.0.reopened.load(Ordering::Relaxed)
    }

    fn given(&self, word: Word) -> Permit {
        Permit::new(Arc::clone(&self.0), word)
    }
}

/// What a [`Breaker`] does at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everyone may ask.
    Closed,
    /// Probes find out whether the upstream answers again.
    HalfOpen,
    /// Nobody may ask.
    Open {
        /// Until the next probe.
        retry_after: Duration,
    },
}

/// The breaker gave no permit: the caller's answer is a 503, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Until it is worth while to ask again; never zero.
    pub retry_after: Duration,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the breaker is open; try again in {:?}", self.retry_after)
    }
}

impl std::error::Error for Open {}

impl From<Open> for Rejection {
    fn from(Open { retry_after }: Open) -> Self {
        Self::CircuitOpen { retry_after }
    }
}

#[cfg(test)]
mod tests;
