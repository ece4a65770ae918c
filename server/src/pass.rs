//! What one request found out on its way through the steps, and how that gets into its record.

use std::sync::Arc;

use http::{HeaderValue, Method, Version};
use portcullis_core::Rejection;
use portcullis_core::admit::{self, Admitted, Routed};
use portcullis_core::caching::CacheStatus;
use portcullis_core::headers::{Arrival, HeaderRules, RuledFields, Upgrade};
use portcullis_core::limit::Verdict;
use portcullis_core::plan::Route;

use crate::body::Tail;
use crate::cache::Changed;
use crate::connection::{Connection, Current};
use crate::forward::Trail;
use crate::forward::body::BodyFailure;
use crate::gateway::Chance;
use crate::inbound::Screened;
use crate::listen::h1::body::ClientBody;
use crate::live::Running;
use crate::observe::{AuthOutcome, Clip, LimitOutcome, LimitRecord};

/// What a request found out so far: told to the client in headers, and to the operator in the record.
#[derive(Debug)]
pub(crate) struct Pass<'p> {
    /// Where the request came from, as far as it is believed.
    pub(crate) arrival: Arrival,
    /// What the client is told of what the cache did.
    pub(crate) cache_status: Option<CacheStatus>,
    pub(crate) chance: Chance,
    /// What it may change, whatever its route. Boxed: most requests change nothing, and most gateways keep nothing.
    pub(crate) changed: Option<Box<Changed>>,
    pub(crate) connection: &'p Connection,
    /// The plan, for whoever goes on with it after this request.
    pub(crate) current: &'p Arc<Current>,
    pub(crate) running: &'p Running,
    /// What will ride on the response's body; boxed from the start, so that it is never moved about.
    pub(crate) tail: Box<Tail>,
    pub(crate) request_id: Option<HeaderValue>,
    /// The request's body, until somebody reads it.
    pub(crate) body: Option<ClientBody>,
    /// It is a gRPC call: a refusal has to be understood as one.
    pub(crate) is_grpc: bool,
    /// What a picker that keeps equal keys on one server goes by.
    pub(crate) key: Option<u64>,
    /// The connection ends after this answer: a part of the request is still on its way.
    pub(crate) is_last: bool,
    /// What the route does to the fields of its answer, with the values of this request.
    pub(crate) ruled: Option<(&'p HeaderRules, RuledFields)>,
    pub(crate) screened: Screened,
    /// The route, and what the store said of its limits.
    pub(crate) verdict: Option<(&'p Route, Verdict)>,
}

/// What stands in the log for the method of a head that could not be read.
pub(crate) fn unknown_method() -> Method {
    Method::from_bytes(b"-").unwrap_or_default()
}

impl<'p> Pass<'p> {
    /// At the beginning.
    pub(crate) fn new(
        connection: &'p Connection,
        current: &'p Arc<Current>,
        arrival: Arrival,
        (method, version): (Method, Version),
    ) -> Self {
        let mut record = current.observer.open(method, version);
        record.client = arrival.client;
        let tail = Box::new(Tail {
            exchange: None,
            flow: None,
            record,
            trail: Trail::default(),
            watch: Arc::clone(&connection.watch),
        });
        Self {
            arrival,
            cache_status: None,
            chance: connection.gateway.chance(),
            changed: None,
            connection,
            current,
            running: &current.running,
            tail,
            request_id: None,
            body: None,
            is_grpc: false,
            key: None,
            is_last: false,
            ruled: None,
            screened: Screened::default(),
            verdict: None,
        }
    }

    /// What of its upgrade an upstream is asked for: what its route allows. A request with a body asks for none, because what
    /// comes behind a 101 must not be taken for the rest of one; nor does one whose connection is somebody else's.
    pub(crate) fn upgrade(&self, route: &Route, method: &Method, has_no_body: bool) -> Option<Box<Upgrade>> {
        let asked = self.screened.upgrade.as_ref().filter(|_| has_no_body && !self.connection.is_handed_in)?;
        asked.among(&route.upgrade, method).map(Box::new)
    }

    /// Whether the client left while it was sending its body: nobody is there to be answered, and its leaving is what the
    /// record tells.
    pub(crate) fn client_is_gone(&self) -> bool {
        self.tail.flow.as_ref().is_some_and(|flow| flow.progress().failed == Some(BodyFailure::Gone))
    }

    pub(crate) fn note_route(&mut self, routed: &Routed<'p, '_>) {
        self.tail.record.host = Some(routed.host()).filter(|host| !host.is_empty()).map(Clip::new);
        self.tail.record.path = Some(Clip::new(routed.path().as_str()));
        self.tail.record.route = self.running.routes.get(routed.index().as_usize()).cloned();
    }

    pub(crate) fn note_admission(
        &mut self,
        routed: &Routed<'p, '_>,
        admitted: Result<Admitted<'p>, admit::Refused>,
    ) -> Result<Admitted<'p>, Rejection> {
        match admitted {
            Ok(admitted) => {
                self.tail.record.auth =
                    Some(if admitted.auth.is_some() { AuthOutcome::Accepted } else { AuthOutcome::NotAsked });
                self.tail.record.identity.clone_from(&admitted.identity);
                match admitted.verdict {
                    Some(verdict) => self.note_verdict(routed, verdict),
                    None => self.note_undecided(routed),
                }
                Ok(admitted)
            }
            Err(refused) => {
                self.note_refusal(routed, &refused);
                Err(refused.rejection)
            }
        }
    }

    fn note_refusal(&mut self, routed: &Routed<'p, '_>, refused: &admit::Refused) {
        self.tail.record.identity.clone_from(&refused.identity);
        match &refused.rejection {
            Rejection::InvalidToken { reason, .. } => {
                self.tail.record.auth = Some(AuthOutcome::Refused);
                self.tail.record.auth_reason = Some(reason);
            }
            Rejection::Limited { verdict, .. } => self.note_verdict(routed, *verdict),
            Rejection::MissingToken { .. } => self.tail.record.auth = Some(AuthOutcome::Refused),
            Rejection::StoreUnavailable => self.note_undecided(routed),
            Rejection::TooManyFailures { .. } => self.tail.record.auth = Some(AuthOutcome::Throttled),
            Rejection::VerifierUnavailable => self.tail.record.auth = Some(AuthOutcome::Unavailable),
            _ => {}
        }
    }

    /// What the store said: for the client's headers, the record and the counts. The record tells one limit: the one that
    /// refused, else one in shadow that would have, else the one that decided.
    fn note_verdict(&mut self, routed: &Routed<'p, '_>, verdict: Verdict) {
        let route = routed.route();
        self.verdict = Some((route, verdict));
        let (place, outcome) = match verdict.would_refuse.indices().next() {
            _ if !verdict.admitted => (verdict.decided, LimitOutcome::Refused),
            Some(place) => (place, LimitOutcome::WouldRefuse),
            None => (verdict.decided, LimitOutcome::Admitted),
        };
        self.tail.record.limit = route.limits.rules.get(place).map(|rule| LimitRecord {
            name: Arc::clone(rule.shared_name()),
            outcome,
            remaining: (outcome != LimitOutcome::WouldRefuse).then_some(verdict.remaining),
            alone: verdict.alone,
        });
        self.count_refusals(routed, &verdict);
    }

    /// The limits of a route that has any were not decided.
    fn note_undecided(&mut self, routed: &Routed<'p, '_>) {
        self.tail.record.limit = routed.route().limits.rules.first().map(|rule| LimitRecord {
            name: Arc::clone(rule.shared_name()),
            outcome: LimitOutcome::StoreLost,
            remaining: None,
            alone: false,
        });
    }

    fn count_refusals(&self, routed: &Routed<'p, '_>, verdict: &Verdict) {
        let Some(series) = self.running.limits.get(routed.index().as_usize()) else { return };
        let metrics = self.connection.gateway.metrics();
        if !verdict.admitted
            && let Some(limit) = series.get(verdict.decided)
        {
            metrics.limit_refused(limit);
        }
        for limit in verdict.would_refuse.indices().filter_map(|place| series.get(place)) {
            metrics.limit_would_refuse(limit);
        }
    }
}
