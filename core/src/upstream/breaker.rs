//! The circuit breaker: stops asking an upstream that does not answer, and finds out when it does again.
//!
//! # How it stays right under concurrency
//!
//! Everything that decides is one word: which state, how many failures or probes, and until when the upstream rests.
//! Each change is one compare-exchange on that word, made by a pure function of its old value ([`Word`]), so every
//! change happens once, wholly, and in one order that all threads agree on. No other memory is published through the
//! word, so all orderings are `Relaxed`: a single location needs none. A thread may read a value that is older by the
//! time a cache line takes to travel: it then lets one more request through, as if that had come a moment earlier.
//!
//! The time at which the last rest ended is never used twice. It therefore names the period since, and a permit
//! remembers it: a result that comes in later than the period it was asked in says nothing about now, and is ignored.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::rejection::Rejection;
use crate::time::Moment;

mod word;

use word::{Kind, Word};

/// What a refused caller is told to wait while probes are under way: they are answered or given up soon.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// Stops asking an upstream that does not answer. Clones are the same breaker.
///
/// - **Closed**: everyone may ask. So many failures in a row open it; a success in between starts the count anew.
/// - **Open**: nobody may ask, until `recovery` has passed.
/// - **Half-open**: a few may ask at a time, the probes. The first that succeeds closes it, the first that fails opens
///   it again.
///
/// What a failure is, the caller decides: what says something about the upstream's health, so neither a client's fault
/// nor a client that left. Closed, a permit costs one load and a reference count, and a success with no failure before
/// it writes nothing.
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
    /// For metrics only.
    opened: AtomicU64,
    failures: u16,
    probes: u16,
    recovery: Duration,
}

impl Breaker {
    /// A breaker that opens after so many failures in a row: from 1 (0 counts as 1) to 65,535 (more counts as that).
    pub fn consecutive(failures: u32) -> BreakerBuilder {
        BreakerBuilder { failures: count(failures), probes: 1, recovery: Duration::from_secs(30) }
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
        self.0.opened.load(Ordering::Relaxed)
    }

    fn given(&self, word: Word) -> Permit {
        Permit { shared: Arc::clone(&self.0), given: Some(word) }
    }
}

/// What a [`Breaker`] is made from.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct BreakerBuilder {
    failures: u16,
    probes: u16,
    recovery: Duration,
}

impl BreakerBuilder {
    /// How many may ask at a time while half-open: from 1, the default (0 counts as 1), to 65,535.
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = count(probes);
        self
    }

    /// How long the upstream rests before it is tried again; 30 seconds by default. It is counted in quarters of a
    /// millisecond and may end one of these early.
    pub const fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// The breaker, closed.
    pub fn build(self) -> Breaker {
        let Self { failures, probes, recovery } = self;
        let word = AtomicU64::new(Word::CLOSED.pack());
        Breaker(Arc::new(Shared { word, opened: AtomicU64::new(0), failures, probes, recovery }))
    }
}

/// From 1 to what the word has room for.
fn count(wanted: u32) -> u16 {
    u16::try_from(wanted).unwrap_or(u16::MAX).max(1)
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

/// Leave to ask an upstream once.
///
/// It borrows nothing and can ride on a response body. Dropped unsettled, because a client left or for a reason that
/// says nothing about the upstream, it counts as nothing and gives its probe place back. A probe has its place for as
/// long as its permit lives: every request has a deadline, so that is bounded; a permit leaked for ever
/// (`std::mem::forget`) would leave the breaker half-open with one place less.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as nothing"]
pub struct Permit {
    shared: Arc<Shared>,
    /// The word it was given under; none once settled.
    given: Option<Word>,
}

impl Permit {
    /// Whether it finds out if the upstream answers again: then it is for one attempt, and what fails is not to be tried twice.
    pub fn is_probe(&self) -> bool {
        self.given.is_some_and(|given| given.kind == Kind::HalfOpen)
    }

    /// Says whether the upstream answered. Ignored when the breaker has opened, or closed again, since the permit was
    /// given.
    pub fn settle(mut self, ok: bool, now: Moment) {
        let Some(given) = self.given.take() else { return };
        let shared = &self.shared;
        let mut opens = false;
        let settled = shared.word.try_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            let word = Word::unpack(seen);
            let after = if !word.is_period_of(given) {
                None
            } else if ok {
                word.after_success()
            } else {
                Some(word.after_failure(shared.failures, now, shared.recovery))
            };
            opens = after.is_some_and(|after| after.kind == Kind::Open);
            after.map(Word::pack)
        });
        if settled.is_ok() && opens {
            shared.opened.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(given) = self.given.filter(|given| given.kind == Kind::HalfOpen) else { return };
        // An error means that another probe has decided meanwhile: there is no place left to give back.
        let _ = self.shared.word.try_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            let word = Word::unpack(seen);
            word.is_period_of(given).then(|| word.with_one_probe_less().pack())
        });
    }
}

#[cfg(test)]
mod tests;
