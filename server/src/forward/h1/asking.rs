//! One exchange up to the head of its response: the request out, interim responses skipped, an early answer noticed.

use std::io::ErrorKind;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::head::{Parsed, may_be_complete, parse};
use super::{Broken, Connection, Head, MOST_HEAD, Outgoing};
use crate::forward::body::BodyFailure;

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asking<'a, S, B> {
    pub(crate) connection: &'a mut Connection<S>,
    outgoing: &'a mut Outgoing<B>,
    /// How many of the unread bytes were looked at and are not a whole head.
    scanned: usize,
    /// Interim responses so far.
    interim: usize,
    /// Their bytes.
    interim_bytes: usize,
}

/// The most interim responses before the final one.
const MOST_INTERIM: usize = 32;

impl<'a, S, B> Asking<'a, S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    pub(crate) fn new(connection: &'a mut Connection<S>, outgoing: &'a mut Outgoing<B>) -> Self {
        Self { connection, outgoing, scanned: 0, interim: 0, interim_bytes: 0 }
    }

    /// Sends what can be sent and reads until the final response's head is there; a 101 is one only where it answers what
    /// was asked for.
    ///
    /// # Errors
    /// Any [`Broken`]; [`Broken::Closed`] only when nothing at all came back.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Broken>> {
        if let Poll::Ready(Err(broken)) = self.outgoing.poll(&mut self.connection.stream, cx) {
            return Poll::Ready(Err(broken));
        }
        loop {
            if let Some(head) = self.parse()? {
                return Poll::Ready(Ok(head));
            }
            match ready!(self.connection.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(self.ended(ErrorKind::UnexpectedEof))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.ended(error.kind()))),
            }
        }
    }

    fn ended(&self, kind: ErrorKind) -> Broken {
        if self.interim == 0 && self.connection.unread.is_empty() { Broken::Closed(kind) } else { Broken::Cut(kind) }
    }

    fn parse(&mut self) -> Result<Option<Head>, Broken> {
        let unread = &mut self.connection.unread.bytes;
        while !unread.is_empty() {
            if self.scanned > 0 && unread.len() < MOST_HEAD && !may_be_complete(unread, self.scanned) {
                self.scanned = unread.len();
                return Ok(None);
            }
            match parse(unread, &mut self.outgoing.fields, self.outgoing.to_head)? {
                Parsed::Final(head) => return Ok(Some(head)),
                Parsed::Switch(head) if self.outgoing.allows(&head) => return Ok(Some(head)),
                Parsed::Switch(_) => return Err(Broken::Invalid("an upgrade that nobody asked for")),
                Parsed::Interim(length) => {
                    self.scanned = 0;
                    self.interim += 1;
                    self.interim_bytes += length;
                    if self.interim > MOST_INTERIM || self.interim_bytes > MOST_HEAD {
                        return Err(Broken::Invalid("too many interim responses"));
                    }
                }
                Parsed::Partial => {
                    self.scanned = unread.len();
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}
