//! A record as one line for people.
//!
//! ```text
//! 2026-11-24T04:51:07.042Z 200      1.250ms GET    shop.test/orders/7 route=orders client=192.0.2.7 identity=users/alice …
//! ```

use portcullis_core::time::{Clock, Moment};

use super::stamp::Stamp;
use super::values::{push_ip, push_millis, push_number};
use crate::observe::clip::Clip;
use crate::observe::escape::{self, Inside};
use crate::observe::format::Colour;
use crate::observe::record::{Ending, Record};

/// Appends one line: columns first, then `name=value` for what is known, in this order; with `colour`, the status in the
/// colour of its class and the rest dimmed.
pub(super) fn line(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    clock: &Clock,
    record: &Record,
    ended: Moment,
    colour: Colour,
) {
    let paint = |code| if colour == Colour::Ansi { code } else { "" };
    let status = record.status();
    out.extend_from_slice(paint("\x1b[2m").as_bytes());
    stamp.push(out, record.started, clock);
    out.extend_from_slice(paint("\x1b[0m").as_bytes());
    out.push(b' ');
    out.extend_from_slice(paint(status_colour(status)).as_bytes());
    push_number(out, status);
    out.extend_from_slice(paint("\x1b[0m").as_bytes());
    right(out, 11, |out| push_millis(out, ended.since(record.started)));
    out.extend_from_slice(b"ms ");
    left(out, 7, |out| escape::push(out, record.method.as_str().as_bytes(), Clip::MAX, Inside::Word));
    for part in [&record.host, &record.path].into_iter().flatten() {
        escape::push(out, part.as_bytes(), usize::MAX, Inside::Word);
    }
    out.extend_from_slice(paint("\x1b[2m").as_bytes());
    asked_and_decided(out, record);
    answered(out, record);
    out.extend_from_slice(paint("\x1b[0m").as_bytes());
    out.push(b'\n');
}

fn asked_and_decided(out: &mut Vec<u8>, record: &Record) {
    pair(out, "route", record.route.as_ref().map(|route| route.name()));
    if let Some(client) = record.client {
        out.extend_from_slice(b" client=");
        push_ip(out, client);
    }
    pair(out, "auth", record.auth.map(|auth| auth.code()));
    pair(out, "auth_reason", record.auth_reason);
    if let Some(identity) = &record.identity {
        pair(out, "identity", Some(identity.verifier()));
        out.push(b'/');
        escape::push(out, identity.id().as_bytes(), Clip::MAX, Inside::Word);
    }
    if let Some(limit) = &record.limit {
        pair(out, "limit", Some(&limit.name));
        pair(out, "limit_outcome", Some(limit.outcome.code()));
        pair(out, "limit_by", limit.alone.then_some("share"));
        if let Some(remaining) = limit.remaining {
            number(out, "limit_remaining", remaining);
        }
    }
}

fn answered(out: &mut Vec<u8>, record: &Record) {
    pair(out, "cache", record.cache.map(|cache| cache.code()));
    if let Some(upstream) = &record.upstream {
        pair(out, "upstream", Some(upstream.name()));
        pair(out, "breaker", record.breaker.map(|breaker| breaker.code()));
        pair(out, "endpoint", record.endpoint.as_deref());
        number(out, "attempts", record.attempts);
    }
    if let Some(until_head) = record.until_head {
        out.extend_from_slice(b" upstream_ms=");
        push_millis(out, until_head);
    }
    number(out, "bytes_received", record.bytes_received);
    number(out, "bytes_sent", record.bytes_sent);
    pair(out, "ending", Some(record.ending.code()));
    if let Ending::Rejected(code) = record.ending {
        pair(out, "code", Some(code));
    }
    pair(out, "origin", record.origin().map(|origin| origin.code()));
    if let Some(id) = &record.request_id {
        out.extend_from_slice(b" request_id=");
        escape::push(out, id.as_bytes(), usize::MAX, Inside::Word);
    }
}

const fn status_colour(status: u16) -> &'static str {
    match status {
        ..300 => "\x1b[32m",
        300..400 => "\x1b[36m",
        400..500 => "\x1b[33m",
        _ => "\x1b[31m",
    }
}

fn pair(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        escape::push(out, value.as_bytes(), Clip::MAX, Inside::Word);
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    push_number(out, value);
}

/// Fills up to `width` with blanks after what `value` writes.
fn left(out: &mut Vec<u8>, width: usize, value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    value(out);
    out.resize(out.len().max(start + width), b' ');
}

/// Fills up to `width` with blanks before what `value` writes.
fn right(out: &mut Vec<u8>, width: usize, value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    value(out);
    let missing = width.saturating_sub(out.len() - start);
    out.splice(start..start, std::iter::repeat_n(b' ', missing));
}
