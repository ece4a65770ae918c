//! Why something is not a key, or not a set of keys.

use std::fmt;

use super::keys::MAX_KEYS;

/// A key of a set that is never used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Its place in the set, from nought.
    pub place: usize,
    /// Why.
    pub why: KeyError,
}

/// Why something is not a key that tokens can be checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// A certificate, not a key.
    Certificate,
    /// A key before it in the set has the same name and takes the same algorithm.
    Duplicate,
    /// Not what its kind of key must be.
    Malformed,
    /// No block of PEM in it.
    NotPem,
    /// Its `use`, `key_ops` or `alg` says that it is for something else.
    OtherUse,
    /// It has a private part: who reads this could sign as the issuer.
    PrivateKey,
    /// An RSA exponent that is even, 1, or over 32 bits.
    RsaExponent,
    /// An RSA modulus under 2048 bits (RFC 7518, section 3.3) or over 8192.
    RsaSize {
        /// How many it has.
        bits: usize,
    },
    /// A shared secret (`oct`), which is none once it is published.
    Secret,
    /// More than one key where one is meant.
    SeveralKeys,
    /// Of a kind or on a curve that no algorithm here goes with.
    Unsupported,
}

/// Why a text is not a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetError {
    /// No key in it can be used; what was wrong with each.
    NoKeys(Box<[PassedOver]>),
    /// Not a JSON object with a list `keys` of objects; or with a name twice, or too deep.
    NotASet,
    /// More than 64 keys.
    TooMany,
}

impl KeyError {
    /// Whether the key should not be in the set at all, rather than being one for somebody else.
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::OtherUse | Self::Unsupported)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("it is a certificate, not a public key"),
            Self::Duplicate => f.write_str("a key before it has the same `kid`"),
            Self::Malformed => f.write_str("it is malformed"),
            Self::NotPem => f.write_str("there is no PEM block in it"),
            Self::OtherUse => f.write_str("it is for another use, as its `use`, `key_ops` or `alg` says"),
            Self::PrivateKey => f.write_str("it has a private part: whoever reads it can sign tokens"),
            Self::RsaExponent => f.write_str("its RSA exponent is unsafe"),
            Self::RsaSize { bits } => write!(f, "its RSA modulus has {bits} bits; 2048 to 8192 are accepted"),
            Self::Secret => f.write_str("it is a shared secret, which a set of public keys cannot hold"),
            Self::SeveralKeys => f.write_str("there is more than one PEM block in it"),
            Self::Unsupported => f.write_str("it is of a kind that no algorithm here goes with"),
        }
    }
}

impl std::error::Error for KeyError {}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys(passed_over) => {
                f.write_str("there is no usable key in it")?;
                passed_over.iter().try_for_each(|key| write!(f, "; key {}: {}", key.place + 1, key.why))
            }
            Self::NotASet => f.write_str("it is not a JSON Web Key Set (RFC 7517): an object with a list `keys`"),
            Self::TooMany => write!(f, "it has more than {MAX_KEYS} keys"),
        }
    }
}

impl std::error::Error for KeySetError {}
