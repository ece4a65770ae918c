//! What a proxy does to header fields: pure functions on [`HeaderMap`].
//!
//! The order on a request matters, because a client says which fields `Connection` removes and must not remove ours
//! (RFC 9110, section 7.6.1):
//!
//! 1. [`TrustedProxies::arrival`]: whom the peer speaks for, if it is believed, before anything is removed;
//!    the same for [`Upgrade::of`]: what the connection may change to;
//!    then [`remove_hop_by_hop`] and [`erase_forwarding`]: what ends at this hop, and what only a proxy may say;
//! 2. [`Via::check`] and [`expects_continue`]: what is refused;
//! 3. [`Forwarding::write`], [`Via::append`], [`request_id`], [`continue_trace`], identity headers: what we say.
//!
//! A response gets `remove_hop_by_hop` and `Via::append`. [`HeaderRules`] are what a route does besides, to either.
//!
//! None of these panics, whatever bytes the fields hold.

use std::fmt;

use http::header::MaxSizeReached;
use http::{HeaderMap, HeaderName, HeaderValue};

mod expect;
mod forwarded;
mod hop;
mod line;
mod request_id;
mod rules;
mod survey;
mod trace;
mod trusted;
mod upgrade;
mod via;

pub use expect::expects_continue;
pub use forwarded::{Forwarding, MAX_FORWARDED, Proto, erase_forwarding};
pub(crate) use hop::is_hop_by_hop;
pub use hop::{HopByHop, remove_hop_by_hop};
pub(crate) use line::Line;
#[cfg(feature = "tower")]
pub(crate) use request_id::sent_request_id;
pub use request_id::{fresh_request_id, kept_request_id, request_id};
pub use rules::{HeaderRule, HeaderRules, RuledFields};
pub use survey::Survey;
pub use trace::{TraceError, TraceParent, continue_trace};
pub use trusted::{Arrival, Family, MAX_HOPS, Network, NetworkError, TrustedProxies};
pub use upgrade::{Protocol, ProtocolError, Upgrade};
pub use via::{PseudonymError, Via};

/// `keep-alive`
pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// `proxy-connection`
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// `traceparent` (W3C Trace Context)
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate` (W3C Trace Context)
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `x-forwarded-for`
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `x-forwarded-host`
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `x-forwarded-proto`
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `x-request-id`
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is wrong with a message's header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// A `Connection` line is not a list of field names. From a client: 400; from an upstream: 502.
    Connection,
    /// A client expects what is not `100-continue`: 417 (RFC 9110, section 10.1.1).
    Expectation,
    /// No room is left for a field of ours. From a client: 431; from an upstream: 502.
    Full,
    /// The request has passed here before: 508 (RFC 5842, section 7.2).
    Loop,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "a Connection line is not a list of field names",
            Self::Expectation => "only 100-continue can be expected",
            Self::Full => "too many header fields",
            Self::Loop => "the request has passed this gateway before",
        })
    }
}

impl std::error::Error for HeaderError {}

impl From<MaxSizeReached> for HeaderError {
    fn from(_: MaxSizeReached) -> Self {
        Self::Full
    }
}

/// Where fields are put that a proxy says itself: into a [`HeaderMap`], or as lines behind those of one. A message that goes
/// out as HTTP/1 needs no map for them, and a map costs a hash for each.
pub trait SetField {
    /// Puts a field in place of what is there under its name.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room.
    fn set_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError>;

    /// Puts a field after what is there under its name.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room.
    fn add_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError>;

    /// [`set_field`](Self::set_field) with a value that is still text, for whom a line is made without one. It must be
    /// text that a value can be: digits and the like that we wrote ourselves, never anything of a client's.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room.
    fn set_text(&mut self, name: &HeaderName, text: &[u8]) -> Result<(), HeaderError> {
        HeaderValue::from_bytes(text).map_or(Ok(()), |value| self.set_field(name, &value))
    }
}

impl SetField for HeaderMap {
    fn set_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        self.try_insert(name.clone(), value.clone())?;
        Ok(())
    }

    fn add_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        self.try_append(name.clone(), value.clone())?;
        Ok(())
    }

    fn set_text(&mut self, name: &HeaderName, text: &[u8]) -> Result<(), HeaderError> {
        if let Ok(value) = HeaderValue::from_bytes(text) {
            self.try_insert(name.clone(), value)?;
        }
        Ok(())
    }
}

/// The members of a field that is a list, all lines of it together, without the white space around them; empty ones are
/// skipped (RFC 9110, section 5.6.1.2).
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| in_list(line.as_bytes()))
}

fn in_list(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// The value of a field that is there exactly once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// RFC 9110, section 5.6.2: what names of fields, protocols and pseudonyms are made of.
fn is_token(text: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(tchar)
}

#[cfg(test)]
mod tests;
