//! How a body is delimited, and what its fields are made of (RFC 9112, section 6).

use http::HeaderValue;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By chunks.
    Chunked,
    /// By its length; 0 for none.
    Length(u64),
    /// By the end of the connection.
    UntilClose,
}

/// A `Content-Length` beyond this is none: nothing is that long.
const LONGEST: u64 = i64::MAX as u64;

/// What stands between the commas.
pub(crate) fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits and nothing else: no sign, no space, no overflow.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut number = 0_u64;
    for byte in text {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    (number <= LONGEST).then_some(number)
}
