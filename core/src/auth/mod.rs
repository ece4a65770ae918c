//! Who a request is from: verifiers and identities.
//!
//! A [`TokenVerifier`] turns a token into an [`Identity`]; `JwtVerifier` (feature `jwt`) is ours for signed tokens,
//! `ApiKeyVerifier` (feature `api-key`) for API keys. [`TokenSources`] find the token in a request, [`Auth`] is what a plan knows
//! of one verifier, and [`IdentityHeaders`] keeps clients from setting the headers that upstreams read identities from.

use std::fmt;
use std::sync::Arc;

use crate::answer::Answer;
use crate::time::UnixTime;

#[cfg(feature = "api-key")]
pub use api_key::{ApiKey, ApiKeyVerifier, KeyHash, KeyHashError, generate_api_key};
pub use bearer::bearer;
pub use challenge::{Challenge, Scheme};
pub use identity::Identity;
pub use identity_headers::IdentityHeaders;
#[cfg(all(feature = "jwt", any(test, feature = "testing")))]
pub use jwt::SigningKey;
#[cfg(feature = "jwt")]
pub use jwt::{
    Algorithm, JwtConfigError, JwtVerifier, JwtVerifierBuilder, KeyError, KeyKind, KeySet, KeySetError, KeySource,
    NoKeys, PassedOver, UnknownAlgorithm, VerifyingKeys,
};
#[cfg(feature = "jwt")]
pub use mint::mint;
pub use policy::{Auth, Forward, ForwardedClaims};
pub use token_source::{TokenSource, TokenSourceError, TokenSources};

#[cfg(feature = "api-key")]
mod api_key;
mod bearer;
#[cfg(feature = "jwt")]
mod cache;
mod challenge;
mod identity;
mod identity_headers;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod mint;
mod policy;
pub mod reason;
pub mod token_source;

/// Checks a token.
///
/// `testing::auth::conformance` (feature `testing`) checks what is promised here; every implementation runs it.
///
/// # Contract
///
/// - `token` is what the client sent, without its scheme, and nothing about it is known: an implementation bounds its
///   size before it decodes it, and never panics.
/// - An identity is returned only when everything about the token holds at `now`, the wall clock's time in seconds.
/// - [`AuthError::Invalid`] is the client's fault (401); [`AuthError::Unavailable`] is ours (503).
/// - An implementation that has its keys at hand answers [`Answer::Now`]; it neither blocks nor sleeps.
pub trait TokenVerifier: Send + Sync + 'static {
    /// The identity behind `token` at `now`.
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>>;

    /// The identity behind `token` where [`verify`](Self::verify) would accept it and that can be known without checking a signature,
    /// because it was accepted before, or because knowing is a mere look-up; what lets a client with too many failures go on with
    /// a good token. Remembers nothing by default.
    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        let _ = (token, now);
        None
    }
}

/// A shared verifier is a verifier.
impl<V: TokenVerifier + ?Sized> TokenVerifier for Arc<V> {
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        (**self).verify(token, now)
    }

    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        (**self).recall(token, now)
    }
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// The token is not acceptable: 401. The reason (one of [`reason`], or a verifier's own) is for logs and `explain`;
    /// the client is never told, or it could feel its way to a token that passes.
    Invalid(&'static str),
    /// The keys to check it with were never had: 503, not 401.
    Unavailable,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "the token is not acceptable: {reason}"),
            Self::Unavailable => f.write_str("the keys to check the token with were never had"),
        }
    }
}

impl std::error::Error for AuthError {}
