//! What is stored as a client gets it: whole, in part, or that it has not changed.

use std::ops::Range;
use std::sync::Arc;

use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use portcullis_core::caching::{ByteRange, CacheStatus, Sent, sent, stays_in_304};
use portcullis_core::headers::SetField;
use portcullis_core::time::Moment;

use super::flights::Follower;
use super::stored::{Head, Stored};
use crate::body::Body;
use crate::observe::CacheOutcome;
use crate::pass::Pass;
use crate::respond::{announce, finish, rule};

/// An answer from what is stored.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    age: u32,
    pub(super) sent: Sent,
    pub(super) stored: Arc<Stored>,
}

/// An answer that is still on its way.
#[derive(Debug)]
pub(crate) struct Shared {
    head: Arc<Head>,
    reader: Follower,
    sent: Sent,
}

impl Hit {
    /// As it is, for who sets no condition.
    pub(super) fn whole(stored: Arc<Stored>, now: Moment) -> Self {
        Self { age: stored.head.freshness.age(now), sent: Sent::Whole, stored }
    }
}

impl Pass<'_> {
    pub(super) fn now(&self) -> Moment {
        self.connection.gateway.clock().now()
    }

    /// An answer from what is stored, for who asked with these fields.
    pub(super) fn hit(&self, stored: Arc<Stored>, now: Moment, fields: &HeaderMap) -> Hit {
        let sent = self.sent(&stored.head, stored.body.len() as u64, fields);
        Hit { age: stored.head.freshness.age(now), sent, stored }
    }

    /// Notes that it is sent.
    pub(super) fn says_hit(&mut self, hit: &mut Hit, now: Moment) {
        hit.age = hit.stored.head.freshness.age(now);
        let freshness = hit.stored.freshness(now);
        let outcome = if freshness.is_fresh(now) { CacheOutcome::Hit } else { CacheOutcome::Stale };
        self.cache_says(outcome, CacheStatus::hit(freshness.ttl(now)));
    }

    /// An answer that is still on its way, for who asked with these fields.
    pub(super) fn shared(&self, head: Arc<Head>, reader: Follower, fields: &HeaderMap) -> Shared {
        let sent = match self.sent(&head, head.length.unwrap_or(u64::MAX), fields) {
            Sent::NotModified => Sent::NotModified,
            // A part of what is not here yet is not sent; all of it may be, at any time (RFC 9110, section 14.2).
            _ => Sent::Whole,
        };
        Shared { head, reader, sent }
    }

    fn sent(&self, head: &Head, length: u64, fields: &HeaderMap) -> Sent {
        let wall = self.connection.gateway.clock().unix();
        sent(&self.tail.record.method, fields, head.status, &head.headers, length, wall)
    }
}

/// What is stored, to a client.
pub(crate) fn stored(mut pass: Pass<'_>, hit: Hit, said: &mut impl SetField) -> Response<Body> {
    let Hit { age, sent, stored } = hit;
    let length = stored.body.len();
    let range = match sent {
        Sent::Whole => 0..length,
        Sent::Part(part) => places(part, length),
        Sent::NotModified | Sent::Unsatisfiable => 0..0,
    };
    let as_lines = takes_lines(&pass, sent);
    let mut head = begin(&mut pass, &stored.head, sent, as_lines, Some(age), said);
    match sent {
        Sent::Part(ByteRange { first, last }) => content_range(&mut head, format!("bytes {first}-{last}/{length}")),
        Sent::Unsatisfiable => content_range(&mut head, format!("bytes */{length}")),
        Sent::NotModified | Sent::Whole => {}
    }
    if pass.tail.record.method == Method::HEAD {
        let _ = head.headers_mut().try_insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let none = is_bodiless(&pass, head.status());
    finish(pass, head, |tail| Body::stored(stored, if none { 0..0 } else { range }, as_lines, tail))
}

/// What is still on its way, to a client.
pub(crate) fn shared(mut pass: Pass<'_>, shared: Shared, said: &mut impl SetField) -> Response<Body> {
    let Shared { head: of, reader, sent } = shared;
    let age = of.freshness.age(pass.now());
    // What comes from its origin now has no age that is worth a word.
    let head = begin(&mut pass, &of, sent, false, Some(age).filter(|age| *age > 0), said);
    if is_bodiless(&pass, head.status()) {
        return finish(pass, head, |tail| Body::whole(bytes::Bytes::new(), tail));
    }
    let length = of.length;
    finish(pass, head, |tail| Body::shared(reader, length, tail))
}

/// Whether the stored lines can be sent as they are: the client's own connection is ours, and no rule of the route changes any.
fn takes_lines(pass: &Pass<'_>, sent: Sent) -> bool {
    sent == Sent::Whole && pass.ruled.is_none() && !pass.connection.is_handed_in
}

fn begin(
    pass: &mut Pass<'_>,
    stored: &Head,
    sent: Sent,
    as_lines: bool,
    age: Option<u32>,
    said: &mut impl SetField,
) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = match sent {
        Sent::Whole => stored.status,
        Sent::NotModified => StatusCode::NOT_MODIFIED,
        Sent::Part(_) => StatusCode::PARTIAL_CONTENT,
        Sent::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
    };
    match sent {
        _ if as_lines => {}
        Sent::Whole | Sent::Part(_) => *head.headers_mut() = stored.headers.clone(),
        Sent::NotModified | Sent::Unsatisfiable => {
            let stays = stored.headers.iter().filter(|(name, _)| stays_in_304(name, &stored.headers));
            for (name, value) in stays {
                let _ = head.headers_mut().try_append(name.clone(), value.clone());
            }
        }
    }
    // Only a full map can refuse, and then the answer goes on without.
    let _ = pass.connection.via.append(said, stored.version);
    if let Some(age) = age {
        let _ = said.set_text(&AGE, itoa::Buffer::new().format(age).as_bytes());
    }
    announce(pass, head.headers_mut(), said);
    rule(pass, head.headers_mut());
    head
}

fn content_range(head: &mut Response<()>, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        let _ = head.headers_mut().try_insert(CONTENT_RANGE, value);
    }
}

fn is_bodiless(pass: &Pass<'_>, status: StatusCode) -> bool {
    pass.tail.record.method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// A part's places in a body of so many bytes.
fn places(part: ByteRange, length: usize) -> Range<usize> {
    let place = |at: u64| usize::try_from(at).unwrap_or(length).min(length);
    place(part.first)..place(part.last.saturating_add(1))
}
