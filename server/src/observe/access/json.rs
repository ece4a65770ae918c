//! A record as one line of JSON (RFC 8259).

use portcullis_core::time::{Clock, Moment};

use super::stamp::Stamp;
use super::values::{push_ip, push_millis, push_number};
use crate::observe::clip::Clip;
use crate::observe::escape::{self, Inside};
use crate::observe::record::{Ending, Record};

/// Appends one object and a line break. The keys always come in this order; what is not known is left out.
pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, clock: &Clock, record: &Record, ended: Moment) {
    out.extend_from_slice(br#"{"time":""#);
    stamp.push(out, record.started, clock);
    out.push(b'"');
    asked(out, record);
    decided(out, record);
    answered(out, record, ended);
    out.extend_from_slice(b"}\n");
}

/// Who asked for what.
fn asked(out: &mut Vec<u8>, record: &Record) {
    clip(out, r#","request_id":""#, record.request_id.as_ref());
    if let Some(client) = record.client {
        out.extend_from_slice(br#","client":""#);
        push_ip(out, client);
        out.push(b'"');
    }
    text(out, r#","method":""#, Some(record.method.as_str()));
    clip(out, r#","host":""#, record.host.as_ref());
    clip(out, r#","path":""#, record.path.as_ref());
    word(out, r#","http":""#, Some(version(record.version)));
}

/// What the steps decided.
fn decided(out: &mut Vec<u8>, record: &Record) {
    text(out, r#","route":""#, record.route.as_ref().map(|route| route.name()));
    word(out, r#","auth":""#, record.auth.map(|auth| auth.code()));
    word(out, r#","auth_reason":""#, record.auth_reason);
    if let Some(identity) = &record.identity {
        text(out, r#","verifier":""#, Some(identity.verifier()));
        text(out, r#","identity":""#, Some(identity.id()));
    }
    if let Some(limit) = &record.limit {
        text(out, r#","limit":""#, Some(&limit.name));
        word(out, r#","limit_outcome":""#, Some(limit.outcome.code()));
        word(out, r#","limit_by":""#, limit.alone.then_some("share"));
        if let Some(remaining) = limit.remaining {
            number(out, r#","limit_remaining":"#, remaining);
        }
    }
}

/// Who answered, and what came of it.
fn answered(out: &mut Vec<u8>, record: &Record, ended: Moment) {
    word(out, r#","cache":""#, record.cache.map(|cache| cache.code()));
    if let Some(upstream) = &record.upstream {
        text(out, r#","upstream":""#, Some(upstream.name()));
        word(out, r#","breaker":""#, record.breaker.map(|breaker| breaker.code()));
        text(out, r#","endpoint":""#, record.endpoint.as_deref());
        number(out, r#","attempts":"#, record.attempts);
    }
    if let Some(until_head) = record.until_head {
        out.extend_from_slice(br#","upstream_ms":"#);
        push_millis(out, until_head);
    }
    number(out, r#","status":"#, record.status());
    number(out, r#","bytes_received":"#, record.bytes_received);
    number(out, r#","bytes_sent":"#, record.bytes_sent);
    out.extend_from_slice(br#","total_ms":"#);
    push_millis(out, ended.since(record.started));
    word(out, r#","ending":""#, Some(record.ending.code()));
    if let Ending::Rejected(code) = record.ending {
        word(out, r#","code":""#, Some(code));
    }
    word(out, r#","origin":""#, record.origin().map(|origin| origin.code()));
}

/// A string that a client or an administrator chose. The keys of all strings end in the quote that begins the value.
fn text(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    bytes(out, key, value.map(str::as_bytes), Clip::MAX);
}

/// Bytes that a client chose, cut already.
fn clip(out: &mut Vec<u8>, key: &str, value: Option<&Clip>) {
    bytes(out, key, value.map(Clip::as_bytes), usize::MAX);
}

/// A string of our own, in which nothing needs an escape.
fn word(out: &mut Vec<u8>, key: &str, value: Option<&'static str>) {
    if let Some(value) = value {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

fn bytes(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>, max: usize) {
    if let Some(value) = value {
        out.extend_from_slice(key.as_bytes());
        escape::push(out, value, max, Inside::Json);
        out.push(b'"');
    }
}

fn number(out: &mut Vec<u8>, key: &str, value: impl itoa::Integer) {
    out.extend_from_slice(key.as_bytes());
    push_number(out, value);
}

/// The protocol's version as it is written after "HTTP/".
fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "0.9",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_11 => "1.1",
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_3 => "3",
        _ => "?",
    }
}
