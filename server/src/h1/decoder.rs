//! A body out of the bytes that were read, without a copy.

use std::io::ErrorKind;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::chunked::{Chunked, take};
use super::{Flaw, Framing};

/// What is left of a body. Knows no connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decoder {
    Chunked(Chunked),
    Ended,
    /// So many bytes, at least one.
    Length(u64),
    UntilClose,
}

impl From<Framing> for Decoder {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::Chunked(Chunked::new()),
            Framing::Length(0) => Self::Ended,
            Framing::Length(length) => Self::Length(length),
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

impl Decoder {
    /// Takes the next frame from the front of `unread`; none when more bytes are needed, or at the end.
    ///
    /// # Errors
    /// [`Flaw::Invalid`] for chunks that are none.
    pub(crate) fn next(&mut self, unread: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Flaw> {
        match self {
            Self::Chunked(chunked) => chunked.next(unread),
            Self::Length(_) | Self::UntilClose if unread.is_empty() => Ok(None),
            Self::Ended => Ok(None),
            Self::Length(left) => {
                let data = take(unread, *left);
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(Some(Frame::data(data)))
            }
            Self::UntilClose => Ok(Some(Frame::data(unread.split().freeze()))),
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::Ended => true,
            Self::Length(_) | Self::UntilClose => false,
        }
    }

    /// The connection has ended. That is the end of a body without framing, and an error for every other.
    ///
    /// # Errors
    /// [`Flaw::Cut`]
    pub(crate) fn close(&mut self) -> Result<(), Flaw> {
        match self {
            Self::Ended => Ok(()),
            Self::UntilClose => {
                *self = Self::Ended;
                Ok(())
            }
            Self::Chunked(_) | Self::Length(_) => Err(Flaw::Cut(ErrorKind::UnexpectedEof)),
        }
    }

    pub(crate) fn size_hint(self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(left),
            _ if self.is_ended() => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
