//! Fixed windows: so many until the edge, then as many again.

use super::{Charge, Duration, SECOND, Suite, Verdict, window};
use crate::limit::ChargeSet;
use crate::testing::rules::same;

impl Suite<'_> {
    pub(super) fn window_counts_to_its_end(&self) {
        self.align(60);
        let charge = self.charge("edge", window(3, 60));
        self.driver.advance(50 * SECOND);
        let first = self.take(&[charge]);
        let expected = Verdict {
            admitted: true,
            decided: 0,
            limit: 3,
            remaining: 2,
            reset: 10 * SECOND,
            wait: Duration::ZERO,
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        };
        same!(first, expected);
        self.admits(charge, [1, 0]);
        let refused = self.refuses(charge, 10 * SECOND);
        same!((refused.limit, refused.remaining, refused.reset), (3, 0, 10 * SECOND));
        self.driver.advance(9 * SECOND);
        self.refuses(charge, SECOND);
        self.driver.advance(SECOND);
        self.admits(charge, [2, 1, 0]);
        self.refuses(charge, 60 * SECOND);
        self.driver.advance(3_600 * SECOND);
        self.admits(charge, [2, 1, 0]);
    }

    pub(super) fn window_is_aligned_to_the_epoch(&self) {
        // Whatever the time is, an hour of 3,600 seconds ends when a day of them does.
        self.align(24 * 3_600);
        let day = self.take(&[self.charge("aligned day", window(5, 24 * 3_600))]);
        let hour = self.take(&[self.charge("aligned hour", window(5, 3_600))]);
        same!((day.reset, hour.reset), (24 * 3_600 * SECOND, 3_600 * SECOND));
        self.driver.advance(3_599 * SECOND);
        let hour = self.take(&[self.charge("aligned hour", window(5, 3_600))]);
        same!((hour.reset, hour.remaining), (SECOND, 3));
    }

    pub(super) fn window_spends_costs_as_a_whole(&self) {
        self.align(60);
        let one = self.charge("cost", window(10, 60));
        let (four, seven) = (Charge { cost: 4, ..one }, Charge { cost: 7, ..one });
        self.admits(four, [6]);
        same!(self.refuses(seven, 60 * SECOND).remaining, 6);
        self.admits(four, [2]);
        self.admits(one, [1, 0]);
        self.driver.advance(60 * SECOND);
        self.admits(seven, [3]);
    }

    pub(super) fn window_keeps_what_is_spent_when_its_quota_changes(&self) {
        self.align(3_600);
        let ten = self.charge("change", window(10, 60));
        self.admits(ten, [9, 8, 7, 6]);
        self.admits(Charge { quota: window(12, 60), ..ten }, [7]);
        self.refuses(Charge { quota: window(5, 60), ..ten }, 60 * SECOND);
        // What counts in this minute counts in this hour, and the other way round.
        self.admits(Charge { quota: window(7, 3_600), ..ten }, [1, 0]);
        self.admits(ten, [2]);
    }
}
