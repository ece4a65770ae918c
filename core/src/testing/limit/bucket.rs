//! Token buckets: a burst at once, then one at a time.

use super::{Charge, Duration, SECOND, Suite, Verdict, bucket};
use crate::limit::ChargeSet;
use crate::testing::rules::{holds, same};

impl Suite<'_> {
    pub(super) fn bucket_spends_its_burst_and_refills_one_at_a_time(&self) {
        let charge = self.charge("refill", bucket(10, 10, 3));
        let first = self.take(&[charge]);
        let expected = Verdict {
            admitted: true,
            decided: 0,
            limit: 3,
            remaining: 2,
            reset: SECOND,
            wait: Duration::ZERO,
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        };
        same!(first, expected);
        self.admits(charge, [1, 0]);
        let refused = self.refuses(charge, SECOND);
        let expected = Verdict {
            admitted: false,
            decided: 0,
            limit: 3,
            remaining: 0,
            reset: 3 * SECOND,
            wait: SECOND,
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        };
        same!(refused, expected);
        self.driver.advance(SECOND / 2);
        self.refuses(charge, SECOND / 2);
        self.driver.advance(SECOND / 2);
        self.admits(charge, [0]);
        self.refuses(charge, SECOND);
        self.driver.advance(2 * SECOND);
        self.admits(charge, [1, 0]);
        self.refuses(charge, SECOND);
    }

    pub(super) fn bucket_spends_costs_as_a_whole(&self) {
        let one = self.charge("cost", bucket(10, 10, 10));
        let (four, seven) = (Charge { cost: 4, ..one }, Charge { cost: 7, ..one });
        self.admits(four, [6]);
        let refused = self.refuses(seven, SECOND);
        same!((refused.remaining, refused.reset), (6, 4 * SECOND));
        self.admits(four, [2]);
        self.refuses(seven, 5 * SECOND);
        self.admits(one, [1]);
        self.driver.advance(6 * SECOND);
        self.admits(seven, [0]);
    }

    pub(super) fn bucket_keeps_what_is_spent_when_its_quota_changes(&self) {
        let ten = self.charge("change", bucket(10, 10, 10));
        self.admits(ten, (0..10).rev());
        let burst_of_twelve = Charge { quota: bucket(10, 10, 12), ..ten };
        self.admits(burst_of_twelve, [1, 0]);
        // A bucket that is empty stays empty, but no emptier than the new one can be.
        let faster = Charge { quota: bucket(20, 10, 10), ..ten };
        self.refuses(faster, SECOND / 2);
        self.driver.advance(SECOND);
        let smaller = Charge { quota: bucket(1, 10, 1), ..ten };
        let refused = self.take(&[smaller]);
        holds!(!refused.admitted && refused.wait <= 10 * SECOND, "{refused:?}");
    }
}
