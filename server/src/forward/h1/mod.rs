//! HTTP/1 towards upstreams (RFC 9112): one connection, one exchange at a time, no task and no channel.
//!
//! Whoever waits for an answer polls the connection itself: first the request's future ([`asking`]), then the response's
//! body ([`body`]). Only an answer that begins before its request has ended needs a task of its own ([`relay`]).
//!
//! What an upstream sends is not trusted. Everything it can make us keep has a bound, and what is not exactly a response
//! ends the connection. Stricter than hyper's client, on purpose: a transfer coding other than one `chunked` is refused (we
//! ask for no other, and pass none on), and so is a malformed length whatever the status; a length beside a coding is
//! removed, several equal ones become one; a bare LF ends no line of a trailer; interim responses are bounded.
//!
//! Reading order: [`crate::h1`], [`framing`], [`head`], [`body`], [`opening`], [`outgoing`], [`connection`], [`asking`], [`relay`].

pub(crate) mod asking;
pub(crate) mod body;
pub(crate) mod connection;
#[cfg(test)]
pub(crate) mod differential;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod opening;
pub(crate) mod outgoing;
pub(crate) mod relay;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::ErrorKind;

use super::body::BodyFailure;
use crate::h1::Flaw;

pub(crate) use self::asking::Asking;
pub(crate) use self::body::UpstreamBody;
pub(crate) use self::connection::Connection;
pub(crate) use self::head::Head;
pub(crate) use self::opening::Opening;
pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::relay::Relay;

/// The most bytes of a response's head: places in it are a `u16`.
const MOST_HEAD: usize = u16::MAX as usize;

/// Why an exchange, or the body after it, did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client's own body failed.
    Client(BodyFailure),
    /// The connection ended before a byte of a response came.
    Closed(ErrorKind),
    /// The connection ended within a response.
    Cut(ErrorKind),
    /// What came is no response, or more than one may be.
    Invalid(&'static str),
}

impl From<Flaw> for Broken {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Cut(kind) => Self::Cut(kind),
            Flaw::Invalid(what) => Self::Invalid(what),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(failure) => failure.fmt(f),
            Self::Closed(kind) => write!(f, "the connection ended before a response: {kind}"),
            Self::Cut(kind) => write!(f, "the connection ended within a response: {kind}"),
            Self::Invalid(what) => write!(f, "not a response: {what}"),
        }
    }
}

impl std::error::Error for Broken {}
