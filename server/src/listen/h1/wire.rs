//! A client's connection as bytes, shared by who serves it and by the body of the request that it is at.
//!
//! Both are polled by one task as a rule; a body that goes on after its answer began is polled by another. The lock is
//! held for one look at the buffer or one call of the kernel, never across a wait.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncWrite};

use super::head::{self, Bounds, Head};
use crate::forward::body::BodyFailure;
use crate::h1::{Decoder, Flaw, Unread};

/// The connection.
pub(crate) struct Wire<S>(Mutex<Side<S>>);

/// What is behind the lock.
pub(crate) struct Side<S> {
    /// None once the connection is over, whoever still holds on to the rest.
    stream: Option<S>,
    pub(super) unread: Unread,
    /// What is left of the present request's body.
    pub(super) body: Decoder,
    /// Whether somebody may go on reading it.
    pub(super) body_is_wanted: bool,
    /// What is left to be written of an interim answer, before anything else.
    pub(super) interim: &'static [u8],
    /// Who waits for the body's end.
    pub(super) waiting: Option<Waker>,
    /// Who reads the body.
    reading: Option<Waker>,
    /// Nothing that comes now belongs to a request.
    is_closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Side {
            stream: Some(stream),
            unread: Unread::new(),
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
        side.unread = Unread::new();
    }

    /// The stream and what was read of it already: what comes now is no HTTP.
    pub(super) fn take(&self) -> Option<(S, BytesMut)> {
        let mut side = self.lock();
        let unread = std::mem::replace(&mut side.unread, Unread::new());
        side.stream.take().map(|stream| (stream, unread.bytes))
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
                side.unread.bytes.clear();
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
    pub(super) fn take_head(
        &mut self,
        bounds: Bounds,
        scanned: &mut usize,
        room: &mut HeaderMap,
    ) -> Result<Option<Head>, Rejection> {
        if self.unread.is_empty() { Ok(None) } else { head::take(&mut self.unread.bytes, bounds, scanned, room) }
    }

    /// Reads once. Zero is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.unread.poll_fill(stream, cx)
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

    pub(super) fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if self.is_closing {
            return Poll::Ready(Some(Err(BodyFailure::Gone)));
        }
        loop {
            match self.body.next(&mut self.unread.bytes) {
                Err(Flaw::Invalid(_)) => return Poll::Ready(Some(Err(BodyFailure::Broken))),
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

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}
