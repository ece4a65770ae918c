//! One path for every spelling of it: what is matched, counted, logged and sent on is the same text.

use std::borrow::Cow;
use std::fmt;

/// The canonical form of a request's path.
///
/// Two spellings that an upstream may take for the same thing become one text, so that no spelling walks around a route
/// that refuses. [`canonicalise`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    text: Cow<'a, str>,
    encoded_separator: bool,
}

impl<'a> CanonicalPath<'a> {
    /// The text alone.
    #[cfg(feature = "tower")]
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    /// The path: begins with `/`, holds no query, no empty or dot segment but for the empty last one that a trailing
    /// slash makes, and nothing but ASCII.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the path as it arrived had a `%2F` or `%5C`.
    ///
    /// They are never separators here, but an upstream may decode them into some: refuse the request with 400 unless its
    /// route keeps them.
    pub const fn has_encoded_separator(&self) -> bool {
        self.encoded_separator
    }

    /// The same path without a borrow of the request; allocates if it was borrowed.
    pub fn into_owned(self) -> CanonicalPath<'static> {
        CanonicalPath { text: Cow::Owned(self.text.into_owned()), encoded_separator: self.encoded_separator }
    }
}

impl AsRef<str> for CanonicalPath<'_> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a path is refused (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// `..` climbs above the root.
    AboveRoot,
    /// A raw backslash: some servers take it for a slash.
    Backslash,
    /// A `%` without two hexadecimal digits behind it (RFC 3986, section 2.1).
    BadEscape,
    /// A control character, raw or escaped; `%00` is one.
    Control,
    /// A dot segment with parameters (`..;x`): some servers cut the parameters off and climb.
    DotParameters,
    /// A `#`: a fragment is never sent (RFC 9112, section 3.2).
    Fragment,
    /// The path does not begin with `/`.
    NoLeadingSlash,
    /// The escapes do not make UTF-8 (`%FF`, or the overlong `%C0%AF`).
    NotUtf8,
    /// A `?`: what stands behind it is the query, which the caller cuts off first.
    Query,
}

impl PathError {
    /// The same as its `Display`, for an answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AboveRoot => "the path climbs above the root with `..`",
            Self::Backslash => "the path has a backslash",
            Self::BadEscape => "the path has a `%` without two hexadecimal digits behind it",
            Self::Control => "the path has a control character",
            Self::DotParameters => "the path has a dot segment with parameters, like `..;`",
            Self::Fragment => "the path has a `#`",
            Self::NoLeadingSlash => "the path does not begin with `/`",
            Self::NotUtf8 => "the escapes of the path are not UTF-8",
            Self::Query => "the path has a `?`",
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for PathError {}

/// Makes the raw path of a request target (without its query) canonical; borrows it when it already is.
///
/// In this order, and each once:
///
/// 1. Escapes of unreserved characters are decoded, the others get upper-case digits (RFC 3986, section 6.2.2). `%25`
///    stays, so nothing is ever decoded twice. A character that may not stand raw in a path (`"`, `{`, anything outside
///    ASCII) is escaped.
/// 2. Repeated slashes become one.
/// 3. Dot segments, `%2e` among them, are resolved (section 5.2.4).
///
/// Escapes of reserved characters stay what they are: `;` and `%3B` are two paths, as the RFC has it, and both are passed
/// on. `%2F` and `%5C` are kept and reported by [`CanonicalPath::has_encoded_separator`]. A trailing slash is kept and
/// means something. The length is the caller's to bound.
///
/// ```
/// use portcullis_core::route::{PathError, canonicalise};
/// assert_eq!(canonicalise("//%61dmin/./x/../users")?.as_str(), "/admin/users");
/// assert_eq!(canonicalise("/%2561dmin")?.as_str(), "/%2561dmin");
/// assert_eq!(canonicalise("/public/../../admin"), Err(PathError::AboveRoot));
/// # Ok::<(), PathError>(())
/// ```
///
/// # Errors
/// One [`PathError`] for the first rule that the path breaks.
pub fn canonicalise(raw: &str) -> Result<CanonicalPath<'_>, PathError> {
    let seen = inspect(raw)?;
    let text = if seen.canonical { Cow::Borrowed(raw) } else { Cow::Owned(rewrite(raw)?) };
    Ok(CanonicalPath { text, encoded_separator: seen.encoded_separator })
}

/// What one pass over a raw path finds.
struct Seen {
    canonical: bool,
    encoded_separator: bool,
}

