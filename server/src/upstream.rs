//! One upstream as it runs: its servers, breaker, bound and budget, and what requests at it come to.

use std::iter::Sum;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portcullis_core::Rejection;
use portcullis_core::plan::{self, BreakerSettings, Retries};
use portcullis_core::rejection::Fault;
use portcullis_core::time::Moment;
use portcullis_core::upstream::{Breaker, BreakerChange, Endpoint, OpenedBy, RetryBudget, Roster};

use crate::config::ResolverSettings;
use crate::forward::bound::Bound;
use crate::forward::idle;
use crate::forward::in_code::Service;
use crate::live::Ground;
use crate::observe::metrics::AttemptOutcome;
use crate::observe::{Metrics, UpstreamSeries};
use crate::servers::{Server, Servers, in_seconds};

/// An upstream with its pool, breaker and connections.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// How many requests it has at a time; none: as many as come.
    pub(crate) bound: Option<Arc<Bound>>,
    pub(crate) breaker: Breaker,
    breaker_settings: BreakerSettings,
    pub(crate) connect_timeout: Duration,
    pub(crate) name: Arc<str>,
    /// Statuses that the breaker counts as failures.
    pub(crate) on: Box<[StatusCode]>,
    /// Its servers, and which of them may be asked. The same one for as long as there is an upstream of this name.
    pub(crate) roster: Arc<Roster>,
    pub(crate) servers: Arc<Servers>,
    /// When a request is sent again.
    pub(crate) retries: Retries,
    /// How many of its requests may be retries.
    pub(crate) budget: RetryBudget,
    pub(crate) send_timeout: Duration,
    pub(crate) series: Arc<UpstreamSeries>,
    /// What is asked in place of servers, for one that is "in-code".
    pub(crate) service: Option<Service>,
    pub(crate) timeout: Duration,
}

/// By which share a breaker's rest may be longer, so that many gateways do not ask again at the same moment.
const JITTER: f64 = 0.1;

impl Upstream {
    pub(crate) fn new(
        spec: &plan::Upstream,
        old: Option<&Self>,
        resolver: &ResolverSettings,
        ground: Ground<'_>,
    ) -> Self {
        let servers = Servers::new(spec, old.map(|old| &old.servers), resolver, ground);
        if old.is_none() {
            // Without it they are swept as they are used.
            let _ = ground.background.handle().map(|runtime| runtime.spawn(idle::sweep(Arc::downgrade(&servers))));
        }
        // A breaker counts what its settings say; under other settings its count means nothing.
        let breaker = match old {
            Some(old) if old.breaker_settings == spec.breaker => old.breaker.clone(),
            _ => spec.breaker.breaker().jitter(JITTER).build(),
        };
        // What was counted holds under any share.
        let budget = match old {
            Some(old) => old.budget.clone().with_share(spec.retries.budget),
            None => RetryBudget::new(spec.retries.budget),
        };
        let bound = spec.max_connections.map(|most| match old.and_then(|old| old.bound.as_ref()) {
            Some(bound) => {
                bound.change(most, spec.max_pending);
                Arc::clone(bound)
            }
            None => Arc::new(Bound::new(most, spec.max_pending)),
        });
        Self {
            bound,
            breaker,
            budget,
            breaker_settings: spec.breaker.clone(),
            connect_timeout: spec.connect_timeout,
            name: Arc::clone(&spec.name),
            on: spec.breaker.on.clone(),
            retries: spec.retries.clone(),
            roster: Arc::clone(&servers.roster),
            servers,
            send_timeout: spec.send_timeout,
            series: ground.metrics.upstream(&spec.name),
            service: ground.brought.service(&spec.name),
            timeout: spec.timeout,
        }
    }

    /// Whether it has failed a request that came to this: no answer, or one with a status in `on`. What the client did is no failure.
    pub(crate) fn has_failed(&self, outcome: Result<StatusCode, &Rejection>) -> bool {
        match outcome {
            Ok(status) => self.on.contains(&status),
            Err(rejection) => rejection.fault() == Fault::Upstream,
        }
    }

    /// Counts an attempt that came to this.
    pub(crate) fn count(&self, outcome: Result<StatusCode, &Rejection>, metrics: &Metrics) {
        let outcome = match outcome {
            Ok(status) if self.on.contains(&status) => Some(AttemptOutcome::Status),
            Ok(_) => Some(AttemptOutcome::Answered),
            Err(rejection) => AttemptOutcome::of(rejection),
        };
        if let Some(outcome) = outcome {
            metrics.attempted(&self.series, outcome);
        }
    }

    /// Says in the log what its breaker has come to.
    pub(crate) fn tell(&self, change: BreakerChange) {
        let upstream = &*self.name;
        match change {
            BreakerChange::Closed => tracing::info!(upstream, "the upstream answers again: its breaker is closed"),
            BreakerChange::Opened { by, rest } => {
                let by = match by {
                    OpenedBy::Consecutive => "failures in a row",
                    OpenedBy::Probe => "a probe that failed",
                    OpenedBy::Ratio => "too many failures among the last requests",
                };
                tracing::warn!(upstream, by, rest = %in_seconds(rest), "the upstream is left alone: its breaker is open");
            }
        }
    }

    /// Takes note of an attempt at `endpoint` that came to this and `took` so long: who fails too often is left alone for a while.
    pub(crate) fn settle(
        &self,
        endpoint: &Endpoint,
        outcome: Result<StatusCode, &Rejection>,
        took: Duration,
        now: Moment,
    ) {
        let ok = match outcome {
            Ok(status) => !self.on.contains(&status),
            // What the client did says nothing of a server, nor does it that nobody knows where it is.
            Err(Rejection::NameNotFound | Rejection::NameTimeout) => return,
            Err(rejection) if AttemptOutcome::of(rejection).is_some() => false,
            Err(_) => return,
        };
        // Of one that did not answer in time it is the least that it takes.
        if matches!(outcome, Ok(_) | Err(Rejection::UpstreamTimeout)) {
            endpoint.observe(took, now);
        }
        self.roster.settle(endpoint, ok, now);
    }

    /// Idle connections of all its servers.
    pub(crate) fn idle(&self) -> usize {
        self.sum(|server, _| server.idle.len())
    }

    /// Connections opened, and how often one was used again.
    pub(crate) fn used(&self) -> (u64, u64) {
        self.servers.used()
    }

    /// Requests that wait until they may be sent.
    pub(crate) fn pending(&self) -> u64 {
        self.bound.as_ref().map_or(0, |bound| bound.used().1 as u64)
    }

    /// Requests in flight at all its servers.
    pub(crate) fn in_flight(&self) -> u64 {
        let in_code = self.service.as_ref().map_or(0, |service| u64::from(service.in_flight()));
        in_code + self.sum(|_, endpoint| u64::from(endpoint.in_flight()))
    }

    fn sum<T: Sum>(&self, of: impl Fn(&Server, &Endpoint) -> T) -> T {
        let endpoints = self.roster.endpoints();
        endpoints.iter().filter_map(|endpoint| Some(of(Server::of(endpoint)?, endpoint))).sum()
    }
}
