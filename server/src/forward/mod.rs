//! Steps 5 and 6 of the eight: pick an endpoint, forward the request, bring back the head and a streaming body.
//!
//! Connections belong to a worker: each has its own stack of idle ones for each server, so nothing here takes a lock that
//! another core wants. When a request is sent again, [`attempts`] says.

mod attempts;
pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod idle;
pub(crate) mod in_code;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::auth::Identity;
use portcullis_core::rejection::Fault;
use portcullis_core::time::{Clock, Moment};
use portcullis_core::upstream::{Endpoint, Lease, Permit};
use tokio::time::Instant;

use self::attempts::Attempts;
use self::body::{Flow, RequestBody};
use self::connect::UpstreamBody;
use self::h1::Outgoing;
use self::in_code::{InFlight, Service, ServiceBody};
use self::send::{Deadlines, Failure};
use crate::live::{Server, Upstream};
use crate::observe::Metrics;

/// What came back: the head, the body to stream, and what must be settled when the body ends.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<AnswerBody>,
    pub(crate) exchange: Exchange,
    /// From the breaker's leave to the complete head.
    pub(crate) took: Duration,
}

/// The body of an upstream's answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// From a service of the embedding program.
    InCode(ServiceBody),
    /// From a server.
    Server(UpstreamBody),
}

/// An exchange whose response is still streaming.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// A service is at work.
    InCode {
        /// Counts it.
        _in_flight: InFlight,
    },
    /// The use of an endpoint.
    Server {
        /// Counts it.
        lease: Lease,
    },
}

impl Exchange {
    /// The response is complete: its connection can be used again, if both bodies ended cleanly.
    pub(crate) fn complete(self, body: UpstreamBody) {
        if let Self::Server { lease } = &self
            && let Some(server) = Server::of(lease.endpoint())
            && let Some(connection) = body.finish()
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
    /// The endpoint that was tried last.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
}

/// A request as its upstream gets it.
#[derive(Debug)]
pub(crate) enum Prepared<'u> {
    /// For a server, as bytes.
    Server(Outgoing<RequestBody>),
    /// For this service of the embedding program.
    Service(&'u Service, Box<Request<RequestBody>>),
}

/// A request on its way, and by when it must be answered.
#[derive(Debug)]
pub(crate) struct Outbound<'u> {
    pub(crate) request: Prepared<'u>,
    pub(crate) flow: Option<Arc<Flow>>,
    /// When it was ready to be sent.
    pub(crate) ready: Instant,
    /// When the request as a whole must have its head.
    pub(crate) total: Instant,
    /// What the picker may go by.
    pub(crate) key: Option<u64>,
    /// Randomness for the picker.
    pub(crate) random: u64,
}

/// What time it is, and where attempts are counted.
#[derive(Clone, Copy)]
pub(crate) struct Meters<'m> {
    pub(crate) clock: &'m Clock,
    pub(crate) metrics: &'m Metrics,
}

/// Picks an endpoint of `upstream` and forwards the request to it.
///
/// # Errors
/// 503 while the breaker is open or when no endpoint is left, 502 and 504 as `portcullis_core::Rejection` names them, and
/// the client's own failures of its body.
pub(crate) async fn forward(
    admitted: &Admitted<'_>,
    upstream: &Upstream,
    outbound: Outbound<'_>,
    meters: Meters<'_>,
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    let began = meters.clock.now();
    let permit =
        upstream.breaker.permit(began).map_err(|open| Rejection::CircuitOpen { retry_after: open.retry_after })?;
    let Outbound { request, flow, ready, total, key, random } = outbound;
    let deadlines = Deadlines { began: ready, attempt: upstream.timeout, send: upstream.send_timeout, total };
    let outcome = match request {
        Prepared::Server(mut outgoing) => {
            let asked = (&mut outgoing, flow.as_deref());
            let attempts = Attempts::new(upstream, meters, asked, deadlines, (key, random), trail, permit.is_probe());
            attempts.run().await.map(|reply| reply.into_answered(upstream, outgoing, flow))
        }
        Prepared::Service(service, request) => {
            trail.attempts = 1;
            // Boxed: others need not carry the room for it.
            let outcome = Box::pin(ask(service, admitted, *request, flow, deadlines)).await;
            let outcome = outcome.map(|answered| Answered { took: meters.clock.now().since(began), ..answered });
            upstream.count(outcome.as_ref().map(Answered::status), meters.metrics);
            outcome
        }
    };
    settle(permit, upstream, outcome.as_ref().map(Answered::status), meters.clock.now());
    outcome
}

impl Answered {
    fn status(&self) -> StatusCode {
        self.response.status()
    }
}

/// Tells the breaker how it went: what counts is no answer, or a status in `on`. What the client did counts as nothing.
fn settle(permit: Permit, upstream: &Upstream, outcome: Result<StatusCode, &Rejection>, now: Moment) {
    let ok = match outcome {
        Ok(status) => !upstream.on.contains(&status),
        Err(rejection) if rejection.fault() == Fault::Upstream => false,
        Err(_) => return,
    };
    if let Some(change) = permit.settle(ok, now) {
        upstream.tell(change);
    }
}

/// The same where the upstream is a service of the embedding program: once, because nobody knows what it did.
async fn ask(
    service: &Service,
    admitted: &Admitted<'_>,
    mut request: Request<RequestBody>,
    flow: Option<Arc<Flow>>,
    deadlines: Deadlines,
) -> Result<Answered, Rejection> {
    // As with headers that say who it is: one that was there before is not what the route found.
    match &admitted.identity {
        Some(identity) => drop(request.extensions_mut().insert(Identity::clone(identity))),
        None => drop(request.extensions_mut().remove::<Identity>()),
    }
    let (response, in_flight) = service.ask(request, flow.as_deref(), deadlines).await?;
    let exchange = Exchange::InCode { _in_flight: in_flight };
    Ok(Answered { response: response.map(AnswerBody::InCode), exchange, took: Duration::ZERO })
}

impl Failure {
    fn rejection(self) -> Rejection {
        match self {
            Self::Closed => Rejection::UpstreamReset,
            Self::Final(rejection) => rejection,
        }
    }
}
