//! Where limits live: in this process, or wherever the embedding program says.

use std::fmt;
use std::sync::Arc;

use portcullis_core::limit::{MemoryStore, RateLimitStore, Stats};
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::Clock;

use super::Brought;

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
}

impl Store {
    pub(super) fn new(brought: &Brought, clock: &Clock) -> Self {
        let memory = crate::parts::memory_store(clock);
        match &brought.store {
            None => Self::Memory(memory),
            Some(store) => Self::Brought { store: Arc::clone(store), local: memory },
        }
    }

    /// What subjects are hashed under: by everybody who counts in a store that is brought, or they would not be the same ones.
    pub(super) fn subjects(&self) -> SubjectKey {
        self.asked().subjects().unwrap_or_else(SubjectKey::random)
    }

    /// Whom the steps ask.
    pub(super) fn asked(&self) -> &dyn RateLimitStore {
        match self {
            Self::Brought { store, .. } => &**store,
            Self::Memory(store) => store,
        }
    }

    /// Whom they ask when that does not decide.
    pub(super) fn local(&self) -> Option<&MemoryStore> {
        match self {
            Self::Brought { local, .. } => Some(local),
            Self::Memory(_) => None,
        }
    }

    /// How full the store of this process is; none where limits live elsewhere.
    pub(super) fn stats(&self) -> Option<Stats> {
        match self {
            Self::Brought { .. } => None,
            Self::Memory(store) => Some(store.stats()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brought { .. } => "Store::Brought",
            Self::Memory(_) => "Store::Memory",
        })
    }
}
