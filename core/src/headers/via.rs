//! The trace that proxies leave on a message, and the loop it shows (RFC 9110, section 7.6.3).

use std::fmt;

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

use super::{HeaderError, SetField, is_token, members};

/// Writes `Via` under one pseudonym, and finds it again.
///
/// The pseudonym tells this gateway from every other: two in a row that share one would take each other for a loop, so
/// give each process a suffix of its own. The values are made once and shared; a copy for each worker keeps workers
/// from counting references on one cache line.
///
/// ```
/// use http::{HeaderMap, Version};
/// use portcullis_core::headers::{HeaderError, Via};
///
/// let via = Via::new("portcullis-7f3a")?;
/// let mut headers = HeaderMap::new();
/// via.check(&headers)?;
/// via.append(&mut headers, Version::HTTP_11)?;
/// assert_eq!(headers["via"], "1.1 portcullis-7f3a");
/// assert_eq!(via.check(&headers), Err(HeaderError::Loop));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Via {
    pseudonym: Box<[u8]>,
    http_10: HeaderValue,
    http_11: HeaderValue,
    http_2: HeaderValue,
    http_3: HeaderValue,
}

/// A pseudonym has to be a token (RFC 9110, section 5.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PseudonymError;

impl fmt::Display for PseudonymError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pseudonym is made of letters, digits and any of !#$%&'*+-.^_`|~")
    }
}

impl std::error::Error for PseudonymError {}

impl Via {
    /// Under this pseudonym.
    ///
    /// # Errors
    ///
    /// [`PseudonymError`] when it is not a token.
    pub fn new(pseudonym: &str) -> Result<Self, PseudonymError> {
        if !is_token(pseudonym.as_bytes()) {
            return Err(PseudonymError);
        }
        let value = |version| HeaderValue::try_from(format!("{version} {pseudonym}")).map_err(|_| PseudonymError);
        Ok(Self {
            pseudonym: pseudonym.as_bytes().into(),
            http_10: value("1.0")?,
            http_11: value("1.1")?,
            http_2: value("2.0")?,
            http_3: value("3.0")?,
        })
    }

    /// A copy that shares nothing with this one, for another worker.
    #[must_use]
    pub fn unshared(&self) -> Self {
        // Bytes that were a value once are a value again.
        let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone());
        Self {
            pseudonym: self.pseudonym.clone(),
            http_10: copy(&self.http_10),
            http_11: copy(&self.http_11),
            http_2: copy(&self.http_2),
            http_3: copy(&self.http_3),
        }
    }

    /// Whether the request may go on: it has not passed here before. A client that writes our pseudonym itself gets the
    /// refusal that it asked for.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Loop`] when `Via` names this pseudonym.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), HeaderError> {
        // A member is "version pseudonym" and perhaps a comment; a comment that holds a comma only makes more members.
        let received_by = |member: &'_ [u8]| {
            let mut words = member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.nth(1).is_some_and(|by| by.eq_ignore_ascii_case(&self.pseudonym))
        };
        if members(headers, &VIA).any(received_by) { Err(HeaderError::Loop) } else { Ok(()) }
    }

    /// Adds a line of ours after those that are there. `version` is the one that the message came in, not the one that
    /// it leaves in.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room for more fields.
    pub fn append(&self, to: &mut impl SetField, version: Version) -> Result<(), HeaderError> {
        let value = match version {
            Version::HTTP_10 => &self.http_10,
            Version::HTTP_2 => &self.http_2,
            Version::HTTP_3 => &self.http_3,
            _ => &self.http_11,
        };
        to.add_field(&VIA, value)
    }
}
