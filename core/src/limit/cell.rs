//! What is kept for one subject under one rule: sixteen bytes, whatever the algorithm.

use std::num::NonZeroU32;
use std::time::Duration;

use super::counters::Counters;
use super::sliding_log::Log;
use super::{Algorithm, Quota};
use crate::time::Moment;

/// What a subject has spent. The default has spent nothing.
///
/// A cell is read by one algorithm only; where it holds what another one keeps, nothing is spent.
#[derive(Debug)]
pub(super) enum Cell {
    /// A time and two counts.
    Counted(Counters),
    /// Every time, elsewhere.
    Logged(Box<Log>),
}

impl Default for Cell {
    fn default() -> Self {
        Self::Counted(Counters::default())
    }
}

/// How one charge stands with its limit, once it was taken or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit as headers show it ([`Quota::limit`]).
    pub limit: u32,
    /// What is left of it: after what was taken, where it was.
    pub remaining: u32,
    /// Until the limit is whole again; zero when it is.
    pub reset: Duration,
    /// Refused, and for how long; none: it holds.
    pub wait: Option<Duration>,
}

impl Cell {
    /// Spends `cost`, if it fits. A cost of 0 asks whether 1 would fit.
    ///
    /// For one cell, `now` must never go back: read the clock while the cell is locked.
    pub(super) fn take(&mut self, quota: &Quota, cost: u32, now: Moment) -> Standing {
        let Some(cost) = NonZeroU32::new(cost) else { return self.peek(quota, cost, now) };
        let is_logged = quota.algorithm == Algorithm::SlidingLog;
        if is_logged != matches!(self, Self::Logged(_)) {
            *self = if is_logged { Self::Logged(Box::default()) } else { Self::default() };
        }
        match self {
            Self::Counted(counters) => counters.take(quota, cost, now),
            Self::Logged(log) => log.take(quota, cost, now),
        }
    }

    /// Whether [`take`](Self::take) would admit, and what is left before it; spends nothing.
    pub(super) fn peek(&mut self, quota: &Quota, cost: u32, now: Moment) -> Standing {
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        match (quota.algorithm, self) {
            (Algorithm::SlidingLog, Self::Logged(log)) => log.peek(quota, cost, now),
            (Algorithm::SlidingLog, Self::Counted(_)) => Log::default().peek(quota, cost, now),
            (_, Self::Counted(counters)) => counters.peek(quota, cost, now),
            (_, Self::Logged(_)) => Counters::default().peek(quota, cost, now),
        }
    }

    /// Gives back `cost` that a take after `asked` spent. What time has given back since, or may have, is not given
    /// twice: between the two no more can pass than the quota allows.
    pub(super) fn refund(&mut self, quota: &Quota, cost: u32, asked: Moment, now: Moment) {
        match (quota.algorithm, self) {
            (Algorithm::SlidingLog, Self::Logged(log)) => log.refund(quota, cost, asked),
            (Algorithm::SlidingLog, Self::Counted(_)) | (_, Self::Logged(_)) => {}
            (_, Self::Counted(counters)) => counters.refund(quota, cost, asked, now),
        }
    }

    /// Whether forgetting the cell changes nothing.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let whole = match self {
            Self::Counted(counters) => counters.whole(),
            Self::Logged(log) => log.whole(),
        };
        whole <= now
    }
}
