//! The suite of [`RateLimitStore`]: what any store has to do, whatever it stands on.
//!
//! How to run it is told one level up, with a store to copy from. What an author of a store on a shared cache (Memcached, say)
//! gets wrong most often, and which rule says so:
//!
//! - reading a count, deciding, and then writing it: "exactly its count is admitted under concurrency"; a decision is one step at
//!   the store (a compare-and-swap that is tried again, a script);
//! - charges of one request written one after the other: "all charges of a request are spent, or none is", and its sibling
//!   under concurrency: what was spent before one was refused is given back;
//! - an increment first and a look at the result after: "a refused charge costs nothing";
//! - the quota as part of the key: "a changed quota reads what was spent before";
//! - expiry in whole seconds, or by a clock of the node instead of the store's: "a refused charge passes when it was said that
//!   it would, and not before";
//! - an expiry of more than 30 days, which some caches read as a date: "a period of months is counted to its end";
//! - one connection shared by answers in order: "a caller that leaves spoils nothing"; who drops an answer half-way must not leave
//!   its reply to the next one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

mod bucket;
mod concurrency;
mod every;
mod leaving;
mod random;
mod several;
mod shadow;
mod sliding_log;
mod sliding_window;
#[cfg(test)]
mod tests;
mod window;

use super::rules::{Rules, fail, holds, same};
use super::wait::wait;
use crate::answer::Answer;
use crate::limit::{Algorithm, Charge, Mode, Quota, RateLimitStore, StoreError, Verdict};
use crate::subject::{RuleId, SubjectHasher, SubjectKey};

/// How the suite drives a store.
pub trait Driver: Sync {
    /// The store. Subjects are fresh in each run, so it may be one that has counted before.
    fn store(&self) -> Arc<dyn RateLimitStore>;

    /// Moves the store's time on. It stands still otherwise.
    fn advance(&self, by: Duration);

    /// The algorithms that it counts by; all of them unless said otherwise. It answers a charge of any other with an error.
    fn algorithms(&self) -> &[Algorithm] {
        &Algorithm::ALL
    }

    /// Waits for an answer, on any thread. The default parks the thread, which does for a future that other threads
    /// drive; a store that needs its runtime's context waits inside it (`Handle::block_on`).
    ///
    /// # Errors
    /// The store's own; the suite then fails.
    fn wait(&self, answer: Answer<Result<Verdict, StoreError>>) -> Result<Verdict, StoreError> {
        wait(answer)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A rule that one algorithm has to itself.
type Own = (Algorithm, &'static str, fn(&Suite<'_>));

const OWN: [Own; 13] = [
    (Algorithm::TokenBucket, "a bucket spends its burst and refills one at a time", |suite| {
        suite.bucket_spends_its_burst_and_refills_one_at_a_time();
    }),
    (Algorithm::TokenBucket, "a cost is spent as a whole", |suite| suite.bucket_spends_costs_as_a_whole()),
    (Algorithm::TokenBucket, "a changed quota reads what was spent before", |suite| {
        suite.bucket_keeps_what_is_spent_when_its_quota_changes();
    }),
    (Algorithm::FixedWindow, "a window counts to its end", |suite| suite.window_counts_to_its_end()),
    (Algorithm::FixedWindow, "windows are aligned to the epoch", |suite| suite.window_is_aligned_to_the_epoch()),
    (Algorithm::FixedWindow, "a cost is spent as a whole", |suite| suite.window_spends_costs_as_a_whole()),
    (Algorithm::FixedWindow, "a changed quota reads what was spent before", |suite| {
        suite.window_keeps_what_is_spent_when_its_quota_changes();
    }),
    (Algorithm::SlidingWindow, "nothing is doubled at the edge of two windows", |suite| {
        suite.sliding_window_doubles_nothing_at_an_edge();
    }),
    (Algorithm::SlidingWindow, "a cost is spent as a whole", |suite| suite.sliding_window_spends_costs_as_a_whole()),
    (Algorithm::SlidingWindow, "a changed quota reads what was spent before", |suite| {
        suite.sliding_window_keeps_what_is_spent_when_its_quota_changes();
    }),
    (Algorithm::SlidingLog, "a log is exact in any period", |suite| suite.sliding_log_is_exact()),
    (Algorithm::SlidingLog, "a cost is spent as a whole", |suite| suite.sliding_log_spends_costs_as_a_whole()),
    (Algorithm::SlidingLog, "a changed quota reads what was spent before", |suite| {
        suite.sliding_log_keeps_what_is_spent_when_its_quota_changes();
    }),
];

/// A rule that holds whatever the algorithm.
type Every = (&'static str, fn(&Suite<'_>, Algorithm));

