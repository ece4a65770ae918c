//! `/api/upstreams`: every upstream of the plan in force and how each of its servers stands.

use std::time::Duration;

use portcullis_core::time::Moment;
use portcullis_core::upstream::{EndpointStanding, EndpointState};
use serde_json::{Value, json};

use super::breaker;
use crate::gateway::State;
use crate::servers::Server;
use crate::upstream::Upstream;

/// As JSON.
pub(super) fn json(gateway: &State) -> String {
    let (running, now) = (gateway.running(), gateway.clock().now());
    let upstreams: Vec<_> = running.upstreams.iter().map(|upstream| one(upstream, now)).collect();
    json!({ "upstreams": upstreams }).to_string()
}

fn one(upstream: &Upstream, now: Moment) -> Value {
    let state = upstream.roster.state_at(now);
    let servers: Vec<_> = state.endpoints.iter().map(|of| server(of, now)).collect();
    json!({
        "name": &*upstream.name,
        "breaker": breaker(upstream.breaker.state(now)).code(),
        "in_flight": upstream.in_flight(),
        "pending": upstream.pending(),
        "panicking": state.panicking,
        "servers": servers,
    })
}

fn server(of: &EndpointState, now: Moment) -> Value {
    let rest = match of.standing {
        EndpointStanding::Ejected { rest } => Some(millis(rest)),
        _ => None,
    };
    let share = match of.standing {
        EndpointStanding::Warming { share } => Some(share),
        _ => None,
    };
    json!({
        "url": of.endpoint.url().to_string(),
        "address": of.endpoint.address().map(|address| address.to_string()),
        "weight": of.weight,
        "state": of.standing.code(),
        "asked": of.asked,
        "rest_left_ms": rest,
        "warming_share": share,
        "in_flight": of.endpoint.in_flight(),
        "failures": of.endpoint.failures(),
        "latency_ms": of.endpoint.latency(now).map(millis),
        "ejections": of.ejections,
        "checks": { "ok": of.checks_passed, "failed": of.checks_failed },
        "last_check_error": Server::of(&of.endpoint).and_then(Server::ailment),
    })
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
