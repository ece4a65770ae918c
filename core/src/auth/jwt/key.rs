//! What signatures are checked with; the only file that names the cryptography, with its child for tests.

use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{DecodingKey, DecodingKeyKind, EncodingKey};

use super::{Algorithm, JwtConfigError, KeyError, KeyKind, pem};

#[cfg(any(test, feature = "testing"))]
pub(crate) mod signing;

/// Named outright and not asked for: the process-wide default is somebody else's to choose, and where another crate of
/// the same build has switched on a second backend and nobody has chosen, it panics at the first token.
static CRYPTO: &CryptoProvider = &DEFAULT_PROVIDER;

/// How many bits an RSA modulus may have: less can be broken (RFC 7518, section 3.3), more is slow for no gain, and the
/// library takes no more.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// How many bytes an RSA exponent may have; nearly all are 65537.
const RSA_EXPONENT: usize = 4;

/// A shared secret. `Debug` does not show it, and its memory is wiped when it goes.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Secret {
    signing: EncodingKey,
    checking: DecodingKey,
}

impl Secret {
    pub(in crate::auth) fn new(secret: &[u8]) -> Self {
        Self { signing: EncodingKey::from_secret(secret), checking: DecodingKey::from_secret(secret) }
    }

    /// Whether it goes with `algorithm` and is long enough for it.
    pub(in crate::auth) fn fits(&self, algorithm: Algorithm) -> Result<(), JwtConfigError> {
        if algorithm.key_kind() != KeyKind::Secret {
            return Err(JwtConfigError::WrongKey { algorithm, kind: KeyKind::Secret });
        }
        let length = self.signing.as_bytes().len();
        if length < algorithm.shortest_secret() {
            return Err(JwtConfigError::SecretTooShort { algorithm, length });
        }
        Ok(())
    }

    /// Signs and verifies once, so that a cryptography that does not work is found when a verifier is built and not when
    /// the first client comes.
    pub(super) fn self_test(&self, algorithm: Algorithm) -> Result<(), JwtConfigError> {
        let works = self.sign(algorithm, b"test").is_some_and(|signature| {
            self.verify(algorithm, b"test", &signature) && !self.verify(algorithm, b"tesT", &signature)
        });
        if works { Ok(()) } else { Err(JwtConfigError::Crypto { algorithm }) }
    }

    pub(in crate::auth) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        sign(algorithm, &self.signing, message)
    }

    /// Whether `signature` is `message`'s, compared in constant time. An error of the cryptography is a no.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        algorithm.key_kind() == KeyKind::Secret && verify(algorithm, &self.checking, message, signature)
    }
}

/// A public key of one kind.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    kind: KeyKind,
    checking: DecodingKey,
}

impl PublicKey {
    /// From a modulus and an exponent, both big-endian. Zeros before the modulus, which some issuers write, are not of it.
    ///
    /// It is kept as DER: the library checks a signature in half the time that it takes with the two numbers.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let modulus = modulus.get(zeros..).unwrap_or_default();
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaSize { bits });
        }
        // An exponent of 1 takes every message for its own signature, and an even one is none.
        let odd = exponent.last().is_some_and(|last| last % 2 == 1);
        if !odd || exponent == [1] || exponent.first() == Some(&0) || exponent.len() > RSA_EXPONENT {
            return Err(KeyError::RsaExponent);
        }
        Ok(Self { kind: KeyKind::Rsa, checking: DecodingKey::from_rsa_der(&pem::rsa_public_key(modulus, exponent)) })
    }

    /// From a point of P-256 or P-384, uncompressed: 4, x, y.
    pub(super) fn ec(kind: KeyKind, point: &[u8]) -> Result<Self, KeyError> {
        let length = match kind {
            KeyKind::P256 => 65,
            KeyKind::P384 => 97,
            KeyKind::Ed25519 | KeyKind::Rsa | KeyKind::Secret => return Err(KeyError::Unsupported),
        };
        if point.len() != length || point.first() != Some(&4) {
            return Err(KeyError::Malformed);
        }
        Ok(Self { kind, checking: DecodingKey::from_ec_der(point) })
    }

    /// From a point of Ed25519, compressed.
    pub(super) fn ed25519(point: &[u8]) -> Result<Self, KeyError> {
        if point.len() != 32 {
            return Err(KeyError::Malformed);
        }
        Ok(Self { kind: KeyKind::Ed25519, checking: DecodingKey::from_ed_der(point) })
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether `signature` is `message`'s. An error of the cryptography is a no, and so is an algorithm of another kind.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        algorithm.key_kind() == self.kind && verify(algorithm, &self.checking, message, signature)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.checking.kind(), other.checking.kind()) {
            (DecodingKeyKind::SecretOrDer(ours), DecodingKeyKind::SecretOrDer(theirs)) => ours == theirs,
            // No key here is kept in another way.
            _ => false,
        };
        self.kind == other.kind && same
    }
}

impl Eq for PublicKey {}

fn verify(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &Vec<u8>) -> bool {
    (CRYPTO.verifier_factory)(&backend(algorithm), key)
        .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
}

fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Option<Vec<u8>> {
    let signer = (CRYPTO.signer_factory)(&backend(algorithm), key).ok()?;
    signer.try_sign(message).ok()
}

/// The cryptography's name for an algorithm.
const fn backend(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::HS384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::HS512 => jsonwebtoken::Algorithm::HS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
    }
}