/// Checks every byte and escape, changes nothing: most paths are canonical and need no more than this.
fn inspect(raw: &str) -> Result<Seen, PathError> {
    let mut rest = raw.as_bytes();
    if rest.first() != Some(&b'/') {
        return Err(PathError::NoLeadingSlash);
    }
    let mut seen = Seen { canonical: true, encoded_separator: false };
    while let [byte, tail @ ..] = rest {
        let here = rest;
        rest = tail;
        if is_unreserved(*byte) {
            continue;
        }
        match byte {
            b'/' => seen.canonical &= tail.first() != Some(&b'/') && !begins_with_dot_segment(tail),
            b'%' => {
                let escaped = Escaped::read(here)?;
                let (escapes, behind) = here.split_at_checked(escaped.width()).unwrap_or((here, &[]));
                rest = behind;
                seen.canonical &= !escaped.is_unreserved() && !escapes.iter().any(u8::is_ascii_lowercase);
                seen.encoded_separator |= escaped.is_separator();
            }
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            b'?' => return Err(PathError::Query),
            byte if byte.is_ascii_control() => return Err(PathError::Control),
            byte => seen.canonical &= may_stand_raw(*byte),
        }
    }
    Ok(seen)
}

/// Builds the canonical text segment by segment.
///
/// Slashes merge first, so `/a//../b` is `/b`: `..` takes away a name and never an empty segment.
fn rewrite(raw: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(raw.len());
    let mut ends_in_slash = true;
    for segment in raw.split('/').skip(1) {
        let start = out.len();
        out.push('/');
        push_decoded(segment, &mut out)?;
        let decoded = out.get(start + 1..).unwrap_or_default();
        ends_in_slash = matches!(decoded, "" | "." | "..");
        if decoded == ".." {
            out.truncate(start);
            let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
            out.truncate(parent);
        } else if ends_in_slash {
            out.truncate(start);
        } else if begins_with_dot_segment(decoded.as_bytes()) {
            return Err(PathError::DotParameters);
        }
    }
    if ends_in_slash {
        out.push('/');
    }
    Ok(out)
}

fn push_decoded(segment: &str, out: &mut String) -> Result<(), PathError> {
    let mut rest = segment;
    while let Some(next) = rest.chars().next() {
        let escaped = (next == '%').then(|| Escaped::read(rest.as_bytes())).transpose()?;
        let width = escaped.as_ref().map_or(next.len_utf8(), Escaped::width);
        let (written, behind) = rest.split_at_checked(width).unwrap_or((rest, ""));
        rest = behind;
        match escaped {
            Some(escaped) if escaped.is_unreserved() => out.push(char::from(escaped.first())),
            Some(_) => out.extend(written.chars().map(|c| c.to_ascii_uppercase())),
            None if next.is_ascii() && written.bytes().all(may_stand_raw) => out.push(next),
            None => {
                out.extend(percent_encoding::percent_encode(written.as_bytes(), percent_encoding::NON_ALPHANUMERIC))
            }
        }
    }
    Ok(())
}

/// Whether what follows a slash is `.` or `..`, up to a slash, the end, or parameters.
fn begins_with_dot_segment(rest: &[u8]) -> bool {
    rest.strip_prefix(b"..")
        .or_else(|| rest.strip_prefix(b"."))
        .is_some_and(|behind| matches!(behind.first(), None | Some(b'/' | b';')) || behind.starts_with(b"%3B"))
}

/// What RFC 3986, section 3.3 lets stand in a segment unescaped.
const fn may_stand_raw(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// RFC 3986, section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// One character that was written as escapes: one for ASCII, up to four beyond.
struct Escaped {
    octets: [u8; 4],
    len: usize,
}

impl Escaped {
    /// Reads the escapes that `raw` begins with.
    fn read(raw: &[u8]) -> Result<Self, PathError> {
        let first = octet(raw)?;
        let len = match first {
            0..=0x1F | 0x7F => return Err(PathError::Control),
            0x20..=0x7E => 1,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return Err(PathError::NotUtf8),
        };
        let mut octets = [first, 0, 0, 0];
        for (place, escape) in octets.iter_mut().zip(raw.chunks(3)).take(len) {
            *place = octet(escape)?;
        }
        // An octet that is missing at the end of the path stays 0, which continues no character.
        match octets.get(..len).map(std::str::from_utf8) {
            Some(Ok(_)) => Ok(Self { octets, len }),
            _ => Err(PathError::NotUtf8),
        }
    }

    const fn first(&self) -> u8 {
        let [first, ..] = self.octets;
        first
    }

    /// How many bytes the escapes take in the text.
    const fn width(&self) -> usize {
        self.len * 3
    }

    const fn is_unreserved(&self) -> bool {
        is_unreserved(self.first())
    }

    const fn is_separator(&self) -> bool {
        matches!(self.first(), b'/' | b'\\')
    }
}

/// The octet of the escape that `raw` begins with. Where there is none, a character of several octets ended early.
const fn octet(raw: &[u8]) -> Result<u8, PathError> {
    match raw {
        [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Ok(high << 4 | low),
            _ => Err(PathError::BadEscape),
        },
        [b'%', ..] => Err(PathError::BadEscape),
        _ => Err(PathError::NotUtf8),
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
