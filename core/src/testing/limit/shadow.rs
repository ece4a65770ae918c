//! Shadow charges: counted as if they were enforced, and refusing nothing.

use super::{Algorithm, Charge, Duration, Mode, Suite, quota};
use crate::testing::rules::{holds, same};

impl Suite<'_> {
    fn shadow(&self, who: &str, algorithm: Algorithm, count: u32) -> Charge {
        Charge { mode: Mode::Shadow, ..self.charge(who, quota(algorithm, count, 60)) }
    }

    /// What is left for a charge, asked without spending.
    fn left(&self, charge: Charge) -> u64 {
        self.take(&[Charge { cost: 0, mode: Mode::Enforce, ..charge }]).remaining
    }

    pub(super) fn shadow_refuses_nothing(&self, algorithm: Algorithm) {
        let watched = self.shadow("shadow alone", algorithm, 2);
        for remaining in [1, 0] {
            let verdict = self.take(&[watched]);
            holds!(verdict.admitted && verdict.would_refuse.is_empty(), "{verdict:?}");
            same!(verdict.remaining, remaining, "{verdict:?}");
        }
        for _ in 0..3 {
            let verdict = self.take(&[watched]);
            holds!(verdict.admitted && verdict.would_refuse.contains(0), "{verdict:?}");
            same!((verdict.decided, verdict.remaining, verdict.wait), (0, 0, Duration::ZERO), "{verdict:?}");
        }
        // Those that it would have refused were not spent: it holds again when an enforced one would.
        let wait = self.take(&[Charge { mode: Mode::Enforce, ..watched }]).wait;
        self.driver.advance(wait);
        let verdict = self.take(&[watched]);
        holds!(verdict.would_refuse.is_empty(), "{verdict:?}");
    }

    pub(super) fn shadow_counts_as_if_it_were_enforced(&self, algorithm: Algorithm) {
        let enforced = self.charge("shadow beside", quota(algorithm, 4, 60));
        let watched = self.shadow("shadow counts", algorithm, 2);
        for step in 0..6 {
            let charges = if step % 2 == 0 { [watched, enforced] } else { [enforced, watched] };
            let place = step % 2;
            let verdict = self.take(&charges);
            same!(verdict.admitted, step < 4, "{verdict:?}");
            same!(verdict.decided, 1 - place, "only what is enforced decides: {verdict:?}");
            same!(verdict.would_refuse.contains(place), (2..4).contains(&step), "{verdict:?}");
        }
        // What is refused by another limit spends nothing of it.
        let wide = self.shadow("shadow wide", algorithm, 9);
        let verdict = self.take(&[wide, enforced]);
        holds!(!verdict.admitted && verdict.would_refuse.is_empty(), "{verdict:?}");
        same!(self.left(wide), 9);
    }

    pub(super) fn shadows_are_taken_by_themselves(&self, algorithm: Algorithm) {
        let enforced =
            [8, 9].map(|count| self.charge(&format!("shadow enforced {count}"), quota(algorithm, count, 60)));
        let (narrow, wide) = (self.shadow("shadow narrow", algorithm, 1), self.shadow("shadow broad", algorithm, 7));
        for step in 0..3 {
            let verdict = self.take(&[narrow, enforced[0], wide, enforced[1]]);
            holds!(verdict.admitted, "{verdict:?}");
            let would_refuse: Vec<usize> = verdict.would_refuse.indices().collect();
            same!(would_refuse, if step == 0 { vec![] } else { vec![0] }, "{verdict:?}");
        }
        // The one that does not hold is not in the way of the one that does, nor of what is enforced.
        same!([narrow, wide, enforced[0], enforced[1]].map(|charge| self.left(charge)), [0, 4, 5, 6]);
    }
}
