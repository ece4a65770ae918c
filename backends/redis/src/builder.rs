//! How a [`RedisStore`] is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Clock;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::OpenError;
use crate::keeper::Keeper;
use crate::shared::{Parts, Shared};
use crate::store::RedisStore;
use crate::tls;
use crate::url::{Place, StoreUrl, Target};

/// A [`RedisStore`] in the making.
#[derive(Clone)]
#[must_use = "a builder does nothing until it opens"]
pub struct Builder {
    clock: Clock,
    /// In tests: what the script takes the time from.
    pub(crate) hand: Option<Clock>,
    prefix: Box<str>,
    roots: Vec<CertificateDer<'static>>,
    timeout: Duration,
    url: StoreUrl,
}

impl Builder {
    /// What keys begin with unless said otherwise.
    pub const DEFAULT_PREFIX: &str = "portcullis";

    /// What a request waits at most unless said otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(25);

    /// The least that a request may wait.
    pub const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

    /// The most that a request may wait.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

    pub(crate) fn new(url: StoreUrl) -> Self {
        Self {
            clock: Clock::system(),
            hand: None,
            prefix: Self::DEFAULT_PREFIX.into(),
            roots: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            url,
        }
    }

    /// What the names of all keys begin with: those that count together have the same. 1 to 64 letters, digits and `-_.:/`.
    pub fn prefix(mut self, prefix: impl Into<Box<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Whether keys can begin with `text`.
    pub fn is_prefix(text: &str) -> bool {
        // Braces say where a cluster keeps a key, and that is ours to say.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
    }

    /// What a request waits for Redis at most, from [`SHORTEST_TIMEOUT`](Self::SHORTEST_TIMEOUT) to
    /// [`LONGEST_TIMEOUT`](Self::LONGEST_TIMEOUT). Redis is taken for lost when one has waited so long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Self::SHORTEST_TIMEOUT, Self::LONGEST_TIMEOUT);
        self
    }

    /// Also trusts the authorities in `pem`, beside those of the operating system.
    ///
    /// # Errors
    /// [`OpenError::Root`] when it is not one certificate or more.
    pub fn roots(mut self, pem: &[u8]) -> Result<Self, OpenError> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        self.roots.extend(roots.ok().filter(|roots| !roots.is_empty()).ok_or(OpenError::Root)?);
        Ok(self)
    }

    /// What tells the time of this node's own memory; the machine's clock by default. Limits in Redis go by Redis's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The store, which connects in the background on the present tokio runtime, that has timers and sockets. Until it is connected
    /// it decides nothing.
    ///
    /// # Errors
    /// A prefix that is none, no runtime, or no TLS to be had. That nobody answers is none: that is tried until somebody does.
    pub fn open(self) -> Result<RedisStore, OpenError> {
        self.begin().map(|(store, _)| store)
    }

    /// The store, once it is connected.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`OpenError::Unreachable`] when the first attempt fails.
    pub async fn connect(self) -> Result<RedisStore, OpenError> {
        let (store, first) = self.begin()?;
        match first.await {
            Ok(None) => Ok(store),
            Ok(Some(error)) => Err(OpenError::Unreachable(error)),
            Err(_) => Err(OpenError::NoRuntime),
        }
    }

    /// The store, and what will come of the first attempt to connect: an error, if that fails.
    fn begin(self) -> Result<(RedisStore, oneshot::Receiver<Option<String>>), OpenError> {
        let runtime = Handle::try_current().map_err(|_| OpenError::NoRuntime)?;
        if !Self::is_prefix(&self.prefix) {
            return Err(OpenError::Prefix);
        }
        let tls = match self.url.0 {
            Target::Server(Place::Tls(..), _) => {
                Some(tls::config(self.roots).map_err(|error| OpenError::Tls(error.to_string()))?)
            }
            _ => None,
        };
        let (open, closed) = oneshot::channel();
        let (first, told) = oneshot::channel();
        let parts = Parts {
            clock: self.clock,
            hand: self.hand,
            prefix: self.prefix,
            runtime: runtime.clone(),
            timeout: self.timeout,
            tls,
            url: self.url,
        };
        let shared = Arc::new(Shared::new(parts));
        runtime.spawn(Keeper::new(Arc::clone(&shared), first).run(closed));
        Ok((RedisStore::kept_by(open, shared), told))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
