//! Whether an answer may be stored, and for how long it is good (RFC 9111, section 3).

use http::header::{AGE, DATE, ETAG, EXPIRES, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, HeaderName, StatusCode};

use super::control::{MAX_SECONDS, ResponseControl};
use super::date::date;
use super::directives::delta_seconds;
use super::freshness::{Freshness, Stale, Terms};
use super::request::Ask;
use super::targeted;
use super::vary::{VaryError, VaryNames};
use crate::plan::CacheRule;
use crate::time::{Moment, UnixTime};

/// An upstream's answer to what a cache asked.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, as they came.
    pub headers: &'a HeaderMap,
    /// When the request was sent.
    pub asked: Moment,
    /// When the head of the answer was there.
    pub received: Moment,
    /// The wall clock at that moment, which `Date` and `Expires` are compared with.
    pub wall: UnixTime,
}

/// An answer that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storable {
    /// How long it is good.
    pub freshness: Freshness,
    /// What it was chosen by.
    pub vary: VaryNames,
}

/// Why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unstorable {
    /// The request says who it is from, and neither the answer says that it is for all nor the route that it is kept
    /// apart (RFC 9111, section 3.5).
    Authorised,
    /// It answers HEAD: there is no body to store.
    Head,
    /// Nothing says how long it is good: neither the origin nor the route.
    NoFreshness,
    /// `no-store`.
    NoStore,
    /// The request's `no-store`.
    NoStoreAsked,
    /// `private`, and the route keeps nothing apart.
    Private,
    /// It has `Set-Cookie`: it makes somebody of its reader.
    SetCookie,
    /// It is stale already, and can neither be confirmed nor used in spite of it.
    Stale,
    /// Its status.
    Status,
    /// Its directives cannot be read.
    Unreadable,
    /// `Vary: *`, or what is no list of fields.
    VaryAny,
    /// It was chosen by a field that the gateway writes, which clients' requests do not have.
    VaryOurs,
    /// It was chosen by more than [`MAX_VARY`](super::MAX_VARY) fields.
    VaryTooMany,
}

impl Unstorable {
    /// A word for `Cache-Status`, logs and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorization",
            Self::Head => "head",
            Self::NoFreshness => "no-freshness",
            Self::NoStore => "no-store",
            Self::NoStoreAsked => "request-no-store",
            Self::Private => "private",
            Self::SetCookie => "set-cookie",
            Self::Stale => "stale",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::VaryAny => "vary-any",
            Self::VaryOurs => "vary-ours",
            Self::VaryTooMany => "vary-too-many",
        }
    }
}

impl From<VaryError> for Unstorable {
    fn from(error: VaryError) -> Self {
        match error {
            VaryError::Any => Self::VaryAny,
            VaryError::TooMany => Self::VaryTooMany,
        }
    }
}

/// Whether an answer may be stored. `is_ours` says which fields of a request the gateway writes itself: what was chosen
/// by one of them cannot be told apart by what clients send.
///
/// # Errors
///
/// [`Unstorable`] says why not.
pub fn storable(
    rule: &CacheRule,
    ask: &Ask,
    answer: &Answered<'_>,
    is_ours: &dyn Fn(&HeaderName) -> bool,
) -> Result<Storable, Unstorable> {
    if ask.head {
        return Err(Unstorable::Head);
    }
    storable_of(rule, ask, answer, age(answer.headers), is_ours)
}

/// Whether a stored answer that was confirmed may still be stored, and for how long from now: `updated` is its head
/// with what the `reply` said in its place ([`updated`](super::updated)), `status` the stored one. The reply's own
/// `Age` counts.
///
/// # Errors
///
/// [`Unstorable`] says why not: it may be sent to whoever asked, and is forgotten. But for
/// [`Unstorable::NoStoreAsked`], which is that client's wish and leaves what is stored as it was.
pub fn storable_again(
    rule: &CacheRule,
    ask: &Ask,
    status: StatusCode,
    updated: &HeaderMap,
    reply: &Answered<'_>,
    is_ours: &dyn Fn(&HeaderName) -> bool,
) -> Result<Storable, Unstorable> {
    let answer = Answered { status, headers: updated, ..*reply };
    storable_of(rule, ask, &answer, age(reply.headers), is_ours)
}

fn storable_of(
    rule: &CacheRule,
    ask: &Ask,
    answer: &Answered<'_>,
    age: u32,
    is_ours: &dyn Fn(&HeaderName) -> bool,
) -> Result<Storable, Unstorable> {
    if ask.control.no_store {
        return Err(Unstorable::NoStoreAsked);
    }
    let said = Said::of(answer);
    said.allows(ask, answer.status)?;
    if answer.headers.contains_key(SET_COOKIE) {
        return Err(Unstorable::SetCookie);
    }
    let vary = VaryNames::of(answer.headers)?;
    if vary.names().iter().any(is_ours) {
        return Err(Unstorable::VaryOurs);
    }
    let freshness = said.freshness(rule, answer, age)?;
    Ok(Storable { freshness, vary })
}

/// What the answer says of how it may be kept, from the field that counts.
struct Said {
    control: ResponseControl,
    /// By `Expires`, where it counts.
    expires: Option<u32>,
}

