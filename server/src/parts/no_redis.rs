//! In a build without the feature "redis": limits are counted in this process.

use std::sync::Arc;

use portcullis_core::limit::{MemoryStore, RateLimitStore};
use portcullis_core::time::Clock;
use tokio::runtime::Handle;

use crate::config::{Secret, StoreSettings};
use crate::observe::{StoreReading, StoreState};

const NOT_BUILT: &str = "this build counts limits in its own memory only (its feature \"redis\" is off)";

/// There is none to be had.
#[derive(Clone, Debug)]
pub(crate) struct SharedStore(Arc<MemoryStore>);

pub(crate) fn store_problem(_url: &str) -> Option<String> {
    Some(NOT_BUILT.to_owned())
}

pub(crate) fn prefix_problem(_prefix: &str) -> Option<String> {
    None
}

impl SharedStore {
    pub(crate) fn open(_: &Secret, _: &StoreSettings, _: &Clock, _: &Handle) -> Result<Self, String> {
        Err(NOT_BUILT.to_owned())
    }

    pub(crate) fn store(&self) -> &dyn RateLimitStore {
        &*self.0
    }

    pub(crate) fn tell(&self, _: String) {}

    pub(crate) fn listen(&self, _: impl Fn(&str) + Send + 'static) {}

    pub(crate) async fn settle(self) {}

    pub(crate) fn reading(&self, _: &Clock) -> StoreReading {
        StoreReading {
            state: StoreState::Shared,
            nodes: self.0.nodes().get().into(),
            decisions: 0,
            undecided: 0,
            leased: 0,
            leases: [("", 0); 5],
            reconnects: 0,
            shares: 0,
            timeouts: 0,
        }
    }
}
