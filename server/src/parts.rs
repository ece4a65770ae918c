//! The one place that names concrete stores, verifiers and key sources. Everybody else sees traits.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::auth::{
    Algorithm, ApiKey, ApiKeyVerifier, AuthError, Forward, Identity, JwtConfigError, JwtVerifier, KeySet, KeySource,
    NoKeys, TokenVerifier,
};
use portcullis_core::limit::MemoryStore;
use portcullis_core::time::{Clock, UnixTime};

use crate::background::Background;
use crate::config::{self, LogSettings, Secret};
use crate::observe::{AccessLog, LogFormat};

#[cfg(feature = "jwks")]
mod jwks;
#[cfg(not(feature = "jwks"))]
#[path = "parts/no_jwks.rs"]
mod jwks;

#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "parts/no_redis.rs"]
mod redis;

pub(crate) use jwks::{KeyFetcher, jwks_url};
pub(crate) use redis::{SharedStore, prefix_problem, store_problem};

/// What a verifier is made from: two that are equal are the same one, so that a reload keeps it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VerifierSettings {
    /// `kind = "api-key"`.
    ApiKey(ApiKeySettings),
    /// `kind = "in-code"`: its name.
    InCode(Arc<str>),
    /// `kind = "jwt"`.
    Jwt(JwtSettings),
}

impl VerifierSettings {
    /// The verifier's name.
    pub fn name(&self) -> &str {
        match self {
            Self::ApiKey(settings) => &settings.name,
            Self::InCode(name) => name,
            Self::Jwt(settings) => &settings.name,
        }
    }

    /// The settings of one of kind "jwt".
    pub fn jwt(&self) -> Option<&JwtSettings> {
        match self {
            Self::Jwt(settings) => Some(settings),
            Self::ApiKey(_) | Self::InCode(_) => None,
        }
    }
}

/// What a verifier of API keys is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKeySettings {
    /// Which claims are forwarded: identities are made with the verifier and remember their headers.
    pub forward: Arc<[Forward]>,
    /// The keys.
    pub keys: Vec<ApiKey>,
    /// The verifier's name.
    pub name: Arc<str>,
}

/// The verifier for these keys.
///
/// # Errors
/// An id that is none.
pub(crate) fn api_key_verifier(settings: &ApiKeySettings) -> Result<Arc<dyn TokenVerifier>, AuthError> {
    Ok(Arc::new(ApiKeyVerifier::new(Arc::clone(&settings.name), settings.keys.iter().cloned())?))
}

/// What stands for a verifier that the embedding program brings, until it does: a program that brings none cannot run.
#[derive(Debug)]
pub(crate) struct InCode;

impl TokenVerifier for InCode {
    fn verify(&self, _: &str, _: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        Answer::Now(Err(AuthError::Unavailable))
    }
}

/// What a verifier of JSON Web Tokens is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// How tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Whom tokens must be for, one of these; none: anybody.
    pub audience: Option<Vec<String>>,
    /// The claim that is the identity's id.
    pub id_claim: String,
    /// Who must have issued them; none: anybody.
    pub issuer: Option<String>,
    /// What they are signed with.
    pub keys: JwtKeys,
    /// How far clocks may be apart; none: the verifier's default.
    pub leeway: Option<Duration>,
    /// The verifier's name.
    pub name: Arc<str>,
}

impl JwtSettings {
    /// The shared secret, where there is one.
    pub fn secret(&self) -> Option<&Secret> {
        match &self.keys {
            JwtKeys::InCode | JwtKeys::Public(_) | JwtKeys::Remote(_) => None,
            JwtKeys::Secret(secret) => Some(secret),
        }
    }
}

/// What tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtKeys {
    /// `jwks = "in-code"`.
    InCode,
    /// Public keys from the configuration: `public_key`, or `jwks` from a file.
    Public(KeySet),
    /// `jwks` from a URL.
    Remote(RemoteKeys),
    /// `secret`.
    Secret(Secret),
}

impl fmt::Display for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InCode => f.write_str("the keys that the embedding program brings"),
            Self::Public(keys) => {
                let kinds: Vec<_> = keys.kinds().iter().map(ToString::to_string).collect();
                write!(f, "{} of the configuration ({} in all)", kinds.join(" or "), keys.len())
            }
            Self::Remote(remote) => write!(f, "the keys of {}, which are not fetched here", remote.shown),
            Self::Secret(_) => f.write_str("a shared secret"),
        }
    }
}

