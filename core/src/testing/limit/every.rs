//! What holds whatever the algorithm.

use super::{Algorithm, Charge, Duration, SECOND, Suite, quota};

impl Suite<'_> {
    pub(super) fn nothing_is_admitted_without_charge(&self) {
        let verdict = self.take(&[]);
        assert!(verdict.admitted, "{verdict:?}");
    }

    pub(super) fn cost_zero_asks_and_spends_nothing(&self, algorithm: Algorithm) {
        let one = self.charge("ask", quota(algorithm, 2, 60));
        let ask = Charge { cost: 0, ..one };
        let fresh = self.take(&[ask]);
        assert_eq!((fresh.admitted, fresh.remaining, fresh.reset), (true, 2, Duration::ZERO), "{fresh:?}");
        self.admits(one, [1]);
        self.admits(ask, [1, 1]);
        self.admits(one, [0]);
        let (asked, took) = (self.take(&[ask]), self.take(&[one]));
        assert!(!asked.admitted);
        assert_eq!(asked, took);
    }

    pub(super) fn cost_above_the_limit_is_refused(&self, algorithm: Algorithm) {
        let one = self.charge("never", quota(algorithm, 5, 60));
        for cost in [6, 1_000_000_000, u32::MAX] {
            let verdict = self.take(&[Charge { cost, ..one }]);
            assert!(!verdict.admitted && verdict.remaining == 5, "{verdict:?}");
            assert!(!verdict.wait.is_zero() && verdict.wait <= one.quota.whole_after(), "{verdict:?}");
        }
        self.admits(Charge { cost: 5, ..one }, [0]);
    }

    pub(super) fn subjects_are_counted_apart(&self, algorithm: Algorithm) {
        let quota = quota(algorithm, 1, 60);
        for who in ["a", "b", "a b", ""] {
            self.admits(self.charge(&format!("apart {who}"), quota), [0]);
        }
    }

    pub(super) fn a_refused_charge_costs_nothing(&self, algorithm: Algorithm) {
        let one = self.charge("refused", quota(algorithm, 4, 60));
        self.admits(one, [3, 2]);
        let first = self.take(&[Charge { cost: 3, ..one }]);
        for _ in 0..10 {
            assert_eq!(self.take(&[Charge { cost: 3, ..one }]), first);
        }
        assert!(!first.admitted && first.remaining == 2, "{first:?}");
        self.admits(Charge { cost: 2, ..one }, [0]);
        // It passes when it was said that it would, and not before.
        let wait = self.take(&[one]).wait;
        self.driver.advance(wait - Duration::from_nanos(1));
        self.refuses(one, Duration::from_nanos(1));
        self.driver.advance(Duration::from_nanos(1));
        assert!(self.take(&[one]).admitted);
    }

    pub(super) fn rules_are_counted_apart(&self, algorithm: Algorithm) {
        let quota = quota(algorithm, 1, 60);
        for rule in ["apart one", "apart other", "apart"] {
            let charge = self.charge_under(&format!("{rule} {}", algorithm.name()), "the same", quota);
            self.admits(charge, [0]);
            assert!(!self.take(&[charge]).admitted);
        }
    }

    pub(super) fn is_whole_after_days(&self, algorithm: Algorithm) {
        let charge = self.charge("days", quota(algorithm, 5, 60));
        for days in [1, 3, 400] {
            self.admits(charge, [4, 3, 2, 1, 0]);
            assert!(!self.take(&[charge]).admitted);
            self.driver.advance(days * 24 * 3_600 * SECOND);
        }
        let ask = self.take(&[Charge { cost: 0, ..charge }]);
        assert_eq!((ask.admitted, ask.remaining, ask.reset), (true, 5, Duration::ZERO), "{ask:?}");
    }
}
