//! Steps 5 and 6 of the eight: pick an endpoint, forward the request, bring back the head and a streaming body.
//!
//! Connections belong to a worker: each has its own stack of idle ones for each server, so nothing here takes a lock that
//! another core wants. A request is sent again only when no byte of it was sent before, because a connection could not be
//! made or a kept one turned out to be closed; or when a kept one closed without a word, the method is safe, and the request
//! has no body (RFC 9110, section 9.2.2).

pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod idle;
pub(crate) mod in_code;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::auth::Identity;
use portcullis_core::time::{Clock, Moment};
use portcullis_core::upstream::{Ask, Endpoint, Lease, Permit, Tried};
use tokio::time::Instant;

use self::body::{Flow, RequestBody};
use self::connect::{Connection, UpstreamBody};
use self::h1::{Head, Outgoing, Relay};
use self::in_code::{InFlight, Service, ServiceBody};
use self::send::{Deadlines, Failure, send};
use crate::live::{Server, Upstream};

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

/// Picks an endpoint of `upstream` and forwards the request to it.
///
/// # Errors
/// 503 while the breaker is open or when no endpoint is left, 502 and 504 as `portcullis_core::Rejection` names them, and
/// the client's own failures of its body.
pub(crate) async fn forward(
    admitted: &Admitted<'_>,
    upstream: &Upstream,
    outbound: Outbound<'_>,
    clock: &Clock,
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    let began = clock.now();
    let permit =
        upstream.breaker.permit(began).map_err(|open| Rejection::CircuitOpen { retry_after: open.retry_after })?;
    let Outbound { request, flow, ready, total, key, random } = outbound;
    let deadlines = Deadlines { began: ready, attempt: upstream.timeout, send: upstream.send_timeout, total };
    let mut outcome = match request {
        Prepared::Server(outgoing) => attempt(upstream, outgoing, flow, deadlines, (key, random), trail).await,
        Prepared::Service(service, request) => {
            // Boxed: others need not carry the room for it.
            Box::pin(ask(service, admitted, *request, flow, deadlines, trail)).await
        }
    };
    let now = clock.now();
    if let Ok(answered) = &mut outcome {
        answered.took = now.since(began);
    }
    settle(permit, upstream, &outcome, now);
    outcome
}

/// Tells the breaker how it went: what counts is no answer, or a status in `on`. What the client did counts as nothing.
fn settle(permit: Permit, upstream: &Upstream, outcome: &Result<Answered, Rejection>, now: Moment) {
    match outcome {
        Ok(answered) => permit.settle(!upstream.on.contains(&answered.response.status()), now),
        Err(rejection) if rejection.fault() == portcullis_core::rejection::Fault::Upstream => {
            permit.settle(false, now);
        }
        Err(_) => drop(permit),
    }
}

async fn attempt(
    upstream: &Upstream,
    mut outgoing: Outgoing<RequestBody>,
    flow: Option<Arc<Flow>>,
    mut deadlines: Deadlines,
    choice: (Option<u64>, u64),
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    let total = deadlines.total;
    let (lease, mut connection, fresh) = connection(upstream, choice, (deadlines.began, total), trail).await?;
    if fresh {
        deadlines.began = Instant::now();
    }
    let server = Server::of(lease.endpoint()).ok_or(Rejection::Internal)?;
    outgoing.add_host(&server.authority);
    // Whoever is ready to be read from is read from first, and then all are sent to: a server on this machine that is woken
    // for one request finds several, and goes to sleep less often (20.6 us a plain request instead of 22.3, the least of seven rounds, for 1,150 instructions more).
    tokio::task::yield_now().await;
    let mut outcome = send(&mut connection, &mut outgoing, flow.as_deref(), deadlines).await;
    // A kept connection that its server has closed meanwhile: silently once more, on a fresh one.
    if !fresh && matches!(outcome, Err(Failure::Closed)) && outgoing.rewind() {
        connection = dial(upstream, server, total).await?;
        deadlines.began = Instant::now();
        outcome = send(&mut connection, &mut outgoing, flow.as_deref(), deadlines).await;
    }
    let Head { response, framing, lasts } = outcome.map_err(Failure::rejection)?;
    let body = if outgoing.is_over() {
        connection.end_request(&outgoing, framing, lasts)
    } else {
        let (relay, relayed) = Relay::new(connection, outgoing, (framing, lasts), flow, upstream.send_timeout);
        let endpoint = Arc::clone(lease.endpoint());
        tokio::spawn(async move {
            if let Some(connection) = relay.run().await
                && let Some(server) = Server::of(&endpoint)
            {
                server.idle.check_in(connection);
            }
        });
        UpstreamBody::relayed(relayed)
    };
    let exchange = Exchange::Server { lease };
    Ok(Answered { response: response.map(|()| AnswerBody::Server(body)), exchange, took: Duration::ZERO })
}

/// The same where the upstream is a service of the embedding program: once, because nobody knows what it did.
async fn ask(
    service: &Service,
    admitted: &Admitted<'_>,
    mut request: Request<RequestBody>,
    flow: Option<Arc<Flow>>,
    deadlines: Deadlines,
    trail: &mut Trail,
) -> Result<Answered, Rejection> {
    trail.attempts = 1;
    // As with headers that say who it is: one that was there before is not what the route found.
    match &admitted.identity {
        Some(identity) => drop(request.extensions_mut().insert(Identity::clone(identity))),
        None => drop(request.extensions_mut().remove::<Identity>()),
    }
    let (response, in_flight) = service.ask(request, flow.as_deref(), deadlines).await?;
    let exchange = Exchange::InCode { _in_flight: in_flight };
    Ok(Answered { response: response.map(AnswerBody::InCode), exchange, took: Duration::ZERO })
}

/// An endpoint and a connection to it; an endpoint that cannot be connected to is passed over while others are left.
async fn connection(
    upstream: &Upstream,
    (key, random): (Option<u64>, u64),
    (now, total): (Instant, Instant),
    trail: &mut Trail,
) -> Result<(Lease, Box<Connection>, bool), Rejection> {
    let mut tried = Tried::new();
    let mut last = Rejection::NoEndpoint;
    while let Some(lease) = upstream.pool.lease(&Ask { key, tried: tried.as_slice(), random }) {
        let server = Server::of(lease.endpoint()).ok_or(Rejection::Internal)?;
        trail.attempts = trail.attempts.saturating_add(1);
        trail.endpoint = Some(Arc::clone(lease.endpoint()));
        if let Some(connection) = server.idle.check_out(now) {
            return Ok((lease, connection, false));
        }
        match dial(upstream, server, total).await {
            Ok(connection) => return Ok((lease, connection, true)),
            Err(rejection) => last = rejection,
        }
        // Tried is full after a handful: more dead servers than that are the breaker's business.
        if !tried.insert(lease.index()) || total <= Instant::now() {
            break;
        }
    }
    Err(last)
}

async fn dial(upstream: &Upstream, server: &Server, total: Instant) -> Result<Box<Connection>, Rejection> {
    let limit = upstream.connect_timeout.min(total.saturating_duration_since(Instant::now()));
    // Boxed: most requests find a connection, and need not carry the room for making one.
    let connection = Box::pin(connect::connect(&server.address, limit)).await?;
    server.idle.note_opened();
    Ok(connection)
}

impl Failure {
    fn rejection(self) -> Rejection {
        match self {
            Self::Closed => Rejection::UpstreamReset,
            Self::Final(rejection) => rejection,
        }
    }
}
