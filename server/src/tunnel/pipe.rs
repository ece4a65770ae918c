//! One way through a tunnel.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::observe::Ending;

/// What is carried at a time. It lies on the stack: only what the other side does not take at once is kept.
const PIECE: usize = 16 * 1024;

/// One way through a tunnel. Knows neither of its ends, so that both ways can share them.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Read and not written yet: one piece at most, but for what came before the tunnel began.
    left: BytesMut,
    /// Bytes written.
    carried: u64,
    state: State,
    /// Something was written that the writer may still hold.
    unflushed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No more will come; the other side is to be told so.
    Ending,
    Over,
}

/// Which end broke off.
#[derive(Debug)]
pub(super) enum Broken {
    From(io::Error),
    To(io::Error),
}

impl Broken {
    /// The ending for it, if these are those of the two ends.
    pub(super) fn by(self, from: Ending, to: Ending) -> (io::Error, Ending) {
        match self {
            Self::From(error) => (error, from),
            Self::To(error) => (error, to),
        }
    }
}

impl Pipe {
    /// With what was read already.
    pub(super) fn new(left: BytesMut) -> Self {
        Self { left, carried: 0, state: State::Open, unflushed: false }
    }

    /// Bytes that went through.
    pub(super) const fn carried(&self) -> u64 {
        self.carried
    }

    /// Whether no more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.state != State::Open
    }

    /// Whether no more will come, and the other side was told so.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Carries one piece. Ready when something went on: bytes, or the end.
    pub(super) fn poll<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if !self.left.is_empty() {
            let written = ready!(self.poll_write(None, to, cx))?;
            self.left.advance(written);
            return Poll::Ready(Ok(()));
        }
        match self.state {
            State::Open => self.poll_piece(from, to, cx),
            State::Ending => {
                // Whoever cannot be told any more is gone, and shows that on the other way.
                let _ = ready!(Pin::new(to).poll_shutdown(cx));
                self.state = State::Over;
                Poll::Ready(Ok(()))
            }
            State::Over => Poll::Pending,
        }
    }

    fn poll_piece<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut room);
        match Pin::new(from).poll_read(cx, &mut piece) {
            Poll::Ready(read) => read.map_err(Broken::From)?,
            Poll::Pending => {
                // Who waits holds no buffer.
                self.left = BytesMut::new();
                if self.unflushed {
                    ready!(Pin::new(to).poll_flush(cx)).map_err(Broken::To)?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        let piece = piece.filled();
        if piece.is_empty() {
            self.state = State::Ending;
            return Poll::Ready(Ok(()));
        }
        let written = match self.poll_write(Some(piece), to, cx) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.left.extend_from_slice(piece.get(written..).unwrap_or_default());
        // It came, and so something went on; that it is not taken shows when this is asked again.
        Poll::Ready(Ok(()))
    }

    /// Writes some of `piece`, or of what is left.
    fn poll_write<W>(&mut self, piece: Option<&[u8]>, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>>
    where
        W: AsyncWrite + Unpin,
    {
        let written = ready!(Pin::new(to).poll_write(cx, piece.unwrap_or(&self.left))).map_err(Broken::To)?;
        if written == 0 {
            return Poll::Ready(Err(Broken::To(io::ErrorKind::WriteZero.into())));
        }
        self.carried = self.carried.saturating_add(written as u64);
        self.unflushed = true;
        Poll::Ready(Ok(written))
    }
}
