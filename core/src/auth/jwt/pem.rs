//! A public key as a PEM file has it (RFC 7468, RFC 5280, RFC 8017): read by its bytes, nothing guessed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::KeyKind;
use super::key::PublicKey;
use super::key_error::KeyError;

/// DER's tags for what keys are made of (X.690).
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// The algorithm identifiers of the kinds of key that we take, as DER: rsaEncryption (RFC 3279), id-ecPublicKey on P-256
/// and P-384 (RFC 5480), id-Ed25519 (RFC 8410).
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const P256: &[u8] =
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// The one public key in `text`.
pub(super) fn public_key(text: &str) -> Result<PublicKey, KeyError> {
    let (label, der) = only_block(text)?;
    match label {
        "PUBLIC KEY" => subject_public_key(&der),
        "RSA PUBLIC KEY" => rsa(&der),
        // Which of its parts would be trusted, and until when, is more than a key: whoever means the key takes it out.
        "CERTIFICATE" => Err(KeyError::Certificate),
        _ if label.ends_with("PRIVATE KEY") => Err(KeyError::PrivateKey),
        _ => Err(KeyError::Unsupported),
    }
}

/// The label and content of the only block; text around it is a comment (RFC 7468, section 2).
fn only_block(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    const BEGIN: &str = "-----BEGIN ";
    let mut blocks = text.match_indices(BEGIN).map(|(at, _)| at + BEGIN.len());
    let (start, None) = (blocks.next().ok_or(KeyError::NotPem)?, blocks.next()) else {
        return Err(KeyError::SeveralKeys);
    };
    let rest = text.get(start..).ok_or(KeyError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NotPem)?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyError::NotPem)?;
    let body: String = body.split_ascii_whitespace().collect();
    // A block that is not base64 is told by its label first: an encrypted private key has fields above it.
    match STANDARD.decode(body) {
        Ok(der) => Ok((label, der)),
        Err(_) if label.ends_with("PRIVATE KEY") => Err(KeyError::PrivateKey),
        Err(_) => Err(KeyError::Malformed),
    }
}

/// SubjectPublicKeyInfo (RFC 5280, section 4.1).
fn subject_public_key(der: &[u8]) -> Result<PublicKey, KeyError> {
    let (info, end) = element(SEQUENCE, der)?;
    let (algorithm, rest) = element(SEQUENCE, info)?;
    let (bits, none) = element(BIT_STRING, rest)?;
    // No bits are left over in the last byte.
    let (Some((0, key)), true, true) = (bits.split_first(), end.is_empty(), none.is_empty()) else {
        return Err(KeyError::Malformed);
    };
    match algorithm {
        RSA => rsa(key),
        P256 => PublicKey::ec(KeyKind::P256, key),
        P384 => PublicKey::ec(KeyKind::P384, key),
        ED25519 => PublicKey::ed25519(key),
        _ => Err(KeyError::Unsupported),
    }
}

/// RSAPublicKey (RFC 8017, appendix A.1.1).
fn rsa(der: &[u8]) -> Result<PublicKey, KeyError> {
    let (numbers, end) = element(SEQUENCE, der)?;
    let (modulus, rest) = element(INTEGER, numbers)?;
    let (exponent, none) = element(INTEGER, rest)?;
    if !(end.is_empty() && none.is_empty()) {
        return Err(KeyError::Malformed);
    }
    PublicKey::rsa(positive(modulus)?, positive(exponent)?)
}

/// RSAPublicKey, from its two numbers.
pub(super) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    written(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
}

/// A positive number, with a zero before one whose first bit is set.
fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    written(INTEGER, &[sign, number].concat())
}

/// One element: its tag, its length in the shortest form, its content, which is shorter than 64 KiB.
fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, ..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// A positive number without the zero that DER puts before one whose first bit is set.
fn positive(integer: &[u8]) -> Result<&[u8], KeyError> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Ok(rest),
        [first, ..] if first & 0x80 == 0 && *first != 0 => Ok(integer),
        _ => Err(KeyError::Malformed),
    }
}

/// The content of the first element, which must have this tag, and what comes after it.
fn element(tag: u8, der: &[u8]) -> Result<(&[u8], &[u8]), KeyError> {
    let (length, rest) = match der {
        [found, ..] if *found != tag => return Err(KeyError::Malformed),
        [_, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [_, 0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        // A key is shorter than 64 KiB.
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return Err(KeyError::Malformed),
    };
    rest.split_at_checked(length).ok_or(KeyError::Malformed)
}
