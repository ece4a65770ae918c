//! The trace a request is part of (W3C Trace Context, level 1).

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};

use super::line::Line;
use super::{HeaderError, SetField, TRACEPARENT, TRACESTATE, only};

/// The length of a `traceparent` of version 00.
const LEN: usize = 55;

/// A request's place in a trace: the content of a `traceparent` field.
///
/// ```
/// use portcullis_core::headers::TraceParent;
/// let parent: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// assert_eq!((parent.parent_id, parent.sampled), (0xb7ad6b7169203331, true));
/// assert_eq!(parent.to_string(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// # Ok::<(), portcullis_core::headers::TraceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The whole trace's; never zero. Written as 32 hex digits.
    pub trace_id: u128,
    /// The caller's; never zero. Written as 16 hex digits.
    pub parent_id: u64,
    /// Whether the caller may have recorded it.
    pub sampled: bool,
}

/// A text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceError;

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent")
    }
}

impl std::error::Error for TraceError {}

/// Continues the trace that the client sent, or begins one. The next `traceparent` names `parent` as the
/// caller of the upstream; zeros, which are no ids, count as ones.
///
/// - A valid field (there once, any version, its known part well-formed) keeps its trace id and its sampled flag.
///   `tracestate` stays.
/// - An invalid or absent one is replaced by the trace id `trace`, and `tracestate`, which belonged to it, is removed
///   (section 3.3). The flag is then *sampled*: services decide by their caller's flag as a rule, and a gateway that
///   said no would switch off the traces of everything behind it.
///
/// Anyone's valid trace is continued, the flag included; it decides nothing here. The field that was sent is removed: the
/// next one is [`TraceParent::value`].
pub fn continue_trace(headers: &mut HeaderMap, trace: u128, parent: u64) -> TraceParent {
    let sent = only(headers, &TRACEPARENT).and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
    if sent.is_none() {
        headers.remove(TRACESTATE);
    }
    headers.remove(TRACEPARENT);
    let begun = TraceParent::begun(trace, parent);
    TraceParent { parent_id: begun.parent_id, ..sent.unwrap_or(begun) }
}

impl TraceParent {
    /// The first of a new trace; zeros, which are no ids, count as ones.
    pub fn begun(trace: u128, parent: u64) -> Self {
        Self { trace_id: trace.max(1), parent_id: parent.max(1), sampled: true }
    }

    /// The content of a `traceparent` field.
    pub fn value(self) -> HeaderValue {
        let mut line = Line::<LEN>::new();
        // Digits and hyphens are a value, and they fit.
        self.push(&mut line).and_then(|()| line.value()).unwrap_or(HeaderValue::from_static(""))
    }

    /// Sets a `traceparent` field.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room.
    pub fn write(self, to: &mut impl SetField) -> Result<(), HeaderError> {
        let mut line = Line::<LEN>::new();
        self.push(&mut line).map_or(Ok(()), |()| to.set_text(&TRACEPARENT, line.as_bytes()))
    }

    const fn flags(self) -> u8 {
        self.sampled as u8
    }

    fn push(self, line: &mut Line<LEN>) -> Option<()> {
        line.push(b"00-")?;
        line.push_hex(&self.trace_id.to_be_bytes())?;
        line.push(b"-")?;
        line.push_hex(&self.parent_id.to_be_bytes())?;
        line.push(b"-")?;
        line.push(if self.sampled { b"01" } else { b"00" })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags())
    }
}

impl FromStr for TraceParent {
    type Err = TraceError;

    /// Section 3.2: version 00 is exactly four parts; a later version may have more, and its first four are read as
    /// those of 00; ff is no version.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| parts.next().and_then(|text| hex(text, digits)).ok_or(TraceError);
        let (version, trace_id, parent_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == 0xff || (version == 0 && parts.next().is_some()) || trace_id == 0 || parent_id == 0 {
            return Err(TraceError);
        }
        let parent_id = u64::try_from(parent_id).map_err(|_| TraceError)?;
        Ok(Self { trace_id, parent_id, sampled: flags & 1 == 1 })
    }
}

/// Exactly so many lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_hex = text.len() == digits && text.bytes().all(is_digit);
    if is_hex { u128::from_str_radix(text, 16).ok() } else { None }
}
