//! The head of a request (RFC 9112, sections 2, 3 and 6): found, bounded, parsed once, and framed in exactly one way.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use portcullis_core::Rejection;

use super::answer::Reply;
use crate::h1::{Framing, digits, members};

/// How large a head may be, from `[server]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// In bytes, with its last empty line; over it 431, or 414 when the request line alone is.
    pub(crate) bytes: usize,
    /// In fields; over it 431.
    pub(crate) fields: usize,
}

/// A request's head.
#[derive(Debug)]
pub(crate) struct Head {
    /// Boxed, so that it is handed on as one word.
    pub(crate) parts: Box<Parts>,
    /// How its body is delimited: never by the connection's end.
    pub(crate) framing: Framing,
    /// What its answer has to know of it.
    pub(crate) reply: Reply,
}

/// Takes the head from the front of `unread` once it is whole. `scanned`: how many bytes were found to be whole lines
/// before; 0 at first. `room`: an empty map for its fields.
///
/// # Errors
/// 400, 414, 431, 501 and 505.
pub(super) fn take(
    unread: &mut BytesMut,
    bounds: Bounds,
    scanned: &mut usize,
    room: &mut HeaderMap,
) -> Result<Option<Head>, Rejection> {
    let Some(length) = find_end(unread, scanned)? else {
        if unread.len() < bounds.bytes {
            return Ok(None);
        }
        return Err(too_large(unread, bounds));
    };
    *scanned = 0;
    if length > bounds.bytes {
        return Err(too_large(unread, bounds));
    }
    // Copied, unless it is large: then the buffer belongs to nobody else, and takes the next read as it is.
    let head = if length <= COPIED {
        let head = Bytes::copy_from_slice(unread.get(..length).unwrap_or_default());
        unread.advance(length);
        head
    } else {
        unread.split_to(length).freeze()
    };
    parse(&head, bounds.fields, room).map(Some)
}

/// A head over the bound, however it came: 414 when its request line alone is.
fn too_large(head: &[u8], bounds: Bounds) -> Rejection {
    match memchr::memchr(b'\n', head) {
        Some(end) if end < bounds.bytes => Rejection::HeadersTooLarge,
        _ => Rejection::UriTooLong,
    }
}

/// Heads up to this are copied.
const COPIED: usize = 4 * 1024;

/// Where the head ends: behind its first empty line. Lines that end in LF alone are not lines (RFC 9112, section 2.2, lets
/// us take them for such; who does not would see another request than we do).
fn find_end(unread: &mut BytesMut, scanned: &mut usize) -> Result<Option<usize>, Rejection> {
    // Some clients end a body with a line too many (RFC 9112, section 2.2).
    while *scanned == 0 && unread.starts_with(b"\r\n") {
        unread.advance(2);
    }
    if let Some(first) = unread.first()
        && *scanned == 0
        && !first.is_ascii_alphanumeric()
        && !b"\r!#$%&'*+-.^_`|~".contains(first)
    {
        return Err(NOT_HTTP);
    }
    while let Some(line) = unread.get(*scanned..)
        && let Some(end) = memchr::memchr(b'\n', line)
    {
        match line.get(..end) {
            Some([.., b'\r']) => {}
            _ => return Err(Rejection::BadRequest("a line does not end in CRLF")),
        }
        *scanned += end + 1;
        if end == 1 {
            return Ok(Some(*scanned));
        }
    }
    Ok(None)
}

const NOT_HTTP: Rejection = Rejection::BadRequest("the head is not HTTP/1.1");

/// The most fields that are parsed without an allocation: the default of `server.max_headers`.
const USUAL: usize = 100;

fn parse(head: &Bytes, most_fields: usize, room: &mut HeaderMap) -> Result<Head, Rejection> {
    if most_fields <= USUAL {
        let mut slots = [const { MaybeUninit::uninit() }; USUAL];
        let slots = slots.get_mut(..most_fields).unwrap_or_default();
        let mut line = httparse::Request::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut line, head, slots);
        read(head, parsed, &line, room)
    } else {
        let mut slots = vec![httparse::EMPTY_HEADER; most_fields];
        let mut line = httparse::Request::new(&mut slots);
        let parsed = line.parse(head);
        read(head, parsed, &line, room)
    }
}

