//! Parts of a stored, complete body (RFC 9110, section 14).

use http::HeaderMap;
use http::header::{DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};

use super::conditional::Sent;
use super::date::date;
use super::etag::Etag;
use crate::headers::only;
use crate::time::UnixTime;

/// A part of a body: never empty, never behind its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Its first byte.
    pub first: u64,
    /// Its last byte.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes it is.
    pub const fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Never: there is no range without a byte.
    pub const fn is_empty(self) -> bool {
        false
    }
}

/// One range is served; several are not: then all of the body is sent, which a server may do at any time (RFC 9110,
/// section 14.2), and which no list of a thousand ranges makes dear.
pub(super) fn sent(request: &HeaderMap, stored: &HeaderMap, length: u64, wall: UnixTime) -> Sent {
    let Some(range) = only(request, &RANGE) else { return Sent::Whole };
    if request.contains_key(IF_RANGE) && !is_same(request, stored, wall) {
        return Sent::Whole;
    }
    match Wanted::of(range.as_bytes()) {
        None => Sent::Whole,
        Some(Wanted::Last(0)) => Sent::Unsatisfiable,
        // The end of nothing is all there is of it, and no range can say that.
        Some(Wanted::Last(_)) if length == 0 => Sent::Whole,
        Some(Wanted::Last(count)) => part(length.saturating_sub(count), u64::MAX, length),
        Some(Wanted::From(first, last)) => part(first, last, length),
    }
}

fn part(first: u64, last: u64, length: u64) -> Sent {
    if first >= length {
        return Sent::Unsatisfiable;
    }
    Sent::Part(ByteRange { first, last: last.min(length - 1) })
}

/// What a range says, the body's length left aside.
enum Wanted {
    /// From a byte to another.
    From(u64, u64),
    /// So many from the end.
    Last(u64),
}

impl Wanted {
    /// None where it is not one range of bytes.
    fn of(text: &[u8]) -> Option<Self> {
        let (unit, range) = text.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let range = range.trim_ascii();
        let at = range.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (range.get(..at)?, range.get(at + 1..)?);
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Last(number(last)?)),
            (false, true) => Some(Self::From(number(first)?, u64::MAX)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, last))
            }
        }
    }
}

/// Digits; what is too much for a number is behind every end.
fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// `If-Range` (RFC 9110, section 13.1.5): a strong tag that is the stored one's, or exactly the date of a last change
/// that was at least a second before the answer was made, so that nothing can have changed after it within the same
/// second.
fn is_same(request: &HeaderMap, stored: &HeaderMap, wall: UnixTime) -> bool {
    let Some(condition) = only(request, &IF_RANGE).map(|line| line.as_bytes().trim_ascii()) else { return false };
    if let Some(tag) = Etag::of(condition) {
        return only(stored, &ETAG).and_then(|line| Etag::of(line.as_bytes())).is_some_and(|own| own.is_strongly(tag));
    }
    let of = |name| only(stored, &name).and_then(|line| date(line.as_bytes(), wall));
    let (Some(changed), Some(made)) = (of(LAST_MODIFIED), of(DATE)) else { return false };
    date(condition, wall) == Some(changed) && changed < made
}
