//! How long a client may keep a connection waiting: for a head, for a byte of a body, between requests.
//!
//! One timer for a connection, not one for a request. Whoever makes the connection wait notes since when; the driver of
//! the connection ([`super::serve`]) looks after each poll, and moves its timer only when something is due sooner than the
//! timer stands. A request that is answered at once costs a few stores and no timer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::observe::Origin;

/// What a connection may take, from `[server]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// A head, from its first byte (the first head: from the connection) to its last.
    pub(crate) header: Duration,
    /// A byte of a body, either way.
    pub(crate) body: Duration,
    /// The same for an event stream, and for a tunnel.
    pub(crate) stream: Duration,
    /// The time between two requests.
    pub(crate) idle: Duration,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nothing came since the last answer: close without a word.
    Idle,
    /// A head that began is not complete: 408.
    Head,
    /// The answer's body stalled: cut.
    Body,
    /// No byte goes through a tunnel either way: cut.
    Silence,
    /// The client does not take what is there for it: cut.
    Write,
}

/// The state of one connection, shared by its stream, its requests and its driver. All of them run in one task, so the
/// orderings are relaxed; atomics only because a request's future must be `Send`.
#[derive(Debug)]
pub(crate) struct Watch {
    origin: Instant,
    phase: AtomicU8,
    /// Milliseconds since `origin` at which `phase` began.
    phase_since: AtomicU64,
    /// The same for a write the client does not take, plus one; 0 when none waits.
    write_since: AtomicU64,
    /// The same for a body the upstream does not go on with.
    body_since: AtomicU64,
    /// The connection is being cut because a body stalled, by [`BY_UPSTREAM`] or [`BY_CLIENT`], or a tunnel is silent,
    /// [`BY_NOBODY`].
    cut: AtomicU8,
    /// There was a request before.
    served: AtomicBool,
    /// The present answer is a stream of events, which may be silent for longer.
    stream: AtomicBool,
}

/// How long a new connection that has said nothing is kept during a drain.
const FRESH_WHEN_DRAINING: Duration = Duration::from_millis(500);

const BY_UPSTREAM: u8 = 1;
const BY_CLIENT: u8 = 2;
const BY_NOBODY: u8 = 3;

/// A phase that began since the driver last looked.
const UNKNOWN: u64 = u64::MAX;