/// A set of public keys that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// How often.
    pub refresh: Duration,
    /// The URL without its query, to be shown.
    pub shown: String,
    /// The URL.
    pub url: Secret,
}

/// The verifier for these settings, as far as it can be without asking anybody: one whose keys are fetched has none.
///
/// # Errors
/// What is missing or unsafe, such as a secret that is too short.
pub(crate) fn jwt_verifier(settings: &JwtSettings) -> Result<Arc<dyn TokenVerifier>, JwtConfigError> {
    jwt_verifier_with(settings, Arc::new(NoKeys))
}

/// The same, with a source for keys that are fetched.
pub(crate) fn jwt_verifier_with(
    settings: &JwtSettings,
    source: Arc<dyn KeySource>,
) -> Result<Arc<dyn TokenVerifier>, JwtConfigError> {
    let mut builder = match &settings.keys {
        JwtKeys::Public(keys) => JwtVerifier::keys(keys.clone()),
        JwtKeys::InCode | JwtKeys::Remote(_) => JwtVerifier::keys(source),
        JwtKeys::Secret(secret) => JwtVerifier::secret(secret.reveal()),
    };
    builder = builder.algorithms(settings.algorithms.iter().copied());
    builder = builder.name(Arc::clone(&settings.name)).id_claim(settings.id_claim.as_str());
    builder = match &settings.issuer {
        None => builder.any_issuer(),
        Some(issuer) => builder.issuer(issuer.as_str()),
    };
    builder = match &settings.audience {
        None => builder.any_audience(),
        Some(audiences) => audiences.iter().fold(builder, |builder, audience| builder.audience(audience.as_str())),
    };
    if let Some(leeway) = settings.leeway {
        builder = builder.leeway(leeway);
    }
    Ok(Arc::new(builder.build()?))
}

/// A verifier that fetches its keys from now on, and what fetches them; none for one whose keys are at hand. One that cannot
/// fetch says why in the log and has no keys.
pub(crate) fn fetching_verifier(
    settings: &VerifierSettings,
    clock: &Clock,
    background: &Background,
) -> Option<(Arc<dyn TokenVerifier>, KeyFetcher)> {
    let settings = settings.jwt()?;
    let JwtKeys::Remote(remote) = &settings.keys else { return None };
    let fetcher = match background.handle().map_err(|error| error.to_string()) {
        Ok(runtime) => KeyFetcher::start(remote, clock, &runtime),
        Err(error) => Err(error),
    };
    let fetcher = fetcher.unwrap_or_else(|error| {
        tracing::error!(verifier = &*settings.name, %error, "keys cannot be fetched: its tokens cannot be checked");
        KeyFetcher::none()
    });
    // Built once before, when the configuration was read: it cannot fail now.
    let verifier = jwt_verifier_with(settings, fetcher.source()).ok()?;
    Some((verifier, fetcher))
}

/// The store behind `[store] url = "memory"`.
pub(crate) fn memory_store(clock: &Clock) -> MemoryStore {
    MemoryStore::with(clock.clone(), MemoryStore::DEFAULT_CAPACITY)
}

/// The access log that `[log]` asks for.
///
/// # Errors
/// A file that cannot be opened, or no thread to write with.
pub(crate) fn access_log(settings: &LogSettings, clock: &Clock) -> io::Result<AccessLog> {
    let format = format(settings);
    match &settings.access {
        config::AccessLog::File(path) => AccessLog::file(path, format.for_file(), clock.clone()),
        config::AccessLog::Off => Ok(AccessLog::off()),
        config::AccessLog::Stdout => AccessLog::stdout(format.resolve(&io::stdout()), clock.clone()),
    }
}

/// What a log line looks like, as configured.
pub(crate) fn format(settings: &LogSettings) -> LogFormat {
    match settings.format {
        config::LogFormat::Auto => LogFormat::Auto,
        config::LogFormat::Json => LogFormat::Json,
        config::LogFormat::Text => LogFormat::Text,
    }
}
