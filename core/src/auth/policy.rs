//! What a plan knows of one verifier.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{AuthError, Identity, Scheme, TokenSources, TokenVerifier, reason};
use crate::limit::Rule;

/// How long a claim may be to be forwarded, in bytes.
const MAX_FORWARDED: usize = 1024;

/// The claim that is the identity's id where no claim has that name.
const ID: &str = "id";

/// One verifier as a plan runs it: what checks tokens, and what follows from the outcome.
#[derive(Clone)]
pub struct Auth {
    /// The verifier's name, as configured.
    pub name: Arc<str>,
    /// Checks the tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// How many failed verifications a client may have before it is refused unchecked; none: as many as it likes.
    pub failures: Option<Arc<Rule>>,
    /// Which claims upstreams get to see.
    pub forward: Arc<[Forward]>,
    /// Whether upstreams get to see the token itself.
    pub forward_token: bool,
    /// What a 401 says of it.
    pub scheme: Scheme,
    /// Where its tokens stand.
    pub token: TokenSources,
}

/// One claim that is forwarded in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The header.
    pub header: HeaderName,
    /// The claim, as [`Identity::claim`] finds it. `id` is the identity's id where there is no claim of that name.
    pub claim: Box<str>,
}

/// The header fields that tell an upstream who a request is from. Made once for an identity; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedClaims(Arc<[(HeaderName, HeaderValue)]>);

/// What an identity remembers of the rules that it was last asked for; see [`Auth::claims`].
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    rules: Arc<[Forward]>,
    claims: Result<ForwardedClaims, AuthError>,
}

impl Auth {
    /// A verifier of bearer tokens in `Authorization`, called `name`: failures are not bounded, nothing is forwarded and the token
    /// goes no further.
    pub fn bearer(name: impl Into<Arc<str>>, verifier: Arc<dyn TokenVerifier>) -> Self {
        Self {
            name: name.into(),
            verifier,
            failures: None,
            forward: Arc::default(),
            forward_token: false,
            scheme: Scheme::Bearer,
            token: TokenSources::authorization(),
        }
    }

    /// The headers that tell an upstream who `identity` is. A claim that is absent, null or empty gives no header: an
    /// upstream must never take an empty one for a trusted one.
    ///
    /// The identity keeps them, so that a token that is remembered costs nothing here. It keeps those of one set of rules:
    /// under others, which a reload can bring, they are made anew at each request until the token is verified again.
    ///
    /// # Errors
    ///
    /// [`reason::CLAIM`] for a claim that is an array or object, is over 1024 bytes, has a character beyond printable
    /// ASCII, begins or ends with a space, or has a comma (an upstream could read it as two values: `user,admin`). Such
    /// a token is refused rather than the header left out, since what is missing could be a restriction.
    pub fn claims(&self, identity: &Identity) -> Result<ForwardedClaims, AuthError> {
        let remembered = identity.forwarded().get_or_init(|| Remembered {
            rules: Arc::clone(&self.forward),
            claims: forwarded(&self.forward, identity),
        });
        if Arc::ptr_eq(&remembered.rules, &self.forward) || remembered.rules == self.forward {
            remembered.claims.clone()
        } else {
            forwarded(&self.forward, identity)
        }
    }
}

impl ForwardedClaims {
    /// The fields, in the order of the rules.
    pub fn iter(&self) -> std::slice::Iter<'_, (HeaderName, HeaderValue)> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ForwardedClaims {
    type Item = &'a (HeaderName, HeaderValue);
    type IntoIter = std::slice::Iter<'a, (HeaderName, HeaderValue)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Forward {
    /// The header's value for `identity`; none when there is nothing to forward.
    ///
    /// # Errors
    /// See [`Auth::claims`].
    pub fn value(&self, identity: &Identity) -> Result<Option<HeaderValue>, AuthError> {
        let text = text(identity, &self.claim)?;
        text.map(|text| header_value(&text).ok_or(AuthError::Invalid(reason::CLAIM))).transpose()
    }
}

fn forwarded(rules: &[Forward], identity: &Identity) -> Result<ForwardedClaims, AuthError> {
    let field = |rule: &Forward| Some(rule.value(identity).transpose()?.map(|value| (rule.header.clone(), value)));
    rules.iter().filter_map(field).collect::<Result<_, _>>().map(ForwardedClaims)
}

/// The claim as text; none where there is nothing to forward.
fn text<'a>(identity: &'a Identity, claim: &str) -> Result<Option<Cow<'a, str>>, AuthError> {
    match identity.claim(claim) {
        None if claim == ID => Ok(Some(Cow::Borrowed(identity.id()))),
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(_) => identity.claim_text(claim).map(Some).ok_or(AuthError::Invalid(reason::CLAIM)),
    }
}

fn header_value(text: &str) -> Option<HeaderValue> {
    let fits = text.len() <= MAX_FORWARDED
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',')
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    fits.then(|| HeaderValue::from_str(text).ok())?
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("name", &self.name).field("forward", &self.forward).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
