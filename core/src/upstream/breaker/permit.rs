//! Leave to ask once, and what becomes of the breaker when it is settled.

use std::time::Duration;

use crate::sync::{Arc, Ordering};
use crate::time::Moment;

use super::word::{Kind, Word};
use super::{Opens, Shared};

/// Leave to ask an upstream once.
///
/// It borrows nothing and can ride on a response body. Dropped unsettled, because a client left or for a reason that
/// says nothing about the upstream, it counts as nothing and gives its probe place back. A probe has its place for as
/// long as its permit lives, so whoever holds one drops it when the answer is too long in coming for a reason that is not
/// the upstream's; a permit leaked for ever (`std::mem::forget`) would leave the breaker half-open with one place less.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as nothing"]
pub struct Permit {
    shared: Arc<Shared>,
    /// The word it was given under; none once settled.
    given: Option<Word>,
}

/// What a result made of the breaker: said to the one caller whose result it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// A probe succeeded: everyone may ask.
    Closed,
    /// Nobody may ask.
    Opened {
        /// What opened it.
        by: OpenedBy,
        /// For so long.
        rest: Duration,
    },
}

/// What opened a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// So many failures in a row.
    Consecutive,
    /// A probe failed.
    Probe,
    /// Too large a share of the last requests failed.
    Ratio,
}

impl Permit {
    pub(super) const fn new(shared: Arc<Shared>, given: Word) -> Self {
        Self { shared, given: Some(given) }
    }

    /// Whether it finds out if the upstream answers again: then it is for one attempt, and what fails is not to be tried twice.
    pub fn is_probe(&self) -> bool {
        self.given.is_some_and(|given| given.kind == Kind::HalfOpen)
    }

    /// Says whether the upstream answered. Ignored when the breaker has opened, or closed again, since the permit was
    /// given. When this very result opens or closes the breaker, that is what comes back: for a line in the log.
    pub fn settle(mut self, ok: bool, now: Moment) -> Option<BreakerChange> {
        let given = self.given.take()?;
        if ok { self.shared.succeeded(given, now) } else { self.shared.failed(given, now) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(given) = self.given.filter(|given| given.kind == Kind::HalfOpen) else { return };
        // None means that another probe has decided meanwhile: there is no place left to give back.
        let _ = self.shared.change(given, |word| Some(word.with_one_probe_less()));
    }
}

impl Shared {
    fn succeeded(&self, given: Word, now: Moment) -> Option<BreakerChange> {
        if given.kind == Kind::Closed
            && let Opens::Ratio(tally) = &self.opens
        {
            if self.is_still(given) {
                tally.succeeded(now);
            }
            return None;
        }
        let closed = self.change(given, |word| word.after_success(now))?;
        (given.kind == Kind::HalfOpen && closed.kind == Kind::Closed).then_some(BreakerChange::Closed)
    }

    fn failed(&self, given: Word, now: Moment) -> Option<BreakerChange> {
        let (by, failures) = match &self.opens {
            _ if given.kind == Kind::HalfOpen => (OpenedBy::Probe, 1),
            Opens::Consecutive(failures) => (OpenedBy::Consecutive, *failures),
            Opens::Ratio(tally) => {
                if !self.is_still(given) || !tally.failed(given, now) {
                    return None;
                }
                (OpenedBy::Ratio, 1)
            }
        };
        let stretch = self.stretch();
        let mut rest = Duration::ZERO;
        let after = self.change(given, |word| {
            let counted = (by == OpenedBy::Consecutive).then(|| word.with_one_more_failure(failures)).flatten();
            Some(counted.unwrap_or_else(|| {
                let (opened, length) = word.opened(now, self.rests, stretch);
                rest = length;
                opened
            }))
        })?;
        if after.kind != Kind::Open {
            return None;
        }
        let times = if by == OpenedBy::Probe { &self.reopened } else { &self.opened };
        times.fetch_add(1, Ordering::Relaxed);
        Some(BreakerChange::Opened { by, rest })
    }

    fn is_still(&self, given: Word) -> bool {
        Word::unpack(self.word.load(Ordering::Relaxed)).is_period_of(given)
    }

    /// One step from the word as it is to what `next` makes of it, in the period of `given`: the word that was written.
    /// None when there was nothing to change, or the period is over.
    fn change(&self, given: Word, mut next: impl FnMut(Word) -> Option<Word>) -> Option<Word> {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let after = Some(Word::unpack(seen)).filter(|word| word.is_period_of(given)).and_then(&mut next)?;
            match self.word.compare_exchange_weak(seen, after.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(after),
                Err(current) => seen = current,
            }
        }
    }

    fn stretch(&self) -> f64 {
        if self.jitter > 0.0 { self.jitter.mul_add(rand::random::<f64>(), 1.0) } else { 1.0 }
    }
}
