//! Keys as JSON has them (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::key::PublicKey;
use super::key_error::KeyError;
use super::keys::Key;
use super::{Algorithm, KeyKind, MAX_KID};

/// One key of a set, if it may check signatures.
///
/// What it may be used for is taken at its word (`use`, `key_ops`, `alg`; RFC 7517, sections 4.2 to 4.4). Certificates
/// that come with it (`x5c`, `x5u`) say nothing to us and are not looked at.
pub(super) fn key(members: &Map<String, Value>) -> Result<Key, KeyError> {
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(KeyError::Malformed),
    };
    let kid = text("kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(KeyError::Malformed);
    }
    if text("use")?.is_some_and(|word| word != "sig") || !may_verify(members.get("key_ops"))? {
        return Err(KeyError::OtherUse);
    }
    let public = public(text("kty")?.ok_or(KeyError::Malformed)?, members)?;
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => {
            let algorithm: Algorithm = name.parse().map_err(|_| KeyError::OtherUse)?;
            if algorithm.key_kind() != public.kind() {
                return Err(KeyError::Malformed);
            }
            Some(algorithm)
        }
    };
    Ok(Key { algorithm, kid: kid.map(Box::from), public })
}

/// Whether `key_ops` lets the key verify; it does when it says nothing.
fn may_verify(operations: Option<&Value>) -> Result<bool, KeyError> {
    match operations {
        None => Ok(true),
        Some(Value::Array(list)) => Ok(list.iter().any(|operation| operation == "verify")),
        Some(_) => Err(KeyError::Malformed),
    }
}

fn public(kind: &str, members: &Map<String, Value>) -> Result<PublicKey, KeyError> {
    if kind == "oct" {
        return Err(KeyError::Secret);
    }
    if members.contains_key("d") {
        return Err(KeyError::PrivateKey);
    }
    let number = |name: &str| members.get(name).and_then(Value::as_str).and_then(decode).ok_or(KeyError::Malformed);
    let curve = members.get("crv").and_then(Value::as_str);
    match (kind, curve) {
        ("RSA", _) => PublicKey::rsa(&number("n")?, &number("e")?),
        ("EC", Some("P-256")) => PublicKey::ec(KeyKind::P256, &point(&number("x")?, &number("y")?)),
        ("EC", Some("P-384")) => PublicKey::ec(KeyKind::P384, &point(&number("x")?, &number("y")?)),
        ("OKP", Some("Ed25519")) => PublicKey::ed25519(&number("x")?),
        _ => Err(KeyError::Unsupported),
    }
}

/// A point with both its coordinates, as RFC 5480, section 2.2 writes it. Coordinates of unlike length make none.
fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    if x.len() == y.len() { [&[4], x, y].concat() } else { Vec::new() }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
