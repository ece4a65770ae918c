//! Public keys: a set of them at one moment.

use serde_json::Value;

use super::key::PublicKey;
use super::key_error::{KeyError, KeySetError, PassedOver};
use super::{Algorithm, KeyKind, json, jwk, pem};

/// How many keys a set may have. Issuers have two or three; nobody has to search through more for each token.
pub(super) const MAX_KEYS: usize = 64;

/// The public keys of an issuer at one moment. Immutable: other keys are another set.
///
/// A token is checked with exactly one key of it. One that names its key (`kid`) is checked with the key of that name and
/// no other; one that names none is checked where only one key of the set fits its algorithm. A set made from a single key
/// ([`KeySet::from_pem`]) has no names, and what a token calls the key is not looked at.
///
/// Each key is taken at its word: `use` other than "sig", `key_ops` without "verify" and an `alg` other than the token's
/// make it unfit, and so does an algorithm of another kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    generation: u64,
    pub(super) keys: Box<[Key]>,
    /// Whether it is one key without a name, rather than a set in which names count.
    single: bool,
    passed_over: Box<[PassedOver]>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The only algorithm that it is for, where it says so.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) kid: Option<Box<str>>,
    pub(super) public: PublicKey,
}

/// What a set has for a token.
pub(super) enum Found<'k> {
    /// Its key.
    Key(&'k PublicKey),
    /// It names a key that the set does not have: a later set may.
    Unknown,
    /// No key, or more than one that it could mean; a later set is not asked for.
    Unfit,
}

impl KeySet {
    /// The keys of a JSON Web Key Set (RFC 7517, section 5): at most 64, not all of which need be usable.
    ///
    /// Keys of kinds that we do not know and keys for other uses are passed over, as the RFC says. So are keys that nobody
    /// should use: RSA under 2048 bits, shared secrets, keys published with their private part, and a second key under
    /// a name that an earlier one has. [`KeySet::passed_over`] tells them all.
    ///
    /// # Errors
    /// What is no set, and a set without one usable key: see [`KeySetError`].
    pub fn from_jwks(text: &[u8]) -> Result<Self, KeySetError> {
        let members = json::object(text).ok_or(KeySetError::NotASet)?;
        let Some(Value::Array(list)) = members.get("keys") else { return Err(KeySetError::NotASet) };
        if list.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let (mut keys, mut passed_over) = (Vec::new(), Vec::new());
        for (place, value) in list.iter().enumerate() {
            let Value::Object(members) = value else { return Err(KeySetError::NotASet) };
            match jwk::key(members) {
                Ok(key) if keys.iter().any(|known| key.clashes(known)) => {
                    passed_over.push(PassedOver { place, why: KeyError::Duplicate });
                }
                Ok(key) => keys.push(key),
                Err(why) => passed_over.push(PassedOver { place, why }),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoKeys(passed_over.into()));
        }
        Ok(Self { generation: 0, keys: keys.into(), single: false, passed_over: passed_over.into() })
    }

    /// The one key of a PEM text: "PUBLIC KEY" (SubjectPublicKeyInfo, RFC 5280) or "RSA PUBLIC KEY" (RFC 8017).
    ///
    /// # Errors
    /// Anything else, certificates, private keys and several blocks included: see [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = Key { algorithm: None, kid: None, public: pem::public_key(text)? };
        Ok(Self { generation: 0, keys: [key].into(), single: true, passed_over: [].into() })
    }

    /// The same keys as their source's set number `generation`. A set that is never replaced needs none.
    #[must_use]
    pub fn numbered(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Its number.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many keys it has; one at least.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// What kinds of keys it has, each once.
    pub fn kinds(&self) -> Vec<KeyKind> {
        let mut kinds = Vec::new();
        for kind in self.keys.iter().map(|key| key.public.kind()) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Its names of keys, for an operator to look at.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// The keys of its text that are never used.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Whether both have the same keys, in whatever order and of whatever generation.
    pub fn has_same_keys(&self, other: &Self) -> bool {
        self.single == other.single && self.len() == other.len() && self.keys.iter().all(|key| other.keys.contains(key))
    }

    /// Whether any of its keys takes `algorithm`.
    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.takes(algorithm))
    }

    /// The kind of the key of a set of one without a name.
    pub(super) fn only_kind(&self) -> Option<KeyKind> {
        self.keys.first().filter(|_| self.single).map(|key| key.public.kind())
    }

    /// The key for a token of this algorithm that calls its key `kid`.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Found<'_> {
        let fitting = |key: &&Key| key.takes(algorithm);
        if let Some(kid) = kid.filter(|_| !self.single) {
            let mut named = self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
            if named.peek().is_none() {
                return Found::Unknown;
            }
            // At most one: a second was passed over when the set was read.
            return named.find(fitting).map_or(Found::Unfit, |key| Found::Key(&key.public));
        }
        let mut keys = self.keys.iter().filter(fitting);
        match (keys.next(), keys.next()) {
            (Some(key), None) => Found::Key(&key.public),
            _ => Found::Unfit,
        }
    }
}

impl Key {
    /// Whether tokens of `algorithm` may be checked with it.
    fn takes(&self, algorithm: Algorithm) -> bool {
        self.public.kind() == algorithm.key_kind() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether a token could mean either of them by its `kid`.
    fn clashes(&self, known: &Self) -> bool {
        let one_name = self.kid.is_some() && self.kid == known.kid;
        one_name && Algorithm::ALL.iter().any(|algorithm| self.takes(*algorithm) && known.takes(*algorithm))
    }
}
