//! What one thread counted.

use std::time::Duration;

use portcullis_core::Rejection;

use super::names::{LimitSeries, NONE, RouteSeries, Series, UpstreamSeries};

/// What one thread counted: plain integers, by number of route, limit and upstream, as far as the thread met them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) limits: Vec<LimitCounts>,
    pub(super) routes: Vec<RouteCounts>,
    pub(super) upstreams: Vec<UpstreamCounts>,
    pub(super) endings: Tally,
}

impl Counts {
    pub(super) fn limit(&mut self, limit: &LimitSeries) -> &mut LimitCounts {
        place(&mut self.limits, Some(&limit.0))
    }

    pub(super) fn route(&mut self, route: Option<&RouteSeries>) -> &mut RouteCounts {
        place(&mut self.routes, route.map(|route| &route.0))
    }

    pub(super) fn upstream(&mut self, upstream: &UpstreamSeries) -> &mut UpstreamCounts {
        place(&mut self.upstreams, Some(&upstream.0))
    }

    /// Adds what another thread counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.endings.merge(&other.endings);
        grow(&mut self.limits, other.limits.len());
        self.limits.iter_mut().zip(&other.limits).for_each(|(mine, other)| mine.merge(other));
        grow(&mut self.routes, other.routes.len());
        self.routes.iter_mut().zip(&other.routes).for_each(|(mine, other)| mine.merge(other));
        grow(&mut self.upstreams, other.upstreams.len());
        self.upstreams.iter_mut().zip(&other.upstreams).for_each(|(mine, other)| mine.merge(other));
    }
}

#[expect(clippy::indexing_slicing, reason = "it was made long enough the line before")]
fn place<'a, T: Default>(all: &'a mut Vec<T>, series: Option<&Series>) -> &'a mut T {
    let index = series.map_or(NONE, |series| series.index);
    grow(all, index + 1);
    &mut all[index]
}

fn grow<T: Default>(all: &mut Vec<T>, len: usize) {
    if all.len() < len {
        all.resize_with(len, T::default);
    }
}

/// What one limit refused.
#[derive(Debug, Default)]
pub(super) struct LimitCounts {
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

impl LimitCounts {
    fn merge(&mut self, other: &Self) {
        self.refused += other.refused;
        self.would_refuse += other.would_refuse;
    }
}

/// What became of one route's requests.
#[derive(Debug, Default)]
pub(super) struct RouteCounts {
    pub(super) statuses: [u64; CLASSES.len()],
    pub(super) durations: Histogram,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) refusals: Tally,
    pub(super) cache: Tally,
    pub(super) cache_bytes: u64,
    pub(super) cache_evictions: u64,
}

/// The classes of statuses (RFC 9110, section 15).
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl RouteCounts {
    /// Counts a status in its class; one beyond the known classes (600 to 999) as a failure of the server.
    pub(super) fn status(&mut self, status: u16) {
        let [first, second, third, fourth, fifth] = &mut self.statuses;
        *match status {
            ..200 => first,
            200..300 => second,
            300..400 => third,
            400..500 => fourth,
            500.. => fifth,
        } += 1;
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.statuses, &other.statuses);
        self.durations.merge(&other.durations);
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.refusals.merge(&other.refusals);
        self.cache.merge(&other.cache);
        self.cache_bytes += other.cache_bytes;
        self.cache_evictions += other.cache_evictions;
    }
}

/// How an attempt at an upstream went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum AttemptOutcome {
    /// There was an answer, and it does not count as a failure.
    Answered,
    /// There was no connection.
    Connect,
    /// There was a connection, and it broke before a complete head, or what came was not HTTP.
    Reset,
    /// There was an answer with a status that counts as a failure.
    Status,
    /// There was no answer in time.
    Timeout,
}

