//! Steps 5 and 6 of the eight: pick an endpoint, forward the request, bring back the head and a streaming body.
//!
//! Connections belong to a worker: each has its own stack of idle ones for each server, so nothing here takes a lock that
//! another core wants. When a request is sent again, [`attempts`] says.

mod answer;
mod attempts;
pub(crate) mod body;
pub(crate) mod bound;
pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod idle;
pub(crate) mod in_code;
mod reply;
mod send;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::auth::Identity;
use portcullis_core::time::{Clock, Moment};
use portcullis_core::upstream::{BreakerState, Endpoint, Lease, Permit};
use tokio::time::{Instant, timeout};

pub(crate) use self::answer::AnswerBody;
use self::attempts::{Attempts, Begin, Ended};
use self::body::{Flow, RequestBody};
use self::bound::Place;
use self::connect::Connection;
use self::h1::Outgoing;
use self::in_code::InFlight;
use self::reply::Reply;
use self::send::{Deadlines, Failure};
use crate::observe::Metrics;
use crate::servers::Server;
use crate::upstream::Upstream;

/// What came back: the head, the body to stream, and what must be settled when the body ends.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<AnswerBody>,
    pub(crate) exchange: Exchange,
    /// From the breaker's leave to the complete head.
    pub(crate) took: Duration,
}

/// An exchange whose response is still streaming.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// A service is at work.
    InCode {
        /// Counts it.
        _in_flight: InFlight,
    },
    /// What goes on beside the response has the rest.
    Relayed,
    /// The use of an endpoint.
    Server {
        /// Counts it.
        lease: Lease,
        /// Has a place among those that may be there.
        _place: Place,
    },
}

impl Answered {
    /// Lets go of it; its connection is used again if the rest of it is here already.
    pub(crate) fn dismiss(self) {
        if let AnswerBody::Server(body) = self.response.into_body() {
            self.exchange.keep(body.finish_if_here());
        }
    }
}

impl Exchange {
    /// The response is complete: its connection can be used again, if both bodies ended cleanly.
    pub(crate) fn complete(self, body: AnswerBody) {
        if let AnswerBody::Server(body) = body {
            self.keep(body.finish());
        }
    }

    fn keep(self, connection: Option<Box<Connection>>) {
        if let Self::Server { lease, .. } = &self
            && let Some(server) = Server::of(lease.endpoint())
            && let Some(connection) = connection
        {
            server.idle.check_in(connection);
        }
    }
}

/// What a forward notes for the record, whether it succeeds or not.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Attempts, connections that failed included.
    pub(crate) attempts: u8,
    /// The attempts since were at another upstream.
    pub(crate) fell_back: bool,
    /// The endpoint that was tried last.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
}

/// A request as its upstream gets it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "what most requests are costs them no allocation")]
pub(crate) enum Prepared {
    /// For a server, as bytes.
    Server(Outgoing<RequestBody>),
    /// For the upstream's service of the embedding program.
    Service(Box<Request<RequestBody>>),
}

/// A request on its way, and by when it must be answered. Made of one that was admitted, and of nothing else; it owns what it is made
/// of, so that whoever waits for its answer may be another than who asked.
#[derive(Debug)]
pub(crate) struct Outbound {
    request: Prepared,
    flow: Option<Arc<Flow>>,
    /// Who it is from.
    identity: Option<Arc<Identity>>,
    times: Times,
    /// What the picker may go by, and randomness for it.
    choice: (Option<u64>, u64),
}

impl Outbound {
    /// An admitted request that is ready now.
    pub(crate) fn new(
        admitted: &Admitted<'_>,
        request: Prepared,
        flow: Option<Arc<Flow>>,
        choice: (Option<u64>, u64),
    ) -> Self {
        // Only a service is told beside the request; others have it among its fields.
        let identity = match &request {
            Prepared::Server(_) => None,
            Prepared::Service(_) => admitted.identity.clone(),
        };
        let ready = Instant::now();
        Self { request, flow, identity, times: Times { ready, total: ready + admitted.route.timeout }, choice }
    }
}

/// When a request was ready, and by when it must be answered.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// When it was ready to be sent.
    ready: Instant,
    /// When the request as a whole must have its head.
    total: Instant,
}

impl Times {
    /// The deadlines where this upstream is asked.
    fn of(self, upstream: &Upstream) -> Deadlines {
        let Self { ready, total } = self;
        Deadlines { began: ready, attempt: upstream.timeout, send: upstream.send_timeout, total }
    }
}

/// What any of a request's upstreams is asked by.
#[derive(Clone, Copy)]
struct Asked<'a> {
    flow: Option<&'a Flow>,
    times: Times,
    choice: (Option<u64>, u64),
}

/// What time it is, and where attempts are counted.
#[derive(Clone, Copy)]
pub(crate) struct Meters<'m> {
    pub(crate) clock: &'m Clock,
    pub(crate) metrics: &'m Metrics,
}

