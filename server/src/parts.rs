//! The one place that names concrete stores, verifiers and key sources. Everybody else sees traits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::auth::{
    Algorithm, ApiKey, ApiKeyVerifier, AuthError, Forward, JwtConfigError, JwtVerifier, TokenVerifier,
};
use portcullis_core::limit::MemoryStore;
use portcullis_core::time::Clock;

use crate::config::{self, LogSettings, Secret};
use crate::observe::{AccessLog, LogFormat};

/// What a verifier is made from: two that are equal are the same one, so that a reload keeps it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VerifierSettings {
    /// `kind = "api-key"`.
    ApiKey(ApiKeySettings),
    /// `kind = "jwt"`.
    Jwt(JwtSettings),
}

impl VerifierSettings {
    /// The verifier's name.
    pub fn name(&self) -> &str {
        match self {
            Self::ApiKey(settings) => &settings.name,
            Self::Jwt(settings) => &settings.name,
        }
    }

    /// The settings of one of kind "jwt".
    pub fn jwt(&self) -> Option<&JwtSettings> {
        match self {
            Self::Jwt(settings) => Some(settings),
            Self::ApiKey(_) => None,
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

/// What a verifier of JSON Web Tokens under a shared secret is made from.
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
    /// How far clocks may be apart; none: the verifier's default.
    pub leeway: Option<Duration>,
    /// The verifier's name.
    pub name: Arc<str>,
    /// What they are signed with.
    pub secret: Secret,
}

/// The verifier for these settings.
///
/// # Errors
/// What is missing or unsafe, such as a secret that is too short.
pub(crate) fn jwt_verifier(settings: &JwtSettings) -> Result<Arc<dyn TokenVerifier>, JwtConfigError> {
    let mut builder = JwtVerifier::secret(settings.secret.reveal(), settings.algorithms.iter().copied())
        .name(Arc::clone(&settings.name))
        .id_claim(settings.id_claim.as_str());
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
