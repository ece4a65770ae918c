//! In a build without the feature "redis": limits are counted in this process.

use portcullis_core::limit::RateLimitStore;
use portcullis_core::time::Clock;
use tokio::runtime::Handle;

use crate::config::{Secret, StoreSettings};
use crate::observe::StoreReading;

const NOT_BUILT: &str = "this build counts limits in its own memory only (its feature \"redis\" is off)";

/// None.
#[derive(Clone, Debug)]
pub(crate) enum SharedStore {}

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
        match *self {}
    }

    pub(crate) async fn settle(self) {
        match self {}
    }

    pub(crate) fn reading(&self, _: &Clock) -> StoreReading {
        match *self {}
    }
}
