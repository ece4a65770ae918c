//! Asking an upstream whether a stored answer still holds, and what its reply changes (RFC 9111, sections 4.3 and 3.2).

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    RANGE,
};
use http::{HeaderMap, HeaderName};

use super::etag::Etag;
use super::kept::kept;
use crate::headers::{HeaderError, SetField, only};
use crate::time::UnixTime;

/// Takes a client's own conditions and range out of a request that is to fill the cache: what comes back is whole, and
/// what the client asked for is made of it ([`sent`](super::sent)).
pub fn ask_for_all(request: &mut HeaderMap) {
    for name in [IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE] {
        request.remove(name);
    }
}

/// The same, and asks whether a stored answer still holds, by its entity tag and its last change, as far as it has them
/// (RFC 9111, section 4.3.1). A reply of 304 then [`confirms`] it; any other is an answer of its own.
///
/// # Errors
///
/// [`HeaderError::Full`] when there is no room for them.
pub fn ask_again(request: &mut HeaderMap, stored: &HeaderMap) -> Result<(), HeaderError> {
    ask_for_all(request);
    if let Some(tag) = only(stored, &ETAG) {
        request.set_field(&IF_NONE_MATCH, tag)?;
    }
    if let Some(changed) = only(stored, &LAST_MODIFIED) {
        request.set_field(&IF_MODIFIED_SINCE, changed)?;
    }
    Ok(())
}

/// Whether a 304 says that this stored answer holds (RFC 9111, section 4.3.4): by its tag where both have one, else by
/// its last change, else because it names nothing and was asked about this one. One that does not match confirms
/// nothing, and the request is sent again without conditions.
pub fn confirms(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    let tag = not_modified.get(ETAG);
    if let (Some(tag), Some(own)) = (tag, stored.get(ETAG)) {
        return tag == own || is_weakly(tag.as_bytes(), own.as_bytes());
    }
    match not_modified.get(LAST_MODIFIED) {
        Some(changed) => stored.get(LAST_MODIFIED) == Some(changed),
        None => tag.is_none(),
    }
}

/// One tag for the other, where at least one is weak: a strong one is confirmed by itself only.
fn is_weakly(tag: &[u8], own: &[u8]) -> bool {
    let (Some(tag), Some(own)) = (Etag::of(tag), Etag::of(own)) else { return false };
    (tag.is_weak() || own.is_weak()) && tag.is_weakly(own)
}

/// A stored head with what a 304, or the answer to HEAD, says in its place (RFC 9111, section 3.2): each of its fields
/// replaces the stored lines of that name, but for those that a head is never stored with, and those that tell what is
/// in the stored body. Whether the result may still be stored, and for how long, is asked anew:
/// [`storable_again`](super::storable_again).
///
/// # Errors
///
/// [`HeaderError::Full`] when there is no room for them.
pub fn updated(stored: &HeaderMap, reply: &HeaderMap, wall: UnixTime) -> Result<HeaderMap, HeaderError> {
    let reply = kept(reply, wall)?;
    let mut merged = stored.clone();
    for name in reply.keys().filter(|name| !describes_body(name)) {
        merged.remove(name);
        for value in reply.get_all(name) {
            merged.add_field(name, value)?;
        }
    }
    Ok(merged)
}

fn describes_body(name: &HeaderName) -> bool {
    [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE].contains(name)
}

/// Whether the answer to HEAD is about the stored answer to GET (RFC 9111, section 4.3.5): validators and length are
/// the same where both have them. One that is not makes the stored one invalid; one that is may update it
/// ([`updated`]).
pub fn head_agrees(stored: &HeaderMap, head: &HeaderMap) -> bool {
    [CONTENT_LENGTH, ETAG, LAST_MODIFIED].iter().all(|name| match (stored.get(name), head.get(name)) {
        (Some(stored), Some(head)) => stored == head,
        _ => true,
    })
}
