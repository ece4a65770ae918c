//! A client's connection as bytes, shared by who serves it and by the body of the request that it is at.
//!
//! Both are polled by one task as a rule; a body that goes on after its answer began is polled by another. The lock is
//! held for one look at the buffer or one call of the kernel, never across a wait.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::head::{self, Bounds, Head};
use crate::forward::body::BodyFailure;
use crate::forward::h1::Broken;
use crate::forward::h1::body::Decoder;
use crate::forward::h1::framing::Framing;

/// The connection.
pub(crate) struct Wire<S>(Mutex<Side<S>>);

/// What is behind the lock.
pub(crate) struct Side<S> {
    /// None once the connection is over, whoever still holds on to the rest.
    stream: Option<S>,
    /// Read and not used yet. Bounded: nothing is read while there is something here, except to complete a head or a
    /// chunk's line, and those are bounded.
    unread: BytesMut,
    /// How much to make room for before the next read.
    room: usize,
    /// What is left of the present request's body.
    body: Decoder,
    /// Whether somebody may go on reading it.
    body_is_wanted: bool,
    /// What is left to be written of an interim answer, before anything else.
    interim: &'static [u8],
    /// Who waits for the body's end.
    waiting: Option<Waker>,
    /// Who reads the body.
    reading: Option<Waker>,
    /// Nothing that comes now belongs to a request.
    is_closing: bool,
}

/// The first read's room: most requests fit.
const LEAST_ROOM: usize = 8 * 1024;

/// What one connection may buffer of a body that its upstream does not take: one such read.
const MOST_ROOM: usize = 64 * 1024;

