//! API keys: long random texts, known by their hashes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthError, Identity, TokenVerifier, reason};
use crate::answer::Answer;
use crate::time::UnixTime;
pub use generate::generate_api_key;
pub use hash::{KeyHash, KeyHashError};

mod generate;
mod hash;
#[cfg(test)]
mod tests;

/// How long a key may be, in bytes. Checked before it is hashed.
const MAX_KEY: usize = 512;

/// One key, as a verifier knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// What it vouches for beside the id.
    pub claims: Map<String, Value>,
    /// From when on it is not accepted; none: it has no end.
    pub expires: Option<UnixTime>,
    /// The hash of it.
    pub hash: KeyHash,
    /// Who has it: 1 to 256 bytes without control characters. Several keys may have one id, so that a key can be replaced
    /// without a moment in which neither is good.
    pub id: String,
}

/// Verifies API keys.
///
/// A key is 1 to 512 bytes and is looked up by its SHA-256, compared in constant time; it is accepted until it expires, by the
/// time that is given. It is never kept and never told.
///
/// [`TokenVerifier::recall`] knows every key that is good, whether it was used before or not: to look one up costs less
/// than to count a failure. So a client that shares its address with one that fails too often is not kept out.
///
/// ```
/// use portcullis_core::Answer;
/// use portcullis_core::auth::{ApiKey, ApiKeyVerifier, KeyHash, TokenVerifier, generate_api_key};
/// use portcullis_core::time::UnixTime;
///
/// let secret = generate_api_key()?;
/// let key = ApiKey { claims: Default::default(), expires: None, hash: KeyHash::of(&secret), id: "acme".into() };
/// let verifier = ApiKeyVerifier::new("partners", [key])?;
/// let Answer::Now(Ok(acme)) = verifier.verify(&secret, UnixTime::from_secs(0)) else { panic!("a good key") };
/// assert_eq!((acme.verifier(), acme.id()), ("partners", "acme"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ApiKeyVerifier {
    keys: HashMap<KeyHash, Arc<Identity>>,
}

impl ApiKeyVerifier {
    /// A verifier called `name` of these keys. Of two with one hash the later counts.
    ///
    /// # Errors
    /// [`reason::ID`] for an id that is none.
    pub fn new(name: impl Into<Arc<str>>, keys: impl IntoIterator<Item = ApiKey>) -> Result<Self, AuthError> {
        let name = name.into();
        let known = keys.into_iter().map(|key| {
            let identity = Identity::new(Arc::clone(&name), key.id, key.claims, key.expires)?;
            Ok((key.hash, Arc::new(identity)))
        });
        Ok(Self { keys: known.collect::<Result<_, _>>()? })
    }

    fn check(&self, key: &str, now: UnixTime) -> Result<Arc<Identity>, AuthError> {
        if key.len() > MAX_KEY {
            return Err(AuthError::Invalid(reason::TOO_LONG));
        }
        let identity = self.keys.get(&KeyHash::of(key)).ok_or(AuthError::Invalid(reason::UNKNOWN_KEY))?;
        match identity.expires() {
            Some(expires) if expires <= now => Err(AuthError::Invalid(reason::EXPIRED)),
            _ => Ok(Arc::clone(identity)),
        }
    }
}

impl TokenVerifier for ApiKeyVerifier {
    fn verify(&self, key: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        Answer::Now(self.check(key, now))
    }

    fn recall(&self, key: &str, now: UnixTime) -> Option<Arc<Identity>> {
        self.check(key, now).ok()
    }
}

impl fmt::Debug for ApiKeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyVerifier").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
