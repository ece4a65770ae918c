//! The keys in force, and how they are asked for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use portcullis_core::auth::{KeySet, KeySource, VerifyingKeys};
use portcullis_core::time::UnixTime;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::builder::{JwksBuilder, JwksError};
use crate::url::JwksUrl;

/// An issuer's keys, fetched by a task of its own, which ends with the last clone. Clones are the same source.
#[derive(Clone, Debug)]
pub struct Jwks(Arc<Fetching>);

#[derive(Debug)]
struct Fetching {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// How a source is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Fetches that failed, an answer that is no usable set included.
    pub failed: u64,
    /// Fetches that brought a usable set.
    pub fetched: u64,
    /// How many keys are in force; nought while there are none.
    pub keys: usize,
    /// When the last usable set came; none before the first.
    pub last_fetched: Option<UnixTime>,
}

/// What the task and those who ask share.
pub(crate) struct Shared {
    pub(crate) url: JwksUrl,
    pub(crate) keys: ArcSwapOption<KeySet>,
    progress: watch::Sender<Progress>,
    /// Wakes the task for a fetch that was claimed.
    pub(crate) wake: Notify,
    pub(crate) failed: AtomicU64,
    pub(crate) fetched: AtomicU64,
    /// In seconds; nought for never.
    pub(crate) last_fetched: AtomicU64,
}

/// How far the task is.
#[derive(Debug)]
struct Progress {
    /// Fetches that have ended. Who waits for one waits for this to grow.
    ended: u64,
    /// Whether one is under way, or claimed and about to be.
    fetching: bool,
    /// Whether that one was claimed by somebody who asked.
    claimed: bool,
    /// Whether one may be claimed.
    open: bool,
}

impl Jwks {
    /// The keys at `url`, fetched from now on by a task of the present tokio runtime. Keys need not be there yet: until they are,
    /// verification says "unavailable".
    ///
    /// # Errors
    /// A URL that keys are not fetched from, no runtime, or no TLS to be had.
    pub fn new(url: &str) -> Result<Self, JwksError> {
        let runtime = Handle::try_current().map_err(|_| JwksError::NoRuntime)?;
        Self::builder(url.parse().map_err(JwksError::Url)?).spawn(&runtime)
    }

    pub(crate) fn fetched_by(task: AbortHandle, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Fetching { shared, task }))
    }

    /// Begins a source that is not like every other.
    pub fn builder(url: JwksUrl) -> JwksBuilder {
        JwksBuilder::new(url)
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let last = shared.last_fetched.load(Ordering::Relaxed);
        Status {
            failed: shared.failed.load(Ordering::Relaxed),
            fetched: shared.fetched.load(Ordering::Relaxed),
            keys: shared.keys.load().as_ref().map_or(0, |keys| keys.len()),
            last_fetched: (last > 0).then(|| UnixTime::from_secs(last)),
        }
    }
}

#[async_trait]
impl KeySource for Jwks {
    fn generation(&self) -> u64 {
        self.0.shared.generation()
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        self.0.shared.keys.load_full()
    }

    async fn refresh(&self, seen: u64) {
        self.0.shared.refresh(seen).await;
    }
}

/// For [`JwtVerifier::keys`](portcullis_core::auth::JwtVerifier::keys).
impl From<Jwks> for VerifyingKeys {
    fn from(keys: Jwks) -> Self {
        Self::from(Arc::new(keys))
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    pub(crate) fn new(url: JwksUrl) -> Self {
        // The first fetch is about to begin: who asks before it has ended waits for it.
        let progress = Progress { ended: 0, fetching: true, claimed: false, open: true };
        Self {
            url,
            keys: ArcSwapOption::empty(),
            progress: watch::Sender::new(progress),
            wake: Notify::new(),
            failed: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            last_fetched: AtomicU64::new(0),
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.keys.load().as_ref().map_or(0, |keys| keys.generation())
    }

    pub(crate) async fn refresh(&self, seen: u64) {
        let mut progress = self.progress.subscribe();
        if let Some(ended) = self.ask(seen) {
            // It fails only when the sender is gone, which is in `self`. The task ends each fetch in time, and all of them
            // when it ends itself.
            let _ = progress.wait_for(|progress| progress.ended > ended).await;
        }
    }

    /// How many fetches have ended, where it is worth waiting for the next. One of those who ask when a fetch may be made
    /// claims it.
    fn ask(&self, seen: u64) -> Option<u64> {
        let (mut wait, mut claimed) = (None, false);
        self.progress.send_if_modified(|progress| {
            // Under the lock of `progress`: a set that comes after this look ends a fetch after it.
            if self.generation() > seen {
                return false;
            }
            if !progress.fetching && progress.open {
                (progress.fetching, progress.claimed, progress.open) = (true, true, false);
                claimed = true;
            }
            wait = progress.fetching.then_some(progress.ended);
            false
        });
        if claimed {
            self.wake.notify_one();
        }
        wait
    }

    /// A fetch begins.
    pub(crate) fn begin(&self) {
        self.progress.send_if_modified(|progress| {
            progress.fetching = true;
            false
        });
    }

    /// Whether somebody has claimed a fetch.
    pub(crate) fn is_claimed(&self) -> bool {
        self.progress.borrow().claimed
    }

    /// A fetch has ended, and what it brought is in force. Says whether somebody had claimed it.
    pub(crate) fn end(&self) -> bool {
        let mut claimed = false;
        self.progress.send_modify(|progress| {
            claimed = progress.claimed;
            progress.ended += 1;
            (progress.fetching, progress.claimed) = (false, false);
        });
        claimed
    }

    /// From now on one may be claimed again.
    pub(crate) fn open(&self) {
        self.progress.send_if_modified(|progress| {
            progress.open = true;
            false
        });
    }

    /// There will be no fetch any more.
    pub(crate) fn close(&self) {
        self.progress.send_modify(|progress| {
            progress.ended += 1;
            (progress.fetching, progress.claimed, progress.open) = (false, false, false);
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).finish_non_exhaustive()
    }
}
