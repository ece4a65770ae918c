//! Signed tokens: JSON Web Tokens (RFC 7519) in the compact form (RFC 7515), checked as RFC 8725 advises.
//!
//! One file for each thing that is checked, in this order: the shape and the header say which algorithm to try and which
//! key ([`header`]), the key is found among our own ([`keys`]), the signature is checked ([`key`]), and only then is any
//! claim looked at ([`claims`]). The signature is jsonwebtoken's work; headers and claims we read ourselves ([`json`]),
//! because there the library takes much that a gateway must not, and so are keys ([`jwk`], [`pem`]).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cache::TokenCache;
use super::{AuthError, Identity, TokenVerifier, reason};
use crate::answer::Answer;
use crate::time::UnixTime;
pub use algorithm::{Algorithm, KeyKind, UnknownAlgorithm};
pub use builder::{JwtConfigError, JwtVerifierBuilder};
use claims::Rules;
use header::Header;
pub(super) use key::Secret;
#[cfg(any(test, feature = "testing"))]
pub use key::signing::SigningKey;
pub use key_error::{KeyError, KeySetError, PassedOver};
pub use key_source::{KeySource, NoKeys};
use keys::Found;
pub use keys::KeySet;

mod algorithm;
mod builder;
mod claims;
mod header;
mod json;
mod jwk;
mod key;
mod key_error;
mod key_source;
mod keys;
mod pem;
#[cfg(test)]
mod tests;

/// How long a token may be, in bytes. Checked before anything is decoded.
const MAX_TOKEN: usize = 8 * 1024;

/// How long a key's name may be, in bytes.
const MAX_KID: usize = 256;

/// Verifies JSON Web Tokens, and remembers those it has accepted.
///
/// What it holds a token to:
///
/// - at most 8 KiB, exactly three parts of unpadded base64url, strict JSON objects without a name given twice and at
///   most 32 levels deep;
/// - `alg` is one of the configured, whatever else the header says; any `crit`, `b64`, `zip` or `enc` is refused; `typ`,
///   when present, is "JWT" or "at+jwt" (either may have "application/" before it), in any case; `kid` is text of at
///   most 256 bytes; keys that the header brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at;
/// - the signature holds, under the secret or the one key of the [`KeySet`] that the token can mean;
/// - `exp` is present; `exp`, `nbf` and `iat` are numbers from 0 to the end of the year 9999; `exp` has not come and
///   `nbf` has, give or take the leeway. An `iat` in the future is not refused: it says when a token was made, and not
///   from when it is good;
/// - `iss` is text and exactly the issuer; `aud` is text or a list of texts and has one of the audiences in it; unless the
///   builder was told that any will do;
/// - the claim that is the id is text of 1 to 256 bytes without control characters.
///
/// Accepted tokens are remembered for each thread apart (4,096 of them, about 1.5 KiB each), by a keyed hash and until
/// they end, so that their signature is checked once. To verify one that is remembered allocates nothing.
///
/// ```
/// use portcullis_core::Answer;
/// use portcullis_core::auth::{Algorithm, JwtVerifier, TokenVerifier, mint};
/// use portcullis_core::time::UnixTime;
/// use serde_json::{Value, json};
///
/// let secret = b"a-secret-of-at-least-32-bytes-here";
/// let verifier = JwtVerifier::hs256(secret).issuer("https://login.shop.test").audience("shop").build()?;
///
/// let claims = json!({ "iss": "https://login.shop.test", "aud": "shop", "sub": "ada", "exp": 1_000 });
/// let token = mint(Algorithm::HS256, secret, claims.as_object().expect("it is one"))?;
/// let Answer::Now(Ok(ada)) = verifier.verify(&token, UnixTime::from_secs(999)) else { panic!("a good token") };
/// assert_eq!(ada.id(), "ada");
/// let Answer::Now(Err(_)) = verifier.verify(&token, UnixTime::from_secs(1_030)) else { panic!("exp and leeway are over") };
/// # Ok::<(), portcullis_core::auth::JwtConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    algorithms: Box<[Algorithm]>,
    keys: Keys,
    rules: Rules,
    cache: TokenCache,
}

/// What signatures are checked with.
#[derive(Clone)]
enum Keys {
    /// The same keys as long as the verifier lives.
    Fixed(Arc<KeySet>),
    /// A shared secret.
    Secret(Secret),
    /// Keys that change.
    Source(Arc<dyn KeySource>),
}

/// Public keys that tokens are checked with: a [`KeySet`] that stays as it is, or a [`KeySource`] whose keys change.
#[derive(Clone)]
pub struct VerifyingKeys(Keys);

impl From<KeySet> for VerifyingKeys {
    fn from(keys: KeySet) -> Self {
        Self(Keys::Fixed(Arc::new(keys)))
    }
}

impl From<Arc<dyn KeySource>> for VerifyingKeys {
    fn from(source: Arc<dyn KeySource>) -> Self {
        Self(Keys::Source(source))
    }
}

impl<S: KeySource> From<Arc<S>> for VerifyingKeys {
    fn from(source: Arc<S>) -> Self {
        Self(Keys::Source(source))
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKeys").field(&self.0).finish()
    }
}

