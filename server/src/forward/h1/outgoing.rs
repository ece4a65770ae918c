//! A request on its way out: the head as bytes, and the body after it, framed by what we know of it (RFC 9112, sections 3, 6
//! and 7.1).

use std::fmt;
use std::io::ErrorKind;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::Broken;
use crate::forward::body::BodyFailure;
use crate::h1::push_field;

/// A request that is being sent. Belongs to no connection, so that it can be sent again on another.
pub(crate) struct Outgoing<B> {
    /// The head, and then one frame of the body at a time.
    bytes: Vec<u8>,
    /// How many of `bytes` were written.
    written: usize,
    /// None once it has ended.
    body: Option<B>,
    framing: Framing,
    /// Whether a byte was ever written.
    begun: bool,
    state: State,
    /// Whether it may be sent again although it was sent: its method is safe, and it has no body (RFC 9110, section 9.2).
    repeatable: bool,
    pub(super) to_head: bool,
    /// The request's fields, emptied: room for the response's.
    pub(super) fields: HeaderMap,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Chunked,
    /// So many bytes are left.
    Length(u64),
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The connection takes no more.
    Broken,
    /// The first frame was not asked for.
    Fresh,
    Sending,
    Sent,
}

/// Larger heads and frames than this do not stay allocated.
const MOST_SCRATCH: usize = 16 * 1024;

impl<B: Body<Data = Bytes, Error = BodyFailure> + Unpin> Outgoing<B> {
    /// Encodes the head of `request`, with `more` fields behind its own, into `scratch`.
    pub(crate) fn new<'f>(
        request: Request<B>,
        more: impl IntoIterator<Item = &'f (HeaderName, HeaderValue)>,
        mut scratch: Vec<u8>,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let framing = match body.size_hint().exact() {
            _ if body.is_end_stream() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        scratch.clear();
        encode(&parts, more, framing, &mut scratch);
        parts.headers.clear();
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        Self {
            bytes: scratch,
            written: 0,
            body: Some(body).filter(|_| framing != Framing::None),
            framing,
            begun: false,
            state: State::Fresh,
            repeatable: safe && framing == Framing::None,
            to_head: parts.method == Method::HEAD,
            fields: parts.headers,
        }
    }

    /// Sends what can be sent. Ready when nothing is left to send; also when the connection takes no more, for then an
    /// answer may still be there to be read.
    ///
    /// While what was given to the connection is not taken, the body is not asked for more: that is how a [`Flow`] knows
    /// that the upstream has stalled.
    ///
    /// [`Flow`]: crate::forward::body::Flow
    ///
    /// # Errors
    /// [`Broken::Client`] when the body fails; [`Broken::Closed`] when the connection is closed before a byte was sent.
    pub(crate) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        if self.is_over() {
            return Poll::Ready(Ok(()));
        }
        // The head goes out together with what is there of the body already: one write for a small request.
        let fresh = std::mem::replace(&mut self.state, State::Sending) == State::Fresh;
        if fresh && let Poll::Ready(Err(failure)) = self.poll_body(cx) {
            return Poll::Ready(Err(Broken::Client(failure)));
        }
        loop {
            if let Err(kind) = ready!(self.poll_write(stream, cx)) {
                if !self.begun {
                    return Poll::Ready(Err(Broken::Closed(kind)));
                }
                tracing::debug!(%kind, "an upstream takes no more of a request");
                self.give_up();
                return Poll::Ready(Ok(()));
            }
            if self.body.is_none() {
                self.state = State::Sent;
                return Poll::Ready(Ok(()));
            }
            self.bytes.clear();
            self.written = 0;
            ready!(self.poll_body(cx)).map_err(Broken::Client)?;
        }
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ErrorKind>> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero)),
                Ok(written) => self.written += written,
                Err(error) => return Poll::Ready(Err(error.kind())),
            }
            self.begun = true;
        }
        Pin::new(stream).poll_flush(cx).map_err(|error| error.kind())
    }

    /// Appends the next frame, or the end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyFailure>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        loop {
            let data = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None if self.framing == Framing::Chunked => {
                    self.bytes.extend_from_slice(b"0\r\n\r\n");
                    self.body = None;
                    return Poll::Ready(Ok(()));
                }
                // Shorter than it said.
                None => return Poll::Ready(Err(BodyFailure::Broken)),
                Some(frame) => frame?.into_data().unwrap_or_default(),
            };
            // An empty chunk would be the end.
            if data.is_empty() {
                continue;
            }
            if let Framing::Length(left) = &mut self.framing {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyFailure::Broken)?;
                self.bytes.extend_from_slice(&data);
                if *left == 0 {
                    self.body = None;
                }
            } else {
                // Writing to memory cannot fail.
                let _ = write!(self.bytes, "{:x}\r\n", data.len());
                self.bytes.extend_from_slice(&data);
                self.bytes.extend_from_slice(b"\r\n");
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// Sends no more of it.
    pub(crate) fn give_up(&mut self) {
        self.body = None;
        self.state = State::Broken;
    }

    /// Whether nothing is left to do: it was sent, or cannot be.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Broken | State::Sent)
    }

    /// Whether all of it was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// Prepares it for another connection, after one that closed without an answer; false when it must not go again.
    pub(crate) fn rewind(&mut self) -> bool {
        if self.begun && !self.repeatable {
            return false;
        }
        self.written = 0;
        self.begun = false;
        self.state = State::Sending;
        true
    }

    /// The room its head was encoded in.
    pub(crate) fn into_scratch(self) -> Vec<u8> {
        if self.bytes.capacity() > MOST_SCRATCH { Vec::new() } else { self.bytes }
    }
}

impl<B> fmt::Debug for Outgoing<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("framing", &self.framing).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The head. What the request's fields say of its framing is left out; what we know of it is said instead, once.
fn encode<'f>(
    parts: &Parts,
    more: impl IntoIterator<Item = &'f (HeaderName, HeaderValue)>,
    framing: Framing,
    to: &mut Vec<u8>,
) {
    to.extend_from_slice(parts.method.as_str().as_bytes());
    to.push(b' ');
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with(['/', '*']) {
        to.push(b'/');
    }
    to.extend_from_slice(target.as_bytes());
    to.extend_from_slice(b" HTTP/1.1\r\n");
    let mut says_length = false;
    for (name, value) in &parts.headers {
        if *name == CONTENT_LENGTH {
            says_length = true;
        } else if *name != TRANSFER_ENCODING {
            push_field(to, name, value);
        }
    }
    more.into_iter().for_each(|(name, value)| push_field(to, name, value));
    match framing {
        Framing::Chunked => to.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Length(length) => {
            to.extend_from_slice(b"content-length: ");
            to.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            to.extend_from_slice(b"\r\n");
        }
        Framing::None if says_length => to.extend_from_slice(b"content-length: 0\r\n"),
        Framing::None => {}
    }
    to.extend_from_slice(b"\r\n");
}
