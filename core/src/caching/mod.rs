//! The rules of a shared cache, as pure functions over heads and time: RFC 9111, stale answers (RFC 5861), targeted
//! directives (RFC 9213), `immutable` (RFC 8246) and `Cache-Status` (RFC 9211). It stores nothing and knows no body;
//! whoever does asks it step by step:
//!
//! 1. **A request was admitted.** [`Ask::of`] says what goes by it, or why it goes past the cache ([`Bypass`]): then
//!    nothing is looked up, stored or collapsed, and `Cache-Status` has `fwd=method` or `fwd=bypass` with
//!    [`Bypass::as_str`]. After the answer to one that is [`Bypass::Unsafe`], [`invalidates`] says whether what is
//!    stored for its target goes, and [`also_invalidated`] what else: by the name that [`write_target`] gives a
//!    resource, whatever route and whoever it was stored for. That goes for every route, one without a cache too: what
//!    is written by one may be read by another. GET and HEAD with `only-if-cached` get 504 here too.
//! 2. **Look up.** [`write_key`] puts the key into a buffer. Under a key there may be several answers, each chosen by
//!    the fields that its [`VaryNames`] name: [`VaryNames::write`] makes the bytes of a stored request and of this one,
//!    and equal bytes fit. Of several that fit, the one that came last counts.
//! 3. **One fits.** [`reuse()`] says whether it is sent. [`sent`] says how: whole, 304, a part, 416; HEAD is answered
//!    with the same head and no body. The stored fields go out with `Age` ([`Freshness::age`]) and
//!    [`CacheStatus::hit`].
//! 4. **None fits, or it is to be confirmed.** A client that wants only what is here gets 504
//!    ([`RequestControl::only_if_cached`]). Else the upstream is asked, for all of it: [`ask_for_all`], or
//!    [`ask_again`] with what is stored. HEAD is sent as HEAD, and its answer is never stored; [`head_agrees`] says
//!    whether what is stored is out of date by it. Requests with one key, and the same bytes of Vary, may wait for one
//!    answer; it is theirs if it is [`storable()`], and fits them. An [`identified`](Ask::identified) one that is not
//!    kept [`apart`](Ask::apart) waits for nobody, because answers to it are shared only where they say so, which
//!    nobody knows before. A request with `Range` and nothing stored is best sent as it is, and waits for nobody: a
//!    part is never stored as a whole.
//! 5. **304.** If it [`confirms`] what was asked about, [`updated`] is the new head, and [`storable_again`] says
//!    whether and how long it may be kept. If it does not, what is stored is dropped and the upstream is asked again,
//!    for all of it.
//! 6. **No answer, or one that [`is_failure`].** [`stands_in`] says whether what is stored may be sent instead.
//! 7. **Any other answer.** [`storable()`] says how it may be stored, or why not ([`Unstorable`]), and [`kept()`] what
//!    of its head. It is stored when its body is complete: never a truncated one, nor one over
//!    [`CacheRule::max_size`](crate::plan::CacheRule). The client's own conditions were kept back, so it is sent as
//!    [`sent`] says.
//!
//! Times are [`Moment`](crate::time::Moment)s, which no step of the wall clock moves; the wall clock is needed once,
//! when an answer comes, for `Date` and `Expires`.
//!
//! None of these panics, whatever bytes the fields hold.

mod conditional;
mod control;
mod date;
mod dictionary;
mod directives;
mod etag;
mod freshness;
mod invalidate;
mod kept;
pub(crate) mod key;
mod range;
mod request;
mod reuse;
mod status;
mod storable;
mod targeted;
mod update;
mod vary;

pub use conditional::{Sent, sent, stays_in_304};
pub use control::{MAX_SECONDS, MaxStale, RequestControl, ResponseControl};
pub use freshness::{Freshness, KEPT_FOR_VALIDATION};
pub use invalidate::{Named, also_invalidated, invalidates};
pub use kept::kept;
pub use key::{KeyRoute, Origin, Scheme, write_key, write_target};
pub use range::ByteRange;
pub use request::{Ask, Bypass, is_safe};
pub use reuse::{Reuse, is_failure, reuse, stands_in};
pub use status::{CACHE_STATUS, CacheStatus, Forward, StatusText};
pub use storable::{Answered, Storable, Unstorable, storable, storable_again};
pub use update::{ask_again, ask_for_all, confirms, head_agrees, updated};
pub use vary::{MAX_VARIANTS, MAX_VARY, VaryNames};

#[cfg(test)]
mod tests;
