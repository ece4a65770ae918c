//! What this node admitted while Redis was lost, to be counted there when it is back: or the window around its return would admit twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Charge, MemoryStore, Mode, RateLimitStore};
use portcullis_core::subject::Subject;
use portcullis_core::time::Clock;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::link::Link;
use crate::shared::Shared;
use crate::take::{self, Purpose, Taken};

/// So many counts are made up for: more than one node admits for in a short loss, and few enough to be counted in a moment.
const MOST: usize = 10_000;

/// How many of them are under way at a time.
const AT_ONCE: usize = 256;

/// How long that may take: Redis is to decide again within two seconds of its return.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was admitted without Redis since it was lost.
pub(crate) struct Absence {
    clock: Clock,
    /// None: nothing. The lock is taken while Redis is lost, and only then.
    spent: Mutex<Option<Spent>>,
}

struct Spent {
    /// What each has spent, as far as it still counts.
    memory: MemoryStore,
    /// Who has spent anything, and the last charge of each.
    by: HashMap<(Subject, &'static str), Charge>,
}

impl Absence {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, spent: Mutex::default() }
    }

    /// Notes charges that were admitted. Beyond the bound those of further clients are not noted.
    pub(crate) fn note(&self, charges: &[Charge]) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = spent
            .get_or_insert_with(|| Spent { memory: MemoryStore::with(self.clock.clone(), MOST), by: HashMap::new() });
        for charge in charges.iter().filter(|charge| charge.cost > 0) {
            let who = (charge.subject, charge.quota.algorithm.name());
            if spent.by.len() < MOST || spent.by.contains_key(&who) {
                let charge = Charge { mode: Mode::Shadow, ..*charge };
                drop(spent.memory.take(&[charge]));
                spent.by.insert(who, charge);
            }
        }
    }

    /// What was spent and still counts, as one charge for each count. Forgets it.
    fn take(&self) -> Vec<Charge> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Spent { memory, by }) = spent else { return Vec::new() };
        let still = |charge: &Charge| match memory.take(&[Charge { cost: 0, ..*charge }]) {
            Answer::Now(Ok(verdict)) => verdict.limit.saturating_sub(verdict.remaining),
            // Memory always decides, and at once.
            _ => 0,
        };
        by.values()
            .filter_map(|charge| Some(Charge { cost: u32::try_from(still(charge)).ok()?, ..*charge }))
            .filter(|charge| charge.cost > 0)
            .collect()
    }
}

/// Counts in Redis, which is back, what was admitted without it. What does not find its place in time is let go.
pub(crate) async fn make_up(shared: &Arc<Shared>, link: &Arc<Link>) {
    let charges = shared.absence.take();
    if charges.is_empty() {
        return;
    }
    let counting = async {
        let mut under_way = JoinSet::new();
        for charge in charges {
            if under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            let (shared, link) = (Arc::clone(shared), Arc::clone(link));
            under_way.spawn(async move { count(&shared, &link, charge).await });
        }
        while under_way.join_next().await.is_some() {}
    };
    if timeout(PATIENCE, counting).await.is_err() {
        tracing::warn!(store = %shared.url, "not all that was admitted while Redis was lost is counted there");
    }
}

/// All of it; or, where that does not fit, as much as does.
async fn count(shared: &Arc<Shared>, link: &Arc<Link>, charge: Charge) {
    if let Ok(Taken::Decided(verdict)) = take::take(shared, link, &[charge], Purpose::Count).await
        && verdict.would_refuse.contains(0)
        && let Ok(left @ 1..) = u32::try_from(verdict.remaining)
    {
        // What goes wrong now is noticed by the next request.
        drop(take::take(shared, link, &[Charge { cost: left, ..charge }], Purpose::Count).await);
    }
}
