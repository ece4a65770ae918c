//! A request on its way out: the head as bytes, and the body after it, framed by what we know of it (RFC 9112, sections 3, 6
//! and 7.1).

use std::fmt;
use std::io::ErrorKind;
use std::io::Write as _;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};
use http_body::Body;
use portcullis_core::headers::Upgrade;
use tokio::io::AsyncWrite;

use super::{Broken, Head, Opening};
use crate::forward::body::BodyFailure;
use crate::h1::push_field;

/// A request that is being sent. Belongs to no connection, so that it can be sent again on another.
pub(crate) struct Outgoing<B> {
    /// The head, and then one frame of the body at a time; all that were, while it may be sent again.
    bytes: Vec<u8>,
    /// How many of `bytes` were written.
    written: usize,
    /// None once it has ended.
    body: Option<B>,
    framing: Framing,
    /// Whether a byte was ever written.
    begun: bool,
    state: State,
    /// It may be sent again although it was sent, and is kept for that while it has at most so many bytes: its method is
    /// idempotent (RFC 9110, section 9.2.2). None when what was sent is gone.
    most_kept: Option<usize>,
    pub(super) to_head: bool,
    host: Host,
    /// What the connection may change to.
    pub(super) upgrade: Option<Box<Upgrade>>,
    /// The request's fields, emptied: room for the response's.
    pub(super) fields: HeaderMap,
}

/// Whose `Host` the head has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// The client's.
    Given,
    /// Nobody's; it belongs at this place of the bytes.
    Missing(usize),
    /// That of the server which was asked last, in this part of the bytes.
    Servers(Range<usize>),
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

impl<B: Body<Data = Bytes, Error = BodyFailure> + Unpin> Outgoing<B> {
    /// The request that `head` begins: with the rest of its head, and `body`, of which `replay` bytes may be kept to be sent
    /// again. What is left of `parts` is its room for fields.
    pub(crate) fn new(head: Opening, parts: &mut Parts, body: B, replay: usize) -> Self {
        let framing = match body.size_hint().exact() {
            _ if body.is_end_stream() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let Opening { mut lines, says_length, has_host } = head;
        // What we know of the framing, once.
        match framing {
            Framing::Chunked => lines.push_field(&TRANSFER_ENCODING, b"chunked"),
            Framing::Length(length) => {
                lines.push_field(&CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes());
            }
            Framing::None if says_length => lines.push_field(&CONTENT_LENGTH, b"0"),
            Framing::None => {}
        }
        let host = if has_host { Host::Given } else { Host::Missing(lines.as_bytes().len()) };
        lines.push(END);
        let mut fields = std::mem::take(&mut parts.headers);
        fields.clear();
        let fits = match framing {
            Framing::Chunked => replay > 0,
            Framing::Length(length) => length <= replay as u64,
            Framing::None => true,
        };
        let bytes = lines.into_bytes();
        let most_kept = (parts.method.is_idempotent() && fits).then(|| bytes.len().saturating_add(replay));
        Self {
            bytes,
            written: 0,
            body: Some(body).filter(|_| framing != Framing::None),
            framing,
            begun: false,
            state: State::Fresh,
            most_kept,
            to_head: parts.method == Method::HEAD,
            host,
            upgrade: None,
            fields,
        }
    }

    /// The same, after which the upstream may change to another protocol; the head says so already.
    pub(crate) fn asking_for(mut self, upgrade: Option<Box<Upgrade>>) -> Self {
        self.upgrade = upgrade;
        self
    }

    /// A request that came without a host (HTTP/1.0 allows it) gets its server's: every upstream sees exactly one, its own. Nothing
    /// of the request was sent to this server yet.
    pub(crate) fn add_host(&mut self, host: &HeaderValue) {
        let place = match &self.host {
            Host::Given => return,
            Host::Missing(place) => *place..*place,
            Host::Servers(place) => place.clone(),
        };
        let mut line = Vec::new();
        push_field(&mut line, &HOST, host.as_bytes());
        self.host = Host::Servers(place.start..place.start + line.len());
        self.most_kept = self.most_kept.map(|most| most + line.len() - place.len());
        self.bytes.splice(place, line);
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
                self.state = State::Broken;
                return Poll::Ready(Ok(()));
            }
            if self.body.is_none() {
                self.state = State::Sent;
                return Poll::Ready(Ok(()));
            }
            if self.most_kept.is_none() {
                self.bytes.clear();
                self.written = 0;
            }
            ready!(self.poll_body(cx)).map_err(Broken::Client)?;
            if self.most_kept.is_some_and(|most| self.bytes.len() > most) {
                self.most_kept = None;
            }
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

    /// Sends no more of it, and not again.
    pub(crate) fn give_up(&mut self) {
        self.most_kept = None;
        self.body = None;
        self.state = State::Broken;
    }

    /// Whether nothing is left to do: it was sent, or cannot be.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Broken | State::Sent)
    }

    /// Whether a 101 changes to what it asked for, all of which was sent before (RFC 9110, section 7.8). An upstream that
    /// speaks HTTP/1.0 cannot.
    pub(super) fn allows(&self, switch: &Head) -> bool {
        let is_one = switch.response.version() == Version::HTTP_11 && self.is_sent();
        let answer = Upgrade::of(switch.response.headers());
        is_one && self.upgrade.as_ref().zip(answer).is_some_and(|(asked, answer)| answer.answers(asked))
    }

    /// Whether all of it was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// Whether it may go to another connection: nothing of it was sent, or it is safe to send again and still there.
    pub(crate) const fn can_repeat(&self) -> bool {
        !self.begun || self.most_kept.is_some()
    }

    /// How many bytes of it are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Prepares it for another connection; false when it must not go again.
    pub(crate) fn rewind(&mut self) -> bool {
        if !self.can_repeat() {
            return false;
        }
        self.written = 0;
        self.begun = false;
        if self.state != State::Fresh {
            self.state = State::Sending;
        }
        true
    }

    /// It has its answer: what was sent of it is not kept any more, nor what cannot be sent.
    pub(crate) fn is_answered(&mut self) {
        self.most_kept = None;
        if self.state == State::Broken {
            self.body = None;
        }
    }
}

impl<B> fmt::Debug for Outgoing<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("framing", &self.framing).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The end of a head.
const END: &[u8] = b"\r\n";
