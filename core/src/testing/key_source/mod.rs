//! The suite of [`KeySource`]: what any source of keys has to do, wherever it gets them.
//!
//! A driver is the source's issuer: it publishes keys, or none; holds its answers back; and counts how often it was asked. What a
//! source does in the background happens while the suite waits ([`Driver::turn`]), so a source that fetches in a task runs under
//! its own runtime, with paused time where it has that, and one that fetches in the futures of those who ask needs none.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

mod fetching;
mod keeping;
#[cfg(test)]
mod tests;

use super::SigningKey;
use super::rules::{Rules, holds};
use crate::auth::{Algorithm, KeySet, KeySource};
use crate::time::Clock;

/// How the suite drives a source and its issuer.
pub trait Driver {
    /// A fresh source of the issuer. It may ask at once.
    fn source(&self) -> Arc<dyn KeySource>;

    /// What the issuer answers from now on: these keys; where there are none, it is down. [`SigningKey::jwk`] is how an issuer
    /// publishes a key.
    fn publish(&self, keys: &[SigningKey]);

    /// Whether the issuer holds its answers back: while it does, nobody who asks gets one.
    fn hold(&self, held: Hold);

    /// How often the issuer was asked, ever: counted when it is asked, not when it answers.
    fn fetches(&self) -> u64;

    /// Moves the source's time on, so far that it may ask again, and lets what is due then happen.
    fn next_fetch(&self);

    /// Polls `future` once, in whatever context the source needs, and gives what runs in the background (the source's own
    /// task) a turn. Polling on this thread, which is the default, does for a source without a task.
    fn turn(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) -> Poll<()> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// How long the suite goes on taking turns, in real time, before it says that something does not happen.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// What an issuer does with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It gives them.
    Answers,
    /// It keeps them until it is told otherwise.
    Holds,
}

/// What holds, and what shows it.
type Rule = (&'static str, fn(&Suite<'_>));

const RULES: [Rule; 12] = [
    ("without keys the generation is nought", keeping::without_keys_the_generation_is_nought),
    ("keys that are published come into force, in generation 1 or later", keeping::published_keys_come_into_force),
    ("the generation is that of the set in force", keeping::the_generation_is_that_of_the_set),
    ("the same keys fetched again are the same generation", keeping::the_same_keys_are_the_same_generation),
    ("other keys are a later generation", keeping::other_keys_are_a_later_generation),
    ("a failed fetch takes nothing away", keeping::a_failed_fetch_takes_nothing_away),
    ("a refresh for an earlier generation fetches nothing", fetching::an_earlier_generation_fetches_nothing),
    ("all who ask at one time share one fetch", fetching::all_share_one_fetch),
    ("a waiter that leaves cancels nothing", fetching::a_waiter_that_leaves_cancels_nothing),
    ("a fetch that all have left is not lost", fetching::a_fetch_that_all_have_left_is_not_lost),
    ("how often it fetches is bounded", fetching::how_often_it_fetches_is_bounded),
    ("a failed fetch is tried again", fetching::a_failed_fetch_is_tried_again),
];

/// Runs the whole suite, with a fresh source for each rule.
///
/// # Panics
/// The source does not do what [`KeySource`] promises. The panic names each rule that does not hold, what the suite expected and
/// what it saw.
pub fn conformance(driver: &dyn Driver) {
    let mut rules = Rules::new("KeySource");
    for (rule, check) in RULES {
        rules.check(rule, || {
            driver.hold(Hold::Answers);
            driver.publish(&[]);
            check(&Suite { driver });
        });
    }
    rules.finish();
}

struct Suite<'a> {
    driver: &'a dyn Driver,
}

/// Somebody who asks for newer keys.
type Waiter = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A key under a name of its own.
fn key(name: &str) -> SigningKey {
    SigningKey::new(Algorithm::EdDSA).named(name)
}

/// The names of a source's keys, in order.
fn names(source: &dyn KeySource) -> Vec<String> {
    let keys = source.keys();
    let mut names: Vec<_> = keys.iter().flat_map(|keys| KeySet::names(keys)).map(str::to_owned).collect();
    names.sort();
    names
}

impl Suite<'_> {
    /// A source whose issuer publishes these, and has them.
    #[track_caller]
    fn with(&self, published: &[&str]) -> Arc<dyn KeySource> {
        self.publish(published);
        let source = self.driver.source();
        self.refresh(&source, 0);
        let names = names(&*source);
        holds!(names == published, "{names:?}, after the first refresh; published: {published:?}");
        source
    }

    fn publish(&self, names: &[&str]) {
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        self.driver.publish(&keys);
    }

    fn ask(source: &Arc<dyn KeySource>, seen: u64) -> Waiter {
        let source = Arc::clone(source);
        Box::pin(async move { source.refresh(seen).await })
    }

    /// Asks, and waits until that is over.
    #[track_caller]
    fn refresh(&self, source: &Arc<dyn KeySource>, seen: u64) {
        let mut waiters = vec![Self::ask(source, seen)];
        self.settle(&mut waiters, "a refresh that returns");
    }

    /// Asks once more, when a fetch may be made.
    #[track_caller]
    fn refresh_next(&self, source: &Arc<dyn KeySource>) {
        self.driver.next_fetch();
        self.refresh(source, source.generation());
    }

    /// Takes turns until all are done.
    #[track_caller]
    fn settle(&self, waiters: &mut Vec<Waiter>, what: &str) {
        self.until(waiters, what, |waiters| waiters.is_empty());
    }

    /// Takes turns until `done`; those whose wait is over go.
    #[track_caller]
    fn until(&self, waiters: &mut Vec<Waiter>, what: &str, done: impl Fn(&[Waiter]) -> bool) {
        let clock = Clock::system();
        let end = clock.now() + self.driver.patience();
        while !done(waiters) {
            waiters.retain_mut(|waiter| self.driver.turn(waiter.as_mut()).is_pending());
            let fetches = self.driver.fetches();
            holds!(clock.now() < end, "{what}; {} still wait, the issuer was asked {fetches} times", waiters.len());
            std::thread::yield_now();
        }
    }
}
