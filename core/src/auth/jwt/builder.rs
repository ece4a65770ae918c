//! How a [`JwtVerifier`] is made, and what it is not made from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::claims::{Expected, Rules};
use super::{Algorithm, Inner, JwtVerifier, KeyKind, Keys};
use crate::auth::cache::{TOKENS_PER_THREAD, TokenCache};

/// How far clocks may be apart unless the builder is told.
const LEEWAY: Duration = Duration::from_secs(30);

/// How far they may be apart at most: a minute more of a stolen token is enough.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// A [`JwtVerifier`] in the making. Issuer and audience must be said, if only to say that any will do.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct JwtVerifierBuilder {
    name: Arc<str>,
    algorithms: Box<[Algorithm]>,
    keys: Keys,
    issuer: Option<Expected>,
    audience: Option<Expected>,
    id_claim: Box<str>,
    leeway: Duration,
}

impl JwtVerifierBuilder {
    pub(super) fn new(keys: Keys) -> Self {
        let (name, algorithms) = (Arc::from("jwt"), Box::default());
        Self { name, algorithms, keys, issuer: None, audience: None, id_claim: "sub".into(), leeway: LEEWAY }
    }

    /// How tokens may be signed: with one of these and nothing else, whatever a token says of itself. There is no default but
    /// [`JwtVerifier::hs256`]'s.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// The verifier's name, half of each of its identities; "jwt" by default. Two verifiers in one service need two.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Accepts only tokens whose `iss` is exactly this.
    pub fn issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.issuer = Some(Expected::OneOf(vec![issuer.into()]));
        self
    }

    /// Accepts tokens of any issuer, and ones that name none: for keys that only one issuer has.
    pub fn any_issuer(mut self) -> Self {
        self.issuer = Some(Expected::Any);
        self
    }

    /// Accepts only tokens whose `aud` has this in it. Said more than once: any of them.
    pub fn audience(mut self, audience: impl Into<Box<str>>) -> Self {
        match &mut self.audience {
            Some(Expected::OneOf(audiences)) => audiences.push(audience.into()),
            Some(Expected::Any) | None => self.audience = Some(Expected::OneOf(vec![audience.into()])),
        }
        self
    }

    /// Accepts tokens for any audience, and ones that name none: then a token that the issuer made for another service
    /// is good here too.
    pub fn any_audience(mut self) -> Self {
        self.audience = Some(Expected::Any);
        self
    }

    /// The claim that is the identity's id; "sub" by default. Dots go into objects, as in [`crate::auth::Identity::claim`].
    pub fn id_claim(mut self, path: impl Into<Box<str>>) -> Self {
        self.id_claim = path.into();
        self
    }

    /// How far the issuer's clock and ours may be apart; 30 seconds by default, at most 60. Fractions of a second are cut.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The verifier. With a secret, once one signature has been made and verified with each of its algorithms.
    ///
    /// # Errors
    ///
    /// What is missing or unsafe: see [`JwtConfigError`].
    pub fn build(self) -> Result<JwtVerifier, JwtConfigError> {
        if self.algorithms.is_empty() {
            return Err(JwtConfigError::NoAlgorithms);
        }
        self.keys.fit(&self.algorithms)?;
        if self.leeway > MAX_LEEWAY {
            return Err(JwtConfigError::LeewayTooLong);
        }
        let audience = self.audience.ok_or(JwtConfigError::AudienceUndecided)?;
        let issuer = self.issuer.ok_or(JwtConfigError::IssuerUndecided)?;
        for (what, empty) in
            [("audience", audience.has_empty()), ("id claim", self.id_claim.is_empty()), ("issuer", issuer.has_empty())]
        {
            if empty {
                return Err(JwtConfigError::Empty(what));
            }
        }
        let rules = Rules { audience, id_claim: self.id_claim, issuer, leeway: self.leeway.as_secs() };
        let cache = TokenCache::new(TOKENS_PER_THREAD);
        let inner = Inner { name: self.name, algorithms: self.algorithms, keys: self.keys, rules, cache };
        Ok(JwtVerifier(Arc::new(inner)))
    }
}

