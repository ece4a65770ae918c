//! The task that fetches: at start, each period, when asked, and again after failures.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_core::auth::KeySet;
use portcullis_core::time::Clock;
use tokio::time::{Sleep, sleep};

use crate::fetch::{Fetch, Fetched};
use crate::schedule;
use crate::source::Shared;

/// How long after a fetch that somebody claimed the next one may be claimed.
const THROTTLE: Duration = Duration::from_secs(30);

/// How long the last good keys stay while every fetch fails. An issuer that is gone for a day may have taken keys back.
const LONGEST_WITHOUT: Duration = Duration::from_secs(24 * 3600);

/// What the task knows.
pub(crate) struct Task<F> {
    shared: Arc<Shared>,
    fetcher: F,
    period: Duration,
    clock: Clock,
    failures: u32,
    /// The number of the last set.
    generation: u64,
}

impl<F: Fetch> Task<F> {
    pub(crate) fn new(shared: Arc<Shared>, fetcher: F, period: Duration, clock: Clock) -> Self {
        Self { shared, fetcher, period, clock, failures: 0, generation: 0 }
    }

    /// Fetches once, puts what came into force, and says how long to rest.
    async fn fetch(&mut self) -> Duration {
        let outcome = match self.fetcher.fetch().await {
            Ok(Fetched { body, freshness }) => match KeySet::from_jwks(&body) {
                Ok(keys) => Ok((keys, freshness)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok((keys, freshness)) => {
                self.take_over(keys);
                schedule::after_success(self.period, freshness, rand::random())
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                let rest = schedule::after_failure(self.period, self.failures, rand::random());
                let keys = if self.shared.generation() > 0 { "the last good ones go on" } else { "there are none yet" };
                tracing::warn!(url = %self.shared.url, %error, again_in = ?rest, "keys were not fetched; {keys}");
                rest
            }
        }
    }

    fn take_over(&mut self, keys: KeySet) {
        self.failures = 0;
        self.shared.fetched.fetch_add(1, Ordering::Relaxed);
        self.shared.last_fetched.store(self.clock.unix().as_secs(), Ordering::Relaxed);
        // The same keys stay the same set, so that tokens that were accepted under it stay accepted.
        if self.shared.keys.load().as_ref().is_some_and(|known| known.has_same_keys(&keys)) {
            tracing::debug!(url = %self.shared.url, "keys were fetched; they are the same");
            return;
        }
        for key in keys.passed_over().iter().filter(|key| key.why.is_fault()) {
            tracing::warn!(url = %self.shared.url, key = key.place + 1, "a published key is not used: {}", key.why);
        }
        self.generation += 1;
        tracing::info!(url = %self.shared.url, keys = keys.len(), "keys were fetched and are in force");
        self.shared.keys.store(Some(Arc::new(keys.numbered(self.generation))));
    }

    /// Gives up the last good keys.
    fn forget(&self) {
        if self.shared.keys.swap(None).is_some() {
            tracing::error!(url = %self.shared.url, "no keys for a day: the last good ones are given up, tokens cannot be checked");
        }
    }
}

/// Fetches until it is aborted.
pub(crate) async fn run<F: Fetch>(mut task: Task<F>) {
    let _end = End(Arc::clone(&task.shared));
    let mut outdated = Box::pin(sleep(LONGEST_WITHOUT));
    // Closes the door to further claims while it runs.
    let mut throttle: Option<Pin<Box<Sleep>>> = None;
    loop {
        task.shared.begin();
        let rest = task.fetch().await;
        if task.failures == 0 {
            outdated = Box::pin(sleep(LONGEST_WITHOUT));
        }
        if task.shared.end() {
            throttle = Some(Box::pin(sleep(THROTTLE)));
        }
        let mut due = Box::pin(sleep(rest));
        loop {
            tokio::select! {
                () = &mut due => break,
                () = task.shared.wake.notified() => if task.shared.is_claimed() { break },
                () = passed(&mut throttle) => {
                    throttle = None;
                    task.shared.open();
                }
                () = &mut outdated, if !outdated.is_elapsed() => task.forget(),
            }
        }
    }
}

/// Resolves when the sleep is over; never without one.
async fn passed(sleep: &mut Option<Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}

/// However the task ends, nobody waits for it.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
