//! Fields that end at this hop (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
    UPGRADE,
};

use super::{HeaderError, KEEP_ALIVE, PROXY_CONNECTION, in_list, is_token, members};

/// Never passed on, named by `Connection` or not: many senders do not name them.
static HOP_BY_HOP: [HeaderName; 8] =
    [CONNECTION, KEEP_ALIVE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];

/// What the removed fields said that the next step needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopByHop {
    /// `TE` named `trailers` (RFC 9110, section 10.1.4): whoever relays trailers may write `te: trailers` anew.
    pub trailers: bool,
}

/// Removes what is meant for this hop only, from a request or a response: every field that a `Connection` line names,
/// then `Connection`, `Keep-Alive`, `Proxy-Authenticate`, `Proxy-Authorization`, `Proxy-Connection`, `TE`,
/// `Transfer-Encoding` and `Upgrade`. Whoever relays an upgrade reads it before.
///
/// Whatever is named goes, `Host` and `X-Forwarded-For` too: what must be there is set afterwards. Allocates only where
/// `Connection` names more than the usual.
///
/// # Errors
///
/// [`HeaderError::Connection`], with nothing removed, when a `Connection` line is not a list of field names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) -> Result<HopByHop, HeaderError> {
    let trailers = members(headers, &TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if names_others(headers)? {
        // The lines are cloned, which copies no text: the map cannot be read and changed at once.
        let lines: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        for name in lines.iter().flat_map(|line| in_list(line.as_bytes())) {
            if let Ok(name) = str::from_utf8(name) {
                headers.remove(name);
            }
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    Ok(HopByHop { trailers })
}

/// Whether a name, in lower case, is one of [`HOP_BY_HOP`]: a match on text, which is decided by its length first.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether `Connection` names fields other than those that go in any case.
fn names_others(headers: &HeaderMap) -> Result<bool, HeaderError> {
    let usual: [&[u8]; 4] = [b"close", b"keep-alive", b"te", b"upgrade"];
    let mut others = false;
    for name in members(headers, &CONNECTION) {
        if !is_token(name) {
            return Err(HeaderError::Connection);
        }
        others |= !usual.iter().any(|usual| name.eq_ignore_ascii_case(usual));
    }
    Ok(others)
}
