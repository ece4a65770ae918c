//! The future of an answer: the same for all three layers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Body;
use super::answer::Told;

/// What a policy makes of a request: the request goes on, or this is the answer.
pub(super) type Outcome = Result<Told, Box<Response<Bytes>>>;

/// A decision that has to wait. It owns the request's head meanwhile.
pub(super) type Later = Pin<Box<dyn Future<Output = (Parts, Outcome)> + Send>>;

/// A decision.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and a box would be one for each request")]
pub(super) enum Checked {
    /// It has to wait: for keys to be fetched, or for a store across the network.
    Later(Later),
    /// It is made.
    Now(Parts, Outcome),
}

pin_project! {
    /// The answer of a service behind one of the layers. It is `Send` where the service, its future and the request's body are.
    ///
    /// What is decided at once holds nothing but the inner service's future. Dropped at any time it leaves nothing behind: what a
    /// limit was charged stays charged, and nothing else is held.
    #[must_use = "a future does nothing until it is polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Answering { #[pin] answer: S::Future, told: Told },
        Checking { checking: Later, inner: S, body: Option<B> },
        Refused { answer: Option<Box<Response<Bytes>>> },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>> + Clone,
{
    /// `inner` was polled and is ready.
    pub(super) fn new(inner: &mut S, checked: Checked, body: B) -> Self {
        let state = match checked {
            Checked::Now(parts, Ok(told)) => {
                State::Answering { answer: inner.call(Request::from_parts(parts, body)), told }
            }
            Checked::Now(_, Err(answer)) => State::Refused { answer: Some(answer) },
            Checked::Later(checking) => {
                // The one that is ready goes along, and a clone stays behind to be polled for the next request: readiness belongs
                // to the service that was polled.
                let clone = inner.clone();
                State::Checking { checking, inner: std::mem::replace(inner, clone), body: Some(body) }
            }
        };
        Self { state }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<Body<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Answering { answer, told } => {
                    let mut response = ready!(answer.poll(cx))?;
                    told.tell(&mut response);
                    return Poll::Ready(Ok(response.map(Body::inner)));
                }
                StateProjection::Checking { checking, inner, body } => {
                    match (ready!(checking.as_mut().poll(cx)), body.take()) {
                        ((parts, Ok(told)), Some(body)) => {
                            State::Answering { answer: inner.call(Request::from_parts(parts, body)), told }
                        }
                        ((_, Err(answer)), _) => State::Refused { answer: Some(answer) },
                        // The body is taken once, when this state is left.
                        ((_, Ok(_)), None) => return Poll::Pending,
                    }
                }
                // Polled again after its end, which is the caller's bug, it waits for ever, as every future may.
                StateProjection::Refused { answer } => {
                    return answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok((*answer).map(Body::refusal))));
                }
            };
            state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
