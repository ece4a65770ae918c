//! The suite finds what is wrong: one source for each way to break a rule.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::json;

use super::*;

/// What a source does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A new number for each fetch.
    CountsFetches,
    /// The same number whatever the keys.
    CountsNothing,
    /// Whoever asks drops the fetch of the one before.
    DiesWithItsWaiter,
    /// Asks whatever was seen.
    FetchesForTheBlind,
    /// Nought, although there is a set.
    ForgetsToNumber,
    /// A fetch for everybody.
    FetchesForEach,
    /// No keys, since the last fetch failed.
    LosesKeys,
    /// Only the first fetch is ever made when it fails.
    NeverAgain,
    /// As often as it is asked.
    NoThrottle,
    /// The number is said before the set is there.
    NumbersAhead,
    /// Only the first fetch counts.
    StaysWithTheFirst,
    /// Who leaves last takes the fetch along.
    StartsAnew,
}

/// A source without a task: whoever polls goes on with the fetch.
struct Plain {
    fault: Fault,
    issuer: Arc<Issuer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    fetching: bool,
    ended: u64,
    waiting: usize,
    /// When the last fetch was made, by the issuer's count of pauses.
    fetched_at: Option<u64>,
    numbers: u64,
}

#[derive(Default)]
struct Issuer {
    published: Mutex<Vec<SigningKey>>,
    held: AtomicBool,
    fetches: AtomicU64,
    pauses: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plain {
    /// How many fetches have ended, where it is worth waiting for another.
    fn claim(&self, seen: u64) -> Option<u64> {
        let generation = self.generation();
        let mut state = lock(&self.state);
        if generation > seen && self.fault != Fault::FetchesForTheBlind {
            return None;
        }
        if !state.fetching || self.fault == Fault::FetchesForEach {
            let now = self.issuer.pauses.load(Ordering::SeqCst);
            let early = state.fetched_at == Some(now) && self.fault != Fault::NoThrottle;
            if early || (self.fault == Fault::NeverAgain && state.fetched_at.is_some()) {
                return None;
            }
            state.fetched_at = Some(now);
            state.fetching = true;
            self.issuer.fetches.fetch_add(1, Ordering::SeqCst);
        }
        state.waiting += 1;
        Some(state.ended)
    }

    /// Takes what the issuer says, if it says anything.
    fn go_on(&self) {
        let mut state = lock(&self.state);
        if !state.fetching || self.issuer.held.load(Ordering::SeqCst) {
            return;
        }
        state.fetching = false;
        state.ended += 1;
        let published = lock(&self.issuer.published);
        if published.is_empty() {
            if self.fault == Fault::LosesKeys {
                state.set = None;
            }
            return;
        }
        if self.fault == Fault::StaysWithTheFirst && state.set.is_some() {
            return;
        }
        let keys: Vec<_> = published.iter().map(SigningKey::jwk).collect();
        let set = KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let same = state.set.as_ref().is_some_and(|known| known.has_same_keys(&set));
        match self.fault {
            Fault::CountsFetches => state.numbers += 1,
            Fault::CountsNothing => state.numbers = 1,
            Fault::ForgetsToNumber => {}
            _ => state.numbers += u64::from(!same),
        }
        state.set = Some(Arc::new(set.numbered(state.numbers)));
    }
}

/// What a waiter leaves behind.
struct Leaves<'a>(&'a Plain, bool);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.waiting -= 1;
        let last = state.waiting == 0;
        match self.0.fault {
            Fault::DiesWithItsWaiter if self.1 => state.fetching = false,
            Fault::StartsAnew if last && state.fetching => (state.fetching, state.fetched_at) = (false, None),
            _ => {}
        }
    }
}

#[async_trait]
impl KeySource for Plain {
    fn generation(&self) -> u64 {
        let ahead = u64::from(self.fault == Fault::NumbersAhead);
        lock(&self.state).set.as_ref().map_or(0, |keys| keys.generation() + ahead)
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        lock(&self.state).set.clone()
    }

    async fn refresh(&self, seen: u64) {
        let Some(ended) = self.claim(seen) else { return };
        let first = lock(&self.state).waiting == 1;
        let _leaves = Leaves(self, first);
        poll_fn(|_| {
            self.go_on();
            if lock(&self.state).ended > ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

struct Drive(Fault, Arc<Issuer>);

impl Driver for Drive {
    fn source(&self) -> Arc<dyn KeySource> {
        Arc::new(Plain { fault: self.0, issuer: Arc::clone(&self.1), state: Mutex::default() })
    }
    fn publish(&self, keys: &[SigningKey]) {
        *lock(&self.1.published) = keys.to_vec();
    }
    fn hold(&self, held: Hold) {
        self.1.held.store(held == Hold::Holds, Ordering::SeqCst);
    }
    fn fetches(&self) -> u64 {
        self.1.fetches.load(Ordering::SeqCst)
    }
    fn next_fetch(&self) {
        self.1.pauses.fetch_add(1, Ordering::SeqCst);
    }
    fn patience(&self) -> Duration {
        Duration::from_millis(100)
    }
}

fn report(fault: Fault) -> String {
    match catch_unwind(AssertUnwindSafe(|| conformance(&Drive(fault, Arc::default())))) {
        Ok(()) => String::new(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}

#[test]
fn each_fault_is_found_and_named() {
    assert_eq!(report(Fault::None), "");
    for (fault, rule) in [
        (Fault::CountsFetches, "the same keys fetched again are the same generation"),
        (Fault::CountsNothing, "other keys are a later generation"),
        (Fault::DiesWithItsWaiter, "a waiter that leaves cancels nothing"),
        (Fault::FetchesForEach, "all who ask at one time share one fetch"),
        (Fault::FetchesForTheBlind, "a refresh for an earlier generation fetches nothing"),
        (Fault::ForgetsToNumber, "keys that are published come into force, in generation 1 or later"),
        (Fault::LosesKeys, "a failed fetch takes nothing away"),
        (Fault::NeverAgain, "a failed fetch is tried again"),
        (Fault::NoThrottle, "how often it fetches is bounded"),
        (Fault::NumbersAhead, "the generation is that of the set in force"),
        (Fault::StartsAnew, "a fetch that all have left is not lost"),
        (Fault::StaysWithTheFirst, "other keys are a later generation"),
    ] {
        let report = report(fault);
        assert!(report.contains(&format!("\n- {rule}\n")), "{fault:?} is not found by {rule:?}: {report}");
    }
}

/// There is always a set when there is a number.
#[test]
fn a_source_that_invents_a_number_is_found() {
    struct Liar;
    #[async_trait]
    impl KeySource for Liar {
        fn generation(&self) -> u64 {
            1
        }
        fn keys(&self) -> Option<Arc<KeySet>> {
            None
        }
        async fn refresh(&self, _: u64) {}
    }
    struct Lie(Drive);
    impl Driver for Lie {
        fn source(&self) -> Arc<dyn KeySource> {
            Arc::new(Liar)
        }
        fn publish(&self, keys: &[SigningKey]) {
            self.0.publish(keys);
        }
        fn hold(&self, held: Hold) {
            self.0.hold(held);
        }
        fn fetches(&self) -> u64 {
            0
        }
        fn next_fetch(&self) {}
        fn patience(&self) -> Duration {
            Duration::from_millis(10)
        }
    }
    let run = || conformance(&Lie(Drive(Fault::None, Arc::default())));
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let report = panic.downcast::<String>().unwrap();
    assert!(
        report.contains("- without keys the generation is nought\n  expected: (0, None)\n  saw:      (1, None)"),
        "{report}"
    );
}
