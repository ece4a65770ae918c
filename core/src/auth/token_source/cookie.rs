//! One cookie of the `Cookie` fields (RFC 6265, section 4.2), to read and to take out.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::CREDENTIALS;
use crate::auth::AuthError;

/// The value of the cookie called `name`, without the quotes that may be around it; none when it is absent or empty.
///
/// # Errors
/// There is more than one of that name (we and an upstream could each believe another one), or its value is not text.
pub(super) fn find<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, AuthError> {
    let lines = headers.get_all(COOKIE).iter();
    let mut values = lines.flat_map(|line| pairs(line.as_bytes())).filter_map(|pair| value(pair, name));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            let value = std::str::from_utf8(value).map_err(|_| CREDENTIALS)?;
            Ok(Some(value).filter(|value| !value.is_empty()))
        }
        (Some(_), Some(_)) => Err(CREDENTIALS),
    }
}

/// Takes every cookie called `name` out, and nothing else; a line that held no other goes with it.
pub(super) fn strip(headers: &mut HeaderMap, name: &str) {
    let is_ours = |pair: &&[u8]| value(pair, name).is_some();
    let lines = || headers.get_all(COOKIE).iter();
    if !lines().flat_map(|line| pairs(line.as_bytes())).any(|pair| is_ours(&pair)) {
        return;
    }
    let left: Vec<HeaderValue> = lines()
        .filter_map(|line| {
            let others: Vec<&[u8]> = pairs(line.as_bytes()).filter(|pair| !is_ours(pair)).collect();
            let line = others.join(&b';');
            // What was a field's value without some of its parts is one still.
            HeaderValue::from_bytes(line.trim_ascii()).ok().filter(|line| !line.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for line in left {
        // No more than there were: the map has room.
        let _ = headers.try_append(COOKIE, line);
    }
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

/// What `pair` sets `name` to; none when it is about another cookie. One name without a `=` is set to nothing.
fn value<'r>(pair: &'r [u8], name: &str) -> Option<&'r [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (key, value) = pair.split_at(equals);
    (key.trim_ascii() == name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
}
