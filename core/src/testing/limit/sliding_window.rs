//! Sliding windows: the window before counts by the share of it that is less than a period ago.

use super::{Algorithm, Charge, Duration, Quota, SECOND, Suite, Verdict, quota};
use crate::limit::ChargeSet;
use crate::testing::rules::same;

fn sliding(count: u32, secs: u64) -> Quota {
    quota(Algorithm::SlidingWindow, count, secs)
}

impl Suite<'_> {
    pub(super) fn sliding_window_doubles_nothing_at_an_edge(&self) {
        self.align(60);
        let charge = self.charge("edge", sliding(10, 60));
        self.driver.advance(50 * SECOND);
        let first = self.take(&[charge]);
        let expected = Verdict {
            admitted: true,
            decided: 0,
            limit: 10,
            remaining: 9,
            // It counts, less and less, until the next window ends.
            reset: 70 * SECOND,
            wait: Duration::ZERO,
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        };
        same!(first, expected);
        self.admits(charge, (0..9).rev());
        // Ten weigh nine when a tenth of the next window is over.
        let refused = self.refuses(charge, 16 * SECOND);
        same!((refused.remaining, refused.reset), (0, 70 * SECOND));
        self.driver.advance(10 * SECOND);
        self.refuses(charge, 6 * SECOND);
        self.driver.advance(6 * SECOND);
        self.admits(charge, [0]);
        self.refuses(charge, 6 * SECOND);
        // Half of the window before, and one.
        self.driver.advance(24 * SECOND);
        self.admits(charge, [3, 2, 1, 0]);
        self.driver.advance(30 * SECOND);
        self.admits(charge, [4, 3, 2, 1, 0]);
        self.driver.advance(120 * SECOND);
        self.admits(charge, (0..10).rev());
    }

    pub(super) fn sliding_window_spends_costs_as_a_whole(&self) {
        self.align(60);
        let one = self.charge("cost", sliding(10, 60));
        let (four, seven) = (Charge { cost: 4, ..one }, Charge { cost: 7, ..one });
        self.admits(four, [6]);
        // Four weigh three when a quarter of the next window is over.
        same!(self.refuses(seven, 75 * SECOND).remaining, 6);
        self.admits(four, [2]);
        self.admits(one, [1, 0]);
        self.driver.advance(60 * SECOND);
        self.refuses(seven, 42 * SECOND);
        self.driver.advance(42 * SECOND);
        self.admits(seven, [0]);
    }

    pub(super) fn sliding_window_keeps_what_is_spent_when_its_quota_changes(&self) {
        self.align(3_600);
        let ten = self.charge("change", sliding(10, 60));
        self.admits(ten, [9, 8, 7, 6]);
        self.admits(Charge { quota: sliding(12, 60), ..ten }, [7]);
        self.refuses(Charge { quota: sliding(5, 60), ..ten }, 72 * SECOND);
        // What counts in this minute counts in this hour, and the other way round.
        self.admits(Charge { quota: sliding(7, 3_600), ..ten }, [1, 0]);
        self.admits(ten, [2]);
        // The window before is read under the new count too: ten of it weigh no more than four.
        self.admits(ten, [1, 0]);
        self.driver.advance(60 * SECOND);
        self.refuses(Charge { quota: sliding(4, 60), ..ten }, 15 * SECOND);
    }
}
