//! The body of a client's request, as it arrives.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::LengthLimitError;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;
use crate::as_bytes::AsBytes;
use crate::forward::body::BodyFailure;
use crate::h1::{Decoder, Framing};

/// RFC 9110, section 15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a body yields.
type Polled = Poll<Option<Result<Frame<Bytes>, BodyFailure>>>;

/// Where a body's bytes come from, whatever the stream.
trait Source: Send + Sync {
    /// The next frame, and whether the body has ended, looked at under one lock.
    fn poll_frame(&self, go_on: bool, cx: &mut Context<'_>) -> (Polled, bool);
    fn body(&self) -> Decoder;
    fn let_go(&self);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Source for Wire<S> {
    fn poll_frame(&self, go_on: bool, cx: &mut Context<'_>) -> (Polled, bool) {
        let mut side = self.lock();
        if go_on && side.unread.is_empty() {
            side.interim = CONTINUE;
        }
        // What cannot be written now goes out before the answer.
        if let Poll::Ready(Err(_)) = side.poll_interim(cx) {
            return (Poll::Ready(Some(Err(BodyFailure::Gone))), false);
        }
        let polled = side.poll_frame(cx);
        (polled, side.body.is_ended())
    }

    fn body(&self) -> Decoder {
        self.lock().body
    }

    fn let_go(&self) {
        let mut side = self.lock();
        side.body_is_wanted = false;
        side.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// The body of a client's request, as it arrives.
pub(crate) struct ClientBody {
    origin: Origin,
    /// The client waits for a 100 before it sends: told when the body is first asked for.
    expects_continue: bool,
}

/// Where it comes from.
enum Origin {
    /// The embedding program, which has the connection.
    HandedIn(UnsyncBoxBody<Bytes, BodyFailure>),
    /// There is no body, or no more of it.
    Over,
    /// A connection of ours.
    Wire(Arc<dyn Source>),
}

impl ClientBody {
    /// The body behind the head that was just taken from `wire`.
    pub(super) fn new<S>(wire: &Arc<Wire<S>>, framing: Framing) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if framing == Framing::Length(0) {
            return Self { origin: Origin::Over, expects_continue: false };
        }
        let mut side = wire.lock();
        side.body = framing.into();
        side.body_is_wanted = true;
        drop(side);
        Self { origin: Origin::Wire(Arc::clone(wire) as Arc<dyn Source>), expects_continue: false }
    }

    /// None.
    pub(crate) const fn none() -> Self {
        Self { origin: Origin::Over, expects_continue: false }
    }

    /// One that the embedding program brings.
    pub(crate) fn handed_in<B>(body: B) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Self { origin: Origin::Over, expects_continue: false };
        }
        let body = AsBytes::new(body).map_err(|error| {
            let error = error.into();
            tracing::debug!(%error, "a client's body could not be read");
            if is_too_long(&*error) { BodyFailure::TooLarge } else { BodyFailure::Failed }
        });
        Self { origin: Origin::HandedIn(body.boxed_unsync()), expects_continue: false }
    }

    /// Whether somebody else has its connection.
    pub(crate) const fn is_handed_in(&self) -> bool {
        matches!(self.origin, Origin::HandedIn(_))
    }

    /// The client waits to be told that its body is wanted.
    pub(crate) fn expects_continue(&mut self) {
        self.expects_continue = true;
    }
}

/// Whether a bound that the program holds bodies to was reached.
fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source())
        .any(|error| error.is::<LengthLimitError>())
}

impl http_body::Body for ClientBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let this = self.get_mut();
        let source = match &mut this.origin {
            Origin::HandedIn(body) => return Pin::new(body).poll_frame(cx),
            Origin::Over => return Poll::Ready(None),
            Origin::Wire(source) => source,
        };
        let (polled, ended) = source.poll_frame(std::mem::take(&mut this.expects_continue), cx);
        if ended {
            // What comes now belongs to another request, whoever still holds this one's body.
            this.origin = Origin::Over;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.origin {
            Origin::HandedIn(body) => body.is_end_stream(),
            Origin::Over => true,
            Origin::Wire(source) => source.body().is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            Origin::HandedIn(body) => body.size_hint(),
            Origin::Over => SizeHint::with_exact(0),
            Origin::Wire(source) => source.body().size_hint(),
        }
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Origin::Wire(source) = &self.origin {
            source.let_go();
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Whoever holds the body of one request never reads that of the next, which has the same connection.
    #[tokio::test]
    async fn a_body_that_has_ended_reads_no_more() {
        let (mut client, stream) = duplex(1024);
        let wire = Wire::new(stream);
        client.write_all(b"5\r\nfirst\r\n0\r\n\r\n6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
        let mut first = ClientBody::new(&wire, Framing::Chunked);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "first");

        let mut second = ClientBody::new(&wire, Framing::Chunked);
        assert!(first.frame().await.is_none(), "the first body went on");
        drop(first);
        assert_eq!(second.frame().await.unwrap().unwrap().into_data().unwrap(), "second");
        assert!(second.frame().await.is_none());
    }

    /// A body that is still held elsewhere does not hold the client's socket.
    #[tokio::test]
    async fn the_end_of_a_connection_does_not_wait_for_its_bodies() {
        let (mut client, stream) = duplex(1024);
        let wire = Wire::new(stream);
        let mut body = ClientBody::new(&wire, Framing::Chunked);
        wire.end();
        drop(wire);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyFailure::Gone);
    }
}