const EVERY: [Every; 17] = [
    ("a cost of 0 asks for 1 and spends nothing", |suite, by| suite.cost_zero_asks_and_spends_nothing(by)),
    ("a refused charge costs nothing", |suite, by| suite.a_refused_charge_costs_nothing(by)),
    ("a refused charge passes when it was said that it would, and not before", |suite, by| {
        suite.passes_when_it_was_said_that_it_would(by);
    }),
    ("a cost above the limit is refused, always", |suite, by| suite.cost_above_the_limit_is_refused(by)),
    ("subjects are counted apart", |suite, by| suite.subjects_are_counted_apart(by)),
    ("rules are counted apart", |suite, by| suite.rules_are_counted_apart(by)),
    ("a clock that creeps gives nothing back", |suite, by| suite.a_clock_that_creeps_gives_nothing_back(by)),
    ("a clock that leaps makes a limit whole", |suite, by| suite.is_whole_after_days(by)),
    ("a period of months is counted to its end", |suite, by| suite.a_period_of_months_is_counted_to_its_end(by)),
    ("all charges of a request are spent, or none is", |suite, by| suite.all_charges_hold_or_none(by)),
    ("the charge that decides is named", |suite, by| suite.the_charge_that_decides_is_named(by)),
    ("a shadow charge refuses nothing", |suite, by| suite.shadow_refuses_nothing(by)),
    ("a shadow charge counts as if it were enforced", |suite, by| suite.shadow_counts_as_if_it_were_enforced(by)),
    ("shadow charges are taken each by itself", |suite, by| suite.shadows_are_taken_by_themselves(by)),
    ("any sequence of takes is what the algorithm says", |suite, by| suite.random_takes_are_the_model(by)),
    ("exactly its count is admitted under concurrency", |suite, by| {
        suite.one_limit_admits_exactly_its_count_under_concurrency(by);
    }),
    (
        "several limits admit no more than the smallest under concurrency, and give back what they refuse",
        |suite, by| {
            suite.several_limits_admit_no_more_under_concurrency(by);
        },
    ),
];

/// Runs the whole suite: some thousands of takes for each algorithm.
///
/// # Panics
/// The store does not do what [`RateLimitStore`] promises. The panic names each rule that does not hold, what the suite
/// expected and what it saw.
pub fn conformance(driver: &dyn Driver) {
    let suite = Suite { driver, store: driver.store(), key: SubjectKey::random() };
    let mut rules = Rules::new("RateLimitStore");
    rules.check("no charges at all are admitted", || suite.nothing_is_admitted_without_charge());
    for algorithm in Algorithm::ALL {
        let of = |rule: &str| format!("{rule} ({})", algorithm.name());
        if !driver.algorithms().contains(&algorithm) {
            rules.check(of("what is not counted is an error"), || suite.what_is_not_counted_is_an_error(algorithm));
            continue;
        }
        for (_, rule, check) in OWN.iter().filter(|own| own.0 == algorithm) {
            rules.check(of(rule), || check(&suite));
        }
        for (rule, check) in EVERY {
            rules.check(of(rule), || check(&suite, algorithm));
        }
        rules.check(of("a caller that leaves spoils nothing"), || suite.a_caller_that_leaves_spoils_nothing(algorithm));
    }
    rules.finish();
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
        let mut subject = SubjectHasher::new(&self.key);
        subject.text(0, who.as_bytes());
        Charge { rule, subject: subject.finish(rule), quota, cost: 1, mode: Mode::Enforce, overshoot: 0 }
    }

    #[track_caller]
    fn take(&self, charges: &[Charge]) -> Verdict {
        match self.driver.wait(self.store.take(charges)) {
            Ok(verdict) => verdict,
            Err(error) => fail(&format!("expected: a verdict\nsaw:      {error}: {error:?}")),
        }
    }

    /// A take that must be admitted.
    #[track_caller]
    fn passes(&self, charges: &[Charge]) {
        let verdict = self.take(charges);
        holds!(verdict.admitted, "{verdict:?}");
    }

    /// A take that must be refused.
    #[track_caller]
    fn stops(&self, charges: &[Charge]) {
        let verdict = self.take(charges);
        holds!(!verdict.admitted, "{verdict:?}");
    }

    /// Takes that must be admitted, and what must be left after each.
    #[track_caller]
    fn admits(&self, charge: Charge, remaining: impl IntoIterator<Item = u64>) {
        for remaining in remaining {
            let verdict = self.take(&[charge]);
            holds!(verdict.admitted, "a take that leaves {remaining}: {verdict:?}");
            same!((verdict.remaining, verdict.wait), (remaining, Duration::ZERO), "(remaining, wait) in {verdict:?}");
        }
    }

    /// A take that must be refused with this wait.
    #[track_caller]
    fn refuses(&self, charge: Charge, wait: Duration) -> Verdict {
        let verdict = self.take(&[charge]);
        holds!(!verdict.admitted, "{verdict:?}");
        same!(verdict.wait, wait, "wait in {verdict:?}");
        verdict
    }

    /// Moves the time to the start of a window of `secs`, for whom windows mean something.
    fn align(&self, secs: u64) {
        let counts = |algorithm| self.driver.algorithms().contains(&algorithm);
        if counts(Algorithm::FixedWindow) {
            let verdict = self.take(&[self.charge("align", window(1, secs))]);
            self.driver.advance(verdict.reset);
        } else if counts(Algorithm::SlidingWindow) {
            // What was just spent counts until the end of the next window.
            let fresh = self.charge(&format!("align {secs}"), quota(Algorithm::SlidingWindow, 1_000_000, secs));
            let verdict = self.take(&[fresh]);
            self.driver.advance(verdict.reset.saturating_sub(Duration::from_secs(secs)));
        }
    }
}
