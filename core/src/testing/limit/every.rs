//! What holds whatever the algorithm.

use super::{Algorithm, Charge, Duration, SECOND, Suite, quota};
use crate::testing::rules::{holds, same};

impl Suite<'_> {
    pub(super) fn nothing_is_admitted_without_charge(&self) {
        let verdict = self.take(&[]);
        holds!(verdict.admitted, "{verdict:?}");
    }

    pub(super) fn cost_zero_asks_and_spends_nothing(&self, algorithm: Algorithm) {
        let one = self.charge("ask", quota(algorithm, 2, 60));
        let ask = Charge { cost: 0, ..one };
        let fresh = self.take(&[ask]);
        same!((fresh.admitted, fresh.remaining, fresh.reset), (true, 2, Duration::ZERO), "{fresh:?}");
        self.admits(one, [1]);
        self.admits(ask, [1, 1]);
        self.admits(one, [0]);
        let (asked, took) = (self.take(&[ask]), self.take(&[one]));
        holds!(!asked.admitted, "{asked:?}");
        same!(asked, took, "a question, and then a take");
    }

    pub(super) fn cost_above_the_limit_is_refused(&self, algorithm: Algorithm) {
        let one = self.charge("never", quota(algorithm, 5, 60));
        for cost in [6, 1_000_000_000, u32::MAX] {
            let verdict = self.take(&[Charge { cost, ..one }]);
            holds!(!verdict.admitted && verdict.remaining == 5, "{verdict:?}");
            holds!(!verdict.wait.is_zero() && verdict.wait <= one.quota.whole_after(), "{verdict:?}");
        }
        self.admits(Charge { cost: 5, ..one }, [0]);
    }

    pub(super) fn subjects_are_counted_apart(&self, algorithm: Algorithm) {
        let quota = quota(algorithm, 1, 60);
        for who in 0..300 {
            self.admits(self.charge(&format!("apart {who}"), quota), [0]);
        }
    }

    pub(super) fn a_refused_charge_costs_nothing(&self, algorithm: Algorithm) {
        let one = self.charge("refused", quota(algorithm, 4, 60));
        self.admits(one, [3, 2]);
        let first = self.take(&[Charge { cost: 3, ..one }]);
        for _ in 0..10 {
            same!(self.take(&[Charge { cost: 3, ..one }]), first);
        }
        holds!(!first.admitted && first.remaining == 2, "{first:?}");
        self.admits(Charge { cost: 2, ..one }, [0]);
    }

    pub(super) fn passes_when_it_was_said_that_it_would(&self, algorithm: Algorithm) {
        let one = self.charge("promised", quota(algorithm, 4, 60));
        self.admits(one, [3, 2, 1, 0]);
        let wait = self.take(&[one]).wait;
        self.driver.advance(wait - Duration::from_nanos(1));
        self.refuses(one, Duration::from_nanos(1));
        self.driver.advance(Duration::from_nanos(1));
        self.passes(&[one]);
    }

    pub(super) fn rules_are_counted_apart(&self, algorithm: Algorithm) {
        let quota = quota(algorithm, 1, 60);
        for rule in ["apart one", "apart other", "apart"] {
            let charge = self.charge_under(&format!("{rule} {}", algorithm.name()), "the same", quota);
            self.admits(charge, [0]);
            self.stops(&[charge]);
        }
    }

    pub(super) fn is_whole_after_days(&self, algorithm: Algorithm) {
        let charge = self.charge("days", quota(algorithm, 5, 60));
        for days in [1, 3, 400] {
            self.admits(charge, [4, 3, 2, 1, 0]);
            self.stops(&[charge]);
            self.driver.advance(days * 24 * 3_600 * SECOND);
        }
        let ask = self.take(&[Charge { cost: 0, ..charge }]);
        same!((ask.admitted, ask.remaining, ask.reset), (true, 5, Duration::ZERO), "{ask:?}");
    }

    pub(super) fn a_clock_that_creeps_gives_nothing_back(&self, algorithm: Algorithm) {
        self.align(3_600);
        let charge = self.charge("creeps", quota(algorithm, 3, 3_600));
        for remaining in [2, 1, 0] {
            self.admits(charge, [remaining]);
            self.driver.advance(Duration::from_nanos(1));
        }
        for _ in 0..20 {
            self.stops(&[charge]);
            self.driver.advance(Duration::from_nanos(999_983));
        }
    }

    pub(super) fn a_period_of_months_is_counted_to_its_end(&self, algorithm: Algorithm) {
        const PERIOD: u64 = 60 * 24 * 3_600;
        self.align(PERIOD);
        let charge = self.charge("months", quota(algorithm, 1, PERIOD));
        self.admits(charge, [0]);
        let refused = self.take(&[charge]);
        holds!(!refused.admitted && refused.wait >= Duration::from_secs(PERIOD), "{refused:?}");
        for part in [refused.wait / 2 + SECOND, refused.wait / 2 - 2 * SECOND] {
            self.driver.advance(part);
            self.stops(&[charge]);
        }
        self.driver.advance(SECOND);
        self.passes(&[charge]);
    }

    pub(super) fn what_is_not_counted_is_an_error(&self, algorithm: Algorithm) {
        let verdict = self.driver.wait(self.store.take(&[self.charge("uncounted", quota(algorithm, 1, 60))]));
        holds!(verdict.is_err(), "{verdict:?}");
    }
}
