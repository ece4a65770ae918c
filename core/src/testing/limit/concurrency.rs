//! Many at once: as many pass as one after the other.

use std::sync::Barrier;

use super::{Algorithm, Charge, Suite, quota};
use crate::testing::rules::{at_once, holds, same};

/// How many threads take at once.
const THREADS: u32 = 50;

impl Suite<'_> {
    pub(super) fn one_limit_admits_exactly_its_count_under_concurrency(&self, algorithm: Algorithm) {
        self.align(3_600);
        let charge = self.charge("exactly", quota(algorithm, 75, 3_600));
        same!(self.admitted_by_threads(&[charge], 3), 75, "admitted, when {THREADS} threads take 3 each");
    }

    pub(super) fn several_limits_admit_no_more_under_concurrency(&self, algorithm: Algorithm) {
        self.align(3_600);
        let wide = self.charge("several wide", quota(algorithm, 1_000, 3_600));
        let narrow = self.charge("several narrow", quota(algorithm, 90, 3_600));
        let admitted = self.admitted_by_threads(&[wide, narrow], 3);
        holds!(admitted <= 90, "{admitted} admitted of a limit of 90");
        holds!(admitted >= 90 - THREADS, "{admitted} admitted by {THREADS} threads");
        // What was refused midway was given back: time stands still, so exactly.
        self.admits(wide, [u64::from(1_000 - admitted - 1)]);
    }

    /// How many takes are admitted when many threads take `each` times as fast as they can.
    fn admitted_by_threads(&self, charges: &[Charge], each: u32) -> u32 {
        let start = Barrier::new(THREADS as usize);
        let takes = (0..THREADS).map(|_| {
            || {
                start.wait();
                (0..each).map(|_| u32::from(self.take(charges).admitted)).sum::<u32>()
            }
        });
        at_once(takes).into_iter().sum()
    }
}
