//! What is shown, under which names: counts and readings as families of metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::{Registry, Unit};

mod cache;
mod store;
mod upstreams;

use super::Metrics;
use super::counts::{CLASSES, Counts, LimitCounts, RouteCounts, UpstreamCounts};
use super::page::Page;
use super::readings::Readings;
use crate::observe::record::LimitOutcome;

/// Everything that one scrape shows.
#[derive(Debug)]
pub(super) struct Scrape {
    limits: Vec<(Arc<str>, LimitCounts)>,
    routes: Vec<(Arc<str>, RouteCounts)>,
    upstreams: Vec<(Arc<str>, UpstreamCounts)>,
    endings: Vec<(&'static str, u64)>,
    process: Process,
    readings: Readings,
}

#[derive(Debug)]
struct Process {
    started: u64,
    connections_accepted: u64,
    connections_refused: u64,
    panics: u64,
    reloads: [(&'static str, u64); 2],
    last_reload_ok: u64,
    config_loaded: u64,
    config_hash: u64,
    folded: u64,
}

impl Scrape {
    pub(super) fn new(metrics: &Metrics, mut counts: Counts, readings: Readings) -> Self {
        let (routes, upstreams) = (metrics.routes.labels(), metrics.upstreams.labels());
        let limits = metrics.limits.labels();
        counts.limits.resize_with(limits.len(), LimitCounts::default);
        counts.routes.resize_with(routes.len(), RouteCounts::default);
        counts.upstreams.resize_with(upstreams.len(), UpstreamCounts::default);
        let process = &metrics.process;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            routes: routes.into_iter().zip(counts.routes).collect(),
            // An attempt always has an upstream, and a refusal of a limit the limit.
            limits: limits.into_iter().zip(counts.limits).skip(1).collect(),
            upstreams: upstreams.into_iter().zip(counts.upstreams).skip(1).collect(),
            endings: counts.endings.iter().collect(),
            process: Process {
                started: process.started.as_secs(),
                connections_accepted: read(&process.connections_accepted),
                connections_refused: read(&process.connections_refused),
                panics: read(&process.panics),
                reloads: [("failed", read(&process.reloads_failed)), ("ok", read(&process.reloads_ok))],
                last_reload_ok: (!process.last_reload_failed.load(Ordering::Relaxed)).into(),
                config_loaded: read(&process.config_loaded),
                config_hash: read(&process.config_hash),
                folded: metrics.limits.folded() + metrics.routes.folded() + metrics.upstreams.folded(),
            },
            readings,
        }
    }
}

/// The text, its end mark included.
pub(super) fn text(scrape: Scrape) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut text, &registry);
    text
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(&mut encoder);
        self.routes(page)?;
        self.limits(page)?;
        self.upstreams(page)?;
        self.upstream_states(page)?;
        self.endpoint_states(page)?;
        self.names(page)?;
        self.keys(page)?;
        self.store(page)?;
        self.cache(page)?;
        self.process(page)
    }
}

impl Scrape {
    fn routes(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let routes = || self.routes.iter().map(|(name, counts)| (("route", &**name), counts));
        page.counters(
            ("portcullis_requests", "Requests that ended, by route and class of status", None),
            routes().flat_map(|(route, counts)| {
                let statuses = CLASSES.into_iter().zip(counts.statuses);
                statuses.map(move |(class, count)| ([route, ("status", class)], count))
            }),
        )?;
        page.histograms(
            (
                "portcullis_request_duration",
                "From a request's complete head to the end of its response, but for tunnels",
                &Unit::Seconds,
            ),
            routes().map(|(route, counts)| ([route], &counts.durations)),
        )?;
        page.counters(
            ("portcullis_refusals", "Requests that the gateway refused, by route and the refusal's code", None),
            routes().flat_map(|(route, counts)| {
                counts.refusals.iter().map(move |(code, count)| ([route, ("code", code)], count))
            }),
        )?;
        page.counters(
            ("portcullis_request_body", "Bytes of requests' bodies that arrived, by route", Some(&Unit::Bytes)),
            routes().map(|(route, counts)| ([route], counts.bytes_received)),
        )?;
        page.counters(
            ("portcullis_response_body", "Bytes of responses' bodies that were sent, by route", Some(&Unit::Bytes)),
            routes().map(|(route, counts)| ([route], counts.bytes_sent)),
        )?;
        page.counters(
            ("portcullis_endings", "Requests by why they ended", None),
            self.endings.iter().map(|(ending, count)| ([("ending", *ending)], *count)),
        )
    }

