//! HTTP/1 towards clients (RFC 9112): one connection, one exchange at a time, in one task.
//!
//! A head is copied out of the read buffer when it is whole, parsed once, and handed to the pipeline; the answer is written from one
//! buffer, its head together with what is there of its body. While a request is answered the connection is read from only to
//! notice that its client has left.
//!
//! What a client sends is not trusted. Everything it can make us keep has a bound, and what can be read in two ways is
//! refused and ends the connection: both framings, two lengths, a coding other than one `chunked`, a line that ends in LF
//! alone, a `#` in the target. Every refusal has a body, an id and a line in the log, those of heads that cannot be read too.
//!
//! Reading order: [`head`], [`wire`], [`body`], [`answer`], and then [`exchanges`].

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod wire;

#[cfg(test)]
mod differential;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Empty;
use tokio::io::{AsyncRead, AsyncWrite};

use self::answer::{Answer, Date, Reply};
use self::body::ClientBody;
use self::head::{Bounds, Head};
use self::wire::Wire;
use crate::body::Body;
use crate::connection::Connection;
use crate::h1::Lines;
use crate::proxy;
use crate::stream::Stream;
use crate::tunnel::Tunnel;

/// Serves one request after the other until the connection ends: closed by either side, drained, or broken. Or until it goes
/// on as a tunnel, which is returned.
pub(crate) async fn exchanges<S>(
    connection: &Connection,
    wire: &Arc<Wire<S>>,
    bounds: Bounds,
) -> Option<Tunnel<S, Stream>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut room = Room::default();
    while let Some(head) = next(connection, wire, bounds, &mut room.fields).await {
        room.said.clear();
        let (reply, answered) = match head {
            Ok(head) => {
                // Whoever is ready to be read from is read from first, and then all are answered: a server on this machine that is
                // woken for one request finds several, and goes to sleep less often.
                tokio::task::yield_now().await;
                let Head { parts, framing, reply } = head;
                let body = ClientBody::new(wire, framing);
                // Pinned where it is made: it is large, and never moved.
                let answering = pin!(proxy::handle(connection, parts, body, &mut room.said));
                let response = present(wire, answering).await?;
                (reply, response)
            }
            Err(rejection) => (Reply::last(), proxy::refuse(connection, &rejection, &mut room.said)),
        };
        if answered.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switch(connection, wire, reply, answered, &mut room).await;
        }
        if !send(connection, wire, reply, answered, &mut room).await || !wire.request_over().await {
            return None;
        }
        connection.watch.leftover_ended();
    }
    None
}

/// What one exchange leaves to the next, so that it need not be allocated again.
#[derive(Default)]
struct Room {
    /// For an answer as bytes.
    out: Vec<u8>,
    /// For the fields that we say.
    said: Lines,
    /// For a request's fields, which becomes that for its answer's.
    fields: HeaderMap,
    date: Date,
}

/// A map with room for more fields than this is not kept.
const MOST_ROOM: usize = 64;

/// The next head, or why there is none; nothing at the connection's end.
async fn next<S>(
    connection: &Connection,
    wire: &Wire<S>,
    bounds: Bounds,
    room: &mut HeaderMap,
) -> Option<Result<Head, portcullis_core::Rejection>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut scanned = 0;
    poll_fn(|cx| {
        let mut wire = wire.lock();
        loop {
            if let Some(head) = wire.take_head(bounds, &mut scanned, room).transpose() {
                return Poll::Ready(Some(head));
            }
            if wire.has_unread() {
                // Also when it came together with the request before it.
                connection.watch.head_begins();
            } else {
                // Empty lines behind a request are no head, and what is waited for now may be long in coming.
                connection.watch.no_head_begins();
                wire.unread.rest();
            }
            // A request that is on its way comes first.
            if connection.gateway.is_draining() && !connection.watch.expects_head() {
                return Poll::Ready(None);
            }
            if !matches!(ready!(wire.poll_fill(cx)), Ok(1..)) {
                return Poll::Ready(None);
            }
        }
    })
    .await
}

/// The answer, while the client is there to get it.
async fn present<S, F>(wire: &Wire<S>, mut answering: Pin<&mut F>) -> Option<F::Output>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future,
{
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        if wire.lock().poll_hung_up(cx).is_ready() { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// Sends an answer; whether another exchange may follow.
async fn send<S>(
    connection: &Connection,
    wire: &Wire<S>,
    reply: Reply,
    response: Response<Body>,
    room: &mut Room,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ends = connection.gateway.is_draining() || wire.lock().is_given_up();
    let reply = if ends { reply.and_close() } else { reply };
    let date = room.date.at(connection.gateway.clock());
    let (mut head, body) = response.into_parts();
    let stored = body.lines();
    let said = (stored.as_deref(), &room.said);
    let mut answer = Answer::new(&head, body, said, reply, date, &mut room.out);
    head.headers.clear();
    if head.headers.capacity() <= MOST_ROOM {
        room.fields = head.headers;
    }
    poll_fn(|cx| answer.poll(wire, cx)).await.unwrap_or(false)
}

/// Sends a 101. Behind it, what either side has sent already is the first to go through.
async fn switch<S>(
    connection: &Connection,
    wire: &Wire<S>,
    reply: Reply,
    response: Response<Body>,
    room: &mut Room,
) -> Option<Tunnel<S, Stream>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (head, body) = response.into_parts();
    let (upstream, tail) = body.into_tunnel()?;
    let date = room.date.at(connection.gateway.clock());
    let mut answer = Answer::new(&head, Empty::<Bytes>::new(), (None, &room.said), reply, date, &mut room.out);
    poll_fn(|cx| answer.poll(wire, cx)).await.ok()?;
    Some(Tunnel::new(wire.take()?, upstream, tail, connection.gateway.open_tunnel()))
}