impl Keys {
    /// Whether tokens of these algorithms could pass: a secret goes with HS* and nothing else does (RFC 8725, section 3.1), a
    /// single key must take each of them, and of a set of keys one must take one.
    fn fit(&self, algorithms: &[Algorithm]) -> Result<(), JwtConfigError> {
        if let Self::Secret(secret) = self {
            return algorithms
                .iter()
                .try_for_each(|algorithm| secret.fits(*algorithm).and_then(|()| secret.self_test(*algorithm)));
        }
        if let Some(algorithm) = algorithms.iter().find(|algorithm| algorithm.key_kind() == KeyKind::Secret) {
            return Err(JwtConfigError::NoSecret { algorithm: *algorithm });
        }
        let Self::Fixed(keys) = self else { return Ok(()) };
        if let Some(kind) = keys.only_kind()
            && let Some(algorithm) = algorithms.iter().find(|algorithm| !keys.takes(**algorithm))
        {
            return Err(JwtConfigError::WrongKey { algorithm: *algorithm, kind });
        }
        if algorithms.iter().any(|algorithm| keys.takes(*algorithm)) { Ok(()) } else { Err(JwtConfigError::NoKey) }
    }
}

impl Expected {
    fn has_empty(&self) -> bool {
        matches!(self, Self::OneOf(accepted) if accepted.iter().any(|accepted| accepted.is_empty()))
    }
}

/// Why a [`JwtVerifier`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtConfigError {
    /// Neither an audience was named nor said that any will do.
    AudienceUndecided,
    /// The cryptography does not work: its self-test failed.
    Crypto {
        /// With which algorithm.
        algorithm: Algorithm,
    },
    /// The audience, id claim or issuer is an empty text.
    Empty(&'static str),
    /// Neither an issuer was named nor said that any will do.
    IssuerUndecided,
    /// Over 60 seconds.
    LeewayTooLong,
    /// No token could ever pass.
    NoAlgorithms,
    /// No key of the set goes with any of the algorithms.
    NoKey,
    /// An HS algorithm beside public keys: who knows a public key could sign with it (RFC 8725, section 2.1).
    NoSecret {
        /// Which algorithm.
        algorithm: Algorithm,
    },
    /// A secret shorter than the hash can be guessed (RFC 7518, section 3.2).
    SecretTooShort {
        /// For which algorithm.
        algorithm: Algorithm,
        /// How long it is, in bytes.
        length: usize,
    },
    /// The key is of a kind that the algorithm does not go with.
    WrongKey {
        /// Which algorithm.
        algorithm: Algorithm,
        /// What the key is.
        kind: KeyKind,
    },
}

impl fmt::Display for JwtConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AudienceUndecided => f.write_str("no audience: name one, or say that any will do"),
            Self::Crypto { algorithm } => write!(f, "the self-test of {algorithm} failed"),
            Self::Empty(what) => write!(f, "the {what} is empty"),
            Self::IssuerUndecided => f.write_str("no issuer: name one, or say that any will do"),
            Self::LeewayTooLong => write!(f, "the leeway is over {} seconds", MAX_LEEWAY.as_secs()),
            Self::NoAlgorithms => f.write_str("no algorithm: name those that tokens may be signed with"),
            Self::NoKey => f.write_str("none of the keys goes with any of the algorithms"),
            Self::NoSecret { algorithm } => write!(f, "{algorithm} takes a shared secret, not a public key"),
            Self::SecretTooShort { algorithm, length } => {
                write!(f, "the secret has {length} bytes; {algorithm} needs {} at least", algorithm.shortest_secret())
            }
            Self::WrongKey { algorithm, kind } => {
                write!(f, "{algorithm} takes {}, and this is {kind}", algorithm.key_kind())
            }
        }
    }
}

impl std::error::Error for JwtConfigError {}
