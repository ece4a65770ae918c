//! An upstream that is a service of the embedding program: called where others are connected to, within the same deadlines.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use portcullis_core::Rejection;
use tokio::time::{Instant, sleep_until};
use tower_service::Service as Tower;

use super::body::{BodyFailure, Flow, RequestBody as Outgoing};
use super::send::{Deadlines, due};
use crate::as_bytes::AsBytes;

/// What a service may fail with.
type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a service's answer.
pub(crate) type ServiceBody = UnsyncBoxBody<Bytes, ServiceError>;

type Answering = Pin<Box<dyn Future<Output = Result<Response<ServiceBody>, ServiceError>> + Send>>;

/// A service of the embedding program. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Service {
    call: Arc<dyn Fn(Request<RequestBody>) -> Answering + Send + Sync>,
    in_flight: Arc<AtomicU32>,
}

/// A request that a service is answering: in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicU32>);

/// What a service said instead of an answer.
#[derive(Clone, Debug)]
pub(crate) struct ServiceError(Arc<BoxError>);

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<BoxError> for ServiceError {
    fn from(error: BoxError) -> Self {
        Self(Arc::new(error))
    }
}

/// The body of a request as a service of the embedding program gets it: what the client sends, as it arrives, within
/// `max_body_size` and `body_timeout`.
pub struct RequestBody(Outgoing);

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        Pin::new(&mut self.get_mut().0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("size", &http_body::Body::size_hint(self)).finish_non_exhaustive()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service {
    /// From a tower service; each request gets a clone of it, as tower has it.
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Tower<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<BoxError>,
    {
        let call = move |request| -> Answering {
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response
                    .map(|body| AsBytes::new(body).map_err(|error| ServiceError::from(error.into())).boxed_unsync()))
            })
        };
        Self { call: Arc::new(call), in_flight: Arc::default() }
    }

    /// Requests that it is answering.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Asks it. A panic of it ends this request, as a server that falls over would.
    ///
    /// # Errors
    /// 502 when it fails, 504 when it takes too long, and what the client's own body failed with.
    pub(super) async fn ask(
        &self,
        mut request: Request<Outgoing>,
        flow: Option<&Flow>,
        deadlines: Deadlines,
    ) -> Result<(Response<ServiceBody>, InFlight), Rejection> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight(Arc::clone(&self.in_flight));
        // HTTP/1.0 allows none; every upstream sees exactly one.
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        let is_to_head = request.method() == Method::HEAD;
        let answering = catch_unwind(AssertUnwindSafe(|| (self.call)(request.map(RequestBody))));
        let answered = match answering {
            Ok(answering) => answer(answering, flow, deadlines).await?,
            Err(_) => Err(Failed::Panicked),
        };
        let response = answered.map_err(|failed| {
            tracing::debug!(?failed, "a service of this program did not answer");
            // It may have failed because of what it read.
            let of_client = flow.and_then(|flow| flow.progress().failed);
            of_client.map_or(Rejection::UpstreamReset, BodyFailure::rejection)
        })?;
        Ok((as_from_a_server(response, is_to_head)?, in_flight))
    }
}

/// An answer as a server could have sent it.
///
/// # Errors
/// 502 for a status that ends no request: behind it a client would wait for another head, or take what follows for something else.
fn as_from_a_server(mut response: Response<ServiceBody>, is_to_head: bool) -> Result<Response<ServiceBody>, Rejection> {
    let status = response.status();
    if !(200..600).contains(&status.as_u16()) {
        tracing::debug!(%status, "a service of this program answered with what is no final status");
        return Err(Rejection::UpstreamInvalid);
    }
    if is_to_head && let Some(length) = response.body().size_hint().exact() {
        // Only a full map can refuse, and then the answer goes on without.
        if let Ok(http::header::Entry::Vacant(place)) = response.headers_mut().try_entry(CONTENT_LENGTH) {
            let _ = place.try_insert(HeaderValue::from(length));
        }
    }
    // A body that nobody is sent is complete without a look at it (RFC 9110, sections 9.3.2, 15.3.5 and 15.4.5).
    let none = is_to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(if none { response.map(|_| Empty::new().map_err(|never| match never {}).boxed_unsync()) } else { response })
}

/// How a service did not answer.
#[derive(Debug)]
enum Failed {
    Error(#[expect(dead_code, reason = "read by Debug, for the log")] ServiceError),
    Panicked,
}

/// The answer, unless it is too late or there was a panic.
async fn answer(
    mut answering: Answering,
    flow: Option<&Flow>,
    deadlines: Deadlines,
) -> Result<Result<Response<ServiceBody>, Failed>, Rejection> {
    let mut timer = pin!(sleep_until(due(flow, deadlines)));
    poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx))) {
            Err(_) => return Poll::Ready(Ok(Err(Failed::Panicked))),
            Ok(Poll::Ready(answer)) => return Poll::Ready(Ok(answer.map_err(Failed::Error))),
            Ok(Poll::Pending) => {}
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let due = due(flow, deadlines);
            if due <= Instant::now() {
                return Poll::Ready(Err(Rejection::UpstreamTimeout));
            }
            timer.as_mut().reset(due);
        }
    })
    .await
}