fn read(
    head: &Bytes,
    parsed: httparse::Result<usize>,
    line: &httparse::Request<'_, '_>,
    room: &mut HeaderMap,
) -> Result<Head, Rejection> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Rejection::HeadersTooLarge),
        Err(httparse::Error::Version) => return Err(Rejection::VersionNotSupported),
        Ok(_) | Err(_) => return Err(NOT_HTTP),
    }
    let version = if line.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let method = line.method.and_then(|method| Method::from_bytes(method.as_bytes()).ok()).ok_or(NOT_HTTP)?;
    let uri = target(head, line.path.unwrap_or_default())?;
    let noted = fields(head, line.headers, room)?;
    let framing = noted.framing(version)?;
    // What follows a CONNECT is for whoever was asked for, and no request.
    let lasts = noted.lasts(version) && method != Method::CONNECT;
    let reply = Reply::new(&method, version, lasts);
    let mut parts = Box::new(Request::new(()).into_parts().0);
    parts.method = method;
    parts.uri = uri;
    parts.version = version;
    std::mem::swap(&mut parts.headers, room);
    Ok(Head { parts, framing, reply })
}

/// The request's target (RFC 9112, section 3.2). A fragment is not part of one, and must not be cut off silently.
fn target(head: &Bytes, path: &str) -> Result<Uri, Rejection> {
    if path.contains('#') {
        return Err(Rejection::BadRequest("the target has a `#`"));
    }
    if path.len() > MOST_TARGET {
        return Err(Rejection::UriTooLong);
    }
    Uri::from_maybe_shared(head.slice_ref(path.as_bytes()))
        .map_err(|_| Rejection::BadRequest("the target is not a URL"))
}

/// Longer targets are no URLs to the library that keeps them.
const MOST_TARGET: usize = u16::MAX as usize - 1;

fn fields(head: &Bytes, parsed: &[httparse::Header<'_>], fields: &mut HeaderMap) -> Result<Noted, Rejection> {
    let mut noted = Noted::default();
    fields.reserve(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| NOT_HTTP)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| NOT_HTTP)?;
        noted.note(&name, &value);
        fields.try_append(name, value).map_err(|_| Rejection::HeadersTooLarge)?;
    }
    Ok(noted)
}

/// What the fields say about framing and about the connection's end.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    lengths: usize,
    length: Option<u64>,
    codings: usize,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Noted {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name == CONTENT_LENGTH {
            self.lengths += 1;
            self.length = digits(value.as_bytes());
        } else if *name == TRANSFER_ENCODING {
            self.codings += 1;
            self.chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
        } else if *name == CONNECTION {
            for member in members(value) {
                self.close |= member.eq_ignore_ascii_case(b"close");
                self.keep_alive |= member.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }

    /// Exactly one framing, or none (RFC 9112, section 6.3). Repeats are refused even where they agree: nobody honest sends
    /// them, and what is behind us may read them otherwise.
    fn framing(self, version: Version) -> Result<Framing, Rejection> {
        match (self.codings, self.lengths) {
            (0, 0) => Ok(Framing::Length(0)),
            (0, 1) => self.length.map(Framing::Length).ok_or(Rejection::BadRequest("the length is not a number")),
            (0, _) => Err(Rejection::BadRequest("there is more than one length")),
            _ if version == Version::HTTP_10 => Err(Rejection::BadRequest("HTTP/1.0 has no transfer codings")),
            (1, 0) if self.chunked => Ok(Framing::Chunked),
            (1, 0) => Err(Rejection::UnknownCoding),
            _ => Err(Rejection::BadRequest("the body has more than one framing")),
        }
    }

    /// Whether the client goes on with the connection (RFC 9112, section 9.3).
    fn lasts(self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}
