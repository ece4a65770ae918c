//! A response's body on its way to the client. Lease, connection and record ride on it, and settle when it ends or is
//! dropped.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::cache::flight;
use crate::cache::flights::Follower;
use crate::cache::stored::Stored;
use crate::forward::body::Flow;
use crate::forward::h1::Broken;
use crate::forward::{AnswerBody, Exchange, Trail};
use crate::listen::watch::Watch;
use crate::observe::{Ending, OpenRecord};
use crate::servers::Server;
use crate::stream::Stream;
use crate::tunnel::Side;

/// A response's body.
pub(crate) struct Body {
    source: Source,
    /// The stored lines of its head are sent as they are.
    as_lines: bool,
    /// Boxed, so that a response is moved about as a few words.
    tail: Option<Box<Tail>>,
}

enum Source {
    /// What others get too, and how much of it is left, where that is known.
    Shared(Follower, Option<u64>),
    /// What is stored, and what of it is left.
    Stored(Arc<Stored>, Range<usize>),
    Upstream(AnswerBody),
    Whole(Option<Bytes>),
}

/// What settles when the body ends.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) exchange: Option<Exchange>,
    pub(crate) flow: Option<Arc<Flow>>,
    pub(crate) record: OpenRecord,
    pub(crate) trail: Trail,
    pub(crate) watch: Arc<Watch>,
}

impl Drop for Tail {
    /// What a request had come to is told however it ends, by its client's leaving too.
    fn drop(&mut self) {
        if let Some(flow) = &self.flow {
            self.record.bytes_received = flow.progress().received;
        }
        self.record.attempts = self.trail.attempts;
        self.record.endpoint =
            self.trail.endpoint.as_deref().and_then(Server::of).map(|server| Arc::clone(&server.name));
    }
}

impl Body {
    /// An answer of our own.
    pub(crate) fn whole(bytes: Bytes, tail: Box<Tail>) -> Self {
        Self::of(Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())), Some(tail))
    }

    /// No body, for a client that is not there any more.
    pub(crate) fn for_nobody() -> Self {
        Self::of(Source::Whole(None), None)
    }

    /// An upstream's answer.
    pub(crate) fn upstream(body: AnswerBody, tail: Box<Tail>) -> Self {
        Self::of(Source::Upstream(body), Some(tail))
    }

    /// What is on its way to others too, and its length, where that is known.
    pub(crate) fn shared(reader: Follower, length: Option<u64>, tail: Box<Tail>) -> Self {
        Self::of(Source::Shared(reader, length), Some(tail))
    }

    /// So much of what is stored; the stored lines are its head if `as_lines`.
    pub(crate) fn stored(stored: Arc<Stored>, range: Range<usize>, as_lines: bool, tail: Box<Tail>) -> Self {
        Self { source: Source::Stored(stored, range), as_lines, tail: Some(tail) }
    }

    const fn of(source: Source, tail: Option<Box<Tail>>) -> Self {
        Self { source, as_lines: false, tail }
    }

    /// The stored lines that belong behind the first line of its head.
    pub(crate) fn lines(&self) -> Option<Bytes> {
        match &self.source {
            Source::Stored(stored, _) if self.as_lines => Some(stored.head.lines.clone()),
            _ => None,
        }
    }

    /// The upstream's side of a tunnel and what settles with it, if this is the body of a 101.
    pub(crate) fn into_tunnel(mut self) -> Option<(Side<Stream>, Box<Tail>)> {
        match std::mem::replace(&mut self.source, Source::Whole(None)) {
            Source::Upstream(AnswerBody::Server(body)) => body.into_stream().zip(self.tail.take()),
            _ => None,
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.source {
            Source::Shared(reader, left) => reader.poll_piece(cx).map(|piece| {
                let piece = piece?.map_err(|flight::Broken| Broken::Cut(ErrorKind::ConnectionAborted));
                if let (Ok(piece), Some(left)) = (&piece, left) {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                Some(piece.map(Frame::data))
            }),
            Source::Stored(stored, range) => Poll::Ready(match std::mem::take(range) {
                range if range.is_empty() => None,
                range => Some(Ok(Frame::data(stored.body.slice(range)))),
            }),
            Source::Upstream(body) => Pin::new(body).poll_frame(cx),
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    /// The end, told once.
    fn settle(&mut self, ending: Ending) {
        let Some(mut tail) = self.tail.take() else { return };
        // A refusal that reached the client stays a refusal in the record.
        let refused = matches!(tail.record.ending, Ending::Rejected(_) | Ending::Panicked);
        if !(refused && ending == Ending::Complete) {
            tail.record.ending = ending;
        }
        if let Some(exchange) = tail.exchange.take()
            && ending == Ending::Complete
            && let Source::Upstream(body) = std::mem::replace(&mut self.source, Source::Whole(None))
        {
            exchange.complete(body);
        }
        let early = tail.flow.as_ref().is_some_and(|flow| flow.progress().done.is_none());
        if ending == Ending::TimedOut {
            tail.record.origin = tail.watch.was_cut();
        }
        tail.watch.request_ended(early);
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let polled = this.poll_source(cx);
        match &polled {
            Poll::Pending => {
                if let Some(tail) = &this.tail {
                    tail.watch.body_waits();
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(tail) = &mut this.tail {
                    tail.watch.body_goes_on();
                    let sent = frame.data_ref().map_or(0, Bytes::len) as u64;
                    tail.record.bytes_sent = tail.record.bytes_sent.saturating_add(sent);
                }
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "an upstream's answer broke off");
                this.settle(Ending::UpstreamCut);
            }
            Poll::Ready(None) => this.settle(Ending::Complete),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Shared(_, left) => *left == Some(0),
            Source::Stored(_, range) => range.is_empty(),
            Source::Upstream(body) => body.is_end_stream(),
            Source::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Shared(_, left) => left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Stored(_, range) => SizeHint::with_exact(range.len() as u64),
            Source::Upstream(body) => body.size_hint(),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Nobody asks for the end of a body whose length is known, nor for any of one that has none to send.
        let ending = match &self.tail {
            _ if self.is_end_stream() => Ending::Complete,
            Some(tail) if tail.watch.was_cut().is_some() => Ending::TimedOut,
            _ => Ending::ClientGone,
        };
        self.settle(ending);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
