//! Where limits live: in this process, where several nodes share them, or wherever the embedding program says.

use std::fmt;
use std::sync::Arc;

use portcullis_core::limit::{MemoryStore, RateLimitStore, Stats};
use portcullis_core::time::Clock;

use super::{Brought, GatewayError};
use crate::background::Background;
use crate::config::{StorePlace, StoreSettings};
use crate::observe::StoreReading;
use crate::parts::{self, SharedStore};

/// Where limits live.
pub(super) enum Store {
    /// Wherever the embedding program says.
    Brought {
        /// Who knows.
        store: Arc<dyn RateLimitStore>,
        /// Where this node's share is counted while that does not decide.
        local: MemoryStore,
    },
    /// In this process.
    Memory(MemoryStore),
    /// Where other nodes count too.
    Shared(SharedStore),
}

impl Store {
    /// What `settings` ask for, unless the program brings it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn new(
        settings: &StoreSettings,
        brought: &Brought,
        clock: &Clock,
        background: &Background,
    ) -> Result<Self, GatewayError> {
        let memory = || parts::memory_store(clock);
        match (&settings.place, &brought.store) {
            (StorePlace::Redis(url), _) => {
                let runtime = background.handle().map_err(|error| GatewayError::Store(error.to_string()))?;
                let shared = SharedStore::open(url, settings, clock, &runtime);
                shared.map(Self::Shared).map_err(GatewayError::Store)
            }
            (_, Some(store)) => Ok(Self::Brought { store: Arc::clone(store), local: memory() }),
            (_, None) => Ok(Self::Memory(memory())),
        }
    }

    /// Tells `told` once the store decides, or when it is too late for a start to wait for that; drops it where there is nothing to wait for.
    pub(super) fn when_settled(&self, background: &Background, told: impl FnOnce() + Send + 'static) {
        let Self::Shared(shared) = self else { return };
        let Ok(runtime) = background.handle() else { return };
        let shared = shared.clone();
        runtime.spawn(async move {
            shared.settle().await;
            told();
        });
    }

    /// Tells the other nodes, where there are any.
    pub(super) fn tell(&self, text: String) {
        if let Self::Shared(shared) = self {
            shared.tell(text);
        }
    }

    /// Calls `heard` with what nodes tell.
    pub(super) fn listen(&self, heard: impl Fn(&str) + Send + 'static) {
        if let Self::Shared(shared) = self {
            shared.listen(heard);
        }
    }

    /// Whom the steps ask.
    pub(super) fn asked(&self) -> &dyn RateLimitStore {
        match self {
            Self::Brought { store, .. } => &**store,
            Self::Memory(store) => store,
            Self::Shared(shared) => shared.store(),
        }
    }

    /// Whom they ask when that does not decide, and has no memory for it.
    pub(super) fn local(&self) -> Option<&MemoryStore> {
        match self {
            Self::Brought { local, .. } => Some(local),
            Self::Memory(_) | Self::Shared(_) => None,
        }
    }

    /// How full the memory of this process is in which limits are counted; none where the program brings it.
    pub(super) fn stats(&self) -> Option<Stats> {
        match self {
            Self::Brought { .. } => None,
            Self::Memory(store) => Some(store.stats()),
            Self::Shared(shared) => shared.store().local().map(MemoryStore::stats),
        }
    }

    /// How a store is doing that nodes share.
    pub(super) fn reading(&self, clock: &Clock) -> Option<StoreReading> {
        match self {
            Self::Brought { .. } | Self::Memory(_) => None,
            Self::Shared(shared) => Some(shared.reading(clock)),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brought { .. } => "Store::Brought",
            Self::Memory(_) => "Store::Memory",
            Self::Shared(_) => "Store::Shared",
        })
    }
}
