//! Counts of everything, kept where nobody contends for them and added up when they are read.
//!
//! A thread counts in its own shard, plain integers behind a lock that nobody else takes but a scrape. A route, a limit
//! or an upstream is a number there, found once when a plan is made ([`Metrics::route`], [`Metrics::limit`],
//! [`Metrics::upstream`]); the same name has the same number after a reload. What has a state rather than a count (pools, breakers, the limit store) is not
//! kept twice: whoever scrapes brings it as [`Readings`].
//!
//! Labels are names from the configuration and words of closed sets, never what a client chose. After
//! [`Metrics::MAX_NAMES`] different names of one kind, new ones are counted together as `(other)`, and
//! `portcullis_series_folded_total` says how many those were.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use portcullis_core::Sharded;
use portcullis_core::time::{Clock, UnixTime};

use super::record::{CacheOutcome, Ending, Record};
use counts::Counts;
use names::Names;

mod counts;
mod encode;
mod names;
mod page;
mod readings;

pub(crate) use counts::AttemptOutcome;
pub(crate) use names::LimitSeries;
pub use names::{RouteSeries, UpstreamSeries};
pub(crate) use readings::{
    CacheReading, EndpointReading, KeysReading, NameReading, Readings, StoreReading, StoreState, UpstreamReading,
};

/// What the text that [`Metrics::encode`] makes is, for its `Content-Type`: OpenMetrics 1.0.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts of everything.
#[derive(Debug)]
pub(crate) struct Metrics {
    shards: Sharded<Counts>,
    limits: Names,
    routes: Names,
    upstreams: Names,
    process: Process,
}

/// Counts of what is rare, for the process as a whole.
#[derive(Debug, Default)]
struct Process {
    started: UnixTime,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    panics: AtomicU64,
    reloads_failed: AtomicU64,
    reloads_ok: AtomicU64,
    last_reload_failed: AtomicBool,
    config_loaded: AtomicU64,
    config_hash: AtomicU64,
}

impl Metrics {
    /// How many different names of routes, of limits, and of upstreams, have series of their own, as long as the process lives.
    pub(crate) const MAX_NAMES: usize = 4096;

    /// How many servers of one upstream have series of their own.
    pub(crate) const MAX_SERVERS: usize = 256;

    /// All at nought; `clock` says when the process began.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            shards: Sharded::new(Counts::default),
            limits: Names::default(),
            routes: Names::default(),
            upstreams: Names::default(),
            process: Process { started: clock.unix(), ..Process::default() },
        }
    }

    /// The series of the limit called `name`. For when a plan is made: it takes a lock.
    pub(crate) fn limit(&self, name: &str) -> LimitSeries {
        self.limits.find(name).into()
    }

    /// The series of the route called `name`. For when a plan is made: it takes a lock.
    pub(crate) fn route(&self, name: &str) -> Arc<RouteSeries> {
        self.routes.find(name).into()
    }

    /// The series of the upstream called `name`. For when a plan is made: it takes a lock.
    pub(crate) fn upstream(&self, name: &str) -> Arc<UpstreamSeries> {
        self.upstreams.find(name).into()
    }

    /// Counts a request that ended, `total` after its head was complete.
    pub(crate) fn finished(&self, record: &Record, total: Duration) {
        let mut counts = self.shards.mine();
        counts.endings.add(record.ending.code());
        let route = counts.route(record.route.as_deref());
        route.status(record.status());
        // How long a tunnel was open says nothing of how fast anything is.
        if record.status != Some(StatusCode::SWITCHING_PROTOCOLS) {
            route.durations.add(total);
        }
        route.bytes_received += record.bytes_received;
        route.bytes_sent += record.bytes_sent;
        if let Ending::Rejected(code) = record.ending {
            route.refusals.add(code);
        }
        if let Some(cache) = record.cache {
            route.cache.add(cache.code());
            if matches!(cache, CacheOutcome::Hit | CacheOutcome::Revalidated | CacheOutcome::Stale) {
                route.cache_bytes += record.bytes_sent;
            }
        }
        if let (Some(upstream), Some(until_head)) = (&record.upstream, record.until_head) {
            counts.upstream(upstream).until_head.add(until_head);
        }
    }

    /// Counts an answer that the cache let go of, because it had no room.
    pub(crate) fn cache_evicted(&self, route: &RouteSeries) {
        self.shards.mine().route(Some(route)).cache_evictions += 1;
    }

    /// Counts a request that a limit refused.
    pub(crate) fn limit_refused(&self, limit: &LimitSeries) {
        self.shards.mine().limit(limit).refused += 1;
    }

    /// Counts a request that a limit in shadow would have refused.
    pub(crate) fn limit_would_refuse(&self, limit: &LimitSeries) {
        self.shards.mine().limit(limit).would_refuse += 1;
    }

    /// Counts one attempt at an upstream.
    pub(crate) fn attempted(&self, upstream: &UpstreamSeries, outcome: AttemptOutcome) {
        self.shards.mine().upstream(upstream).attempt(outcome);
    }

    /// Counts a request that something else answers in the upstream's place.
    pub(crate) fn fell_back(&self, upstream: &UpstreamSeries) {
        self.shards.mine().upstream(upstream).fallbacks += 1;
    }

    /// Counts a request that is sent again.
    pub(crate) fn retried(&self, upstream: &UpstreamSeries) {
        self.shards.mine().upstream(upstream).retries += 1;
    }

    /// Counts one that would have been, if the budget had allowed it.
    pub(crate) fn retry_refused(&self, upstream: &UpstreamSeries) {
        self.shards.mine().upstream(upstream).retries_refused += 1;
    }

    /// Counts a connection that was accepted.
    pub(crate) fn connection_accepted(&self) {
        self.process.connections_accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was closed at once, because there were too many.
    pub(crate) fn connection_refused(&self) {
        self.process.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a panic that was caught.
    pub(crate) fn panicked(&self) {
        self.process.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a configuration that is in force since `at`, the first one too; `hash` tells it from others.
    pub(crate) fn reloaded(&self, hash: u64, at: UnixTime) {
        self.process.reloads_ok.fetch_add(1, Ordering::Relaxed);
        self.process.config_hash.store(hash, Ordering::Relaxed);
        self.process.config_loaded.store(at.as_secs(), Ordering::Relaxed);
        self.process.last_reload_failed.store(false, Ordering::Relaxed);
    }

    /// Counts a configuration that was not taken.
    pub(crate) fn reload_failed(&self) {
        self.process.reloads_failed.fetch_add(1, Ordering::Relaxed);
        self.process.last_reload_failed.store(true, Ordering::Relaxed);
    }

    /// Everything as OpenMetrics text ([`CONTENT_TYPE`]), with the states that `readings` brings.
    pub(crate) fn encode(&self, readings: Readings) -> String {
        let mut total = Counts::default();
        self.shards.for_each(|shard| total.merge(shard));
        encode::text(encode::Scrape::new(self, total, readings))
    }
}

#[cfg(test)]
mod tests;