    /// Both outcomes of each limit, though a limit has but one mode: a reload may change it.
    fn limits(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        page.counters(
            ("portcullis_limit_refusals", "Requests that a limit refused, or in shadow would have", None),
            self.limits.iter().flat_map(|(name, counts)| {
                let label = |outcome: LimitOutcome| [("limit", &**name), ("outcome", outcome.code())];
                [
                    (label(LimitOutcome::Refused), counts.refused),
                    (label(LimitOutcome::WouldRefuse), counts.would_refuse),
                ]
            }),
        )
    }

    fn keys(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let keys = || self.readings.keys.iter();
        page.gauges(
            ("portcullis_verifier_keys", "Keys in force of a verifier that fetches them", None),
            keys().map(|keys| ([("verifier", &*keys.name)], keys.keys)),
        )?;
        page.counters(
            ("portcullis_verifier_key_fetches", "Fetches of a verifier's keys, by result", None),
            keys().flat_map(|keys| {
                let label = |result| [("verifier", &*keys.name), ("result", result)];
                [(label("failed"), keys.failed), (label("ok"), keys.fetched)]
            }),
        )?;
        page.gauges(
            ("portcullis_verifier_keys_fetched_timestamp", "When a verifier's keys came last", Some(&Unit::Seconds)),
            keys().filter_map(|keys| Some(([("verifier", &*keys.name)], keys.last_fetched?))),
        )
    }

    fn process(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let (process, readings) = (&self.process, &self.readings);
        page.gauge("portcullis_connections_open", "Client connections that are open", None, readings.connections_open)?;
        page.gauge(
            "portcullis_tunnels_open",
            "Client connections that were upgraded and are open",
            None,
            readings.tunnels_open,
        )?;
        page.counter("portcullis_connections_accepted", "Client connections accepted", process.connections_accepted)?;
        page.counter(
            "portcullis_connections_refused",
            "Client connections closed at once because there were too many",
            process.connections_refused,
        )?;
        page.counter("portcullis_access_log_dropped", "Access-log lines lost", readings.access_log_dropped)?;
        page.gauge("portcullis_limit_keys", "Keys that the limit store holds", None, readings.limit_keys)?;
        page.counter(
            "portcullis_limit_overflowed",
            "Charges that found the limit store full",
            readings.limit_overflowed,
        )?;
        page.counters(
            ("portcullis_reloads", "Configurations read, the first one included", None),
            process.reloads.into_iter().map(|(result, count)| ([("result", result)], count)),
        )?;
        page.gauge(
            "portcullis_reload_last_ok",
            "Whether the configuration that was read last is in force: 1, or 0 where an older one still is",
            None,
            process.last_reload_ok,
        )?;
        page.gauge(
            "portcullis_config_loaded_timestamp",
            "When the configuration in force was read",
            Some(&Unit::Seconds),
            process.config_loaded,
        )?;
        page.gauge(
            "portcullis_plans",
            "Configurations in memory: the one in force, and older ones that connections still have",
            None,
            readings.plans,
        )?;
        let hash = format!("{:016x}", process.config_hash);
        page.info("portcullis_config", "The configuration in force", &[("hash", &hash)])?;
        page.counter("portcullis_panics", "Panics caught; each ended one request", process.panics)?;
        page.counter(
            "portcullis_series_folded",
            "Names that came when there were too many to have series of their own",
            process.folded,
        )?;
        page.gauge("process_start_time", "When the process began", Some(&Unit::Seconds), process.started)?;
        page.info("portcullis_build", "The program", &[("version", env!("CARGO_PKG_VERSION"))])
    }
}
