//! The head of a response (RFC 9112, sections 2 and 4), parsed where it was read: values are slices of the read buffer.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::framing::Noted;
use super::{Broken, MOST_HEAD};
use crate::h1::{Framing, MOST_FIELDS};

/// A final response's head, and what it says about its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) response: Response<()>,
    pub(crate) framing: Framing,
    /// Whether the connection can be used again once the body has ended.
    pub(crate) lasts: bool,
}

/// What is at the front of the bytes that were read.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A final response's head; it is taken.
    Final(Head),
    /// An interim response of so many bytes; it is taken.
    Interim(usize),
    /// The beginning of a head.
    Partial,
    /// The head of a 101; it is taken, and what is behind it is HTTP no longer. Whether that was asked for is not looked at.
    Switch(Head),
}

/// Parses the head at the front of `unread` and takes it. `fields` is an empty map whose room is used; `to_head`: the
/// request was a HEAD.
///
/// # Errors
/// [`Broken::Invalid`] for what is no response, or one beyond the bounds.
pub(crate) fn parse(unread: &mut BytesMut, fields: &mut HeaderMap, to_head: bool) -> Result<Parsed, Broken> {
    let mut slots = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut line = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    // An upstream that folds lines is old, not hostile: they are unfolded (RFC 9112, section 5.2).
    config.allow_obsolete_multiline_headers_in_responses(true);
    let length = match config.parse_response_with_uninit_headers(&mut line, unread, &mut slots) {
        Ok(httparse::Status::Complete(length)) if length <= MOST_HEAD => length,
        Ok(httparse::Status::Partial) if unread.len() < MOST_HEAD => return Ok(Parsed::Partial),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Broken::Invalid("the head is too large")),
        Err(_) => return Err(Broken::Invalid("the head")),
    };
    let status = status(line.code)?;
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    if status.is_informational() && !switches {
        unread.advance(length);
        return Ok(Parsed::Interim(length));
    }
    let version = if line.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let reason = reason(status, line.reason);
    let mut places = [Place::default(); MOST_FIELDS];
    let count = place_fields(unread, line.headers, &mut places)?;
    let head = unread.split_to(length).freeze();
    let noted = read_fields(&head, places.get(..count).unwrap_or_default(), fields)?;
    // A 101 has no body, whatever it says of one (RFC 9110, section 15.2).
    let (framing, lasts) =
        if switches { (Framing::Length(0), false) } else { noted.conclude(status, version, to_head)? };
    noted.repair(fields);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    std::mem::swap(response.headers_mut(), fields);
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    let head = Head { response, framing, lasts };
    Ok(if switches { Parsed::Switch(head) } else { Parsed::Final(head) })
}

/// A status that HTTP has (RFC 9110, section 15).
fn status(code: Option<u16>) -> Result<StatusCode, Broken> {
    match code.map(StatusCode::from_u16) {
        Some(Ok(status)) if status.as_u16() <= 599 => Ok(status),
        _ => Err(Broken::Invalid("the status")),
    }
}

/// A reason that says more than the usual one goes on to the client; none, or what is no text, becomes the usual one.
fn reason(status: StatusCode, reason: Option<&str>) -> Option<ReasonPhrase> {
    let reason = reason.filter(|reason| !reason.is_empty() && Some(*reason) != status.canonical_reason())?;
    ReasonPhrase::try_from(reason.as_bytes()).ok()
}

/// Where a field's name and value stand in the head: begin and end.
#[derive(Clone, Copy, Default)]
struct Place {
    name: (u16, u16),
    value: (u16, u16),
}

/// The parser's borrowed fields as places, so that the head can be taken out of the buffer without a copy.
fn place_fields(
    bytes: &[u8],
    parsed: &[httparse::Header<'_>],
    places: &mut [Place; MOST_FIELDS],
) -> Result<usize, Broken> {
    let origin = bytes.as_ptr().addr();
    let place = |part: &[u8]| -> Option<(u16, u16)> {
        let begin = if part.is_empty() { 0 } else { part.as_ptr().addr().checked_sub(origin)? };
        Some((u16::try_from(begin).ok()?, u16::try_from(begin + part.len()).ok()?))
    };
    for (slot, field) in places.iter_mut().zip(parsed) {
        *slot = place(field.name.as_bytes())
            .zip(place(field.value))
            .map(|(name, value)| Place { name, value })
            .ok_or(Broken::Invalid("the head is too large"))?;
    }
    Ok(parsed.len())
}

fn read_fields(head: &Bytes, places: &[Place], fields: &mut HeaderMap) -> Result<Noted, Broken> {
    const WRONG: Broken = Broken::Invalid("a field");
    let mut noted = Noted::default();
    fields.reserve(places.len());
    for place in places {
        let range = |(begin, end): (u16, u16)| usize::from(begin)..usize::from(end);
        let name = head.get(range(place.name)).and_then(|name| HeaderName::from_bytes(name).ok()).ok_or(WRONG)?;
        // Only a folded value has bytes that a value cannot have.
        let value = HeaderValue::from_maybe_shared(head.slice(range(place.value)))
            .or_else(|_| unfold(head.get(range(place.value)).unwrap_or_default()))
            .map_err(|_| WRONG)?;
        noted.note(&name, &value);
        fields.try_append(name, value).map_err(|_| WRONG)?;
    }
    Ok(noted)
}

/// Each fold becomes one space (RFC 9112, section 5.2).
fn unfold(value: &[u8]) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let lines: Vec<_> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    HeaderValue::from_bytes(lines.join(&b' ').trim_ascii())
}

/// Whether a head may be complete: an empty line came since the first `scanned` bytes. Spares a slow upstream's head from
/// being parsed at every byte.
pub(crate) fn may_be_complete(unread: &[u8], scanned: usize) -> bool {
    let fresh = unread.get(scanned.saturating_sub(3)..).unwrap_or_default();
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n")
}
