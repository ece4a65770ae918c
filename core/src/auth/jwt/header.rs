//! A token's header: which algorithm to try, and whether it asks for anything we do not do.

use serde_json::Value;

use super::{Algorithm, AuthError, MALFORMED, MAX_KID, json, reason};

/// What asks for more than a signature over the text as it stands: extensions (RFC 7515, section 4.1.11; RFC 7797),
/// compression and decryption (RFC 7516). There is none that we implement, so even an empty `crit` is refused.
const EXTENSIONS: [&str; 4] = ["b64", "crit", "enc", "zip"];

/// What `typ` may say (RFC 7519, section 5.1; RFC 9068, section 2.1).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// What we take from a token's header. Keys that it brings (`jwk`, `x5c`) or points to (`jku`, `x5u`) are not read
/// (RFC 8725, section 3.10).
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    /// What it calls its key; never more than a name to look up in our own set.
    pub(super) kid: Option<String>,
}

impl Header {
    pub(super) fn read(text: &[u8]) -> Result<Self, AuthError> {
        let mut members = json::object(text).ok_or(MALFORMED)?;
        if EXTENSIONS.iter().any(|name| members.contains_key(*name)) {
            return Err(AuthError::Invalid(reason::EXTENSION));
        }
        // A token in a token says so in `cty` (RFC 7519, section 5.2).
        if members.get("cty").is_some_and(|cty| media_type(cty).is_none_or(|cty| cty.eq_ignore_ascii_case("JWT"))) {
            return Err(AuthError::Invalid(reason::EXTENSION));
        }
        let known = |typ: &str| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ));
        if members.get("typ").is_some_and(|typ| !media_type(typ).is_some_and(known)) {
            return Err(AuthError::Invalid(reason::TYPE));
        }
        let kid = match members.remove("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid),
            Some(_) => return Err(MALFORMED),
        };
        let algorithm = members.get("alg").and_then(Value::as_str).ok_or(MALFORMED)?;
        let algorithm = algorithm.parse().map_err(|_| AuthError::Invalid(reason::ALGORITHM))?;
        Ok(Self { algorithm, kid })
    }
}

/// A media type, for which "application/" may be left out (RFC 7515, sections 4.1.9 and 4.1.10).
fn media_type(value: &Value) -> Option<&str> {
    const PREFIX: &str = "application/";
    let text = value.as_str()?;
    match text.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => Some(rest),
        _ => Some(text),
    }
}
