//! An answer on its way to the client: its head as bytes, and its body after it, framed by what we know of it (RFC 9112,
//! sections 4, 6 and 9.3).

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Method, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;
use portcullis_core::time::Clock;
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;
use crate::h1::{Lines, push_field};

/// What an answer has to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The client speaks HTTP/1.0: no chunks, and the connection ends unless both say that it does not.
    is_old: bool,
    /// The client wants no body.
    is_to_head: bool,
    /// Another exchange may follow.
    lasts: bool,
}

impl Reply {
    pub(super) fn new(method: &Method, version: Version, lasts: bool) -> Self {
        Self { is_old: version == Version::HTTP_10, is_to_head: method == Method::HEAD, lasts }
    }

    /// To what was no request.
    pub(super) const fn last() -> Self {
        Self { is_old: false, is_to_head: false, lasts: false }
    }

    /// Whether another request may follow, as far as the client says.
    #[cfg(test)]
    pub(super) const fn lasts(self) -> bool {
        self.lasts
    }

    /// The same, and then the connection ends.
    pub(super) const fn and_close(self) -> Self {
        Self { lasts: false, ..self }
    }
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Chunked,
    /// So many bytes are left.
    Length(u64),
    UntilClose,
}

/// An answer that is being sent.
#[derive(Debug)]
pub(super) struct Answer<'o, B> {
    /// The head, and small pieces of the body: written before `data`.
    out: &'o mut Vec<u8>,
    /// How many bytes of `out` were written.
    written: usize,
    /// A large piece of the body, not copied.
    data: Bytes,
    /// None once it has ended.
    body: Option<B>,
    framing: Framing,
    lasts: bool,
    /// The body broke off: what came before is written, and then the connection ends.
    is_cut: bool,
}

/// The client cannot be sent any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Pieces up to this are copied behind what is written before them: one call of the kernel instead of two.
const COPIED: usize = 16 * 1024;

/// More room than this does not stay allocated.
const MOST_SCRATCH: usize = 32 * 1024;

impl<'o, B: Body<Data = Bytes> + Unpin> Answer<'o, B> {
    /// Encodes the head into `out`: the fields of `parts`, behind them lines that are stored, and what is said.
    pub(super) fn new(
        parts: &Parts,
        body: B,
        (stored, said): (Option<&[u8]>, &Lines),
        reply: Reply,
        date: &[u8],
        out: &'o mut Vec<u8>,
    ) -> Self {
        out.clear();
        let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless =
            switches || reply.is_to_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let framing = match body.size_hint().exact() {
            _ if bodiless => Framing::Length(0),
            Some(length) => Framing::Length(length),
            None if reply.is_old => Framing::UntilClose,
            None => Framing::Chunked,
        };
        let keeps_length = bodiless && !switches && parts.status != StatusCode::NO_CONTENT;
        // What is stored has its own date.
        let says_close = encode(parts, keeps_length, if stored.is_some() { None } else { Some(date) }, out);
        out.extend_from_slice(stored.unwrap_or_default());
        out.extend_from_slice(said.as_bytes());
        let lasts = reply.lasts && framing != Framing::UntilClose && !says_close;
        match framing {
            _ if bodiless => {}
            Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::Length(length) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => {}
        }
        if switches {
            // What becomes of the connection is said among the fields.
        } else if !lasts {
            out.extend_from_slice(b"connection: close\r\n");
        } else if reply.is_old {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let body = Some(body).filter(|_| framing != Framing::Length(0));
        Self { out, written: 0, data: Bytes::new(), body, framing, lasts, is_cut: false }
    }

    /// Sends what can be sent. Ready when all of it was: whether another exchange may follow.
    ///
    /// # Errors
    /// The client is gone, or takes no more.
    pub(super) fn poll<S>(&mut self, wire: &Wire<S>, cx: &mut Context<'_>) -> Poll<Result<bool, Gone>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            // The head goes out together with what is there of the body already: one write for a small answer.
            let waits = self.data.is_empty() && self.out.len() < COPIED && self.poll_body(cx).is_pending();
            if self.has_unwritten() {
                ready!(self.poll_write(wire, cx))?;
            } else if self.body.is_none() {
                return Poll::Ready(Ok(self.lasts && !self.is_cut));
            } else if waits {
                return wire.lock().poll_hung_up(cx).map(|()| Err(Gone));
            }
        }
    }

