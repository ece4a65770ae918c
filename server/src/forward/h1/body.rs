//! A response's body: frames out of the connection's buffer, without a copy and without a task.

use std::fmt;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::relay::Relayed;
use super::{Broken, Connection};
use crate::h1::{Decoder, Framing};

/// A response's body as it arrives; owns the connection that it comes from.
pub(crate) struct UpstreamBody<S>(Source<S>);

enum Source<S> {
    Direct(Direct<S>),
    Relayed(Relayed),
}

struct Direct<S> {
    /// None once it failed.
    connection: Option<Box<Connection<S>>>,
    decoder: Decoder,
    lasts: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> UpstreamBody<S> {
    /// The body of a response whose request has ended.
    pub(crate) fn direct(connection: Box<Connection<S>>, framing: Framing, lasts: bool) -> Self {
        Self(Source::Direct(Direct { connection: Some(connection), decoder: framing.into(), lasts }))
    }

    /// The body of a response whose request goes on, see [`super::relay`].
    pub(crate) fn relayed(relayed: Relayed) -> Self {
        Self(Source::Relayed(relayed))
    }

    /// Whether nothing but the connection's end delimits it.
    pub(crate) fn is_until_close(&self) -> bool {
        match &self.0 {
            Source::Direct(direct) => matches!(direct.decoder, Decoder::UntilClose),
            Source::Relayed(relayed) => relayed.is_until_close(),
        }
    }

    /// What is under a body that is none: the stream behind the head of a 101, and what was read of it already.
    pub(crate) fn into_stream(self) -> Option<(S, BytesMut)> {
        match self.0 {
            Source::Direct(direct) => direct.connection.map(|connection| connection.into_stream()),
            Source::Relayed(_) => None,
        }
    }

    /// The connection, if its exchange has ended cleanly and another may follow. Bytes behind the end are nobody's.
    pub(crate) fn finish(self) -> Option<Box<Connection<S>>> {
        match self.0 {
            Source::Direct(Direct { connection, decoder, lasts: true, .. }) if decoder.is_ended() => {
                connection.filter(|connection| connection.unread.is_empty())
            }
            _ => None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> UpstreamBody<S> {
    /// The same for a body that nobody wants, if all of it is here already.
    pub(crate) fn finish_if_here(mut self) -> Option<Box<Connection<S>>> {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..MOST_DISMISSED {
            match Pin::new(&mut self).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => return self.finish(),
                _ => return None,
            }
        }
        None
    }
}

/// So many frames of a body that nobody wants are read.
const MOST_DISMISSED: usize = 4;

impl<S: AsyncRead + AsyncWrite + Unpin> Direct<S> {
    /// Whether it ended cleanly: never once it failed.
    fn is_ended(&self) -> bool {
        self.connection.is_some() && self.decoder.is_ended()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_ended() {
            return Poll::Ready(None);
        }
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Some(Err(Broken::Cut(ErrorKind::NotConnected))));
        };
        let polled = ready!(connection.poll_frame(&mut self.decoder, cx));
        if let Some(Err(_)) = polled {
            self.connection = None;
        }
        Poll::Ready(polled)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Body for UpstreamBody<S> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().0 {
            Source::Direct(direct) => direct.poll(cx),
            Source::Relayed(relayed) => relayed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Direct(direct) => direct.is_ended(),
            Source::Relayed(relayed) => relayed.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Direct(direct) => direct.decoder.size_hint(),
            Source::Relayed(relayed) => relayed.size_hint(),
        }
    }
}

impl<S> fmt::Debug for UpstreamBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Direct(direct) => f.debug_tuple("UpstreamBody").field(&direct.decoder).finish(),
            Source::Relayed(relayed) => f.debug_tuple("UpstreamBody").field(relayed).finish(),
        }
    }
}
