//! How many of the last requests failed.

use std::time::Duration;

use crate::time::Moment;

use super::word::Word;
use crate::upstream::slots::Slots;

/// A share is kept in millionths, so that it is compared in whole numbers.
const WHOLE: u64 = 1_000_000;

/// Opens when too large a share of the requests within a sliding window failed, if there were enough of them.
///
/// Two rings of counters and no lock. Nothing has to be emptied when the breaker closes: what was counted before that,
/// or in the same tenth of the window, is not summed. So a result that comes in late, and a count that a slow thread
/// makes late, belong to a slot that does not matter any more.
#[derive(Debug)]
pub(super) struct Tally {
    failed: Slots,
    succeeded: Slots,
    minimum: u32,
    /// In millionths, at least one.
    ratio: u64,
}

impl Tally {
    pub(super) fn new(ratio: f64, window: Duration, minimum: u32) -> Self {
        // The other way round for what is no number: that opens where all fail.
        let ratio = if ratio <= 1.0 { ratio.max(0.0) } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
        let ratio = ((ratio * WHOLE as f64).round() as u64).max(1);
        Self { failed: Slots::new(window), succeeded: Slots::new(window), minimum, ratio }
    }

    pub(super) fn succeeded(&self, now: Moment) {
        self.succeeded.add(now);
    }

    /// Counts a failure; true when that is one too many for a breaker that is closed as `word` says. Failures of many
    /// threads at once are in one order for each counter, so the last of them sees all the others.
    pub(super) fn failed(&self, word: Word, now: Moment) -> bool {
        self.failed.add(now);
        let after = word.closed_at().map_or(0, |closed| self.failed.number(closed));
        let failed = self.failed.sum(now, after);
        let all = failed + self.succeeded.sum(now, after);
        all >= u64::from(self.minimum) && failed * WHOLE >= all * self.ratio
    }
}