    fn has_unwritten(&self) -> bool {
        self.written < self.out.len() || !self.data.is_empty()
    }

    /// Appends frames until there is enough, or no more.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.data.is_empty() && self.out.len() < COPIED {
            let Some(body) = &mut self.body else { return Poll::Ready(()) };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => self.append(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => {
                    self.is_cut = true;
                    self.body = None;
                }
                None => self.end(),
            }
        }
        Poll::Ready(())
    }

    fn append(&mut self, data: Bytes) {
        // An empty chunk would be the end.
        if data.is_empty() {
            return;
        }
        match &mut self.framing {
            Framing::Chunked => {
                // Writing to memory cannot fail.
                let _ = write!(self.out, "{:x}\r\n", data.len());
            }
            Framing::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                // More than it said: nothing of it that would be read as the next answer.
                None => {
                    self.is_cut = true;
                    self.body = None;
                    return;
                }
            },
            Framing::UntilClose => {}
        }
        if data.len() <= COPIED || self.framing == Framing::Chunked {
            self.out.extend_from_slice(&data);
        } else {
            self.data = data;
        }
        if self.framing == Framing::Chunked {
            self.out.extend_from_slice(b"\r\n");
        }
        let ended = self.framing == Framing::Length(0) || self.body.as_ref().is_some_and(Body::is_end_stream);
        if ended {
            self.end();
        }
    }

    fn end(&mut self) {
        self.body = None;
        match self.framing {
            Framing::Chunked => self.out.extend_from_slice(b"0\r\n\r\n"),
            // Shorter than it said.
            Framing::Length(1..) => self.is_cut = true,
            Framing::Length(0) | Framing::UntilClose => {}
        }
    }

    fn poll_write<S>(&mut self, wire: &Wire<S>, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut side = wire.lock();
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.written += ready!(side.poll_write(cx, rest)).map_err(|_| Gone)?;
        }
        self.out.clear();
        self.written = 0;
        if self.out.capacity() > MOST_SCRATCH {
            self.out.shrink_to(MOST_SCRATCH);
        }
        while !self.data.is_empty() {
            let written = ready!(side.poll_write(cx, &self.data)).map_err(|_| Gone)?;
            let _ = self.data.split_to(written.min(self.data.len()));
        }
        Poll::Ready(Ok(()))
    }
}

/// The head but for its framing and its end. What the answer's fields say of their framing is left out. Returns whether
/// the pipeline wants the connection to end.
fn encode(parts: &Parts, keeps_length: bool, date: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    let reason = parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let usual = || parts.status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(reason.unwrap_or_else(usual));
    out.extend_from_slice(b"\r\n");
    let (mut has_date, mut says_close) = (false, false);
    for (name, value) in &parts.headers {
        if *name == CONNECTION {
            says_close |= value.as_bytes().eq_ignore_ascii_case(b"close");
        } else if *name != TRANSFER_ENCODING && (keeps_length || *name != CONTENT_LENGTH) {
            has_date |= *name == DATE;
            push_field(out, name, value.as_bytes());
        }
    }
    if let Some(date) = date.filter(|_| !has_date) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    says_close
}

/// The text of the present second, made once for it (RFC 9110, section 6.6.1).
#[derive(Debug, Default)]
pub(super) struct Date {
    second: u64,
    text: String,
}

impl Date {
    pub(super) fn at(&mut self, clock: &Clock) -> &[u8] {
        let second = clock.unix().as_secs();
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        }
        self.text.as_bytes()
    }
}
