//! `CDN-Cache-Control` (RFC 9213): directives for caches in front of an origin, in place of `Cache-Control`.

use http::{HeaderMap, HeaderName};

use super::control::{MAX_SECONDS, ResponseControl};
use super::dictionary::{Item, members};

/// `cdn-cache-control`
static CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What the field says; none where it is absent, empty, or no dictionary, and then it is as if it were not there (RFC
/// 9213, section 2.1). Allocates nothing.
pub(super) fn cdn_cache_control(headers: &HeaderMap) -> Option<ResponseControl> {
    let mut lines = headers.get_all(&CDN_CACHE_CONTROL).iter().peekable();
    lines.peek()?;
    let mut control = ResponseControl::default();
    for line in lines {
        members(line.as_bytes(), |key, item| apply(&mut control, key, item))?;
    }
    Some(control)
}

/// A later member stands in for an earlier one of its name. What allows must be true; what forbids is there unless it
/// says that it is not. A number that is none, or below zero, is zero.
fn apply(control: &mut ResponseControl, key: &[u8], item: Item) {
    let allows = item == Item::Boolean(true);
    let forbids = item != Item::Boolean(false);
    let seconds = match item {
        Item::Integer(number) => u32::try_from(number.max(0)).unwrap_or(MAX_SECONDS).min(MAX_SECONDS),
        Item::Boolean(_) | Item::Other => 0,
    };
    match key {
        b"immutable" => control.immutable = allows,
        b"max-age" => control.max_age = Some(seconds),
        b"must-revalidate" => control.must_revalidate = forbids,
        b"must-understand" => control.must_understand = allows,
        b"no-cache" => control.no_cache = forbids,
        b"no-store" => control.no_store = forbids,
        b"private" => control.private = forbids,
        b"proxy-revalidate" => control.proxy_revalidate = forbids,
        b"public" => control.public = allows,
        b"s-maxage" => control.s_maxage = Some(seconds),
        b"stale-if-error" => control.stale_if_error = Some(seconds),
        b"stale-while-revalidate" => control.stale_while_revalidate = Some(seconds),
        _ => {}
    }
}
