//! The pipeline: one request, read top to bottom. Its eight steps are route, authenticate, limit, look up, pick, forward,
//! store, finish. (Look up and store wait for the cache; finish rides on the body, see [`crate::body`].)

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use portcullis_core::Rejection;
use portcullis_core::admit::{self, Admitted, Head, Routed};
use portcullis_core::headers::{Arrival, HeaderRules, Proto, RuledFields};
use portcullis_core::limit::Verdict;
use portcullis_core::plan::{Route, UpstreamIndex};
use tokio::time::Instant;

use crate::body::{Body, Tail};
use crate::forward::body::{BodyFailure, RequestBody};
use crate::forward::{Answered, Outbound, Trail, forward};
use crate::gateway::Connection;
use crate::inbound::{self, Screened};
use crate::live::{Running, Upstream};
use crate::observe::metrics::AttemptOutcome;
use crate::observe::{AuthOutcome, Clip, LimitOutcome, LimitRecord};
use crate::outbound::{self, Change};
use crate::respond;
use crate::target::{self, Next, Own};

/// What a request found out so far: told to the client in headers, and to the operator in the record.
#[derive(Debug)]
pub(crate) struct Pass<'p> {
    /// Where the request came from, as far as it is believed.
    pub(crate) arrival: Arrival,
    pub(crate) connection: &'p Connection,
    pub(crate) running: &'p Running,
    /// What will ride on the response's body; boxed from the start, so that it is never moved about.
    pub(crate) tail: Box<Tail>,
    pub(crate) request_id: Option<HeaderValue>,
    /// The request's body, until somebody reads it.
    body: Option<Incoming>,
    /// The connection ends after this answer: a part of the request is still on its way.
    pub(crate) is_last: bool,
    /// What the route does to the fields of its answer, with the values of this request.
    pub(crate) ruled: Option<(&'p HeaderRules, RuledFields)>,
    pub(crate) screened: Screened,
    /// The route, and what the store said of its limits.
    pub(crate) verdict: Option<(&'p Route, Verdict)>,
}

/// What a request that is let through is answered with.
#[derive(Debug)]
pub(crate) enum Passed<'p> {
    /// Nothing but that we are here.
    Here,
    /// Something that the gateway says itself.
    Own(Own<'p>),
    /// An upstream's answer.
    Upstream(Answered),
}

/// Answers one request. Never fails and never panics: a fault of ours is a 500 for this request alone.
pub(crate) async fn handle(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    connection.watch.request_began();
    let current = connection.current();
    let (parts, body) = request.into_parts();
    let mut record = current.observer.open(parts.method.clone(), parts.version);
    // Before anything is removed: whom the peer speaks for, if it is believed.
    let arrival = current.running.plan.trusted.arrival(connection.peer, Proto::Http, &parts.headers);
    record.client = arrival.client;
    let tail = Box::new(Tail {
        exchange: None,
        flow: None,
        record,
        trail: Trail::default(),
        watch: Arc::clone(&connection.watch),
    });
    let mut pass = Pass {
        arrival,
        connection,
        running: &current.running,
        tail,
        request_id: None,
        body: Some(body),
        is_last: false,
        ruled: None,
        screened: Screened::default(),
        verdict: None,
    };
    let outcome = catch(pass.run(parts)).await;
    if let Some(body) = pass.body.take() {
        pass.is_last = !inbound::discard(body, pass.screened.expects_continue).await;
    }
    match outcome {
        Ok(Ok(Passed::Here)) => respond::here(pass),
        Ok(Ok(Passed::Own(answer))) => respond::own(pass, answer),
        Ok(Ok(Passed::Upstream(answered))) => respond::upstream(pass, answered),
        Ok(Err(_)) if pass.client_is_gone() => respond::to_nobody(),
        Ok(Err(rejection)) => respond::rejected(pass, &rejection),
        Err(Panicked) => respond::panicked(pass),
    }
}

impl<'p> Pass<'p> {
    /// Whether the client left while it was sending its body: nobody is there to be answered, and its leaving is what the
    /// record tells.
    fn client_is_gone(&self) -> bool {
        self.tail.flow.as_ref().is_some_and(|flow| flow.progress().failed == Some(BodyFailure::Gone))
    }

    /// The steps that can refuse.
    async fn run(&mut self, mut parts: Parts) -> Result<Passed<'p>, Rejection> {
        let plan = &self.running.plan;
        // What is refused before it has a route is known by the path it came with.
        self.tail.record.path = Some(Clip::new(parts.uri.path()));
        let random = self.connection.gateway.random_u128();
        let screened =
            inbound::screen(&mut parts, &plan.identity_headers, &self.connection.via, random, &mut self.request_id);
        self.tail.record.request_id = self.request_id.as_ref().map(Clip::new);
        self.screened = screened?;
        if self.screened.is_for_us {
            return Ok(Passed::Here);
        }

        let routed = admit::route(
            plan,
            Head {
                client: self.arrival.client,
                headers: &parts.headers,
                method: &parts.method,
                uri: &parts.uri,
                version: parts.version,
            },
        );
        let routed = self.note_route(routed?);

        let admitted = routed.admit(self.connection.gateway.services()).await;
        let admitted = self.note_admission(routed.route(), admitted)?;

        let (upstream, change) = match target::resolve(self, routed, &admitted, &parts.uri)? {
            Next::Own(own) => return Ok(Passed::Own(own)),
            Next::Upstream(upstream, change) => (upstream, change),
        };
        let answered = self.forward(&admitted, upstream, parts, change).await?;
        Ok(Passed::Upstream(answered))
    }

    /// Steps 5 and 6.
    async fn forward(
        &mut self,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        parts: Parts,
        change: Change,
    ) -> Result<Answered, Rejection> {
        let upstream = self.running.upstreams.get(upstream.0).ok_or(Rejection::Internal)?;
        inbound::fits(&parts.headers, admitted.route.max_body_size)?;
        let body = self.body.take().ok_or(Rejection::Internal)?;
        let (body, flow) =
            RequestBody::new(body, admitted.route.max_body_size, self.running.settings.server.body_timeout);
        self.tail.flow.clone_from(&flow);
        let (request, ours) = outbound::request(parts, change, admitted, self)?;
        let request = outbound::framed(request, body)?;
        let random = self.connection.gateway.random_u64();
        let ready = Instant::now();
        let outbound = Outbound { request, ours, flow, ready, total: ready + admitted.route.timeout, random };
        let clock = self.connection.gateway.clock();
        self.tail.record.upstream = Some(Arc::clone(&upstream.series));
        let outcome = forward(admitted, upstream, outbound, clock, &mut self.tail.trail).await;
        self.note_forward(upstream, &outcome);
        outcome
    }

    fn note_route<'r>(&mut self, routed: Routed<'p, 'r>) -> Routed<'p, 'r> {
        self.tail.record.host = Some(routed.host()).filter(|host| !host.is_empty()).map(Clip::new);
        self.tail.record.path = Some(Clip::new(routed.path().as_str()));
        self.tail.record.route = self.running.routes.get(routed.index().as_usize()).cloned();
        routed
    }

    fn note_admission(
        &mut self,
        route: &'p Route,
        admitted: Result<Admitted<'p>, admit::Refused>,
    ) -> Result<Admitted<'p>, Rejection> {
        match admitted {
            Ok(admitted) => {
                self.tail.record.auth =
                    Some(if admitted.auth.is_some() { AuthOutcome::Accepted } else { AuthOutcome::NotAsked });
                self.tail.record.identity.clone_from(&admitted.identity);
                if let Some(verdict) = admitted.verdict {
                    self.note_verdict(route, verdict, LimitOutcome::Admitted);
                }
                Ok(admitted)
            }
            Err(refused) => {
                self.note_refusal(route, &refused);
                Err(refused.rejection)
            }
        }
    }

    fn note_refusal(&mut self, route: &'p Route, refused: &admit::Refused) {
        self.tail.record.identity.clone_from(&refused.identity);
        match &refused.rejection {
            Rejection::InvalidToken { reason, .. } => {
                self.tail.record.auth = Some(AuthOutcome::Refused);
                self.tail.record.auth_reason = Some(reason);
            }
            Rejection::Limited { verdict, .. } => self.note_verdict(route, *verdict, LimitOutcome::Refused),
            Rejection::MissingToken { .. } => self.tail.record.auth = Some(AuthOutcome::Refused),
            Rejection::StoreUnavailable => self.tail.record.limit = None,
            Rejection::TooManyFailures { .. } => self.tail.record.auth = Some(AuthOutcome::Throttled),
            Rejection::VerifierUnavailable => self.tail.record.auth = Some(AuthOutcome::Unavailable),
            _ => {}
        }
    }

    fn note_verdict(&mut self, route: &'p Route, verdict: Verdict, outcome: LimitOutcome) {
        self.verdict = Some((route, verdict));
        self.tail.record.limit = route.limits.rules.get(verdict.decided).map(|rule| LimitRecord {
            name: Arc::clone(rule.shared_name()),
            outcome,
            remaining: verdict.remaining,
        });
    }

    fn note_forward(&mut self, upstream: &Upstream, outcome: &Result<Answered, Rejection>) {
        if let Ok(answered) = outcome {
            self.tail.record.until_head = Some(answered.took);
        }
        let metrics = self.connection.gateway.metrics();
        // All but the last attempt ended because there was no connection: nothing else is tried again.
        for _ in 1..self.tail.trail.attempts {
            metrics.attempted(&upstream.series, AttemptOutcome::Connect);
        }
        if let Some(outcome) = attempt_outcome(upstream, outcome) {
            metrics.attempted(&upstream.series, outcome);
        }
    }
}