/// RFC 9110, section 15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Side {
            stream: Some(stream),
            unread: BytesMut::new(),
            room: LEAST_ROOM,
            body: Decoder::Ended,
            body_is_wanted: false,
            interim: b"",
            waiting: None,
            reading: None,
            is_closing: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Side<S>> {
        // Nothing panics while it is held; and if it did, the connection would only be read wrongly by its own client.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, though a body that goes on elsewhere may hold on to the rest of it.
    pub(crate) fn end(&self) {
        let mut side = self.lock();
        side.give_up_body();
        side.stream = None;
        side.unread = BytesMut::new();
    }

    /// Waits until the present request's body has ended; false when nobody reads it to its end.
    pub(super) async fn request_over(&self) -> bool {
        poll_fn(|cx| self.lock().poll_over(cx)).await
    }

    /// Writes `last`, says that nothing follows, and takes in up to `most` bytes of what the client is still sending.
    pub(crate) async fn close(&self, last: &[u8], most: usize) -> io::Result<()> {
        let mut written = 0;
        self.lock().give_up_body();
        poll_fn(|cx| {
            let mut side = self.lock();
            while let Some(rest) = last.get(written..).filter(|rest| !rest.is_empty()) {
                written += ready!(side.poll_write(cx, rest))?;
            }
            Pin::new(side.stream()?).poll_shutdown(cx)
        })
        .await?;
        let mut left = most;
        poll_fn(|cx| {
            let mut side = self.lock();
            while left > 0 {
                side.unread.clear();
                match ready!(side.poll_fill(cx))? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Side<S> {
    fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Whether something of the next request is here.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The next request's head, once it is whole.
    ///
    /// # Errors
    /// As [`head::take`].
    pub(super) fn take_head(&mut self, bounds: Bounds, scanned: &mut usize) -> Result<Option<Box<Head>>, Rejection> {
        if self.unread.is_empty() { Ok(None) } else { head::take(&mut self.unread, bounds, scanned) }
    }

    /// Reads once. Zero is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // What was handed out is gone by now as a rule; then this takes its room again, and allocates nothing.
        if self.unread.capacity() - self.unread.len() < self.room / 2 {
            self.unread.reserve(self.room);
        }
        let room = self.unread.capacity() - self.unread.len();
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let read = ready!(pin!(stream.read_buf(&mut self.unread)).poll(cx))?;
        if read == room {
            self.room = (self.room * 2).min(MOST_ROOM);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(LEAST_ROOM);
        }
        Poll::Ready(Ok(read))
    }

    /// Ready when the client has left. While its body is read, whoever reads it will notice.
    pub(super) fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.body_is_wanted && !self.body.is_ended() {
            self.wait(cx);
            return Poll::Pending;
        }
        // One request ahead is enough to know that it is there.
        if !self.unread.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_fill(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.body.is_ended() {
            Poll::Ready(true)
        } else if self.body_is_wanted {
            self.wait(cx);
            Poll::Pending
        } else {
            Poll::Ready(false)
        }
    }

    /// Whether a part of the body is left that nobody will read: the connection cannot go on.
    pub(super) fn is_given_up(&self) -> bool {
        !self.body_is_wanted && !self.body.is_ended()
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
            self.waiting = Some(cx.waker().clone());
        }
    }

    /// Writes some of `bytes`, after what is left of an interim answer.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        match ready!(Pin::new(self.stream()?).poll_write(cx, bytes)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let interim = self.interim;
            let written = ready!(Pin::new(self.stream()?).poll_write(cx, interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = self.interim.get(written..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }

    /// Whoever still reads a body is told that there is no more of it.
    fn give_up_body(&mut self) {
        self.is_closing = true;
        self.reading.take().into_iter().for_each(Waker::wake);
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if self.is_closing {
            return Poll::Ready(Some(Err(BodyFailure::Gone)));
        }
        loop {
            match self.body.next(&mut self.unread) {
                Err(Broken::Invalid(_)) => return Poll::Ready(Some(Err(BodyFailure::Broken))),
                Err(_) => return Poll::Ready(Some(Err(BodyFailure::Gone))),
                Ok(frame) if frame.is_some() || self.body.is_ended() => {
                    if self.body.is_ended() {
                        self.waiting.take().into_iter().for_each(Waker::wake);
                    }
                    return Poll::Ready(frame.map(Ok));
                }
                Ok(_) => {}
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Some(Err(BodyFailure::Gone))),
                Poll::Pending => {
                    self.reading = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

/// What a body yields.
type Polled = Poll<Option<Result<Frame<Bytes>, BodyFailure>>>;

/// Where a body's bytes come from, whatever the stream.
trait Source: Send + Sync {
    /// The next frame, and whether the body has ended, looked at under one lock.
    fn poll_frame(&self, go_on: bool, cx: &mut Context<'_>) -> (Polled, bool);
    fn body(&self) -> Decoder;
    fn let_go(&self);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Source for Wire<S> {
    fn poll_frame(&self, go_on: bool, cx: &mut Context<'_>) -> (Polled, bool) {
        let mut side = self.lock();
        if go_on && side.unread.is_empty() {
            side.interim = CONTINUE;
        }
        // What cannot be written now goes out before the answer.
        if let Poll::Ready(Err(_)) = side.poll_interim(cx) {
            return (Poll::Ready(Some(Err(BodyFailure::Gone))), false);
        }
        let polled = side.poll_frame(cx);
        (polled, side.body.is_ended())
    }

    fn body(&self) -> Decoder {
        self.lock().body
    }

    fn let_go(&self) {
        let mut side = self.lock();
        side.body_is_wanted = false;
        side.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// The body of a client's request, as it arrives.
pub(crate) struct ClientBody {
    /// None when there is no body, or no more of it.
    source: Option<Arc<dyn Source>>,
    /// The client waits for a 100 before it sends: told when the body is first asked for.
    expects_continue: bool,
}

impl ClientBody {
    /// The body behind the head that was just taken from `wire`.
    pub(super) fn new<S>(wire: &Arc<Wire<S>>, framing: Framing) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if framing == Framing::Length(0) {
            return Self { source: None, expects_continue: false };
        }
        let mut side = wire.lock();
        side.body = framing.into();
        side.body_is_wanted = true;
        drop(side);
        Self { source: Some(Arc::clone(wire) as Arc<dyn Source>), expects_continue: false }
    }

    /// The client waits to be told that its body is wanted.
    pub(crate) fn expects_continue(&mut self) {
        self.expects_continue = true;
    }
}

impl http_body::Body for ClientBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let this = self.get_mut();
        let Some(source) = &this.source else { return Poll::Ready(None) };
        let (polled, ended) = source.poll_frame(std::mem::take(&mut this.expects_continue), cx);
        if ended {
            // What comes now belongs to another request, whoever still holds this one's body.
            this.source = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.body().is_ended())
    }

    fn size_hint(&self) -> SizeHint {
        self.source.as_ref().map_or_else(|| SizeHint::with_exact(0), |source| source.body().size_hint())
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            source.let_go();
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody").field("source", &self.source.as_ref().map(|source| source.body())).finish()
    }
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// Whoever holds the body of one request never reads that of the next, which has the same connection.
    #[tokio::test]
    async fn a_body_that_has_ended_reads_no_more() {
        let (mut client, stream) = duplex(1024);
        let wire = Wire::new(stream);
        client.write_all(b"5\r\nfirst\r\n0\r\n\r\n6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
        let mut first = ClientBody::new(&wire, Framing::Chunked);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "first");

        let mut second = ClientBody::new(&wire, Framing::Chunked);
        assert!(first.frame().await.is_none(), "the first body went on");
        drop(first);
        assert_eq!(second.frame().await.unwrap().unwrap().into_data().unwrap(), "second");
        assert!(second.frame().await.is_none());
    }

    /// A body that is still held elsewhere does not hold the client's socket.
    #[tokio::test]
    async fn the_end_of_a_connection_does_not_wait_for_its_bodies() {
        let (mut client, stream) = duplex(1024);
        let wire = Wire::new(stream);
        let mut body = ClientBody::new(&wire, Framing::Chunked);
        wire.end();
        drop(wire);
        let mut rest = Vec::new();
        AsyncReadExt::read_to_end(&mut client, &mut rest).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyFailure::Gone);
    }
}
