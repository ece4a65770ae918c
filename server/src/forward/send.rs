//! One exchange on one connection: the request out, the response's head back, within its deadlines.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::body::{BodyFailure, Flow};
use super::h1::{self, Asking, Broken, Head, Outgoing};

/// When an exchange has taken too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// When the attempt began: its connection stands.
    pub(crate) began: Instant,
    /// From the last byte of the request to the complete head of the response.
    pub(crate) attempt: Duration,
    /// How long the upstream may take no bytes that are there to be sent.
    pub(crate) send: Duration,
    /// When the request as a whole must have its head, not counting what the client itself kept us waiting.
    pub(crate) total: Instant,
}

impl Deadlines {
    /// How much of the request's own time is left.
    pub(super) fn total_left(&self, flow: Option<&Flow>) -> Duration {
        let now = Instant::now();
        let waited = flow.map_or(Duration::ZERO, |flow| flow.progress().waited(now));
        (self.total + waited).saturating_duration_since(now)
    }
}

/// How an exchange failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection was closed before a byte of a response came.
    Closed,
    /// Something that no other connection would mend.
    Final(Rejection),
}

/// Sends the request and waits for the response's head.
pub(crate) async fn send<S, B>(
    connection: &mut h1::Connection<S>,
    outgoing: &mut Outgoing<B>,
    flow: Option<&Flow>,
    deadlines: Deadlines,
) -> Result<Head, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    let mut asking = Asking::new(connection, outgoing);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = asking.poll(cx) {
            return Poll::Ready(answer.map_err(explain));
        }
        ready!(asking.connection.poll_overdue(cx, || due(flow, deadlines)));
        Poll::Ready(Err(Failure::Final(Rejection::UpstreamTimeout)))
    })
    .await
}

/// The nearest deadline as things stand. While the client sends its body the attempt has not begun, and what the client
/// keeps us waiting is not held against the request.
pub(super) fn due(flow: Option<&Flow>, deadlines: Deadlines) -> Instant {
    let Some(flow) = flow else {
        return deadlines.total.min(deadlines.began + deadlines.attempt);
    };
    let progress = flow.progress();
    let total = deadlines.total + progress.waited(Instant::now());
    match progress.done {
        // Of a request that is sent again the body may have been here before.
        Some(done) => total.min(done.max(deadlines.began) + deadlines.attempt),
        // The client is bounded by the body's own pause; until it goes on, only look again.
        None if progress.waits_for_client() => Instant::now() + deadlines.send,
        None => total.min(progress.asked.max(deadlines.began) + deadlines.send),
    }
}

/// Whose fault a broken exchange was.
fn explain(broken: Broken) -> Failure {
    if !matches!(broken, Broken::Client(_)) {
        tracing::debug!(error = %broken, "an upstream did not answer");
    }
    match broken {
        Broken::Client(failure) => Failure::Final(failure.rejection()),
        Broken::Closed(_) => Failure::Closed,
        Broken::Cut(_) => Failure::Final(Rejection::UpstreamReset),
        Broken::Invalid(_) => Failure::Final(Rejection::UpstreamInvalid),
    }
}
