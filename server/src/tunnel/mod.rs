//! A connection that is HTTP no longer: after an upstream's 101, bytes go both ways and nobody here looks at them.
//!
//! It begins in [`crate::listen::h1`], once the 101 has been sent to the client, and takes over both connections with what was
//! read from them already. The request's lease and record ride on it, as they do on a body: the record is told when the tunnel
//! ends, with the bytes of both ways.
//!
//! It ends when both sides have ended, when one breaks off, when no byte goes either way for `server.stream_idle_timeout` (the
//! watch of the client's connection sees to that, see [`crate::listen::watch`]), or when the gateway stops and its grace is over.
//! An idle tunnel holds no buffer.

mod pipe;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use self::pipe::Pipe;
use crate::body::Tail;
use crate::gateway::OpenTunnel;
use crate::observe::Ending;

/// One side: its stream, and what was read of it already.
pub(crate) type Side<S> = (S, BytesMut);

/// Both sides, and what settles when it ends.
pub(crate) struct Tunnel<C, U> {
    client: C,
    upstream: U,
    /// From the client to the upstream.
    up: Pipe,
    /// And back.
    down: Pipe,
    /// Who closed first, as soon as one has; or who broke off.
    ending: Option<Ending>,
    tail: Box<Tail>,
    _open: OpenTunnel,
}

impl<C, U> Tunnel<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    pub(crate) fn new(client: Side<C>, upstream: Side<U>, tail: Box<Tail>, open: OpenTunnel) -> Self {
        tail.watch.tunnel_began();
        Self {
            client: client.0,
            upstream: upstream.0,
            up: Pipe::new(client.1),
            down: Pipe::new(upstream.1),
            ending: None,
            tail,
            _open: open,
        }
    }

    /// Carries bytes until there are no more to come.
    pub(crate) async fn run(mut self) {
        if let Err((error, gone)) = poll_fn(|cx| self.poll(cx)).await {
            tracing::debug!(%error, by = gone.code(), "a tunnel broke off");
            self.ending = Some(gone);
        }
    }

    /// One piece each way in turn, so that a busy way does not keep the other waiting.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), (io::Error, Ending)>> {
        loop {
            let up = self.up.poll(&mut self.client, &mut self.upstream, cx);
            self.note(up.is_ready());
            let up = up.map_err(|broken| broken.by(Ending::ClientGone, Ending::UpstreamCut));
            let down = self.down.poll(&mut self.upstream, &mut self.client, cx);
            self.note(down.is_ready());
            let down = down.map_err(|broken| broken.by(Ending::UpstreamCut, Ending::ClientGone));
            match (up, down) {
                (Poll::Ready(Err(broken)), _) | (_, Poll::Ready(Err(broken))) => return Poll::Ready(Err(broken)),
                _ if self.up.is_over() && self.down.is_over() => return Poll::Ready(Ok(())),
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                _ => {}
            }
        }
    }

    /// What is told of it in the end.
    fn note(&mut self, moved: bool) {
        if !moved {
            return;
        }
        self.tail.watch.tunnel_goes_on();
        self.tail.record.bytes_received = self.up.carried();
        self.tail.record.bytes_sent = self.down.carried();
        if self.ending.is_none() {
            self.ending = match (self.up.has_ended(), self.down.has_ended()) {
                (true, _) => Some(Ending::ClientClosed),
                (_, true) => Some(Ending::UpstreamClosed),
                _ => None,
            };
        }
    }
}

impl<C, U> Drop for Tunnel<C, U> {
    fn drop(&mut self) {
        let is_over = self.up.is_over() && self.down.is_over();
        let broke_off = matches!(self.ending, Some(Ending::ClientGone | Ending::UpstreamCut));
        self.tail.record.ending = match self.ending {
            Some(ending) if is_over || broke_off => ending,
            _ if self.tail.watch.was_silent() => Ending::Idle,
            // Dropped with its connection: by nobody but a gateway that stops.
            _ => Ending::Stopped,
        };
    }
}

impl<C, U> fmt::Debug for Tunnel<C, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("up", &self.up).field("down", &self.down).finish_non_exhaustive()
    }
}
