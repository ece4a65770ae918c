//! How much in which period, and the bounds within which that is counted.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::nanos;

/// The shortest period: clocks and networks are no finer.
pub const MIN_PERIOD: Duration = Duration::from_millis(1);
/// The longest period: a leap year.
pub const MAX_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The longest time in which an empty bucket may take to fill: 2^60 nanoseconds, 36 years. With it no sum of times in the
/// arithmetic can leave 64 bits before the year 2262.
const MAX_FILL_NANOS: u64 = 1 << 60;

/// The most that a sliding log may count in a period: it remembers each of them.
pub const MAX_LOG: u32 = 1_000;

/// How a quota is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// So many in each period, counted from the Unix epoch (UTC). Simple to explain, but at the edge of two windows twice
    /// the count passes.
    FixedWindow,
    /// So many in any period, exactly: each is remembered for a period. At most [`MAX_LOG`], and 8 bytes for each.
    SlidingLog,
    /// Two fixed windows: the current one counts whole, the one before it by the share of it that is less than a period ago.
    /// At an edge nothing is doubled.
    SlidingWindow,
    /// A bucket of `burst` that refills evenly at `count` in a period (the generic cell rate algorithm): the default.
    #[default]
    TokenBucket,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are told: the default first.
    pub const ALL: [Self; 4] = [Self::TokenBucket, Self::FixedWindow, Self::SlidingWindow, Self::SlidingLog];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixedWindow => "fixed-window",
            Self::SlidingLog => "sliding-log",
            Self::SlidingWindow => "sliding-window",
            Self::TokenBucket => "token-bucket",
        }
    }
}

/// How much in which period, counted how.
///
/// The fields are what was configured; stores count by the methods, which hold the numbers within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many in a period.
    pub count: NonZeroU32,
    /// The period; counted as at least [`MIN_PERIOD`] and at most [`MAX_PERIOD`].
    pub period: Duration,
    /// Token bucket: what can be spent at once. No meaning for the others.
    pub burst: NonZeroU32,
    /// How it is counted.
    pub algorithm: Algorithm,
}

impl Quota {
    /// The most that can be spent at once, and the limit that headers show: the burst of a token bucket (as much of it as
    /// refills within 36 years), the count of a window, the count of a log up to [`MAX_LOG`].
    pub fn limit(&self) -> u32 {
        match self.algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingWindow => self.count.get(),
            Algorithm::SlidingLog => self.count.get().min(MAX_LOG),
            Algorithm::TokenBucket => u32::try_from(MAX_FILL_NANOS / self.interval_nanos())
                .map_or(self.burst.get(), |most| most.min(self.burst.get())),
        }
    }

    /// How long one of `count` takes to come back into a token bucket: the period divided by the count, rounded up to a
    /// whole nanosecond, so that rounding never admits more.
    ///
    /// Up to a million a second the rounding costs a tenth of a percent at most.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_nanos())
    }

    /// How long a limit that is used up takes to be whole, at most: a bucket to fill, a window to pass; two of them where
    /// the one before counts too.
    pub fn whole_after(&self) -> Duration {
        Duration::from_nanos(match self.algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingLog => self.period_nanos(),
            Algorithm::SlidingWindow => 2 * self.period_nanos(),
            Algorithm::TokenBucket => self.fill_nanos(),
        })
    }

    /// The time that [`limit`](Self::limit) is for, as headers show it: the period, or what an empty bucket takes to fill.
    pub fn window(&self) -> Duration {
        Duration::from_nanos(match self.algorithm {
            Algorithm::TokenBucket => self.fill_nanos(),
            _ => self.period_nanos(),
        })
    }

    pub(super) fn period_nanos(&self) -> u64 {
        nanos(self.period).clamp(nanos(MIN_PERIOD), nanos(MAX_PERIOD))
    }

    pub(super) fn interval_nanos(&self) -> u64 {
        // At least 1: a period is at least a million nanoseconds, and the division rounds up.
        self.period_nanos().div_ceil(u64::from(self.count.get()))
    }

    /// At most [`MAX_FILL_NANOS`], because `limit` is.
    pub(super) fn fill_nanos(&self) -> u64 {
        self.interval_nanos().saturating_mul(u64::from(self.limit()))
    }
}
