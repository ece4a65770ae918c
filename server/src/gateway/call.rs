//! One request that the embedding program hands in, and the body of its answer.

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use portcullis_core::Rejection;
use portcullis_core::headers::Proto;
use tokio::time::Sleep;

use super::Gateway;
use crate::body::Body;
use crate::connection::Connection;
use crate::forward::h1::Broken;
use crate::listen::h1::body::ClientBody;
use crate::listen::h1::head::Bounds;
use crate::listen::watch::{Patience, Watch};
use crate::proxy;

/// What a body may fail with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Gateway {
    /// Answers one request: routed, verified, limited, forwarded and told of, as if it had come over a socket. Never fails: a
    /// refusal is a response.
    ///
    /// The request must be as the client sent it. Its address is what the builder's [`client`](super::GatewayBuilder::client) says; nobody knows it otherwise.
    /// Its head is held to `max_headers` and `max_header_size`, its body to `max_body_size` and `body_timeout`. The head is answered within the configuration's deadlines, and so is every pause of the answer's body; how long a client
    /// may take to send or to read is up to whoever holds its connection.
    ///
    /// Over TLS, says a target that is `https://…`; one in origin form is taken for plain HTTP when upstreams are told
    /// (`X-Forwarded-Proto`).
    ///
    /// Has to run within a tokio runtime with timers and sockets, of either flavour.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        if parts.version > Version::HTTP_11 {
            join_cookies(&mut parts.headers);
        }
        let proto = if parts.uri.scheme_str() == Some("https") { Proto::Https } else { Proto::Http };
        // Somebody else's code. Whom nobody could name is not let in as nobody.
        let client = catch_unwind(AssertUnwindSafe(|| self.client(&parts)));
        let connection = Connection::handed_in(&self.0, client.as_ref().map_or(None, |client| *client), proto);
        let mut said = HeaderMap::new();
        let response = if client.is_err() {
            self.0.metrics().panicked();
            proxy::refuse(&connection, &Rejection::Internal, &mut said)
        } else if !fits(&parts, connection.bounds()) {
            proxy::refuse(&connection, &Rejection::HeadersTooLarge, &mut said)
        } else {
            proxy::handle(&connection, Box::new(parts), ClientBody::handed_in(body), &mut said).await
        };
        let patience = connection.patience();
        let mut response = response.map(|body| ResponseBody::new(body, Arc::clone(&connection.watch), patience));
        // What these replace is gone already. A map that is too full for them is worth sending all the same.
        for (name, value) in &said {
            let _ = response.headers_mut().try_append(name.clone(), value.clone());
        }
        // Whether its connection goes on is the business of whoever holds it.
        response.headers_mut().remove(CONNECTION);
        response
    }

    fn client(&self, parts: &Parts) -> Option<IpAddr> {
        self.0.brought().client.as_ref().and_then(|client| client(parts))
    }
}

/// Whether a head is one that a socket of ours would have taken: `max_headers` fields, of `max_header_size` bytes with the target.
fn fits(parts: &Parts, bounds: Bounds) -> bool {
    // A colon, a blank and the end of the line are bytes too, as HTTP/1 has them.
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    parts.headers.len() <= bounds.fields && fields + target <= bounds.bytes
}

/// HTTP/2 and later may send cookies in several fields, which must be one before they go on (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() < 2 {
        return;
    }
    // What is joined of values is one, and takes the place of one.
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        let _ = headers.try_insert(COOKIE, joined);
    }
}

/// The body of an answer of [`Gateway::handle`]. Its request is counted and logged when it ends or is dropped.
pub struct ResponseBody {
    /// None after it failed.
    body: Option<Body>,
    patience: Patience,
    watch: Arc<Watch>,
    /// Until when the upstream may be silent; there is one only once it was.
    stalling: Option<Pin<Box<Sleep>>>,
}

/// An answer's body ended before its end: its upstream broke off, or was silent for too long. Nothing of it must be taken for
/// a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseBodyError(Cut);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Broken(Broken),
    Stalled,
}

impl fmt::Display for ResponseBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cut::Broken(broken) => broken.fmt(f),
            Cut::Stalled => f.write_str("the upstream was silent for too long"),
        }
    }
}

impl std::error::Error for ResponseBodyError {}

impl ResponseBody {
    fn new(body: Body, watch: Arc<Watch>, patience: Patience) -> Self {
        Self { body: Some(body), patience, watch, stalling: None }
    }

    /// Resolves when the upstream has been silent for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some((at, what)) = self.watch.due(self.patience, false) {
            let stalling = self.stalling.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if stalling.deadline() != at {
                stalling.as_mut().reset(at);
            }
            ready!(stalling.as_mut().poll(cx));
            // The same is due still, unless it moved meanwhile.
            if self.watch.due(self.patience, false).is_none_or(|(due, _)| due <= at) {
                self.watch.cut(what);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|broken| ResponseBodyError(Cut::Broken(broken)))));
        }
        ready!(this.poll_stalled(cx));
        this.body = None;
        Poll::Ready(Some(Err(ResponseBodyError(Cut::Stalled))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("body", &self.body).finish_non_exhaustive()
    }
}
