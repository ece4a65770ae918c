//! The name by which logs of several services find the same request.

use http::{HeaderMap, HeaderValue};

use super::line::Line;
use super::{HeaderError, X_REQUEST_ID, only};

/// The longest id that is kept.
const MAX: usize = 128;

/// The request's id: the one in `X-Request-Id` if it is there once and is made of 1 to 128 of `A-Z a-z 0-9 . _ -`, else
/// `random` as 32 hex digits, which then stands in the field.
///
/// Anyone's well-formed id is kept, so that a client can find its request in our logs. It is therefore a hint and
/// nothing more: not unique, and never a key for anything that matters.
///
/// # Errors
///
/// [`HeaderError::Full`] when the map takes no more fields.
pub fn request_id(headers: &mut HeaderMap, random: u128) -> Result<HeaderValue, HeaderError> {
    let id = kept_request_id(headers).unwrap_or_else(|| fresh_request_id(random));
    headers.try_insert(X_REQUEST_ID, id.clone())?;
    Ok(id)
}

/// The id that was sent, if it is one. The field is removed either way: whoever passes the request on says it anew.
pub fn kept_request_id(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let kept = sent_request_id(headers).cloned();
    headers.remove(X_REQUEST_ID);
    kept
}

/// The id that was sent, if it is one.
pub(crate) fn sent_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    only(headers, &X_REQUEST_ID).filter(|sent| is_id(sent.as_bytes()))
}

/// `random` as a request id: 32 hex digits.
pub fn fresh_request_id(random: u128) -> HeaderValue {
    let mut line = Line::<32>::new();
    // Digits are a value, and they fit.
    line.push_hex(&random.to_be_bytes()).and_then(|()| line.value()).unwrap_or(HeaderValue::from_static(""))
}

fn is_id(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX).contains(&text.len()) && text.iter().all(allowed)
}
