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
            assert!(!verdict.wait.is_zero() && verdict.wait <= 60 * SECOND, "{verdict:?}");
        }
        self.admits(Charge { cost: 5, ..one }, [0]);
    }

    pub(super) fn subjects_are_counted_apart(&self, algorithm: Algorithm) {
        let quota = quota(algorithm, 1, 60);
        for who in ["a", "b", "a b", ""] {
            self.admits(self.charge(&format!("apart {who}"), quota), [0]);
        }
    }

    pub(super) fn all_charges_hold_or_none(&self, algorithm: Algorithm) {
        let wide = self.charge("all wide", quota(algorithm, 10, 60));
        let narrow = self.charge("all narrow", quota(algorithm, 2, 60));
        assert!(self.take(&[wide, narrow]).admitted);
        assert!(self.take(&[narrow, wide]).admitted);
        for charges in [[wide, narrow], [narrow, wide]] {
            let refused = self.take(&charges);
            assert!(!refused.admitted, "{refused:?}");
            assert_eq!(charges.get(refused.decided), Some(&narrow), "{refused:?}");
        }
        // The same subject twice in one request: the second finds the first's spending.
        let twice = Charge { cost: 5, ..wide };
        assert!(!self.take(&[twice, twice]).admitted);
        self.admits(wide, [7]);
        assert!(self.take(&[wide, wide]).admitted);
        self.admits(wide, [4]);
    }

    pub(super) fn the_charge_that_decides_is_named(&self, algorithm: Algorithm) {
        self.align(3_600);
        let hundred = self.charge("decides hundred", quota(algorithm, 100, 60));
        let ten = self.charge("decides ten", quota(algorithm, 10, 60));
        let slow = self.charge("decides slow", quota(algorithm, 1, 3_600));
        let least = self.take(&[hundred, ten]);
        assert_eq!((least.decided, least.limit, least.remaining), (1, 10, 9), "the smallest share left: {least:?}");
        assert!(self.take(&[slow]).admitted);
        assert!(self.take(&[Charge { cost: 9, ..ten }]).admitted);
        let longest = self.take(&[hundred, ten, slow]);
        assert_eq!((longest.admitted, longest.decided), (false, 2), "the longest wait: {longest:?}");
        assert_eq!(longest.wait, 3_600 * SECOND, "{longest:?}");
        self.admits(hundred, [98]);
    }
}
