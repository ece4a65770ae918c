//! What signatures are checked with; the only file that names the cryptography.

use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::{Algorithm, JwtConfigError};

/// Named outright and not asked for: the process-wide default is somebody else's to choose, and where another crate of
/// the same build has switched on a second backend and nobody has chosen, it panics at the first token.
static CRYPTO: &CryptoProvider = &DEFAULT_PROVIDER;

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

    /// Whether it is long enough for `algorithm`.
    pub(in crate::auth) fn fits(&self, algorithm: Algorithm) -> Result<(), JwtConfigError> {
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
        let signer = (CRYPTO.signer_factory)(&algorithm.backend(), &self.signing).ok()?;
        signer.try_sign(message).ok()
    }

    /// Whether `signature` is `message`'s, compared in constant time. An error of the cryptography is a no.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        (CRYPTO.verifier_factory)(&algorithm.backend(), &self.checking)
            .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}
