//! Signed tokens: JSON Web Tokens (RFC 7519) in the compact form (RFC 7515), checked as RFC 8725 advises.
//!
//! One file for each thing that is checked, in this order: the shape and the header say which algorithm to try
//! ([`header`]), the signature is checked ([`key`]), and only then is any claim looked at ([`claims`]). The signature is
//! jsonwebtoken's work; headers and claims we read ourselves ([`json`]), because there the library takes much that a
//! gateway must not.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cache::TokenCache;
use super::{AuthError, Identity, TokenVerifier, reason};
use crate::answer::Answer;
use crate::time::UnixTime;
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use builder::{JwtConfigError, JwtVerifierBuilder};
use claims::Rules;
use header::Header;
pub(super) use key::Secret;

mod algorithm;
mod builder;
mod claims;
mod header;
mod json;
mod key;
#[cfg(test)]
mod tests;

/// How long a token may be, in bytes. Checked before anything is decoded.
const MAX_TOKEN: usize = 8 * 1024;

/// A secret never changes while its verifier lives, so all accepted tokens are of one generation.
const GENERATION: u64 = 0;

/// Verifies JSON Web Tokens, and remembers those it has accepted.
///
/// What it holds a token to:
///
/// - at most 8 KiB, exactly three parts of unpadded base64url, strict JSON objects without a name given twice and at
///   most 32 levels deep;
/// - `alg` is one of the configured, whatever else the header says; any `crit`, `b64`, `zip` or `enc` is refused; `typ`,
///   when present, is "JWT" or "at+jwt" (either may have "application/" before it), in any case; `kid` is text of at
///   most 256 bytes; keys that the header brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at;
/// - the signature holds;
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
#[derive(Debug)]
pub struct JwtVerifier {
    name: Arc<str>,
    algorithms: Box<[Algorithm]>,
    secret: Secret,
    rules: Rules,
    cache: TokenCache,
}

impl JwtVerifier {
    /// Begins a verifier of HS256 tokens under a shared secret of at least 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> JwtVerifierBuilder {
        Self::secret(secret, [Algorithm::HS256])
    }

    /// Begins a verifier of tokens under a shared secret, signed with one of `algorithms`. The secret must be as long as
    /// the longest of their hashes: 32, 48 or 64 bytes (RFC 7518, section 3.2).
    pub fn secret(secret: impl AsRef<[u8]>, algorithms: impl IntoIterator<Item = Algorithm>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Secret::new(secret.as_ref()), algorithms.into_iter().collect())
    }

    /// Checks all of `token`; also says until when it will do.
    fn check(&self, token: &str, now: UnixTime) -> Result<(Identity, UnixTime), AuthError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(MALFORMED)?;

        let header = Header::read(&decode(header)?)?;
        if !self.algorithms.contains(&header.algorithm) {
            return Err(AuthError::Invalid(reason::ALGORITHM));
        }
        if !self.secret.verify(header.algorithm, signed.as_bytes(), &decode(signature)?) {
            return Err(AuthError::Invalid(reason::SIGNATURE));
        }

        let claims = json::object(&decode(claims)?).ok_or(MALFORMED)?;
        let accepted = self.rules.check(&claims, now)?;
        let identity = Identity::new(Arc::clone(&self.name), accepted.id, claims, Some(accepted.expires))?;
        Ok((identity, accepted.until))
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        if token.len() > MAX_TOKEN {
            return Answer::Now(Err(AuthError::Invalid(reason::TOO_LONG)));
        }
        let key = self.cache.key(token);
        if let Some(identity) = self.cache.get(key, GENERATION, now) {
            return Answer::Now(Ok(identity));
        }
        Answer::Now(self.check(token, now).map(|(identity, until)| {
            let identity = Arc::new(identity);
            self.cache.insert(key, GENERATION, Arc::clone(&identity), until);
            identity
        }))
    }

    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        (token.len() <= MAX_TOKEN).then(|| self.cache.get(self.cache.key(token), GENERATION, now))?
    }
}

const MALFORMED: AuthError = AuthError::Invalid(reason::MALFORMED);

/// Strict base64url: no padding, no whitespace, no bits left over (RFC 7515, section 2).
fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED)
}
