//! What a plan knows of one verifier.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{AuthError, Identity, TokenVerifier, reason};
use crate::limit::Rule;

/// How long a claim may be to be forwarded, in bytes.
const MAX_FORWARDED: usize = 1024;

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
    pub forward: Box<[Forward]>,
    /// Whether upstreams get to see the token itself.
    pub forward_token: bool,
}

/// One claim that is forwarded in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The header.
    pub header: HeaderName,
    /// The claim, as [`Identity::claim`] finds it.
    pub claim: Box<str>,
}

impl Auth {
    /// The headers that tell an upstream who `identity` is. A claim that is absent, null or empty gives no header: an
    /// upstream must never take an empty one for a trusted one.
    ///
    /// # Errors
    ///
    /// [`reason::CLAIM`] for a claim that is an array or object, is over 1024 bytes, has a character beyond printable
    /// ASCII, begins or ends with a space, or has a comma (an upstream could read it as two values: `user,admin`). Such
    /// a token is refused rather than the header left out, since what is missing could be a restriction.
    pub fn headers<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> impl Iterator<Item = Result<(&'a HeaderName, HeaderValue), AuthError>> {
        self.forward.iter().filter_map(|forward| match identity.claim(&forward.claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(_) => {
                let value = identity.claim_text(&forward.claim).and_then(|text| header_value(&text));
                Some(value.map(|value| (&forward.header, value)).ok_or(AuthError::Invalid(reason::CLAIM)))
            }
        })
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