impl JwtVerifier {
    /// Begins a verifier of HS256 tokens under a shared secret of at least 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> JwtVerifierBuilder {
        Self::secret(secret).algorithms([Algorithm::HS256])
    }

    /// Begins a verifier of tokens under a shared secret. Its [`algorithms`](JwtVerifierBuilder::algorithms) are all of HS*, and it
    /// must be as long as the longest of their hashes: 32, 48 or 64 bytes (RFC 7518, section 3.2).
    pub fn secret(secret: impl AsRef<[u8]>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Keys::Secret(Secret::new(secret.as_ref())))
    }

    /// Begins a verifier of tokens under public keys: a [`KeySet`], a [`KeySource`] in an `Arc`, or what is made from one (such as
    /// `portcullis_jwks::Jwks`). None of its [`algorithms`](JwtVerifierBuilder::algorithms) is of HS*.
    pub fn keys(keys: impl Into<VerifyingKeys>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(keys.into().0)
    }
}

impl Inner {
    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        self.cache.get(token, self.keys.generation(), now)
    }

    /// Checks a token that is not remembered: what comes of it, or the generation of keys that does not have its key.
    fn check(&self, token: &str, now: UnixTime) -> Result<Result<Arc<Identity>, AuthError>, Unknown> {
        let parts = match self.parts(token) {
            Ok(parts) => parts,
            Err(error) => return Ok(Err(error)),
        };
        let set = match &self.keys {
            Keys::Secret(secret) => {
                let holds = |algorithm, signature: &_| secret.verify(algorithm, parts.signed.as_bytes(), signature);
                return Ok(self.settle(&parts, token, 0, now, holds));
            }
            Keys::Fixed(set) => Arc::clone(set),
            Keys::Source(source) => source.keys().ok_or(Unknown { generation: 0 })?,
        };
        match set.find(parts.header.algorithm, parts.header.kid.as_deref()) {
            Found::Key(public) => {
                let holds = |algorithm, signature: &_| public.verify(algorithm, parts.signed.as_bytes(), signature);
                Ok(self.settle(&parts, token, set.generation(), now, holds))
            }
            Found::Unknown => Err(Unknown { generation: set.generation() }),
            Found::Unfit => Ok(Err(AuthError::Invalid(reason::KEY))),
        }
    }

    /// The shape of a token, and a header that one of the algorithms goes with.
    fn parts<'t>(&self, token: &'t str) -> Result<Parts<'t>, AuthError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(MALFORMED)?;
        let header = Header::read(&decode(header)?)?;
        if !self.algorithms.contains(&header.algorithm) {
            return Err(AuthError::Invalid(reason::ALGORITHM));
        }
        Ok(Parts { header, claims, signed, signature })
    }

    /// The identity of a token whose signature `holds`, remembered under the generation of keys that said so.
    fn settle(
        &self,
        parts: &Parts<'_>,
        token: &str,
        generation: u64,
        now: UnixTime,
        holds: impl FnOnce(Algorithm, &Vec<u8>) -> bool,
    ) -> Result<Arc<Identity>, AuthError> {
        if !holds(parts.header.algorithm, &decode(parts.signature)?) {
            return Err(AuthError::Invalid(reason::SIGNATURE));
        }
        let claims = json::object(&decode(parts.claims)?).ok_or(MALFORMED)?;
        let accepted = self.rules.check(&claims, now)?;
        let identity = Identity::new(Arc::clone(&self.name), accepted.id, claims, Some(accepted.expires))?;
        let identity = Arc::new(identity);
        self.cache.insert(token, generation, Arc::clone(&identity), accepted.until);
        Ok(identity)
    }

    /// Checks a token whose key was not there, once there may be newer keys.
    async fn check_later(&self, token: &str, now: UnixTime, seen: u64) -> Result<Arc<Identity>, AuthError> {
        if let Keys::Source(source) = &self.keys {
            source.refresh(seen).await;
        }
        match self.check(token, now) {
            Ok(result) => result,
            Err(Unknown { generation: 0 }) if matches!(self.keys, Keys::Source(_)) => Err(AuthError::Unavailable),
            Err(Unknown { .. }) => Err(AuthError::Invalid(reason::KEY)),
        }
    }
}

/// The set of this generation does not have the token's key; nought: there is no set.
struct Unknown {
    generation: u64,
}

/// A token taken apart, its header read.
struct Parts<'t> {
    header: Header,
    claims: &'t str,
    /// What the signature is over: header and claims as they were sent.
    signed: &'t str,
    signature: &'t str,
}

impl Keys {
    /// Of which generation the keys are: a secret and fixed keys never change while their verifier lives.
    fn generation(&self) -> u64 {
        match self {
            Self::Fixed(set) => set.generation(),
            Self::Secret(_) => 0,
            Self::Source(source) => source.generation(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed(..)",
            Self::Secret(_) => "Secret(..)",
            Self::Source(_) => "Source(..)",
        })
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        if token.len() > MAX_TOKEN {
            return Answer::Now(Err(AuthError::Invalid(reason::TOO_LONG)));
        }
        if let Some(identity) = self.0.recall(token, now) {
            return Answer::Now(Ok(identity));
        }
        match (self.0.check(token, now), &self.0.keys) {
            (Ok(result), _) => Answer::Now(result),
            (Err(Unknown { generation }), Keys::Source(_)) => {
                let (inner, token) = (Arc::clone(&self.0), token.to_owned());
                Answer::later(async move { inner.check_later(&token, now, generation).await })
            }
            // There will be no others.
            (Err(Unknown { .. }), _) => Answer::Now(Err(AuthError::Invalid(reason::KEY))),
        }
    }

    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        (token.len() <= MAX_TOKEN).then(|| self.0.recall(token, now))?
    }
}

const MALFORMED: AuthError = AuthError::Invalid(reason::MALFORMED);

/// Strict base64url: no padding, no whitespace, no bits left over (RFC 7515, section 2).
fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED)
}