/// How the last attempt counts in the metrics; none when nothing was attempted.
fn attempt_outcome(upstream: &Upstream, outcome: &Result<Answered, Rejection>) -> Option<AttemptOutcome> {
    match outcome {
        Ok(answered) if upstream.on.contains(&answered.response.status()) => Some(AttemptOutcome::Status),
        Ok(_) => Some(AttemptOutcome::Answered),
        Err(Rejection::ConnectFailed | Rejection::ConnectTimeout) => Some(AttemptOutcome::Connect),
        Err(Rejection::UpstreamTimeout) => Some(AttemptOutcome::Timeout),
        Err(Rejection::UpstreamReset | Rejection::UpstreamInvalid) => Some(AttemptOutcome::Reset),
        Err(_) => None,
    }
}

/// A request's future panicked.
struct Panicked;

/// Runs a future; a panic in it ends it and nothing else. What it held is dropped: permits and leases give their places
/// back, and locks that were held are for counters that are whole at every moment.
async fn catch<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns, without calling it.
    fn size_of_output<'a, F>(_: impl FnOnce(&'a Connection, Request<Incoming>) -> F) -> usize {
        size_of::<F>()
    }

    /// Every request's future is moved into its connection's state and lives there: it grows only with a reason.
    #[test]
    fn the_future_of_a_request_stays_small() {
        let size = size_of_output(handle);
        assert!(size <= 8 * 1024, "{size} bytes");
    }

    #[test]
    fn a_panic_ends_one_future() {
        let mut caught = pin!(catch(async { panic!("on purpose") }));
        let polled = caught.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err::<(), _>(Panicked))));
    }
}
