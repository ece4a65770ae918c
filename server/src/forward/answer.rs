//! The body of an answer, whoever gave it.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::connect::UpstreamBody;
use super::h1::Broken;
use super::in_code::ServiceBody;

/// The body of an upstream's answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// From a service of the embedding program.
    InCode(ServiceBody),
    /// From a server.
    Server(UpstreamBody),
}

impl AnswerBody {
    /// Whether nothing but the connection's end delimits it: then nobody can tell whether all of it came (RFC 9112, section 8).
    pub(crate) fn is_until_close(&self) -> bool {
        match self {
            Self::InCode(_) => false,
            Self::Server(body) => body.is_until_close(),
        }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Server(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    // We asked for no trailers, and whatever is in them was not looked at: they end here.
                    Some(Ok(frame)) if frame.is_trailers() => {}
                    frame => return Poll::Ready(frame),
                }
            },
            Self::InCode(body) => loop {
                // Somebody else's code: a panic of it ends this answer, as a server that falls over would.
                let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *body).poll_frame(cx)));
                let Ok(polled) = polled else { return Poll::Ready(Some(Err(Broken::Cut(ErrorKind::Other)))) };
                match ready!(polled) {
                    Some(Ok(frame)) if frame.is_trailers() => {}
                    Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a service of this program broke off its answer");
                        return Poll::Ready(Some(Err(Broken::Cut(ErrorKind::Other))));
                    }
                    None => return Poll::Ready(None),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::InCode(body) => body.is_end_stream(),
            Self::Server(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::InCode(body) => body.size_hint(),
            Self::Server(body) => body.size_hint(),
        }
    }
}