impl AttemptOutcome {
    /// How an attempt counts that ended without an answer; none when nothing was attempted, or when it was the client's doing.
    pub(crate) const fn of(rejection: &Rejection) -> Option<Self> {
        match rejection {
            Rejection::ConnectFailed | Rejection::ConnectTimeout | Rejection::NameNotFound | Rejection::NameTimeout => {
                Some(Self::Connect)
            }
            Rejection::UpstreamReset | Rejection::UpstreamInvalid => Some(Self::Reset),
            Rejection::UpstreamTimeout => Some(Self::Timeout),
            _ => None,
        }
    }
}

/// What became of the attempts at one upstream.
#[derive(Debug, Default)]
pub(super) struct UpstreamCounts {
    pub(super) attempts: u64,
    /// By [`FAILURES`].
    pub(super) failures: [u64; FAILURES.len()],
    pub(super) fallbacks: u64,
    pub(super) retries: u64,
    pub(super) retries_refused: u64,
    pub(super) until_head: Histogram,
}

/// The kinds of failure.
pub(super) const FAILURES: [&str; 4] = ["connect", "reset", "status", "timeout"];

impl UpstreamCounts {
    pub(super) fn attempt(&mut self, outcome: AttemptOutcome) {
        self.attempts += 1;
        let [connect, reset, status, timeout] = &mut self.failures;
        *match outcome {
            AttemptOutcome::Answered => return,
            AttemptOutcome::Connect => connect,
            AttemptOutcome::Reset => reset,
            AttemptOutcome::Status => status,
            AttemptOutcome::Timeout => timeout,
        } += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        add(&mut self.failures, &other.failures);
        self.fallbacks += other.fallbacks;
        self.retries += other.retries;
        self.retries_refused += other.retries_refused;
        self.until_head.merge(&other.until_head);
    }
}

/// Durations by size.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// By [`BOUNDS`]; those that are longer than all of them.
    within: [u64; BOUNDS.len()],
    longer: u64,
    nanos: u64,
}

/// The buckets' upper bounds, each of which belongs to its bucket: seconds as they are shown, nanoseconds as they are
/// compared.
const BOUNDS: [(f64, u64); 14] = [
    (0.001, 1_000_000),
    (0.0025, 2_500_000),
    (0.005, 5_000_000),
    (0.01, 10_000_000),
    (0.025, 25_000_000),
    (0.05, 50_000_000),
    (0.1, 100_000_000),
    (0.25, 250_000_000),
    (0.5, 500_000_000),
    (1.0, 1_000_000_000),
    (2.5, 2_500_000_000),
    (5.0, 5_000_000_000),
    (10.0, 10_000_000_000),
    (30.0, 30_000_000_000),
];

impl Histogram {
    pub(super) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(_, bound)| nanos <= *bound);
        *bucket.and_then(|bucket| self.within.get_mut(bucket)).unwrap_or(&mut self.longer) += 1;
        self.nanos = self.nanos.saturating_add(nanos);
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.within, &other.within);
        self.longer += other.longer;
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    pub(super) fn count(&self) -> u64 {
        self.within.iter().sum::<u64>() + self.longer
    }

    #[expect(clippy::cast_precision_loss, reason = "a double holds a hundred days of nanoseconds exactly")]
    pub(super) fn seconds(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// Each bucket's bound in seconds and its own count, the last one without a bound.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let within = BOUNDS.iter().zip(&self.within).map(|((bound, _), count)| (*bound, *count));
        within.chain([(f64::INFINITY, self.longer)]).collect()
    }
}

/// Counts by words of the program's own, of which there are few: found by looking at each.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(&'static str, u64)>);

impl Tally {
    pub(super) fn add(&mut self, word: &'static str) {
        self.add_many(word, 1);
    }

    fn add_many(&mut self, word: &'static str, many: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += many,
            None => self.0.push((word, many)),
        }
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(word, many)| self.add_many(word, *many));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}

fn add<const N: usize>(mine: &mut [u64; N], other: &[u64; N]) {
    mine.iter_mut().zip(other).for_each(|(mine, other)| *mine += other);
}
