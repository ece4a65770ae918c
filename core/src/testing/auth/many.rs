//! Many callers at once, and callers that leave.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;

use super::{Answer, Asked, Driver, NOW};
use crate::testing::rules::at_once;

/// How many threads ask at once, and how often each.
const THREADS: usize = 8;
const EACH: usize = 100;

pub(super) fn tokens_are_not_mixed_up(driver: &dyn Driver) {
    let ids: Vec<String> = (0..THREADS).map(|number| format!("holder-{number}")).collect();
    let asked = Asked::new(driver, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let start = Barrier::new(THREADS);
    let (asked, ids, start) = (&asked, &ids, &start);
    at_once((0..THREADS).map(|thread| {
        move || {
            start.wait();
            for turn in 0..EACH {
                // Mostly one's own, now and then the neighbour's.
                let number = (thread + usize::from(turn % 5 == 0)) % THREADS;
                if let (Some(token), Some(id)) = (asked.tokens.get(number), ids.get(number)) {
                    asked.accepts(token, NOW, id);
                    asked.refuses("a.b.c", NOW);
                }
            }
        }
    }));
}

pub(super) fn a_caller_that_leaves_spoils_nothing(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada", "bob"]);
    let [ada, bob] = &*asked.tokens else { return };
    for _ in 0..5 {
        // One that nobody ever looks at, and one that is dropped after the first look.
        drop(asked.verifier.verify(ada, NOW));
        let (leaving, staying, token) = (asked.verifier.verify(ada, NOW), Arc::clone(&asked.verifier), bob.clone());
        let verdict = driver.wait(Answer::later(async move {
            {
                let mut leaving = pin!(leaving);
                poll_fn(|cx| {
                    let _ = leaving.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
            }
            staying.verify(&token, NOW).await
        }));
        crate::testing::rules::same!(super::told(&verdict), Ok("bob"), "who came after one that left");
    }
    asked.accepts(ada, NOW, "ada");
}
