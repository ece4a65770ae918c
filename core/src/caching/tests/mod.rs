//! Every rule, a row each, with the section that has it. Rows are ours; the RFCs' own text says what they must give.
#![expect(clippy::too_many_lines, reason = "a table is as long as its rule has cases")]

mod conditional;
mod control;
mod date;
mod freshness;
mod heads;
mod invalidate;
mod key;
mod oracle;
mod properties;
mod request;
mod reuse;
mod status;
mod storable;
mod targeted;
mod update;
mod vary;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::*;
use crate::plan::CacheRule;
use crate::route::Params;
use crate::source::Facts;
use crate::time::{Moment, UnixTime};

/// 2026-11-24 12:00:00 UTC: what the wall clock says when an answer comes.
pub(super) const WALL: UnixTime = UnixTime::from_secs(1_795_521_600);
/// The same on the monotonic clock.
pub(super) const RECEIVED: Moment = Moment::from_nanos(WALL.as_secs() * 1_000_000_000);

pub(super) fn at(secs: u64) -> Moment {
    RECEIVED + Duration::from_secs(secs)
}

/// Fields from lines, `name: value`.
pub(super) fn fields(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.try_append(name, HeaderValue::from_bytes(value.trim().as_bytes()).unwrap()).unwrap();
    }
    headers
}

/// Lines of `Cache-Control`, separated by ` | `, with anything else that is a field.
pub(super) fn controlled(lines: &str) -> HeaderMap {
    let lines: Vec<String> = lines
        .split(" | ")
        .filter(|line| !line.is_empty())
        .map(|line| if line.contains(": ") { line.to_owned() } else { format!("cache-control: {line}") })
        .collect();
    fields(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A request of somebody who says nothing.
pub(super) fn nobody() -> Ask {
    Ask { control: RequestControl::default(), head: false, identified: false, apart: false, range: false }
}

pub(super) fn facts<'a>(method: &'a Method, headers: &'a HeaderMap) -> Facts<'a> {
    Facts {
        client: None,
        headers,
        host: "shop.test",
        identity: None,
        method,
        params: Params::EMPTY,
        path: "/orders",
        query: None,
    }
}

pub(super) fn answer(status: u16, headers: &HeaderMap) -> Answered<'_> {
    let status = StatusCode::from_u16(status).unwrap();
    Answered { status, headers, asked: RECEIVED, received: RECEIVED, wall: WALL }
}

pub(super) fn stored(status: u16, lines: &str) -> Result<Storable, Unstorable> {
    stored_by(&CacheRule::on(), &nobody(), status, lines)
}

pub(super) fn stored_by(rule: &CacheRule, ask: &Ask, status: u16, lines: &str) -> Result<Storable, Unstorable> {
    storable(rule, ask, &answer(status, &controlled(lines)), &|_| false)
}

pub(super) fn freshness(lines: &str) -> Freshness {
    stored(200, lines).unwrap_or_else(|why| panic!("{lines}: {why:?}")).freshness
}
