//! How a [`Jwks`] is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Clock;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Handle;

use crate::fetch::Fetcher;
use crate::source::{Jwks, Shared};
use crate::task::{self, Task};
use crate::tls;
use crate::url::{JwksUrl, JwksUrlError};

/// How often keys are fetched unless the builder is told.
const PERIOD: Duration = Duration::from_secs(600);

/// A [`Jwks`] in the making.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct JwksBuilder {
    clock: Clock,
    period: Duration,
    roots: Vec<CertificateDer<'static>>,
    url: JwksUrl,
}

/// Why a source cannot begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwksError {
    /// There is no tokio runtime to fetch on.
    NoRuntime,
    /// A further root that is not a certificate in PEM.
    Root,
    /// TLS cannot be set up: the operating system has no roots, for one.
    Tls(String),
    /// Keys are not fetched from there.
    Url(JwksUrlError),
}

impl JwksBuilder {
    pub(crate) fn new(url: JwksUrl) -> Self {
        Self { clock: Clock::system(), period: PERIOD, roots: Vec::new(), url }
    }

    /// What tells when keys were fetched; the machine's clock by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How often keys are fetched; 10 minutes by default, a second at least and a day at most. An issuer's shorter `max-age` goes
    /// before it.
    pub fn refresh(mut self, period: Duration) -> Self {
        self.period = period.clamp(Self::SHORTEST, Self::LONGEST);
        self
    }

    /// The shortest period.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// The longest period: what an issuer took back is good no longer.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// Also trusts the authorities in `pem`, beside those of the operating system.
    ///
    /// # Errors
    /// [`JwksError::Root`] when it is not one certificate or more.
    pub fn roots(mut self, pem: &[u8]) -> Result<Self, JwksError> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let roots = roots.ok().filter(|roots| !roots.is_empty()).ok_or(JwksError::Root)?;
        self.roots.extend(roots);
        Ok(self)
    }

    /// The source, fetching on `runtime`, which has timers and sockets and outlives it: where it ends sooner, the keys stay as they
    /// are.
    ///
    /// # Errors
    /// [`JwksError::Tls`]. That the issuer does not answer is none: that is tried until it does.
    pub fn spawn(self, runtime: &Handle) -> Result<Jwks, JwksError> {
        let tls = match self.url.is_tls() {
            true => Some(tls::config(self.roots).map_err(|error| JwksError::Tls(error.to_string()))?),
            false => None,
        };
        let shared = Arc::new(Shared::new(self.url.clone()));
        let fetcher = Fetcher { url: self.url, tls };
        let task = Task::new(Arc::clone(&shared), fetcher, self.period, self.clock);
        let task = runtime.spawn(task::run(task)).abort_handle();
        Ok(Jwks::fetched_by(task, shared))
    }
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str("there is no tokio runtime to fetch keys on"),
            Self::Root => f.write_str("this is not a certificate in PEM"),
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
            Self::Url(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JwksError {}
