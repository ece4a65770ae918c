//! Callers that leave before their answer has come.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::{Algorithm, Answer, Suite, quota};
use crate::testing::rules::{holds, same};

/// How many callers leave, one after the other.
const LEAVING: u64 = 20;

impl Suite<'_> {
    pub(super) fn a_caller_that_leaves_spoils_nothing(&self, algorithm: Algorithm) {
        self.align(3_600);
        let left = self.charge("left", quota(algorithm, 1_000, 3_600));
        let stayed = self.charge("stayed", quota(algorithm, 100, 3_600));
        for turn in 0..LEAVING {
            // One that nobody ever looks at, and one that is dropped after the first look.
            drop(self.store.take(&[left]));
            let (leaving, staying) = (self.store.take(&[left]), self.store.clone());
            let verdict = self.driver.wait(Answer::later(async move {
                {
                    let mut leaving = pin!(leaving);
                    poll_fn(|cx| {
                        let _ = leaving.as_mut().poll(cx);
                        Poll::Ready(())
                    })
                    .await;
                }
                staying.take(&[stayed]).await
            }));
            holds!(verdict.is_ok(), "{verdict:?}");
            if let Ok(verdict) = verdict {
                same!((verdict.admitted, verdict.limit, verdict.remaining), (true, 100, 99 - turn), "{verdict:?}");
            }
        }
        // Whether what they took was spent is not said; no more than that is.
        let verdict = self.take(&[left]);
        holds!(verdict.remaining >= 1_000 - 2 * LEAVING - 1, "{verdict:?}");
    }
}
