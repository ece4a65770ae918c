//! Who a verified request is from.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::policy::Remembered;
use super::{AuthError, reason};
use crate::time::UnixTime;

/// How long an id may be, in bytes.
const MAX_ID: usize = 256;

/// Who a verified request is from: (verifier, id), and what the verifier vouches for besides. Cheap to clone.
///
/// Two identities of different verifiers are different even where their ids are the same.
///
/// ```
/// use portcullis_core::auth::Identity;
/// use serde_json::{Map, json};
/// let claims = Map::from_iter([("realm".to_owned(), json!({ "role": "admin" }))]);
/// let ada = Identity::new("users", "ada", claims, None)?;
/// assert_eq!((ada.verifier(), ada.id()), ("users", "ada"));
/// assert_eq!(ada.claim_text("realm.role").as_deref(), Some("admin"));
/// # Ok::<(), portcullis_core::auth::AuthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    verifier: Arc<str>,
    id: Arc<str>,
    claims: Arc<Map<String, Value>>,
    expires: Option<UnixTime>,
    /// The headers that it is forwarded in, once they were asked for.
    forwarded: OnceLock<Remembered>,
}

impl Identity {
    /// An identity that `verifier` vouches for until `expires`.
    ///
    /// # Errors
    ///
    /// [`reason::ID`] when the id is not 1 to 256 bytes without control characters: ids are written to logs and headers.
    pub fn new(
        verifier: impl Into<Arc<str>>,
        id: impl Into<Arc<str>>,
        claims: Map<String, Value>,
        expires: Option<UnixTime>,
    ) -> Result<Self, AuthError> {
        let id = id.into();
        if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
            return Err(AuthError::Invalid(reason::ID));
        }
        let (verifier, claims) = (verifier.into(), Arc::new(claims));
        Ok(Self { verifier, id, claims, expires, forwarded: OnceLock::new() })
    }

    /// The verifier's name.
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// The id: 1 to 256 bytes, no control characters.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it ends, by the token's own word (without leeway).
    pub fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    pub(super) fn forwarded(&self) -> &OnceLock<Remembered> {
        &self.forwarded
    }

    /// All claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The claim at `path`; a whole name first, then dots go into objects. A name with a dot of its own
    /// (`https://shop.test/role`) is thus found as it stands.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        claim(&self.claims, path)
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

/// What it remembers is no part of who it is.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (&self.verifier, &self.id, &self.claims, self.expires)
            == (&other.verifier, &other.id, &other.claims, other.expires)
    }
}

/// [`Identity::claim`], for who has no identity yet.
pub(super) fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    // Only names go in: an array's element has no name, so `roles.0` is absent.
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(claims: Value) -> Identity {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Identity::new("users", "ada", claims, None).unwrap()
    }

    #[test]
    fn an_id_is_short_printable_text() {
        let with = |id: String| Identity::new("users", id, Map::new(), None);
        assert!(with("x".repeat(MAX_ID)).is_ok());
        assert!(with("Ada Lovelace \u{1F980}".to_owned()).is_ok());
        for bad in
            [String::new(), "x".repeat(MAX_ID + 1), "a\r\nb".to_owned(), "a\u{7f}".to_owned(), "a\u{85}".to_owned()]
        {
            assert_eq!(with(bad).unwrap_err(), AuthError::Invalid(reason::ID));
        }
    }

    #[test]
    fn a_whole_name_comes_before_a_path() {
        let ada = identity(json!({ "a.b": 1, "a": { "b": 2, "c": { "d": true } }, "list": ["x"], "nothing": null }));
        assert_eq!(ada.claim_text("a.b").as_deref(), Some("1"));
        assert_eq!(ada.claim_text("a.c.d").as_deref(), Some("true"));
        for absent in ["a.c", "a.c.d.e", "list", "list.0", "nothing", "", ".", "a."] {
            assert_eq!(ada.claim_text(absent), None, "{absent}");
        }
    }
}
