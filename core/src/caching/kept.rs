//! Which fields of an answer are stored (RFC 9111, section 3.1).

use http::header::{AGE, CONNECTION, DATE, HeaderMap, HeaderName, SET_COOKIE, TRAILER};

use super::date::written;
use crate::headers::{HeaderError, SetField, is_hop_by_hop, members};
use crate::time::UnixTime;

/// The head of an answer as it is stored: without what was for one hop (named by `Connection` or not), one person or
/// one request, and with `Date` where the origin has none (RFC 9110, section 6.6.1).
///
/// # Errors
///
/// [`HeaderError::Full`] when there is no room for `Date`.
pub fn kept(headers: &HeaderMap, wall: UnixTime) -> Result<HeaderMap, HeaderError> {
    let named = |name: &HeaderName| {
        members(headers, &CONNECTION).any(|member| member.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let names_any = headers.contains_key(CONNECTION);
    let mut kept = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let ends_here = names_any && named(name);
        if !ends_here && !is_for_one(name) {
            kept.add_field(name, value)?;
        }
    }
    if !kept.contains_key(DATE) {
        kept.set_text(&DATE, &written(wall))?;
    }
    Ok(kept)
}

/// Whether a field is of one hop, one person, or one request.
fn is_for_one(name: &HeaderName) -> bool {
    if [AGE, SET_COOKIE, TRAILER].contains(name) || is_hop_by_hop(name.as_str()) {
        return true;
    }
    let name = name.as_str();
    name.starts_with("ratelimit")
        || name.starts_with("x-ratelimit-")
        || matches!(
            name,
            "authentication-info"
                | "proxy-authentication-info"
                | "server-timing"
                | "set-cookie2"
                | "traceparent"
                | "traceresponse"
                | "tracestate"
                | "x-request-id"
        )
}
