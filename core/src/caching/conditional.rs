//! A client's own conditions, answered from what is stored (RFC 9110, section 13, and RFC 9111, section 4.3.2).

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::date::date;
use super::etag::{Etag, Etags};
use super::range::{self, ByteRange};
use crate::headers::only;
use crate::time::UnixTime;

/// How a stored answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As it is.
    Whole,
    /// 304, without a body: the client has it already. [`stays_in_304`] says which fields go with it.
    NotModified,
    /// 206: a part of the body, with `Content-Range`.
    Part(ByteRange),
    /// 416, without a body: the range begins behind the end. `Content-Range` says where that is.
    Unsatisfiable,
}

/// How a stored answer is sent to who asked for it so. `length` is that of the stored, complete body; `wall` reads
/// dates. Conditions and ranges count for a stored 200 only, and ranges for GET only. Allocates nothing.
pub fn sent(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    length: u64,
    wall: UnixTime,
) -> Sent {
    if status != StatusCode::OK {
        return Sent::Whole;
    }
    if is_not_modified(request, stored, wall) {
        return Sent::NotModified;
    }
    if *method == Method::GET { range::sent(request, stored, length, wall) } else { Sent::Whole }
}

/// `If-None-Match`, and where there is none `If-Modified-Since` (RFC 9110, section 13.2.2).
fn is_not_modified(request: &HeaderMap, stored: &HeaderMap, wall: UnixTime) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let own = only(stored, &ETAG);
        let tag = own.and_then(|line| Etag::of(line.as_bytes()));
        let mut lines = request.get_all(IF_NONE_MATCH).iter();
        return lines.any(|line| match line.as_bytes().trim_ascii() {
            b"*" => true,
            // What is no tag, for want of quotes, is known by being the same.
            _ if own == Some(line) => true,
            list => tag.is_some_and(|tag| Etags::of(list).any(|other| tag.is_weakly(other))),
        });
    }
    // A stored answer without `Last-Modified` is as old as its `Date` (RFC 9111, section 4.3.2).
    let Some(since) = only(request, &IF_MODIFIED_SINCE).and_then(|line| date(line.as_bytes(), wall)) else {
        return false;
    };
    let made = stored.get(LAST_MODIFIED).or_else(|| stored.get(DATE));
    made.and_then(|line| date(line.as_bytes(), wall)).is_some_and(|made| made <= since)
}

/// Whether a stored field goes with a 304: all but those that describe a body that is not sent (RFC 9110, section
/// 15.4.5). What a client could confirm by goes.
pub fn stays_in_304(name: &HeaderName, stored: &HeaderMap) -> bool {
    let describes = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE];
    !describes.contains(name) && (*name != LAST_MODIFIED || !stored.contains_key(ETAG))
}
