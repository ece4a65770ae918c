//! Makes tokens: for the `token` command, for a login service, and for tests.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jwt::{Algorithm, JwtConfigError, Secret};

/// A signed token with `claims` as they are (RFC 7515, section 3.1); what a verifier wants in them (`exp`, `iss`, `aud`,
/// an id) is the caller's to put there.
///
/// ```
/// use portcullis_core::auth::{Algorithm, mint};
/// use serde_json::{Map, json};
/// let claims = Map::from_iter([("sub".to_owned(), json!("ada")), ("exp".to_owned(), json!(1_900_000_000))]);
/// let token = mint(Algorithm::HS256, b"a-secret-of-at-least-32-bytes-here", &claims)?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok::<(), portcullis_core::auth::JwtConfigError>(())
/// ```
///
/// # Errors
///
/// [`JwtConfigError::SecretTooShort`] for a secret that no verifier would take, [`JwtConfigError::Crypto`] when the
/// cryptography fails.
pub fn mint(algorithm: Algorithm, secret: &[u8], claims: &Map<String, Value>) -> Result<String, JwtConfigError> {
    let secret = Secret::new(secret);
    secret.fits(algorithm)?;
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
    // Through `Value`, whose `Display` cannot fail.
    let claims = Value::Object(claims.clone()).to_string();
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = secret.sign(algorithm, token.as_bytes()).ok_or(JwtConfigError::Crypto { algorithm })?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}
