//! The client's body on its way to the upstream: counted, bounded, and never waited for without an end.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_core::Rejection;
use tokio::time::{Instant, Sleep};

use crate::listen::h1::body::ClientBody;

/// A request's body as the upstream connection reads it.
pub(crate) enum RequestBody {
    /// None.
    Empty,
    /// One that streams from the client.
    Streaming(Box<Streaming>),
}

/// A body that streams: shared with whoever waits for the answer through its [`Flow`].
pub(crate) struct Streaming {
    incoming: ClientBody,
    flow: Arc<Flow>,
    /// The most bytes it may have.
    most: u64,
    /// The longest pause between two of its bytes.
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
}

/// How a streaming body is getting on.
#[derive(Debug)]
pub(crate) struct Flow(Mutex<Progress>);

/// What a [`Flow`] knows.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// When its last byte was handed to the upstream's connection.
    pub(crate) done: Option<Instant>,
    /// Why it ended before its end.
    pub(crate) failed: Option<BodyFailure>,
    /// Bytes so far.
    pub(crate) received: u64,
    /// When the upstream's connection last asked for more.
    pub(crate) asked: Instant,
    /// Since when we wait for the client.
    waiting: Option<Instant>,
    /// How long we waited for the client before that.
    waited: Duration,
}

/// Why a request's body ended before its end. All of them are the client's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyFailure {
    /// The client sent something that is not a body.
    Broken,
    /// It could not be read, says whoever handed it in.
    Failed,
    /// The client went away.
    Gone,
    /// The client paused too long.
    TooSlow,
    /// More bytes than the route takes.
    TooLarge,
}

impl BodyFailure {
    /// What the client is told, if it can still be told.
    pub(crate) const fn rejection(self) -> Rejection {
        match self {
            Self::Broken => Rejection::BadRequest("the body is not chunked as it says"),
            Self::Failed => Rejection::BadRequest("the body could not be read"),
            Self::Gone => Rejection::BadRequest("the body ended before its end"),
            Self::TooSlow => Rejection::RequestTimeout,
            Self::TooLarge => Rejection::BodyTooLarge,
        }
    }
}

impl fmt::Display for BodyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the client's body is malformed",
            Self::Failed => "the client's body could not be read",
            Self::Gone => "the client's body broke off",
            Self::TooSlow => "the client's body paused too long",
            Self::TooLarge => "the client's body is too large",
        })
    }
}

impl std::error::Error for BodyFailure {}

impl Progress {
    /// Whether we wait for the client at this moment.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.waiting.is_some()
    }

    /// When the body last moved, as far as that is the upstream's doing; `now` while we wait for the client.
    pub(crate) fn moved(&self, now: Instant) -> Instant {
        if self.waiting.is_some() { now } else { self.asked }
    }

    /// How long we have waited for the client, up to `now`.
    pub(crate) fn waited(&self, now: Instant) -> Duration {
        self.waited + self.waiting.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Nothing panics while it is held; and if it did, the numbers are still numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is getting on.
    pub(crate) fn progress(&self) -> Progress {
        self.lock().clone()
    }
}

impl RequestBody {
    /// The body of a request: at most `most` bytes, with pauses of at most `pause`.
    pub(crate) fn new(incoming: ClientBody, most: Option<u64>, pause: Duration) -> (Self, Option<Arc<Flow>>) {
        if incoming.is_end_stream() {
            return (Self::Empty, None);
        }
        let flow = Arc::new(Flow(Mutex::new(Progress {
            done: None,
            failed: None,
            received: 0,
            asked: Instant::now(),
            waiting: None,
            waited: Duration::ZERO,
        })));
        let streaming =
            Streaming { incoming, flow: Arc::clone(&flow), most: most.unwrap_or(u64::MAX), pause, pausing: None };
        (Self::Streaming(Box::new(streaming)), Some(flow))
    }
}

impl Streaming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        loop {
            let polled = Pin::new(&mut self.incoming).poll_frame(cx);
            let now = Instant::now();
            match polled {
                Poll::Pending => return self.pause(now, cx),
                Poll::Ready(frame) => {
                    self.pausing = None;
                    let mut progress = self.flow.lock();
                    progress.asked = now;
                    if let Some(since) = progress.waiting.take() {
                        progress.waited += now.saturating_duration_since(since);
                    }
                    let outcome = match frame {
                        None => {
                            progress.done = Some(now);
                            return Poll::Ready(None);
                        }
                        // Trailers of a request are dropped: none is ever merged into headers, and no upstream that
                        // we speak HTTP/1 to was promised any (RFC 9110, section 6.5.1).
                        Some(Ok(frame)) => match frame.into_data() {
                            Err(_trailers) => continue,
                            Ok(data) => count(&mut progress, data, self.most),
                        },
                        Some(Err(failure)) => Err(failure),
                    };
                    if let Err(failure) = outcome {
                        progress.failed = Some(failure);
                    } else if self.incoming.is_end_stream() {
                        progress.done = Some(now);
                    }
                    return Poll::Ready(Some(outcome.map(Frame::data)));
                }
            }
        }
    }

    /// The client has nothing for us: wait, but not for ever.
    fn pause(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        {
            let mut progress = self.flow.lock();
            progress.asked = now;
            progress.waiting.get_or_insert(now);
        }
        let pause = self.pause;
        let pausing = self.pausing.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now + pause)));
        if pausing.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.flow.lock().failed = Some(BodyFailure::TooSlow);
        Poll::Ready(Some(Err(BodyFailure::TooSlow)))
    }
}

fn count(progress: &mut Progress, data: Bytes, most: u64) -> Result<Bytes, BodyFailure> {
    progress.received = progress.received.saturating_add(data.len() as u64);
    if progress.received > most { Err(BodyFailure::TooLarge) } else { Ok(data) }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(streaming) => streaming.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(streaming) => streaming.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(streaming) => streaming.incoming.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "RequestBody::Empty",
            Self::Streaming(_) => "RequestBody::Streaming",
        })
    }
}
