//! Keys over HTTPS: the one place that names `portcullis-jwks`.

use std::sync::Arc;

use portcullis_core::auth::{KeySource, NoKeys};
use portcullis_core::time::Clock;
use portcullis_jwks::{Jwks, JwksUrl};
use tokio::runtime::Handle;

use super::RemoteKeys;
use crate::observe::KeysReading;

/// What fetches the keys of one verifier; it stops with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct KeyFetcher(Option<Jwks>);

/// The URL as it may be shown.
///
/// # Errors
/// Why it is not one that keys are fetched from.
pub(crate) fn jwks_url(text: &str) -> Result<String, String> {
    text.parse::<JwksUrl>().map(|url| url.to_string()).map_err(|error| error.to_string())
}

impl KeyFetcher {
    /// One that cannot fetch.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Begins to fetch.
    pub(super) fn start(remote: &RemoteKeys, clock: &Clock, runtime: &Handle) -> Result<Self, String> {
        let url: JwksUrl =
            remote.url.reveal().parse().map_err(|error: portcullis_jwks::JwksUrlError| error.to_string())?;
        let source = Jwks::builder(url).clock(clock.clone()).refresh(remote.refresh).spawn(runtime);
        source.map(|source| Self(Some(source))).map_err(|error| error.to_string())
    }

    pub(super) fn source(&self) -> Arc<dyn KeySource> {
        match &self.0 {
            Some(source) => Arc::new(source.clone()),
            None => Arc::new(NoKeys),
        }
    }

    /// How it is doing, for the metrics of the verifier called `name`.
    pub(crate) fn reading(&self, name: &Arc<str>) -> KeysReading {
        let status = self.0.as_ref().map(Jwks::status).unwrap_or_default();
        let mut reading = KeysReading::new(Arc::clone(name));
        reading.keys = status.keys as u64;
        (reading.fetched, reading.failed) = (status.fetched, status.failed);
        reading.last_fetched = status.last_fetched.map(|at| at.as_secs());
        reading
    }
}
