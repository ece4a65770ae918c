//! When the issuer is asked, and for whom.

use super::{Hold, Suite, Waiter, names};
use crate::auth::KeySource;
use crate::testing::rules::{holds, same};
use std::sync::Arc;

/// How many ask at one time.
const MANY: usize = 50;

/// A source that has a key, whose issuer was just asked for a second one and holds its answer back; and those who wait for it.
fn waiting(suite: &Suite<'_>, waiters: usize) -> (Arc<dyn KeySource>, Vec<Waiter>, u64) {
    let source = suite.with(&["a"]);
    suite.driver.next_fetch();
    suite.publish(&["a", "b"]);
    suite.driver.hold(Hold::Holds);
    let before = suite.driver.fetches();
    let mut waiting: Vec<_> = (0..waiters).map(|_| Suite::ask(&source, source.generation())).collect();
    suite.until(&mut waiting, "a fetch", |_| suite.driver.fetches() > before);
    // Once more for all, so that those behind the first have asked too.
    waiting.retain_mut(|waiter| suite.driver.turn(waiter.as_mut()).is_pending());
    same!(waiting.len(), waiters, "how many wait while the issuer holds its answer back");
    (source, waiting, before)
}

fn has_both(suite: &Suite<'_>, source: &dyn KeySource, before: u64) {
    same!(names(source), ["a", "b"], "the keys in force when the wait was over");
    same!(suite.driver.fetches(), before + 1, "how often the issuer was asked");
}

pub(super) fn an_earlier_generation_fetches_nothing(suite: &Suite<'_>) {
    let source = suite.with(&["a"]);
    suite.driver.next_fetch();
    let before = suite.driver.fetches();
    suite.driver.hold(Hold::Holds);
    suite.refresh(&source, source.generation() - 1);
    same!(suite.driver.fetches(), before, "how often the issuer was asked");
}

pub(super) fn all_share_one_fetch(suite: &Suite<'_>) {
    let (source, mut waiting, before) = waiting(suite, MANY);
    same!(suite.driver.fetches(), before + 1, "how often the issuer was asked, for {MANY} who wait");
    suite.driver.hold(Hold::Answers);
    suite.settle(&mut waiting, "the end of a wait that an answer has come for");
    has_both(suite, &*source, before);
}

pub(super) fn a_waiter_that_leaves_cancels_nothing(suite: &Suite<'_>) {
    let (source, mut waiting, before) = waiting(suite, 4);
    // The first, who may be the one that drives the fetch, and one from the middle.
    drop(waiting.remove(0));
    drop(waiting.remove(1));
    suite.driver.hold(Hold::Answers);
    suite.settle(&mut waiting, "the end of a wait, when others have left");
    has_both(suite, &*source, before);
}

pub(super) fn a_fetch_that_all_have_left_is_not_lost(suite: &Suite<'_>) {
    let (source, waiting, before) = waiting(suite, 3);
    drop(waiting);
    let mut late = vec![Suite::ask(&source, source.generation())];
    late.retain_mut(|waiter| suite.driver.turn(waiter.as_mut()).is_pending());
    suite.driver.hold(Hold::Answers);
    suite.settle(&mut late, "the end of a late wait, when the earlier ones have left");
    has_both(suite, &*source, before);
}

pub(super) fn how_often_it_fetches_is_bounded(suite: &Suite<'_>) {
    let source = suite.with(&["a"]);
    suite.refresh_next(&source);
    let before = suite.driver.fetches();
    for _ in 0..100 {
        suite.refresh(&source, source.generation());
    }
    let more = suite.driver.fetches() - before;
    holds!(more <= 1, "the issuer was asked {more} times for 100 refreshes, one right after the other");
    suite.publish(&["a", "b"]);
    suite.refresh_next(&source);
    same!(names(&*source), ["a", "b"], "the keys in force after a pause");
}

pub(super) fn a_failed_fetch_is_tried_again(suite: &Suite<'_>) {
    let source = suite.driver.source();
    suite.refresh(&source, 0);
    suite.publish(&["a"]);
    suite.refresh_next(&source);
    same!(names(&*source), ["a"], "the keys in force once the issuer is there");
}
