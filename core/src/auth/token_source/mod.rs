//! Where a verifier's token stands in a request: found there, and taken out before the upstream sees it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::{AuthError, bearer, reason};

mod cookie;
mod query;
#[cfg(test)]
mod tests;

/// Not exactly one credential.
const CREDENTIALS: AuthError = AuthError::Invalid(reason::CREDENTIALS);

/// What a place of a token may be.
pub const ACCEPTED: &str = "\"header:NAME\", \"cookie:NAME\" or \"query:NAME\"";

/// One place where a token may stand.
///
/// `header:authorization` is read as [`bearer`](fn@bearer) says; any other header, a cookie or a query parameter is the token
/// as it is. An empty one counts as not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A cookie. Names are case-sensitive.
    Cookie(Box<str>),
    /// A header field.
    Header(HeaderName),
    /// A query parameter.
    Query(Box<str>),
}

impl TokenSource {
    /// The token in this place.
    ///
    /// # Errors
    /// [`reason::CREDENTIALS`] when it stands there twice or cannot be read.
    fn find<'r>(&self, headers: &'r HeaderMap, query: Option<&'r str>) -> Result<Option<Cow<'r, str>>, AuthError> {
        match self {
            Self::Cookie(name) => Ok(cookie::find(headers, name)?.map(Cow::Borrowed)),
            Self::Header(name) if name == AUTHORIZATION => Ok(bearer(headers)?.map(Cow::Borrowed)),
            Self::Header(name) => Ok(header(headers, name)?.map(Cow::Borrowed)),
            Self::Query(name) => query.map_or(Ok(None), |query| query::find(query, name)),
        }
    }

    /// Takes what stands here out of the fields: the header, or that cookie only.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        match self {
            Self::Cookie(name) => cookie::strip(headers, name),
            Self::Header(name) => drop(headers.remove(name)),
            Self::Query(_) => {}
        }
    }

    /// Takes what stands here out of the query: that parameter only. None when nothing is left.
    pub(crate) fn strip_query<'r>(&self, query: Cow<'r, str>) -> Option<Cow<'r, str>> {
        match self {
            Self::Query(name) => query::strip(query, name),
            Self::Cookie(_) | Self::Header(_) => Some(query),
        }
    }
}

/// The value of a field that must not be there twice.
fn header<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<Option<&'r str>, AuthError> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => {
            let value = std::str::from_utf8(line.as_bytes()).map_err(|_| CREDENTIALS)?;
            Ok(Some(value).filter(|value| !value.is_empty()))
        }
        (Some(_), Some(_)) => Err(CREDENTIALS),
    }
}

/// The places where a verifier looks for its token.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use portcullis_core::auth::TokenSources;
/// let sources = TokenSources::new(["header:x-api-key".parse()?, "query:key".parse()?]);
/// let headers = HeaderMap::from_iter([("x-api-key".parse()?, HeaderValue::from_static("secret"))]);
/// assert_eq!(sources.find(&headers, None).unwrap().as_deref(), Some("secret"));
/// assert!(sources.find(&headers, Some("key=secret")).is_err(), "one credential, not two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSources(Box<[TokenSource]>);

impl TokenSources {
    /// `header:authorization` alone: what bearer tokens are sent in unless somebody says otherwise.
    pub fn authorization() -> Self {
        Self::new([TokenSource::Header(AUTHORIZATION)])
    }

    /// Several places, in the order in which they are named.
    pub fn new(sources: impl IntoIterator<Item = TokenSource>) -> Self {
        Self(sources.into_iter().collect())
    }

    /// The places.
    pub fn iter(&self) -> std::slice::Iter<'_, TokenSource> {
        self.0.iter()
    }

    /// The request's token; none when it stands in no place.
    ///
    /// # Errors
    /// [`reason::CREDENTIALS`] when it stands in two places, or twice in one, whether the same or not: we and an upstream
    /// could each believe another one (RFC 6750, section 2). Or when what is there is not text.
    pub fn find<'r>(&self, headers: &'r HeaderMap, query: Option<&'r str>) -> Result<Option<Cow<'r, str>>, AuthError> {
        let mut found = None;
        for source in &self.0 {
            let token = source.find(headers, query)?;
            if found.is_some() && token.is_some() {
                return Err(CREDENTIALS);
            }
            found = found.or(token);
        }
        Ok(found)
    }
}

/// One place.
impl From<TokenSource> for TokenSources {
    fn from(source: TokenSource) -> Self {
        Self::new([source])
    }
}

impl<'a> IntoIterator for &'a TokenSources {
    type Item = &'a TokenSource;
    type IntoIter = std::slice::Iter<'a, TokenSource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Why a text is not the place of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSourceError(String);

impl fmt::Display for TokenSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TokenSourceError {}

impl FromStr for TokenSource {
    type Err = TokenSourceError;

    fn from_str(text: &str) -> Result<Self, TokenSourceError> {
        if text.contains('+') {
            return Err(TokenSourceError(format!("`{text}` joins two values, and a token is one")));
        }
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        // A cookie is named as a header is (RFC 6265, section 4.1.1), but for the case of its letters.
        let header = HeaderName::from_bytes(name.as_bytes());
        match (kind, header) {
            ("cookie" | "header" | "query", _) if name.is_empty() => {
                Err(TokenSourceError(format!("`{text}` names nothing after its colon")))
            }
            ("cookie" | "header", Err(_)) => Err(TokenSourceError(format!("`{name}` is not the name of a {kind}"))),
            ("cookie", Ok(_)) => Ok(Self::Cookie(name.into())),
            ("header", Ok(name)) => Ok(Self::Header(name)),
            ("query", _) => Ok(Self::Query(name.into())),
            _ => Err(TokenSourceError(format!("`{text}` is not a place of a token"))),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

impl fmt::Display for TokenSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, source) in self.0.iter().enumerate() {
            write!(f, "{}{source}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
