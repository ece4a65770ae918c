//! In a build without the feature "jwks": nothing is fetched.

use std::sync::Arc;

use portcullis_core::auth::{KeySource, NoKeys};
use portcullis_core::time::Clock;
use tokio::runtime::Handle;

use super::RemoteKeys;
use crate::observe::KeysReading;

const NOT_BUILT: &str = "this build fetches no keys (its feature \"jwks\" is off)";

#[derive(Clone, Debug)]
pub(crate) struct KeyFetcher;

pub(crate) fn jwks_url(_text: &str) -> Result<String, String> {
    Err(NOT_BUILT.to_owned())
}

impl KeyFetcher {
    pub(super) fn none() -> Self {
        Self
    }

    pub(super) fn start(_remote: &RemoteKeys, _clock: &Clock, _runtime: &Handle) -> Result<Self, String> {
        Err(NOT_BUILT.to_owned())
    }

    pub(super) fn source(&self) -> Arc<dyn KeySource> {
        Arc::new(NoKeys)
    }

    pub(crate) fn reading(&self, name: &Arc<str>) -> KeysReading {
        KeysReading::new(Arc::clone(name))
    }
}
