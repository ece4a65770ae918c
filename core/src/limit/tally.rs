//! How the charges of one request stand, made one verdict.

use std::time::Duration;

use super::cell::Standing;
use super::{ChargeSet, Mode, Verdict};

/// How the charges of one request stand, made one [`Verdict`]: for who writes a store.
///
/// Keeps the charge that decides: the refused one with the longest wait, else the one with the smallest share left. Shadow
/// charges decide only where there are no others, and refuse nothing.
///
/// ```
/// use portcullis_core::limit::{Mode, Standing, Tally};
/// use std::time::Duration;
///
/// let mut tally = Tally::default();
/// let second = Duration::from_secs(1);
/// tally.add(0, Mode::Enforce, Standing { limit: 10, remaining: 9, reset: second, wait: None });
/// tally.add(1, Mode::Enforce, Standing { limit: 5, remaining: 0, reset: second, wait: Some(second) });
/// let verdict = tally.verdict();
/// assert_eq!((verdict.admitted, verdict.decided, verdict.wait), (false, 1, second));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tally {
    enforced: Option<(usize, Standing)>,
    shadow: Option<(usize, Standing)>,
    would_refuse: ChargeSet,
}

impl Tally {
    /// Adds how the charge at `index` stands.
    pub fn add(&mut self, index: usize, mode: Mode, standing: Standing) {
        let decided = match mode {
            Mode::Enforce => &mut self.enforced,
            Mode::Shadow => {
                if standing.wait.is_some() {
                    self.would_refuse = self.would_refuse.with(index);
                }
                &mut self.shadow
            }
        };
        if decided.is_none_or(|(_, decided)| outweighs(&standing, &decided)) {
            *decided = Some((index, standing));
        }
    }

    /// Whether one that is enforced does not hold.
    pub fn is_refused(&self) -> bool {
        self.enforced.is_some_and(|(_, decided)| decided.wait.is_some())
    }

    /// What that comes to.
    pub fn verdict(&self) -> Verdict {
        let nothing = Standing { limit: 0, remaining: 0, reset: Duration::ZERO, wait: None };
        let (decided, standing) = self.enforced.or(self.shadow).unwrap_or((0, nothing));
        let admitted = !self.is_refused();
        Verdict {
            admitted,
            decided,
            limit: standing.limit.into(),
            remaining: standing.remaining.into(),
            reset: standing.reset,
            wait: standing.wait.filter(|_| !admitted).unwrap_or_default(),
            alone: false,
            would_refuse: self.would_refuse,
        }
    }
}

fn outweighs(one: &Standing, other: &Standing) -> bool {
    // None is less than any wait, so a refusal outweighs an admission. Shares are compared crosswise, without division.
    let share = |of: &Standing, by: &Standing| u64::from(of.remaining) * u64::from(by.limit);
    one.wait > other.wait || (one.wait.is_none() && other.wait.is_none() && share(one, other) < share(other, one))
}
