//! Which keys are in force, and under which number.

use super::{Suite, names};
use crate::testing::rules::{holds, same};

pub(super) fn without_keys_the_generation_is_nought(suite: &Suite<'_>) {
    let source = suite.driver.source();
    same!((source.generation(), source.keys()), (0, None), "a source whose issuer is down");
    suite.refresh(&source, 0);
    same!((source.generation(), source.keys()), (0, None), "the same after a refresh");
}

pub(super) fn published_keys_come_into_force(suite: &Suite<'_>) {
    let source = suite.with(&["a", "b"]);
    holds!(source.generation() >= 1, "{}", source.generation());
}

pub(super) fn the_generation_is_that_of_the_set(suite: &Suite<'_>) {
    let source = suite.with(&["a"]);
    for published in [&["a", "b"][..], &["b"], &["b"]] {
        let of_set = source.keys().map(|keys| keys.generation());
        same!(Some(source.generation()), of_set, "the source's generation, and its set's");
        suite.publish(published);
        suite.refresh_next(&source);
    }
}

pub(super) fn the_same_keys_are_the_same_generation(suite: &Suite<'_>) {
    let source = suite.with(&["a", "b"]);
    let generation = source.generation();
    for published in [["a", "b"], ["b", "a"]] {
        suite.publish(&published);
        let fetches = suite.driver.fetches();
        suite.refresh_next(&source);
        holds!(suite.driver.fetches() > fetches, "the issuer was asked {fetches} times");
        same!(source.generation(), generation, "after the same keys in the order {published:?}");
    }
}

pub(super) fn other_keys_are_a_later_generation(suite: &Suite<'_>) {
    let source = suite.with(&["a"]);
    let mut seen = source.generation();
    // A key more, one less, and what was there before.
    for published in [&["a", "b"][..], &["b"], &["a"]] {
        suite.publish(published);
        suite.refresh_next(&source);
        same!(names(&*source), published, "the names of the keys in force");
        holds!(source.generation() > seen, "generation {} after {seen}", source.generation());
        seen = source.generation();
    }
}

pub(super) fn a_failed_fetch_takes_nothing_away(suite: &Suite<'_>) {
    let source = suite.with(&["a"]);
    let generation = source.generation();
    suite.publish(&[]);
    for _ in 0..3 {
        suite.refresh_next(&source);
        same!((names(&*source), source.generation()), (vec!["a".to_owned()], generation), "while the issuer is down");
    }
}
