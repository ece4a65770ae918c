//! What a client expects before it sends its body (RFC 9110, section 10.1.1).

use http::header::EXPECT;
use http::{HeaderMap, Version};

use super::{HeaderError, members};

/// Whether the client waits for a 100 before it sends its body. HTTP/1.0 knows no interim answers: from there the field
/// is ignored.
///
/// # Errors
///
/// [`HeaderError::Expectation`] when it expects anything else.
pub fn expects_continue(headers: &HeaderMap, version: Version) -> Result<bool, HeaderError> {
    if version < Version::HTTP_11 {
        return Ok(false);
    }
    let mut expects = false;
    for expectation in members(headers, &EXPECT) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(HeaderError::Expectation);
        }
        expects = true;
    }
    Ok(expects)
}
