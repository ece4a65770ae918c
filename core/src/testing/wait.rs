//! Waiting without a runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// What comes of a future, polled on this thread, which is parked in between.
///
/// That does for an [`Answer`](crate::Answer) from memory and for every future that other threads drive. A future that needs
/// the context of its runtime (a tokio socket or timer, say) is waited for inside that runtime: `Handle::block_on`.
///
/// ```
/// use portcullis_core::Answer;
/// use portcullis_core::testing::wait;
///
/// assert_eq!(wait(Answer::Now(1)), 1);
/// assert_eq!(wait(async { Answer::later(async { 2 }).await }), 2);
/// ```
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}
