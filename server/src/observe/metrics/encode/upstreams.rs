//! What the page says of upstreams, their servers and the names of these.

use std::fmt;

use prometheus_client::registry::Unit;

use super::super::counts::FAILURES;
use super::super::page::Page;
use super::super::readings::{EndpointReading, UpstreamReading};
use super::Scrape;
use crate::observe::record::BreakerState;

impl Scrape {
    pub(super) fn upstreams(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let upstreams = || self.upstreams.iter().map(|(name, counts)| (("upstream", &**name), counts));
        page.counters(
            ("portcullis_upstream_attempts", "Attempts at an upstream, retries included", None),
            upstreams().map(|(upstream, counts)| ([upstream], counts.attempts)),
        )?;
        page.counters(
            ("portcullis_upstream_failures", "Attempts at an upstream that failed, by kind", None),
            upstreams().flat_map(|(upstream, counts)| {
                let failures = FAILURES.into_iter().zip(counts.failures);
                failures.map(move |(kind, count)| ([upstream, ("kind", kind)], count))
            }),
        )?;
        page.counters(
            ("portcullis_upstream_fallbacks", "Requests that something else answered in an upstream's place", None),
            upstreams().map(|(upstream, counts)| ([upstream], counts.fallbacks)),
        )?;
        page.counters(
            ("portcullis_upstream_retries", "Requests that were sent to an upstream again", None),
            upstreams().map(|(upstream, counts)| ([upstream], counts.retries)),
        )?;
        page.counters(
            ("portcullis_upstream_retries_refused", "Requests not sent again because the budget was used up", None),
            upstreams().map(|(upstream, counts)| ([upstream], counts.retries_refused)),
        )?;
        page.histograms(
            (
                "portcullis_upstream_head",
                "From the start of the last attempt to its complete response head",
                &Unit::Seconds,
            ),
            upstreams().map(|(upstream, counts)| ([upstream], &counts.until_head)),
        )
    }

    pub(super) fn upstream_states(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let states = || self.readings.upstreams.iter();
        let one =
            |read: fn(&UpstreamReading) -> u64| states().map(move |state| ([("upstream", &*state.name)], read(state)));
        page.gauges(
            ("portcullis_upstream_in_flight", "Attempts at an upstream that run now", None),
            one(|state| state.in_flight),
        )?;
        page.gauges(
            ("portcullis_upstream_pending", "Requests that wait until they may be sent to an upstream", None),
            one(|state| state.pending),
        )?;
        page.gauges(
            ("portcullis_upstream_breaker", "The state of an upstream's breaker: 1 at the one it is in", None),
            states().filter_map(|state| Some((state, state.breaker?))).flat_map(|(state, now)| {
                let label = move |one: BreakerState| [("upstream", &*state.name), ("state", one.code())];
                BreakerState::ALL.map(|one| (label(one), u64::from(one == now)))
            }),
        )?;
        page.counters(
            ("portcullis_upstream_breaker_opened", "Times that an upstream's breaker opened", None),
            one(|state| state.breaker_opened),
        )?;
        page.counters(
            ("portcullis_upstream_breaker_reopened", "Of these, those by a probe that failed", None),
            one(|state| state.breaker_reopened),
        )?;
        page.counters(
            ("portcullis_upstream_connections_opened", "Connections opened to an upstream", None),
            one(|state| state.connections_opened),
        )?;
        page.counters(
            ("portcullis_upstream_connections_reused", "Attempts that found an open connection", None),
            one(|state| state.connections_reused),
        )?;
        page.gauges(
            ("portcullis_upstream_connections_idle", "Connections to an upstream that are kept for later", None),
            one(|state| state.connections_idle),
        )
    }

    /// For each server of each upstream, as many as are told apart.
    pub(super) fn endpoint_states(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let states = || self.readings.upstreams.iter();
        page.gauges(
            ("portcullis_upstream_panicking", "Whether health is ignored, because too few servers are healthy", None),
            states().map(|state| ([("upstream", &*state.name)], u64::from(state.panicking))),
        )?;
        page.gauges(
            ("portcullis_upstream_endpoints", "Servers of an upstream, each address of a name one", None),
            states().map(|state| ([("upstream", &*state.name)], state.endpoint_count)),
        )?;
        let one = |read: fn(&EndpointReading) -> u64| {
            states().flat_map(move |state| {
                let servers = state.endpoints.iter();
                servers.map(move |server| ([("upstream", &*state.name), ("server", &*server.name)], read(server)))
            })
        };
        page.gauges(("portcullis_server_asked", "Whether a server may be asked", None), one(|of| of.asked.into()))?;
        page.gauges(
            ("portcullis_server_ejected", "Whether a server rests, because it failed", None),
            one(|of| of.ejected.into()),
        )?;
        page.gauges(
            ("portcullis_server_healthy", "Whether a server is healthy by its checks", None),
            one(|of| of.healthy.into()),
        )?;
        page.gauges(
            ("portcullis_server_in_flight", "Attempts at a server that run now", None),
            one(|of| of.in_flight),
        )?;
        page.counters(
            ("portcullis_server_ejections", "Times that a server was ejected", None),
            one(|of| of.ejections),
        )?;
        page.counters(
            ("portcullis_server_checks", "Checks of a server's health, by result", None),
            states().flat_map(|state| {
                state.endpoints.iter().flat_map(move |server| {
                    let label = |result| [("upstream", &*state.name), ("server", &*server.name), ("result", result)];
                    [(label("failed"), server.checks_failed), (label("ok"), server.checks_passed)]
                })
            }),
        )
    }

    /// For each name that is looked up.
    pub(super) fn names(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let names = || self.readings.names.iter();
        page.gauges(
            ("portcullis_name_addresses", "Addresses that the name of a server stands for", None),
            names().map(|name| ([("server", &*name.server)], name.addresses)),
        )?;
        page.gauges(
            ("portcullis_name_stale", "Whether look-ups of a name fail, so that what was found before goes on", None),
            names().map(|name| ([("server", &*name.server)], u64::from(name.stale))),
        )?;
        page.counters(
            ("portcullis_name_lookups", "Look-ups of the name of a server, by result", None),
            names().flat_map(|name| {
                let label = |result| [("server", &*name.server), ("result", result)];
                [(label("failed"), name.failed), (label("ok"), name.found)]
            }),
        )
    }
}
