//! The chunked transfer coding, read strictly and a piece at a time (RFC 9112, section 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use super::{Flaw, MOST_FIELDS, MOST_TRAILERS};

/// What one body may spend on chunk extensions and leading zeros, and how long a chunk's line may be.
const MOST_EXTENSIONS: usize = 16 * 1024;

/// A chunk's line needs this much: sixteen digits and its end.
const PLAIN_LINE: usize = 18;

/// Decodes a chunked body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes of lines beyond what they need, so far.
    spent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// The end of a chunk's data is to come.
    DataEnd,
    /// Over.
    End,
    /// The line that begins a chunk is to come.
    Size,
    /// The trailer section is to come.
    Trailers,
}

impl Chunked {
    pub(crate) const fn new() -> Self {
        Self { state: State::Size, spent: 0 }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next frame from the front of `unread`; none when more bytes are needed, or at the end. Takes nothing that
    /// is behind the end.
    ///
    /// # Errors
    /// [`Flaw::Invalid`] for anything that is not exactly the coding.
    pub(crate) fn next(&mut self, unread: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Flaw> {
        loop {
            match self.state {
                State::Data(_) if unread.is_empty() => return Ok(None),
                State::Data(left) => {
                    let data = take(unread, left);
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    self.look_ahead(unread);
                    return Ok(Some(Frame::data(data)));
                }
                State::Trailers => {
                    let Some(length) = trailers(unread)? else { return Ok(None) };
                    let section = unread.split_to(length);
                    let fields = parse_trailers(&section)?;
                    self.state = State::End;
                    return Ok(Some(fields).filter(|fields| !fields.is_empty()).map(Frame::trailers));
                }
                State::End => return Ok(None),
                State::DataEnd | State::Size => {
                    if !self.line(unread)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// If the body's end is here already, goes past it: then the last frame is known to be the last. What is wrong will
    /// still be wrong when it is its turn.
    fn look_ahead(&mut self, unread: &mut BytesMut) {
        while matches!(self.state, State::DataEnd | State::Size) && self.line(unread) == Ok(true) {}
        if self.state == State::Trailers && unread.starts_with(b"\r\n") {
            unread.advance(2);
            self.state = State::End;
        }
    }

    /// Takes a chunk's line or the end of its data; false when it is not complete. Takes nothing on an error.
    fn line(&mut self, unread: &mut BytesMut) -> Result<bool, Flaw> {
        if self.state == State::DataEnd {
            return match &**unread {
                [b'\r', b'\n', ..] => {
                    unread.advance(2);
                    self.state = State::Size;
                    Ok(true)
                }
                [] | [b'\r'] => Ok(false),
                _ => Err(Flaw::Invalid("a chunk's end")),
            };
        }
        let Some((line, rest)) = crlf_line(unread, "a chunk's line")? else {
            // What cannot become a size is refused before its end comes.
            if let Some(first) = unread.first()
                && hex(*first).is_none()
            {
                return Err(Flaw::Invalid("a chunk's size"));
            }
            return if unread.len() > MOST_EXTENSIONS { Err(Flaw::Invalid("chunk extensions")) } else { Ok(false) };
        };
        let size = size(line)?;
        let spent = self.spent + rest.saturating_sub(PLAIN_LINE);
        if spent > MOST_EXTENSIONS {
            return Err(Flaw::Invalid("chunk extensions"));
        }
        self.spent = spent;
        unread.advance(rest);
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        Ok(true)
    }
}

/// At most `most` bytes from the front, without a copy.
pub(super) fn take(unread: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).map_or(unread.len(), |most| most.min(unread.len()));
    unread.split_to(length).freeze()
}

/// The first line without its end, and how long it is with it; none when it is not complete. A bare LF ends nothing.
fn crlf_line<'a>(bytes: &'a [u8], what: &'static str) -> Result<Option<(&'a [u8], usize)>, Flaw> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    match bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")) {
        Some(line) if !line.contains(&b'\r') => Ok(Some((line, end + 1))),
        _ => Err(Flaw::Invalid(what)),
    }
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Hexadecimal digits, then nothing, or blanks and an extension.
fn size(line: &[u8]) -> Result<u64, Flaw> {
    const WRONG: Flaw = Flaw::Invalid("a chunk's size");
    let end = line.iter().position(|byte| hex(*byte).is_none()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end).ok_or(WRONG)?;
    if digits.is_empty() {
        return Err(WRONG);
    }
    let mut size = 0_u64;
    for digit in digits.iter().filter_map(|byte| hex(*byte)) {
        size = size.checked_mul(16).ok_or(WRONG)? + u64::from(digit);
    }
    let mut rest = rest;
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    if matches!(rest, [] | [b';', ..]) { Ok(size) } else { Err(WRONG) }
}

/// How long the trailer section is, with the empty line that ends it; none when it is not complete.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, Flaw> {
    let mut length = 0;
    for fields in 0.. {
        let Some((line, rest)) = crlf_line(bytes.get(length..).unwrap_or_default(), "trailers")? else { break };
        length += rest;
        if length > MOST_TRAILERS || fields > MOST_FIELDS {
            return Err(Flaw::Invalid("trailers"));
        }
        if line.is_empty() {
            return Ok(Some(length));
        }
    }
    if bytes.len() > MOST_TRAILERS { Err(Flaw::Invalid("trailers")) } else { Ok(None) }
}

fn parse_trailers(section: &[u8]) -> Result<HeaderMap, Flaw> {
    const WRONG: Flaw = Flaw::Invalid("trailers");
    let mut slots = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let Ok(httparse::Status::Complete((length, parsed))) = httparse::parse_headers(section, &mut slots) else {
        return Err(WRONG);
    };
    if length != section.len() {
        return Err(WRONG);
    }
    let mut fields = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| WRONG)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| WRONG)?;
        fields.try_append(name, value).map_err(|_| WRONG)?;
    }
    Ok(fields)
}

#[cfg(test)]
pub(crate) mod tests;
