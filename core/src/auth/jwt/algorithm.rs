//! How tokens may be signed.

use std::fmt;
use std::str::FromStr;

/// A signature algorithm (RFC 7518, section 3.1). There is no "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256, under a shared secret.
    HS256,
    /// HMAC with SHA-384, under a shared secret.
    HS384,
    /// HMAC with SHA-512, under a shared secret.
    HS512,
}

impl Algorithm {
    /// All that are built.
    pub const ALL: &[Self] = &[Self::HS256, Self::HS384, Self::HS512];

    /// The name in a token's `alg` and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// The shortest secret it is safe with, in bytes: as long as its hash (RFC 7518, section 3.2).
    pub const fn shortest_secret(self) -> usize {
        match self {
            Self::HS256 => 32,
            Self::HS384 => 48,
            Self::HS512 => 64,
        }
    }

    /// The cryptography's name for it.
    pub(super) const fn backend(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
            Self::HS384 => jsonwebtoken::Algorithm::HS384,
            Self::HS512 => jsonwebtoken::Algorithm::HS512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// The exact name, in capitals.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name).ok_or(UnknownAlgorithm)
    }
}

/// A text that names no [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an algorithm; accepted are \"HS256\", \"HS384\" and \"HS512\"")
    }
}

impl std::error::Error for UnknownAlgorithm {}
