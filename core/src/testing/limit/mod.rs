//! What a [`RateLimitStore`] has to do, as a suite that any implementation runs.
//!
//! ```
//! use portcullis_core::limit::{MemoryStore, RateLimitStore};
//! use portcullis_core::testing::limit::{Driver, conformance};
//! use portcullis_core::time::{Clock, ManualClock, UnixTime};
//! use std::{sync::Arc, time::Duration};
//!
//! struct Memory(Arc<MemoryStore>, ManualClock);
//!
//! impl Driver for Memory {
//!     fn store(&self) -> Arc<dyn RateLimitStore> {
//!         self.0.clone()
//!     }
//!     fn advance(&self, by: Duration) {
//!         self.1.advance(by);
//!     }
//! }
//!
//! let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
//! conformance(&Memory(Arc::new(MemoryStore::with(clock, 1_000)), hand));
//! ```

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

mod bucket;
mod concurrency;
mod every;
mod random;
mod several;
mod shadow;
mod sliding_log;
mod sliding_window;
mod window;

use crate::answer::Answer;
use crate::limit::{Algorithm, Charge, Mode, Quota, RateLimitStore, StoreError, Verdict};
use crate::subject::{RuleId, SubjectHasher, SubjectKey};

/// How the suite drives a store.
pub trait Driver: Sync {
    /// The store. Subjects are fresh in each run, so it may be one that has counted before.
    fn store(&self) -> Arc<dyn RateLimitStore>;

    /// Moves the store's time on. It stands still otherwise.
    fn advance(&self, by: Duration);

    /// Waits for an answer, on any thread. The default parks the thread, which does for a future that other threads
    /// drive; a store that needs its runtime's context waits inside it (`Handle::block_on`).
    ///
    /// # Errors
    /// The store's own; the suite then fails.
    fn wait(&self, answer: Answer<Result<Verdict, StoreError>>) -> Result<Verdict, StoreError> {
        parked(answer)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Runs the whole suite: some thousands of takes.
///
/// # Panics
/// The store does not do what [`RateLimitStore`] promises.
pub fn conformance(driver: &dyn Driver) {
    let suite = Suite { driver, store: driver.store(), key: SubjectKey::random() };
    suite.nothing_is_admitted_without_charge();
    suite.bucket_spends_its_burst_and_refills_one_at_a_time();
    suite.bucket_spends_costs_as_a_whole();
    suite.bucket_keeps_what_is_spent_when_its_quota_changes();
    suite.window_counts_to_its_end();
    suite.window_is_aligned_to_the_epoch();
    suite.window_spends_costs_as_a_whole();
    suite.window_keeps_what_is_spent_when_its_quota_changes();
    suite.sliding_window_doubles_nothing_at_an_edge();
    suite.sliding_window_spends_costs_as_a_whole();
    suite.sliding_window_keeps_what_is_spent_when_its_quota_changes();
    suite.sliding_log_is_exact();
    suite.sliding_log_spends_costs_as_a_whole();
    suite.sliding_log_keeps_what_is_spent_when_its_quota_changes();
    for algorithm in Algorithm::ALL {
        suite.cost_zero_asks_and_spends_nothing(algorithm);
        suite.a_refused_charge_costs_nothing(algorithm);
        suite.cost_above_the_limit_is_refused(algorithm);
        suite.subjects_are_counted_apart(algorithm);
        suite.rules_are_counted_apart(algorithm);
        suite.is_whole_after_days(algorithm);
        suite.all_charges_hold_or_none(algorithm);
        suite.the_charge_that_decides_is_named(algorithm);
        suite.shadow_refuses_nothing(algorithm);
        suite.shadow_counts_as_if_it_were_enforced(algorithm);
        suite.shadows_are_taken_by_themselves(algorithm);
        suite.random_takes_are_the_model(algorithm);
        suite.one_limit_admits_exactly_its_count_under_concurrency(algorithm);
        suite.several_limits_admit_no_more_under_concurrency(algorithm);
    }
}

struct Suite<'a> {
    driver: &'a dyn Driver,
    store: Arc<dyn RateLimitStore>,
    key: SubjectKey,
}

/// So many in so many seconds; the burst of a bucket is the same.
fn quota(algorithm: Algorithm, count: u32, secs: u64) -> Quota {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Quota { count, period: Duration::from_secs(secs), burst: count, algorithm }
}

fn bucket(count: u32, secs: u64, burst: u32) -> Quota {
    Quota { burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN), ..quota(Algorithm::TokenBucket, count, secs) }
}

fn window(count: u32, secs: u64) -> Quota {
    quota(Algorithm::FixedWindow, count, secs)
}

impl Suite<'_> {
    /// A charge of 1 to a subject of its own: `who` is told apart by algorithm too.
    fn charge(&self, who: &str, quota: Quota) -> Charge {
        self.charge_under(&format!("conformance {}", quota.algorithm.name()), who, quota)
    }

    /// The same under a rule of this name.
    fn charge_under(&self, rule: &str, who: &str, quota: Quota) -> Charge {
        let rule = RuleId::of(rule);
        let mut subject = SubjectHasher::new(&self.key, rule);
        subject.text(0, who.as_bytes());
        Charge { rule, subject: subject.finish(), quota, cost: 1, mode: Mode::Enforce }
    }

    #[expect(clippy::expect_used, reason = "a suite fails by panicking")]
    fn take(&self, charges: &[Charge]) -> Verdict {
        self.driver.wait(self.store.take(charges)).expect("the store answers")
    }

    /// Takes that must be admitted, and what must be left after each.
    #[track_caller]
    fn admits(&self, charge: Charge, remaining: impl IntoIterator<Item = u64>) {
        for remaining in remaining {
            let verdict = self.take(&[charge]);
            assert!(verdict.admitted, "should leave {remaining}: {verdict:?}");
            assert_eq!((verdict.remaining, verdict.wait), (remaining, Duration::ZERO), "{verdict:?}");
        }
    }

    /// A take that must be refused with this wait.
    #[track_caller]
    fn refuses(&self, charge: Charge, wait: Duration) -> Verdict {
        let verdict = self.take(&[charge]);
        assert!(!verdict.admitted, "{verdict:?}");
        assert_eq!(verdict.wait, wait, "{verdict:?}");
        verdict
    }

    /// Moves the time to the start of a window of `secs`.
    fn align(&self, secs: u64) {
        let verdict = self.take(&[self.charge("align", window(1, secs))]);
        self.driver.advance(verdict.reset);
    }
}

/// Polls a future on this thread and parks between.
fn parked<T>(future: impl Future<Output = T>) -> T {
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
