//! Who a request is from: verifiers and identities.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::time::UnixTime;

/// Checks a token.
pub trait TokenVerifier: Send + Sync + 'static {
    /// The identity behind `token` at `now`.
    fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>>;

    /// The identity behind `token` when this verifier has accepted it before and it still holds, found without checking
    /// a signature; what lets a client with too many failures go on with a good token.
    fn recall(&self, token: &str, now: UnixTime) -> Option<Arc<Identity>> {
        let _ = (token, now);
        None
    }
}

/// Who a verified request is from: (verifier, id).
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    verifier: Arc<str>,
    id: Box<str>,
    claims: Map<String, Value>,
    expires: Option<UnixTime>,
}

impl Identity {
    /// An identity that `verifier` vouches for.
    pub fn new(verifier: Arc<str>, id: impl Into<Box<str>>, claims: Map<String, Value>, expires: Option<UnixTime>) -> Self {
        Self { verifier, id: id.into(), claims, expires }
    }

    /// The verifier's name.
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it ends.
    pub fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// The claim at `path`; a whole name first, then dots go into objects.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.claims.get(path) {
            return Some(value);
        }
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(self.claims.get(first)?, |value, name| value.get(name))
    }

    /// The claim at `path` as text: a string as it is, a number or boolean as JSON writes it; absent otherwise.
    pub fn claim_text(&self, path: &str) -> Option<Cow<'_, str>> {
        match self.claim(path)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            value @ (Value::Bool(_) | Value::Number(_)) => Some(Cow::Owned(value.to_string())),
            Value::Array(_) | Value::Null | Value::Object(_) => None,
        }
    }
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// The token is not acceptable; the reason is for logs and `explain`, never for the client.
    Invalid(&'static str),
    /// The keys to check it with were never had: 503, not 401.
    Unavailable,
}
