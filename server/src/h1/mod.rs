//! What both sides of HTTP/1 have in common (RFC 9112): how a body is delimited and read, and how a field is written.
//! [`crate::listen::h1`] speaks it with clients, [`crate::forward::h1`] with upstreams.

mod buffer;
pub(crate) mod chunked;
mod decoder;
mod framing;
mod lines;

use std::io::ErrorKind;

pub(crate) use self::buffer::Unread;
pub(crate) use self::decoder::Decoder;
pub(crate) use self::framing::{Framing, digits, members};
pub(crate) use self::lines::{Lines, push_field};

/// The most fields of a response's head, and of any body's trailers.
pub(crate) const MOST_FIELDS: usize = 100;

/// The most bytes of a body's trailers.
const MOST_TRAILERS: usize = 16 * 1024;

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The connection ended within it.
    Cut(ErrorKind),
    /// What came is not the coding that was announced.
    Invalid(&'static str),
}