/// Picks an endpoint of `upstream` and forwards the request to it; to `another` if that has failed, or is not asked, and nothing is
/// done twice by it.
///
/// # Errors
/// 503 while the breaker is open or when no endpoint is left, 502 and 504 as `portcullis_core::Rejection` names them, and
/// the client's own failures of its body.
pub(crate) async fn forward(
    (upstream, another): (&Upstream, Option<&Upstream>),
    outbound: Outbound,
    meters: Meters<'_>,
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    let Outbound { request, flow, identity, times, choice } = outbound;
    match request {
        Prepared::Server(mut outgoing) => {
            let asked = Asked { flow: flow.as_deref(), times, choice };
            let outcome = ask(upstream, &mut outgoing, asked, meters, trail).await;
            let failed = upstream.has_failed(outcome.as_ref().map(Reply::status));
            let in_time = || !times.of(upstream).total_left(flow.as_deref()).is_zero();
            let goes_on = failed && outgoing.can_repeat() && in_time();
            // What is here already beats what another would refuse.
            let is_open =
                |another: &Upstream| matches!(another.breaker.state(meters.clock.now()), BreakerState::Open { .. });
            let Some(another) = another.filter(|another| goes_on && !is_open(another)) else {
                return outcome.map(|reply| reply.into_answered(upstream, outgoing, flow));
            };
            meters.metrics.fell_back(&upstream.series);
            trail.fell_back = true;
            if let Ok(reply) = outcome {
                reply.dismiss(&outgoing);
            }
            outgoing.rewind();
            let asked = Asked { times: Times { ready: Instant::now(), ..times }, ..asked };
            // Boxed: hardly a request comes here, and others need not carry the room for it.
            let outcome = Box::pin(ask(another, &mut outgoing, asked, meters, trail)).await;
            outcome.map(|reply| reply.into_answered(another, outgoing, flow))
        }
        // Boxed: others need not carry the room for it.
        Prepared::Service(request) => Box::pin(call(upstream, identity, *request, (flow, times), meters, trail)).await,
    }
}

/// Asks the servers of one upstream, if its breaker lets us.
async fn ask(
    upstream: &Upstream,
    outgoing: &mut Outgoing<RequestBody>,
    asked: Asked<'_>,
    meters: Meters<'_>,
    trail: &mut Trail,
) -> Result<Reply, Rejection> {
    let mut times = asked.times;
    let mut came_late = trail.fell_back;
    // First of all: who waits keeps nothing from anybody, no probe and no endpoint.
    let place = match &upstream.bound {
        None => Place::default(),
        Some(bound) => {
            // Who would be refused after that need not wait for it.
            if let BreakerState::Open { retry_after } = upstream.breaker.state(meters.clock.now()) {
                return Err(Rejection::CircuitOpen { retry_after });
            }
            match bound.try_enter() {
                Some(place) => place,
                None => {
                    let place = bound.enter(times.total).await?;
                    (times.ready, came_late) = (Instant::now(), true);
                    place
                }
            }
        }
    };
    let now = meters.clock.now();
    let mut permit = Some(upstream.breaker.permit(now)?);
    let is_probe = permit.as_ref().is_some_and(Permit::is_probe);
    let (deadlines, outgoing) = (times.of(upstream), (outgoing, asked.flow));
    let begin = Begin { is_probe, came_late, now, place };
    let attempts = Attempts::new(upstream, meters, outgoing, deadlines, asked.choice, trail, begin);
    let attempts = pin!(attempts.run());
    let Ended { outcome, at, is_fair } = watched(attempts, &mut permit, asked.flow, upstream.timeout).await;
    if let Some(permit) = permit.filter(|_| is_fair) {
        settle(permit, upstream, outcome.as_ref().map(Reply::status), at);
    }
    outcome
}

/// What becomes of a request. If it is a probe, its permit is given back once it waits for its client for longer than `limit`: a client may
/// take as long as it likes over its body, and that is not to keep everybody else from finding out.
async fn watched<F: Future>(
    mut asking: Pin<&mut F>,
    permit: &mut Option<Permit>,
    flow: Option<&Flow>,
    limit: Duration,
) -> F::Output {
    if let Some(flow) = flow.filter(|_| permit.as_ref().is_some_and(Permit::is_probe)) {
        // Boxed: hardly a request is a probe.
        if let Ok(done) = Box::pin(timeout(limit, asking.as_mut())).await {
            return done;
        }
        if flow.progress().done.is_none() {
            *permit = None;
        }
    }
    asking.await
}

/// The same where the upstream is a service of the embedding program: once, because nobody knows what it did.
async fn call(
    upstream: &Upstream,
    identity: Option<Arc<Identity>>,
    mut request: Request<RequestBody>,
    (flow, times): (Option<Arc<Flow>>, Times),
    meters: Meters<'_>,
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    let service = upstream.service.as_ref().ok_or(Rejection::Internal)?;
    let began = meters.clock.now();
    let mut permit = Some(upstream.breaker.permit(began)?);
    trail.attempts = 1;
    // As with headers that say who it is: one that was there before is not what the route found.
    match identity {
        Some(identity) => drop(request.extensions_mut().insert(Identity::clone(&identity))),
        None => drop(request.extensions_mut().remove::<Identity>()),
    }
    let asking = pin!(service.ask(request, flow.as_deref(), times.of(upstream)));
    let outcome = watched(asking, &mut permit, flow.as_deref(), upstream.timeout).await;
    let status = outcome.as_ref().map(|(response, _)| response.status());
    upstream.count(status, meters.metrics);
    let now = meters.clock.now();
    if let Some(permit) = permit {
        settle(permit, upstream, status, now);
    }
    let (response, in_flight) = outcome?;
    let exchange = Exchange::InCode { _in_flight: in_flight };
    Ok(Answered { response: response.map(AnswerBody::InCode), exchange, took: now.since(began) })
}

/// Tells the breaker how it went. What the client did counts as nothing.
fn settle(permit: Permit, upstream: &Upstream, outcome: Result<StatusCode, &Rejection>, now: Moment) {
    let failed = upstream.has_failed(outcome);
    if (failed || outcome.is_ok())
        && let Some(change) = permit.settle(!failed, now)
    {
        upstream.tell(change);
    }
}

impl Failure {
    fn rejection(self) -> Rejection {
        match self {
            Self::Closed => Rejection::UpstreamReset,
            Self::Final(rejection) => rejection,
        }
    }
}
