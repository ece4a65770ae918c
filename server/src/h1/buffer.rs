//! What was read from a connection and not used yet.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Read and not used yet. Bounded by its user: nothing is read before what is here was used, except that a head, a chunk's
/// line or a trailer section is completed, and those are bounded.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) bytes: BytesMut,
    /// How much to make room for before the next read.
    room: usize,
}

/// The first read's room: most messages fit.
const LEAST_ROOM: usize = 8 * 1024;

/// What one connection may buffer of a body whose reader is slow: one such read.
const MOST_ROOM: usize = 64 * 1024;

impl Unread {
    pub(crate) fn new() -> Self {
        Self { bytes: BytesMut::new(), room: LEAST_ROOM }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Gives back what a large body made it grow to, when there is nothing in it.
    pub(crate) fn rest(&mut self) {
        if self.room > LEAST_ROOM && self.bytes.is_empty() {
            *self = Self::new();
        }
    }

    /// Reads once. Zero is the end.
    pub(crate) fn poll_fill<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + Unpin,
    {
        // What was handed out is gone by now as a rule; then this takes its room again, and allocates nothing.
        if self.bytes.capacity() - self.bytes.len() < self.room / 2 {
            self.bytes.reserve(self.room);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = ready!(pin!(stream.read_buf(&mut self.bytes)).poll(cx))?;
        if read == room {
            self.room = (self.room * 2).min(MOST_ROOM);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(LEAST_ROOM);
        }
        Poll::Ready(Ok(read))
    }
}
