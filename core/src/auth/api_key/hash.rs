//! The hash that stands for an API key; the only file here that names the cryptography.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// The SHA-256 of an API key: all that is kept of one. Its text form is 64 hex digits.
///
/// A plain, fast hash is right because a key is 256 random bits: there is nothing to guess, and a slow one would let anybody
/// keep a gateway busy. A password would need another hash; it is no API key.
///
/// Two hashes are compared in constant time. (That they are found by a map tells nobody more than bits of a hash, from which
/// no key can be made.)
///
/// ```
/// use portcullis_core::auth::KeyHash;
/// let hash: KeyHash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683".parse()?;
/// assert_eq!(hash, KeyHash::of("key"));
/// assert!("2c70".parse::<KeyHash>().is_err());
/// # Ok::<(), portcullis_core::auth::KeyHashError>(())
/// ```
#[derive(Clone, Copy)]
pub struct KeyHash([u8; SHA256_OUTPUT_LEN]);

impl KeyHash {
    /// The hash of `key`, all of it.
    pub fn of(key: &str) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        // Both have 32 bytes; a hash of zeros, which no key has, if that were ever untrue.
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, key.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(hash)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for KeyHash {}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.0);
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        if text.len() != 2 * hash.len() {
            return Err(KeyHashError);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (to, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return Err(KeyHashError) };
            *to = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or(KeyHashError)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    /// Not the hash: whoever wrote a guessable key is not to find it in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// A text is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHashError;

impl fmt::Display for KeyHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 is 64 hex digits")
    }
}

impl std::error::Error for KeyHashError {}
