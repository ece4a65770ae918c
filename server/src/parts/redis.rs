//! The store behind `[store] url = "redis://…"`: limits that several nodes share.

use std::time::Duration;

use portcullis_core::limit::RateLimitStore;
use portcullis_core::time::Clock;
use portcullis_redis::{Builder, OpenError, RedisStore, State, StoreUrl};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::config::{Secret, StoreSettings};
use crate::observe::{StoreReading, StoreState};

/// How long a start waits for the store. What comes before it is there is decided by this node alone.
const PATIENCE: Duration = Duration::from_millis(600);

/// A store that several nodes share. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct SharedStore(RedisStore);

/// What is wrong with the URL of a store.
pub(crate) fn store_problem(url: &str) -> Option<String> {
    url.parse::<StoreUrl>().err().map(|error| error.to_string())
}

/// What is wrong with what keys are to begin with.
pub(crate) fn prefix_problem(prefix: &str) -> Option<String> {
    (!Builder::is_prefix(prefix)).then(|| OpenError::Prefix.to_string())
}

impl SharedStore {
    /// The store at `url`. It connects beside everything else, on `runtime`.
    ///
    /// # Errors
    /// Why it cannot even begin.
    pub(crate) fn open(
        url: &Secret,
        settings: &StoreSettings,
        clock: &Clock,
        runtime: &Handle,
    ) -> Result<Self, String> {
        let _on_it = runtime.enter();
        let builder = RedisStore::builder(url.reveal()).map_err(|error| error.to_string())?;
        let builder = builder.prefix(&*settings.prefix).timeout(settings.timeout).clock(clock.clone());
        builder.open().map(Self).map_err(|error| error.to_string())
    }

    pub(crate) fn store(&self) -> &dyn RateLimitStore {
        &self.0
    }

    /// Tells the other nodes.
    pub(crate) fn tell(&self, text: String) {
        self.0.tell(text);
    }

    /// Calls `heard` with what nodes tell.
    pub(crate) fn listen(&self, heard: impl Fn(&str) + Send + 'static) {
        self.0.listen(heard);
    }

    /// Waits until it decides, but not for long.
    pub(crate) async fn settle(self) {
        let settled = async {
            while self.0.state() == State::Connecting {
                sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(PATIENCE, settled).await.is_err() {
            tracing::warn!("the store of limits is not there yet: this node decides alone meanwhile");
        }
    }

    /// How it is doing.
    pub(crate) fn reading(&self, clock: &Clock) -> StoreReading {
        let counters = self.0.counters();
        let now = clock.now();
        StoreReading {
            state: match self.0.state() {
                State::Shared => StoreState::Shared,
                State::Lost { since } => StoreState::Lost { lately: now.since(since) },
                State::Recovering { until } => StoreState::Recovering { left: until.since(now) },
                _ => StoreState::Connecting,
            },
            nodes: self.0.nodes().get().into(),
            decisions: counters.decisions,
            undecided: counters.errors,
            leased: counters.leased,
            leases: [
                ("taken", counters.taken),
                ("returned", counters.returned),
                ("owed", counters.owed),
                ("dry", counters.dry),
                ("narrow", counters.narrow),
            ],
            reconnects: counters.reconnects,
            shares: counters.shares,
            timeouts: counters.timeouts,
        }
    }
}
