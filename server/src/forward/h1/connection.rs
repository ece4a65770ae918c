//! A connection to an upstream: a stream, what was read from it and not used yet, and one timer for all its exchanges.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::{Broken, Outgoing, UpstreamBody};
use crate::forward::body::BodyFailure;
use crate::h1::{Decoder, Framing, Unread};

/// The stream `S` speaks HTTP/1; dropping the connection closes it.
pub(crate) struct Connection<S> {
    pub(super) stream: S,
    pub(super) unread: Unread,
    /// Armed once and moved only when it would fire too late: an exchange that ends in time costs no timer.
    alarm: Pin<Box<Sleep>>,
}

/// How long the alarm stands at first. Longer than most deadlines would only make it fire more rarely.
const ALARM: Duration = Duration::from_secs(60);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection over `stream`, which nothing was sent on yet.
    pub(crate) fn new(stream: S) -> Box<Self> {
        Box::new(Self { stream, unread: Unread::new(), alarm: Box::pin(tokio::time::sleep(ALARM)) })
    }

    /// The body of the response to a request that is over.
    pub(crate) fn end_request<B>(
        self: Box<Self>,
        outgoing: &Outgoing<B>,
        framing: Framing,
        lasts: bool,
    ) -> UpstreamBody<S>
    where
        B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
    {
        UpstreamBody::direct(self, framing, lasts && outgoing.is_sent())
    }

    /// The stream, and what was read of it and not used.
    pub(super) fn into_stream(self) -> (S, BytesMut) {
        (self.stream, self.unread.bytes)
    }

    /// Whether a connection that waits is open and silent. Closed, or with bytes that nobody asked for, it is of no use
    /// (RFC 9112, section 9.2).
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let stream = &mut self.stream;
        // The answer must not depend on how much this task has done already: tokio would say "pending" for a task that is
        // to yield.
        let mut look =
            pin!(tokio::task::unconstrained(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer))));
        look.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.unread.is_empty()
    }

    /// Gives back large buffers: the connection is to wait for its next exchange.
    pub(crate) fn rest(&mut self) {
        self.unread.rest();
    }

    /// Reads once. Zero is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unread.poll_fill(&mut self.stream, cx)
    }

    /// The next frame of a body, read as needed; none at its end.
    pub(super) fn poll_frame(
        &mut self,
        decoder: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            match decoder.next(&mut self.unread.bytes) {
                Err(flaw) => return Poll::Ready(Some(Err(flaw.into()))),
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if decoder.is_ended() => return Poll::Ready(None),
                Ok(None) => {}
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(decoder.close().err().map(|flaw| Err(flaw.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Broken::Cut(error.kind())))),
            }
        }
    }

    /// Ready once `due` has passed; `due` is asked again whenever it may have.
    pub(crate) fn poll_overdue(&mut self, cx: &mut Context<'_>, due: impl Fn() -> Instant) -> Poll<()> {
        let mut next = due();
        loop {
            if next < self.alarm.deadline() {
                self.alarm.as_mut().reset(next);
            }
            ready!(self.alarm.as_mut().poll(cx));
            next = due();
            if next <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(next);
        }
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("unread", &self.unread.bytes.len()).finish_non_exhaustive()
    }
}
