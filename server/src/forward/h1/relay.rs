//! An answer that begins before its request has ended: the one case that needs a task.
//!
//! The client may send the rest of its request whether or not it reads the answer, so the two must not wait for each other:
//! a task moves both, and hands the answer over frame by frame. It goes on with the request when the answer has ended, as
//! the upstream may want to read it; it ends with the connection when the client leaves.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

use super::{Broken, Connection, Outgoing};
use crate::forward::body::{BodyFailure, Flow};
use crate::h1::{Decoder, Framing};

/// The task's side.
#[derive(Debug)]
pub(crate) struct Relay<S, B> {
    connection: Box<Connection<S>>,
    outgoing: Outgoing<B>,
    decoder: Decoder,
    lasts: bool,
    flow: Option<Arc<Flow>>,
    /// How long the upstream may take no bytes that are there to be sent.
    patience: Duration,
    began: Instant,
    to: Sender<Handed>,
}

/// The body's side.
#[derive(Debug)]
pub(crate) struct Relayed {
    from: Receiver<Handed>,
    /// How many bytes are to come, if it is known.
    left: Option<u64>,
    ended: bool,
    until_close: bool,
}

/// A frame, or none at an end without one; and whether it is the last.
type Handed = Result<(Option<Frame<Bytes>>, bool), Broken>;

/// What happened in the task.
enum Event {
    /// The upstream has gone on.
    Frame(Option<Result<Frame<Bytes>, Broken>>),
    /// The request is over, or takes too long.
    Request(Result<(), Broken>),
}

impl<S, B> Relay<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    /// Both sides. One frame at a time is handed over: the upstream is read as fast as the client reads.
    pub(crate) fn new(
        connection: Box<Connection<S>>,
        outgoing: Outgoing<B>,
        (framing, lasts): (Framing, bool),
        flow: Option<Arc<Flow>>,
        patience: Duration,
    ) -> (Self, Relayed) {
        let (to, from) = mpsc::channel(1);
        let decoder = Decoder::from(framing);
        let left = if let Framing::Length(length) = framing { Some(length) } else { None };
        let until_close = framing == Framing::UntilClose;
        let relayed = Relayed { from, left, ended: decoder.is_ended(), until_close };
        (Self { connection, outgoing, decoder, lasts, flow, patience, began: Instant::now(), to }, relayed)
    }

    /// Moves both bodies to their ends. Returns the connection if it can be used again.
    pub(crate) async fn run(mut self) -> Option<Box<Connection<S>>> {
        let mut next: Option<Handed> = None;
        let mut answered = self.decoder.is_ended();
        let to = self.to.clone();
        while next.is_some() || !answered || !self.outgoing.is_over() {
            let reads = next.is_none() && !answered;
            tokio::select! {
                biased;
                // The client does not want the rest of the answer.
                () = to.closed(), if next.is_some() || !answered => return None,
                permit = to.reserve(), if next.is_some() => match (permit, next.take()) {
                    (Ok(permit), Some(handed)) => {
                        let broken = handed.is_err();
                        permit.send(handed);
                        if broken {
                            return None;
                        }
                    }
                    _ => return None,
                },
                event = poll_fn(|cx| self.poll(reads, cx)) => match event {
                    Event::Frame(frame) => {
                        answered = self.decoder.is_ended();
                        next = Some(frame.transpose().map(|frame| (frame, answered)));
                    }
                    Event::Request(Ok(())) => {}
                    Event::Request(Err(broken)) => {
                        if !answered {
                            let _ = to.send(Err(broken)).await;
                        }
                        return None;
                    }
                },
            }
        }
        let clean = self.lasts && self.outgoing.is_sent() && self.connection.unread.is_empty();
        Some(self.connection).filter(|_| clean)
    }

    fn poll(&mut self, reads: bool, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.outgoing.is_over() {
            if let Poll::Ready(sent) = self.outgoing.poll(&mut self.connection.stream, cx) {
                return Poll::Ready(Event::Request(sent));
            }
            let (flow, patience, began) = (self.flow.as_deref(), self.patience, self.began);
            let due = || flow.map_or(began, |flow| flow.progress().moved(Instant::now())) + patience;
            if self.connection.poll_overdue(cx, due).is_ready() {
                self.outgoing.give_up();
                return Poll::Ready(Event::Request(Ok(())));
            }
        }
        if !reads {
            return Poll::Pending;
        }
        self.connection.poll_frame(&mut self.decoder, cx).map(Event::Frame)
    }
}

impl Relayed {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // A task that is gone without a last word was cancelled with its runtime.
        let handed = ready!(self.from.poll_recv(cx)).unwrap_or(Err(Broken::Cut(ErrorKind::NotConnected)));
        Poll::Ready(match handed {
            Err(broken) => Some(Err(broken)),
            Ok((frame, last)) => {
                self.ended = last;
                let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                frame.map(Ok)
            }
        })
    }

    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) const fn is_until_close(&self) -> bool {
        self.until_close
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.ended => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
