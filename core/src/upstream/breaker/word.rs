//! The breaker's state as one 64-bit word, and what follows it: pure functions.

use std::time::Duration;

use crate::time::Moment;

/// What the breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Closed,
    HalfOpen,
    Open,
}

/// The breaker's state: 2 bits of `kind`, 16 of `count`, 46 of `rested`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: Kind,
    /// Closed: failures in a row. Half-open: probes under way. Open: 0.
    pub(super) count: u16,
    /// When the present rest ends or the last one ended, in ticks; 0 before the first. Grows with every opening, so it
    /// also names the period: see [`Word::is_period_of`].
    rested: u64,
}

/// A tick is 2^18 nanoseconds, about a quarter of a millisecond: 46 bits of them hold every [`Moment`] there is.
const TICK_BITS: u32 = 18;
const LAST_TICK: u64 = u64::MAX >> TICK_BITS;

const fn ticks(at: Moment) -> u64 {
    at.as_nanos() >> TICK_BITS
}

impl Word {
    /// A new breaker's.
    pub(super) const CLOSED: Self = Self { kind: Kind::Closed, count: 0, rested: 0 };

    pub(super) fn pack(self) -> u64 {
        let kind = match self.kind {
            Kind::Closed => 0,
            Kind::HalfOpen => 1,
            Kind::Open => 2,
        };
        self.rested << 18 | u64::from(self.count) << 2 | kind
    }

    #[expect(clippy::cast_possible_truncation, reason = "the count's own 16 bits")]
    pub(super) const fn unpack(word: u64) -> Self {
        let kind = match word & 0b11 {
            0 => Kind::Closed,
            1 => Kind::HalfOpen,
            _ => Kind::Open,
        };
        Self { kind, count: (word >> 2) as u16, rested: word >> 18 }
    }

    /// Whether a permit given under `given` was given in the period that this is a word of: in the same state, since
    /// the same opening.
    pub(super) fn is_period_of(self, given: Self) -> bool {
        self.kind == given.kind && self.rested == given.rested
    }

    /// Whether the rest is over.
    pub(super) const fn has_rested(self, now: Moment) -> bool {
        ticks(now) >= self.rested
    }

    /// How much of the rest is left.
    pub(super) const fn rest_left(self, now: Moment) -> Duration {
        Moment::from_nanos(self.rested << TICK_BITS).since(now)
    }

    pub(super) const fn with_one_more_probe(self) -> Self {
        Self { kind: Kind::HalfOpen, count: self.count.saturating_add(1), ..self }
    }

    pub(super) const fn with_one_probe_less(self) -> Self {
        Self { count: self.count.saturating_sub(1), ..self }
    }

    /// None when there is nothing to change: the common case, which must not write.
    pub(super) const fn after_success(self) -> Option<Self> {
        match self {
            Self { kind: Kind::Closed, count: 0, .. } => None,
            Self { rested, .. } => Some(Self { kind: Kind::Closed, count: 0, rested }),
        }
    }

    /// `failures` in a row open a closed breaker; one failed probe opens a half-open one.
    pub(super) fn after_failure(self, failures: u16, now: Moment, recovery: Duration) -> Self {
        let count = self.count.saturating_add(1);
        if self.kind == Kind::Closed && count < failures {
            return Self { count, ..self };
        }
        Self { kind: Kind::Open, count: 0, rested: self.next_rested(now, recovery) }
    }

    /// When a rest that begins now ends: the one place that decides how long. Always after the last one, also where
    /// callers' clock readings cross or `recovery` is zero, because it names the period.
    fn next_rested(self, now: Moment, recovery: Duration) -> u64 {
        ticks(now + recovery).max(self.rested.saturating_add(1)).min(LAST_TICK)
    }
}
