//! The token in a request's `Authorization` field (RFC 6750).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{AuthError, reason};

/// The token of a request's `Authorization: Bearer` field (RFC 6750, section 2.1); none when there is no such field, or
/// one of another scheme, which is not meant for us.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
/// use portcullis_core::auth::bearer;
/// let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("bearer abc.def.ghi"))]);
/// assert_eq!(bearer(&headers), Ok(Some("abc.def.ghi")));
/// assert_eq!(bearer(&HeaderMap::new()), Ok(None));
/// ```
///
/// # Errors
///
/// [`reason::CREDENTIALS`] when there is more than one `Authorization` line, of whatever scheme (we and an upstream
/// could each believe another one), or when nothing readable follows the scheme.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => token(line.as_bytes()),
        (Some(_), Some(_)) => Err(AuthError::Invalid(reason::CREDENTIALS)),
    }
}

fn token(line: &[u8]) -> Result<Option<&str>, AuthError> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (scheme, rest) = line.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    // RFC 6750 says one space; RFC 9110, section 11.4, allows several.
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    // What a token is made of is the verifier's question: one that was accepted before is known by its text.
    let token = rest.get(spaces..).and_then(|token| std::str::from_utf8(token).ok());
    token.filter(|token| !token.is_empty()).map(Some).ok_or(AuthError::Invalid(reason::CREDENTIALS))
}

#[cfg(test)]
mod tests;
