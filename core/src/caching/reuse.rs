//! Whether a stored answer may be used (RFC 9111, section 4.2), as its freshness and the client have it.

use http::StatusCode;

use super::control::{MaxStale, RequestControl};
use super::freshness::Freshness;
use crate::time::Moment;

/// What becomes of a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It is sent.
    Fresh,
    /// It is asked for again, and sent when it is confirmed.
    Revalidate,
    /// It is sent although it is stale: the client takes that (`max-stale`).
    Stale,
    /// It is sent, and asked for again behind the client's back.
    WhileRevalidating,
}

/// What becomes of a stored answer. Where it is [`Reuse::Revalidate`] and the client wants only what is here
/// ([`RequestControl::only_if_cached`]), that is a 504, as it is where nothing is stored.
pub fn reuse(freshness: &Freshness, asked: &RequestControl, now: Moment) -> Reuse {
    if asked.no_cache || asked.max_age.is_some_and(|most| freshness.age(now) > most) {
        return Reuse::Revalidate;
    }
    if freshness.is_fresh(now) {
        return match asked.min_fresh {
            Some(least) if freshness.ttl(now) < i64::from(least) => Reuse::Revalidate,
            _ => Reuse::Fresh,
        };
    }
    if asked.min_fresh.is_some() || !freshness.may_be_stale() {
        return Reuse::Revalidate;
    }
    if takes_stale(freshness, asked, now) {
        return Reuse::Stale;
    }
    if freshness.serves_while_revalidating(now) { Reuse::WhileRevalidating } else { Reuse::Revalidate }
}

fn takes_stale(freshness: &Freshness, asked: &RequestControl, now: Moment) -> bool {
    match asked.max_stale {
        None => false,
        Some(MaxStale::Any) => true,
        Some(MaxStale::Seconds(most)) => -freshness.ttl(now) <= i64::from(most),
    }
}

/// Whether a stored answer may stand in for an upstream that failed: no answer, or one that [`is_failure`] (RFC 5861,
/// section 4). A client that asked for what is confirmed gets the failure.
pub fn stands_in(freshness: &Freshness, asked: &RequestControl, now: Moment) -> bool {
    if asked.no_cache || !freshness.may_be_stale() {
        return false;
    }
    let asked_for = asked.stale_if_error.is_some_and(|most| -freshness.ttl(now) <= i64::from(most));
    freshness.serves_on_error(now) || freshness.is_fresh(now) || asked_for
}

/// Whether an answer is a failure that a stored one may stand in for (RFC 5861, section 4).
pub fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}
