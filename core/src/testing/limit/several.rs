//! Several charges in one take: together, or none.

use super::{Algorithm, Charge, Suite, quota};
use crate::testing::rules::{holds, same};

impl Suite<'_> {
    pub(super) fn all_charges_hold_or_none(&self, algorithm: Algorithm) {
        let wide = self.charge("all wide", quota(algorithm, 10, 60));
        let narrow = self.charge("all narrow", quota(algorithm, 2, 60));
        self.passes(&[wide, narrow]);
        self.passes(&[narrow, wide]);
        for charges in [[wide, narrow], [narrow, wide]] {
            let refused = self.take(&charges);
            holds!(!refused.admitted, "{refused:?}");
            same!(charges.get(refused.decided), Some(&narrow), "{refused:?}");
        }
        // The same subject twice in one request: the second finds the first's spending.
        let twice = Charge { cost: 5, ..wide };
        self.stops(&[twice, twice]);
        self.admits(wide, [7]);
        self.passes(&[wide, wide]);
        self.admits(wide, [4]);
    }

    pub(super) fn the_charge_that_decides_is_named(&self, algorithm: Algorithm) {
        self.align(3_600);
        let hundred = self.charge("decides hundred", quota(algorithm, 100, 60));
        let ten = self.charge("decides ten", quota(algorithm, 10, 60));
        let slow = self.charge("decides slow", quota(algorithm, 1, 3_600));
        let least = self.take(&[hundred, ten]);
        same!((least.decided, least.limit, least.remaining), (1, 10, 9), "the smallest share left: {least:?}");
        self.passes(&[slow]);
        self.passes(&[Charge { cost: 9, ..ten }]);
        let longest = self.take(&[hundred, ten, slow]);
        same!((longest.admitted, longest.decided), (false, 2), "the longest wait: {longest:?}");
        same!(longest.wait, slow.quota.whole_after(), "{longest:?}");
        self.admits(hundred, [98]);
    }
}
