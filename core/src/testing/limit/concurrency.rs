//! Many at once: as many pass as one after the other.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::{Algorithm, Charge, Suite, quota};

/// How many threads take at once.
const THREADS: u32 = 50;

impl Suite<'_> {
    pub(super) fn one_limit_admits_exactly_its_count_under_concurrency(&self, algorithm: Algorithm) {
        self.align(3_600);
        let charge = self.charge("exactly", quota(algorithm, 75, 3_600));
        assert_eq!(self.admitted_by_threads(&[charge], 3), 75);
    }

    pub(super) fn several_limits_admit_no_more_under_concurrency(&self, algorithm: Algorithm) {
        self.align(3_600);
        let wide = self.charge("several wide", quota(algorithm, 1_000, 3_600));
        let narrow = self.charge("several narrow", quota(algorithm, 90, 3_600));
        let admitted = self.admitted_by_threads(&[wide, narrow], 3);
        assert!(admitted <= 90, "{admitted} of 90");
        assert!(admitted >= 90 - THREADS, "{admitted} of 90");
        // What was refused midway was given back: time stands still, so exactly.
        self.admits(wide, [u64::from(1_000 - admitted - 1)]);
    }

    /// How many takes are admitted when many threads take `each` times as fast as they can.
    fn admitted_by_threads(&self, charges: &[Charge], each: u32) -> u32 {
        let admitted = AtomicU32::new(0);
        let start = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..each {
                        admitted.fetch_add(u32::from(self.take(charges).admitted), Ordering::Relaxed);
                    }
                });
            }
        });
        admitted.into_inner()
    }
}