/// Nothing of the next head has arrived, and nothing at all yet.
const FRESH: u8 = 0;
/// Nothing of the next head has arrived; there were requests before.
const IDLE: u8 = 1;
/// A part of a head has arrived.
const HEAD: u8 = 2;
/// A request is being answered.
const BUSY: u8 = 3;
/// A request was answered before its body had arrived: what comes now is the rest of that body, and no head.
const LEFTOVER: u8 = 4;
/// The connection is HTTP no longer; the phase begins anew with every byte.
const TUNNEL: u8 = 5;

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            phase: AtomicU8::new(FRESH),
            phase_since: AtomicU64::new(0),
            write_since: AtomicU64::new(0),
            body_since: AtomicU64::new(0),
            cut: AtomicU8::new(0),
            served: AtomicBool::new(false),
            stream: AtomicBool::new(false),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A request's head is complete.
    pub(crate) fn request_began(&self) {
        // Its time is not needed: while a request is answered, only stalls count.
        self.phase.store(BUSY, Ordering::Relaxed);
        self.served.store(true, Ordering::Relaxed);
        self.stream.store(false, Ordering::Relaxed);
    }

    /// The answer is a stream of events.
    pub(crate) fn answer_is_a_stream(&self) {
        self.stream.store(true, Ordering::Relaxed);
    }

    /// The answer's body has ended; the request's has too, unless the answer came `early`.
    pub(crate) fn request_ended(&self, early: bool) {
        self.body_since.store(0, Ordering::Relaxed);
        self.phase.store(if early { LEFTOVER } else { IDLE }, Ordering::Relaxed);
        self.phase_since.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Bytes of the client arrived: the begin of a head, or of a body that goes on and keeps its stream alive.
    fn bytes_came(&self) {
        if self.phase.load(Ordering::Relaxed) < HEAD {
            // When it began is noted when somebody asks: a head that arrives whole is none by then.
            self.phase.store(HEAD, Ordering::Relaxed);
            self.phase_since.store(UNKNOWN, Ordering::Relaxed);
        } else if self.body_since.load(Ordering::Relaxed) != 0 {
            self.body_since.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// The next request's head is here in part already: it came together with the request before it.
    pub(crate) fn head_begins(&self) {
        if self.phase.load(Ordering::Relaxed) < HEAD {
            self.phase.store(HEAD, Ordering::Relaxed);
            self.phase_since.store(UNKNOWN, Ordering::Relaxed);
        }
    }

    /// What came was no part of a head. A connection that has had no request yet is waited for as before.
    pub(crate) fn no_head_begins(&self) {
        if self.phase.load(Ordering::Relaxed) == HEAD && self.served.load(Ordering::Relaxed) {
            self.phase.store(IDLE, Ordering::Relaxed);
            self.phase_since.store(UNKNOWN, Ordering::Relaxed);
        }
    }

    /// A body that went on after its answer has ended.
    pub(crate) fn leftover_ended(&self) {
        if self.phase.load(Ordering::Relaxed) == LEFTOVER {
            self.phase.store(IDLE, Ordering::Relaxed);
            self.phase_since.store(UNKNOWN, Ordering::Relaxed);
        }
    }

    /// What comes now is no HTTP.
    pub(crate) fn tunnel_began(&self) {
        self.phase.store(TUNNEL, Ordering::Relaxed);
        self.tunnel_goes_on();
    }

    /// A byte went through.
    pub(crate) fn tunnel_goes_on(&self) {
        self.phase_since.store(self.now(), Ordering::Relaxed);
    }

    /// The answer's body waits for its upstream.
    pub(crate) fn body_waits(&self) {
        if self.body_since.load(Ordering::Relaxed) == 0 {
            self.body_since.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// The answer's body goes on.
    pub(crate) fn body_goes_on(&self) {
        self.body_since.store(0, Ordering::Relaxed);
    }

    /// The connection is about to be dropped: whoever is dropped with it can say why.
    pub(crate) fn cut(&self, why: Overdue) {
        let by = match why {
            Overdue::Body => BY_UPSTREAM,
            Overdue::Write => BY_CLIENT,
            Overdue::Silence => BY_NOBODY,
            Overdue::Head | Overdue::Idle => return,
        };
        self.cut.store(by, Ordering::Relaxed);
    }

    /// Whose silence it was cut for, if it was.
    pub(crate) fn was_cut(&self) -> Option<Origin> {
        match self.cut.load(Ordering::Relaxed) {
            BY_CLIENT => Some(Origin::Client),
            BY_UPSTREAM => Some(Origin::Upstream),
            _ => None,
        }
    }

    /// Whether it was cut because nothing went through its tunnel.
    pub(crate) fn was_silent(&self) -> bool {
        self.cut.load(Ordering::Relaxed) == BY_NOBODY
    }

    /// Whether a head may be on its way that was not read yet: on a new connection, or in parts.
    pub(crate) fn expects_head(&self) -> bool {
        matches!(self.phase.load(Ordering::Relaxed), FRESH | HEAD)
    }

    /// Whether any byte of the present head has come.
    pub(crate) fn is_mid_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == HEAD
    }

    /// When the phase began; noted when it is first asked, for most phases are over before.
    fn since(&self) -> u64 {
        let mut since = self.phase_since.load(Ordering::Relaxed);
        if since == UNKNOWN {
            since = self.now();
            self.phase_since.store(since, Ordering::Relaxed);
        }
        since
    }

    /// When the connection will have waited too long, and for what; none while it waits for nobody but the upstream's head,
    /// which has deadlines of its own.
    pub(crate) fn due(&self, patience: Patience, draining: bool) -> Option<(Instant, Overdue)> {
        let at = |millis: u64, wait: Duration| self.origin + Duration::from_millis(millis) + wait;
        match self.phase.load(Ordering::Relaxed) {
            // Whoever connected just before the drain may have sent a request; that shows in no time.
            FRESH if draining => Some((at(0, patience.header.min(FRESH_WHEN_DRAINING)), Overdue::Idle)),
            FRESH => Some((at(0, patience.header), Overdue::Idle)),
            HEAD => Some((at(self.since(), patience.header), Overdue::Head)),
            LEFTOVER => Some((at(self.since(), patience.body), Overdue::Idle)),
            TUNNEL => Some((at(self.since(), patience.stream), Overdue::Silence)),
            phase => {
                let write = self.write_since.load(Ordering::Relaxed);
                let body = self.body_since.load(Ordering::Relaxed);
                // The later of two stalls that are both on says when the last byte moved.
                let what = if write >= body { Overdue::Write } else { Overdue::Body };
                match (write.max(body), phase) {
                    (0, IDLE) => Some((at(self.since(), patience.idle), Overdue::Idle)),
                    (0, _) => None,
                    (stalled, _) if what == Overdue::Body && self.stream.load(Ordering::Relaxed) => {
                        Some((at(stalled - 1, patience.stream), what))
                    }
                    (stalled, _) => Some((at(stalled - 1, patience.body), what)),
                }
            }
        }
    }
}

/// A client's stream that notes what it does.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    pub(crate) stream: S,
    pub(crate) watch: Arc<Watch>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.bytes_came();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn note_write<T>(&self, polled: Poll<T>) -> Poll<T> {
        let since = &self.watch.write_since;
        match polled {
            Poll::Pending if since.load(Ordering::Relaxed) == 0 => since.store(self.watch.now() + 1, Ordering::Relaxed),
            Poll::Pending => {}
            Poll::Ready(_) => since.store(0, Ordering::Relaxed),
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_write(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
