//! When an upstream is left alone.

use std::num::NonZeroU32;
use std::time::Duration;

use http::StatusCode;

use crate::upstream::{Breaker, BreakerBuilder};

/// When an upstream is left alone, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSettings {
    /// What opens it.
    pub opens: Opens,
    /// Statuses that count as failures, beside no answer at all.
    pub on: Box<[StatusCode]>,
    /// So many requests at a time try it out after that.
    pub probes: NonZeroU32,
    /// It rests for so long, the first time.
    pub recovery: Duration,
    /// What the rests of a row grow up to.
    pub max_recovery: Duration,
}

/// What opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opens {
    /// So many failures in a row.
    Consecutive(NonZeroU32),
    /// A share of the last requests.
    Ratio {
        /// Which share, of 1.
        ratio: f64,
        /// Of at least so many.
        minimum: u32,
        /// Within so long.
        window: Duration,
    },
}

impl BreakerSettings {
    /// What makes the breaker, without jitter.
    pub fn breaker(&self) -> BreakerBuilder {
        let opens = match self.opens {
            Opens::Consecutive(failures) => Breaker::consecutive(failures.get()),
            Opens::Ratio { ratio, minimum, window } => Breaker::failure_ratio(ratio).minimum(minimum).window(window),
        };
        opens.probes(self.probes.get()).recovery(self.recovery).max_recovery(self.max_recovery)
    }
}
