//! The only file that reads a clock.
//!
//! Decisions take their time as an argument; whoever calls them holds a [`Clock`]. There are two kinds of time.
//! A [`Moment`] never goes back and is what limits and breakers are counted in. A [`UnixTime`] is what the wall
//! clock says, may be set back by an administrator, and is what a token's `exp` is compared with.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in monotonic time: nanoseconds since the Unix epoch as the wall clock stood when the [`Clock`] was made,
/// carried on by the monotonic clock. Stepping the wall clock does not move it, so nobody gets a burst or a
/// lock-out from that; windows aligned to the epoch (UTC) can still be read from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at the end of time (the year 2554).
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

/// Whole seconds since the Unix epoch by the wall clock: the unit of `exp` and `nbf` (RFC 7519, section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

/// Tells the time: the machine's ([`Clock::system`]), or what a test says ([`Clock::manual`]). Cheap to clone; clones
/// agree.
#[derive(Clone, Debug)]
pub struct Clock(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Manual(Arc<AtomicU64>),
    System { started: Instant, epoch_nanos: u64 },
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn system() -> Self {
        // Before 1970 only on a machine without a clock; zero is as good as anything there.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Inner::System { started: Instant::now(), epoch_nanos: nanos(wall) })
    }

    /// A clock that stands at `start` until its [`ManualClock`] moves it: for tests.
    pub fn manual(start: UnixTime) -> (Self, ManualClock) {
        let nanos = Arc::new(AtomicU64::new(start.0.saturating_mul(1_000_000_000)));
        (Self(Inner::Manual(Arc::clone(&nanos))), ManualClock(nanos))
    }

    /// The monotonic time.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Inner::Manual(at) => Moment(at.load(Ordering::Acquire)),
            Inner::System { started, epoch_nanos } => {
                Moment(epoch_nanos.saturating_add(nanos(Instant::now().saturating_duration_since(*started))))
            }
        }
    }

    /// The wall clock's time.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn unix(&self) -> UnixTime {
        match &self.0 {
            Inner::Manual(at) => UnixTime(at.load(Ordering::Acquire) / 1_000_000_000),
            Inner::System { .. } => {
                UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// Moves a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanos(by), Ordering::AcqRel);
    }
}

/// Measures how long our own work takes, for reports. No decision depends on it, so no test has to move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub(crate) fn started() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Nanoseconds that fit 64 bits: 584 years, and the end of time beyond.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
