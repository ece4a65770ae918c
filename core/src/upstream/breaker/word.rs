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

/// The breaker's state: 2 bits of `kind`, 16 of `count`, 4 of `rests`, 42 of `mark`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: Kind,
    /// Closed: failures in a row, where they decide. Half-open: probes under way. Open: 0.
    pub(super) count: u16,
    /// Rests in a row, the present one or, closed, the last one included; 0 before the first. The last number that
    /// there is room for stands for all above it.
    rests: u8,
    /// In ticks. Open and half-open: when the rest ends or ended. Closed: since when; 0 before the first rest. It grows
    /// with every opening, so it also names the period: see [`Word::is_period_of`].
    mark: u64,
}

/// A tick is 2^22 nanoseconds, about four milliseconds: 42 bits of them hold every [`Moment`] there is.
const TICK_BITS: u32 = 22;
const LAST_TICK: u64 = u64::MAX >> TICK_BITS;
const LAST_REST: u8 = 0b1111;

const fn ticks(at: Moment) -> u64 {
    at.as_nanos() >> TICK_BITS
}

/// How long the rests of a row are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rests {
    /// The first.
    pub(super) first: Duration,
    /// None is longer.
    pub(super) longest: Duration,
}

impl Rests {
    /// The length of rest number `rests`: each is twice the one before it.
    fn length(self, rests: u8) -> Duration {
        if rests >= LAST_REST {
            return self.longest;
        }
        let doubled = self.first.saturating_mul(1 << rests.saturating_sub(1));
        doubled.min(self.longest)
    }
}

impl Word {
    /// A new breaker's.
    pub(super) const CLOSED: Self = Self { kind: Kind::Closed, count: 0, rests: 0, mark: 0 };

    pub(super) fn pack(self) -> u64 {
        let kind = match self.kind {
            Kind::Closed => 0,
            Kind::HalfOpen => 1,
            Kind::Open => 2,
        };
        self.mark << TICK_BITS | u64::from(self.rests) << 18 | u64::from(self.count) << 2 | kind
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field's own bits")]
    pub(super) const fn unpack(word: u64) -> Self {
        let kind = match word & 0b11 {
            0 => Kind::Closed,
            1 => Kind::HalfOpen,
            _ => Kind::Open,
        };
        Self { kind, count: (word >> 2) as u16, rests: (word >> 18) as u8 & LAST_REST, mark: word >> TICK_BITS }
    }

    /// Whether a permit given under `given` was given in the period that this is a word of: in the same state, since
    /// the same opening or closing.
    pub(super) fn is_period_of(self, given: Self) -> bool {
        self.kind == given.kind && self.mark == given.mark
    }

    /// Whether the rest is over.
    pub(super) const fn has_rested(self, now: Moment) -> bool {
        ticks(now) >= self.mark
    }

    /// How much of the rest is left.
    pub(super) const fn rest_left(self, now: Moment) -> Duration {
        Moment::from_nanos(self.mark << TICK_BITS).since(now)
    }

    /// When it closed, of a closed one that has ever been open.
    pub(super) fn closed_at(self) -> Option<Moment> {
        (self.rests > 0).then(|| Moment::from_nanos(self.mark << TICK_BITS))
    }

    pub(super) const fn with_one_more_probe(self) -> Self {
        Self { kind: Kind::HalfOpen, count: self.count.saturating_add(1), ..self }
    }

    pub(super) const fn with_one_probe_less(self) -> Self {
        Self { count: self.count.saturating_sub(1), ..self }
    }

    /// None when there is nothing to change: the common case, which must not write.
    pub(super) fn after_success(self, now: Moment) -> Option<Self> {
        match self {
            Self { kind: Kind::Closed, count: 0, .. } => None,
            Self { kind: Kind::Closed, .. } => Some(Self { count: 0, ..self }),
            Self { mark, .. } => Some(Self { kind: Kind::Closed, count: 0, mark: mark.max(ticks(now)), ..self }),
        }
    }

    /// With one failure more in a row; none where that makes as many as `failures`.
    pub(super) fn with_one_more_failure(self, failures: u16) -> Option<Self> {
        let count = self.count.saturating_add(1);
        (count < failures).then_some(Self { count, ..self })
    }

    /// Opened now, and how long it rests, before `stretch` (at least 1) makes that longer.
    ///
    /// A row of rests goes on while the breaker opens again from half-open, or before it has been closed for as long as it
    /// rested last. The end of a rest is always after the last one, also where callers' clock readings cross or the
    /// rest is zero, because it names the period.
    pub(super) fn opened(self, now: Moment, rests: Rests, stretch: f64) -> (Self, Duration) {
        let is_new_row = self.kind == Kind::Closed
            && self.closed_at().is_none_or(|closed| now.since(closed) >= rests.length(self.rests));
        let row = if is_new_row { 1 } else { self.rests.saturating_add(1).min(LAST_REST) };
        let rest = Duration::try_from_secs_f64(rests.length(row).as_secs_f64() * stretch).unwrap_or(Duration::MAX);
        let mark = ticks(now + rest).max(self.mark.saturating_add(1)).min(LAST_TICK);
        (Self { kind: Kind::Open, count: 0, rests: row, mark }, rest)
    }
}
