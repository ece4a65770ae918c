//! Sliding logs: exact in any period.

use super::{Algorithm, Charge, Duration, Quota, SECOND, Suite, Verdict, quota};
use crate::limit::ChargeSet;
use crate::testing::rules::same;

fn log(count: u32, secs: u64) -> Quota {
    quota(Algorithm::SlidingLog, count, secs)
}

impl Suite<'_> {
    pub(super) fn sliding_log_is_exact(&self) {
        // Across the edge of two windows, which means nothing to it.
        self.align(60);
        self.driver.advance(45 * SECOND);
        let charge = self.charge("exact", log(3, 60));
        let first = self.take(&[charge]);
        let expected = Verdict {
            admitted: true,
            decided: 0,
            limit: 3,
            remaining: 2,
            reset: 60 * SECOND,
            wait: Duration::ZERO,
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        };
        same!(first, expected);
        self.driver.advance(10 * SECOND);
        self.admits(charge, [1]);
        self.driver.advance(10 * SECOND);
        self.admits(charge, [0]);
        let refused = self.refuses(charge, 40 * SECOND);
        same!((refused.limit, refused.remaining, refused.reset), (3, 0, 60 * SECOND));
        self.driver.advance(40 * SECOND - Duration::from_nanos(1));
        self.refuses(charge, Duration::from_nanos(1));
        self.driver.advance(Duration::from_nanos(1));
        self.admits(charge, [0]);
        self.refuses(charge, 10 * SECOND);
        self.driver.advance(10 * SECOND);
        self.admits(charge, [0]);
        self.refuses(charge, 10 * SECOND);
    }

    pub(super) fn sliding_log_spends_costs_as_a_whole(&self) {
        let one = self.charge("cost", log(10, 60));
        let (four, seven) = (Charge { cost: 4, ..one }, Charge { cost: 7, ..one });
        self.admits(four, [6]);
        same!(self.refuses(seven, 60 * SECOND).remaining, 6);
        self.driver.advance(10 * SECOND);
        self.admits(four, [2]);
        self.admits(one, [1, 0]);
        // Seven have to go: the first four, and three of those that came ten seconds later.
        self.refuses(seven, 60 * SECOND);
        self.refuses(four, 50 * SECOND);
        self.driver.advance(50 * SECOND);
        self.admits(four, [0]);
        self.driver.advance(10 * SECOND);
        self.admits(Charge { cost: 6, ..one }, [0]);
    }

    pub(super) fn sliding_log_keeps_what_is_spent_when_its_quota_changes(&self) {
        let ten = self.charge("change", log(10, 60));
        self.admits(ten, [9, 8, 7, 6]);
        self.admits(Charge { quota: log(12, 60), ..ten }, [7]);
        self.refuses(Charge { quota: log(5, 60), ..ten }, 60 * SECOND);
        self.admits(Charge { quota: log(7, 3_600), ..ten }, [1, 0]);
        self.admits(ten, [2]);
        self.refuses(Charge { quota: log(2, 60), ..ten }, 60 * SECOND);
        // A shorter period forgets sooner.
        self.driver.advance(30 * SECOND);
        self.admits(Charge { quota: log(2, 30), ..ten }, [1, 0]);
    }
}