impl Said {
    /// RFC 9213, section 2.2: a targeted field stands in for `Cache-Control` and `Expires`.
    fn of(answer: &Answered<'_>) -> Self {
        match targeted::cdn_cache_control(answer.headers) {
            Some(control) => Self { control, expires: None },
            None => Self { control: ResponseControl::of(answer.headers), expires: expires(answer) },
        }
    }

    fn allows(&self, ask: &Ask, status: StatusCode) -> Result<(), Unstorable> {
        let control = &self.control;
        if control.unreadable {
            return Err(Unstorable::Unreadable);
        }
        if !may_be_kept(status) || (control.must_understand && !is_understood(status)) {
            return Err(Unstorable::Status);
        }
        // RFC 9111, section 5.2.2.3: `no-store` beside it is for those who do not understand.
        if control.no_store && !control.must_understand {
            return Err(Unstorable::NoStore);
        }
        if control.private && !ask.apart {
            return Err(Unstorable::Private);
        }
        if ask.identified && !ask.apart && !control.allows_authorised() {
            return Err(Unstorable::Authorised);
        }
        Ok(())
    }

    fn freshness(&self, rule: &CacheRule, answer: &Answered<'_>, age: u32) -> Result<Freshness, Unstorable> {
        let control = &self.control;
        let ttl = rule.ttl.filter(|_| is_kept_by_route(answer.status)).map(seconds);
        let lifetime = match control.lifetime().or(self.expires).or(ttl) {
            Some(lifetime) => lifetime,
            // It says that it may be kept, and that it is to be asked for each time.
            None if control.no_cache => 0,
            None => return Err(Unstorable::NoFreshness),
        };
        let stale = match control {
            ResponseControl { no_cache: true, .. } => Stale::AlwaysConfirmed,
            _ if control.forbids_stale() => Stale::Confirmed,
            _ => Stale::Allowed,
        };
        let window = |said: Option<u32>, route| said.or(Option::map(route, seconds)).unwrap_or(0);
        let terms = Terms {
            initial_age: initial_age(answer, age),
            lifetime,
            while_revalidating: window(control.stale_while_revalidate, rule.stale_while_revalidate),
            on_error: window(control.stale_if_error, rule.stale_if_error),
            stale,
            validator: has_validator(answer.headers),
        };
        let freshness = Freshness::new(answer.received, terms);
        if freshness.kept_until() > answer.received { Ok(freshness) } else { Err(Unstorable::Stale) }
    }
}

/// Whether a stored answer could be confirmed (RFC 9111, section 4.3.1).
pub(super) fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)
}

/// Whole seconds of a route's setting.
fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}

/// How old an answer was when it came (RFC 9111, section 4.2.3).
fn initial_age(answer: &Answered<'_>, age: u32) -> u32 {
    let said = made_at(answer);
    let apparent = said.map_or(0, |made| answer.wall.as_secs().saturating_sub(made.as_secs()));
    let delay = answer.received.since(answer.asked).as_secs();
    let corrected = u64::from(age).saturating_add(delay);
    u32::try_from(apparent.max(corrected)).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}

/// When the origin made it, where it says so.
fn made_at(answer: &Answered<'_>) -> Option<UnixTime> {
    date(crate::headers::only(answer.headers, &DATE)?.as_bytes(), answer.wall)
}

/// The first number of `Age`; what is none is ignored (RFC 9111, section 5.1).
fn age(headers: &HeaderMap) -> u32 {
    crate::headers::members(headers, &AGE).next().and_then(delta_seconds).unwrap_or(0)
}

/// How long it is fresh by `Expires` (RFC 9111, sections 4.2.1 and 5.3): what is no date has been, and so have two that
/// differ.
fn expires(answer: &Answered<'_>) -> Option<u32> {
    let mut lines = answer.headers.get_all(EXPIRES).iter();
    let first = lines.next()?;
    let until = date(first.as_bytes(), answer.wall).filter(|_| lines.all(|line| line == first));
    let made = made_at(answer).unwrap_or(answer.wall);
    let lifetime = until.map_or(0, |until| until.as_secs().saturating_sub(made.as_secs()));
    Some(u32::try_from(lifetime).unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

/// Statuses that are stored where the origin says for how long. Final ones, but for parts and confirmations (which are
/// no whole answer), refusals of who asked or how often, answers to a precondition or a range, and what RFC 6585 and
/// RFC 9110 forbid.
fn may_be_kept(status: StatusCode) -> bool {
    let code = status.as_u16();
    (200..600).contains(&code)
        && !matches!(code, 206 | 304 | 401 | 403 | 407 | 408 | 412 | 416 | 421 | 425 | 428 | 429 | 431 | 511)
}

/// Statuses whose meaning for a cache this one knows (RFC 9110, section 15.1, and RFC 9111, section 5.2.2.3).
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 400 | 404 | 405 | 410 | 414 | 500 | 501 | 502 | 503 | 504
    )
}

/// Statuses that a route's own time applies to: those that RFC 9110, section 15.1 lets a cache keep unasked, without
/// errors of a server.
fn is_kept_by_route(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414)
}
