//! How a breaker is made.

use std::time::Duration;

use super::tally::Tally;
use super::word::Rests;
use super::{Breaker, Opens, Shared};

/// What a [`Breaker`] is made from.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct BreakerBuilder {
    opens: Written,
    probes: u16,
    recovery: Duration,
    max_recovery: Option<Duration>,
    jitter: f64,
}

/// When it opens.
#[derive(Clone, Copy, Debug)]
enum Written {
    Consecutive(u16),
    Ratio { ratio: f64, window: Duration, minimum: u32 },
}

impl BreakerBuilder {
    pub(super) fn consecutive(failures: u32) -> Self {
        Self::new(Written::Consecutive(count(failures)))
    }

    pub(super) const fn failure_ratio(ratio: f64) -> Self {
        Self::new(Written::Ratio { ratio, window: Duration::from_secs(10), minimum: 20 })
    }

    const fn new(opens: Written) -> Self {
        Self { opens, probes: 1, recovery: Duration::from_secs(30), max_recovery: None, jitter: 0.0 }
    }

    /// Over how long [`Breaker::failure_ratio`] looks back: 10 seconds by default, at least a third of a second. It slides in tenths, of
    /// which each counts at most 16.7 million requests. Without meaning for [`Breaker::consecutive`].
    pub const fn window(mut self, length: Duration) -> Self {
        if let Written::Ratio { window, .. } = &mut self.opens {
            *window = length;
        }
        self
    }

    /// How many requests of the window must have ended before [`Breaker::failure_ratio`] says anything: 20 by default.
    /// Without meaning for [`Breaker::consecutive`].
    pub const fn minimum(mut self, requests: u32) -> Self {
        if let Written::Ratio { minimum, .. } = &mut self.opens {
            *minimum = requests;
        }
        self
    }

    /// How many may ask at a time while half-open: from 1, the default (0 counts as 1), to 65,535.
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = count(probes);
        self
    }

    /// How long the upstream rests before it is tried again, the first time; 30 seconds by default. It is counted in
    /// steps of about four milliseconds and may end one of these early.
    pub const fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// What the rests of a row grow up to: ten times `recovery` by default; less than `recovery` counts as that, and
    /// then all are of one length.
    ///
    /// Each rest of a row is twice as long as the one before. A row goes on when a probe fails, and when the breaker
    /// opens again before it has been closed for as long as it rested last; otherwise a new one begins with `recovery`.
    pub const fn max_recovery(mut self, longest: Duration) -> Self {
        self.max_recovery = Some(longest);
        self
    }

    /// By which share a rest may be longer, at random, so that many nodes do not come back at once: 0, the default,
    /// to 1. What is no number counts as 0. The randomness is this thread's generator of the `rand` crate; it is asked when the breaker opens.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = if share > 0.0 { share.min(1.0) } else { 0.0 };
        self
    }

    /// The breaker, closed.
    pub fn build(self) -> Breaker {
        let opens = match self.opens {
            Written::Consecutive(failures) => Opens::Consecutive(failures),
            Written::Ratio { ratio, window, minimum } => Opens::Ratio(Box::new(Tally::new(ratio, window, minimum))),
        };
        let longest = self.max_recovery.unwrap_or(self.recovery.saturating_mul(10)).max(self.recovery);
        let rests = Rests { first: self.recovery, longest };
        Breaker::new(Shared::new(opens, self.probes, rests, self.jitter))
    }
}

/// From 1 to what the word has room for.
fn count(wanted: u32) -> u16 {
    u16::try_from(wanted).unwrap_or(u16::MAX).max(1)
}
