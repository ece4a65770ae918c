//! A value now, or later: what the request-path traits return.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The outcome of a request-path call: ready at once, or a boxed future.
///
/// A memory store answers [`Answer::Now`] and allocates nothing; a store across the network answers
/// [`Answer::Later`] and pays one box beside its round trip. An `Answer` is itself a future, so a caller that does
/// not care writes `.await`. Whoever makes a `Later` clones what it needs: the future borrows nothing.
///
/// ```
/// use portcullis_core::Answer;
/// # let runtime = |f: std::pin::Pin<Box<dyn Future<Output = u32>>>| {
/// #     let mut f = f;
/// #     match f.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
/// #         std::task::Poll::Ready(v) => v,
/// #         std::task::Poll::Pending => unreachable!("both answers are ready"),
/// #     }
/// # };
/// assert_eq!(runtime(Box::pin(async { Answer::Now(1).await })), 1);
/// assert_eq!(runtime(Box::pin(async { Answer::later(async { 2 }).await })), 2);
/// ```
#[must_use = "an answer does nothing until it is looked at or awaited"]
pub enum Answer<T> {
    /// The value, without waiting.
    Now(T),
    /// The value, once this future is done.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Answer<T> {
    /// An answer that has to wait for `future`.
    pub fn later(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T: Unpin + 'static> Future for Answer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Self::Later(future) = &mut *self {
            return future.as_mut().poll(cx);
        }
        // The value is taken out by leaving a future that never ends (of no size, so its box allocates nothing): polling
        // a finished answer again is a caller's bug, and waiting for ever is what every future may then do.
        match std::mem::replace(&mut *self, Self::Later(Box::pin(std::future::pending()))) {
            Self::Now(value) => Poll::Ready(value),
            Self::Later(_) => Poll::Pending,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(value) => f.debug_tuple("Now").field(value).finish(),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}
