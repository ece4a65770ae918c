//! How old an answer is and how long it may be used: worked out once when it is stored, compared with the time
//! afterwards.

use std::time::Duration;

use super::control::MAX_SECONDS;
use crate::time::Moment;

/// How long a stale answer is kept that could still be confirmed by its validator: a day, unless others need the room.
pub const KEPT_FOR_VALIDATION: Duration = Duration::from_secs(24 * 3600);

/// When an answer was made and how long it may be used (RFC 9111, section 4.2). Every time is by the monotonic clock,
/// so that stepping the wall clock makes nothing older or younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    received: Moment,
    initial_age: u32,
    lifetime: u32,
    fresh_until: Moment,
    while_revalidating: Moment,
    on_error: Moment,
    kept_until: Moment,
    stale: Stale,
}

/// What may be done with an answer that is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// It is used as the windows say, or as a client asks.
    Allowed,
    /// It must be confirmed before it is used, and the same goes while it is fresh: `no-cache`.
    AlwaysConfirmed,
    /// It must be confirmed before it is used.
    Confirmed,
}

/// What a [`Freshness`] is made of, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How old it was when it came.
    pub(super) initial_age: u32,
    /// How long it is fresh from when it was made.
    pub(super) lifetime: u32,
    /// How long after that it may be used while it is asked for again.
    pub(super) while_revalidating: u32,
    /// How long after that it may stand in for a failure.
    pub(super) on_error: u32,
    pub(super) stale: Stale,
    /// It can be confirmed.
    pub(super) validator: bool,
}

impl Freshness {
    pub(super) fn new(received: Moment, terms: Terms) -> Self {
        let after = |seconds: u32| {
            let from_now = i64::from(terms.lifetime) + i64::from(seconds) - i64::from(terms.initial_age);
            shifted(received, from_now)
        };
        let nothing = Moment::default();
        let windows = terms.stale == Stale::Allowed;
        let fresh_until = if terms.stale == Stale::AlwaysConfirmed { nothing } else { after(0) };
        let while_revalidating = if windows { after(terms.while_revalidating) } else { nothing };
        let on_error = if windows { after(terms.on_error) } else { nothing };
        let usable = fresh_until.max(while_revalidating).max(on_error);
        let kept_until = if terms.validator { usable.max(received) + KEPT_FOR_VALIDATION } else { usable };
        Self {
            received,
            initial_age: terms.initial_age,
            lifetime: terms.lifetime,
            fresh_until,
            while_revalidating,
            on_error,
            kept_until,
            stale: terms.stale,
        }
    }

    /// How old it is, in whole seconds: the value of `Age` (RFC 9111, section 4.2.3).
    pub fn age(&self, now: Moment) -> u32 {
        let resident = u32::try_from(now.since(self.received).as_secs()).unwrap_or(MAX_SECONDS);
        self.initial_age.saturating_add(resident).min(MAX_SECONDS)
    }

    /// How long it is still fresh, in whole seconds; how long it has been stale, below zero. By its lifetime alone,
    /// whatever else forbids it.
    pub fn ttl(&self, now: Moment) -> i64 {
        i64::from(self.lifetime) - i64::from(self.age(now))
    }

    /// How long it is fresh from when it was made, in seconds.
    pub fn lifetime(&self) -> u32 {
        self.lifetime
    }

    /// When it came.
    pub fn received(&self) -> Moment {
        self.received
    }

    /// It may be used without asking.
    pub fn is_fresh(&self, now: Moment) -> bool {
        now < self.fresh_until
    }

    /// It may be used while it is asked for again (RFC 5861, section 3).
    pub fn serves_while_revalidating(&self, now: Moment) -> bool {
        now < self.while_revalidating
    }

    /// It may stand in for a failure (RFC 5861, section 4).
    pub fn serves_on_error(&self, now: Moment) -> bool {
        now < self.on_error
    }

    /// A client may ask for it although it is stale (RFC 9111, section 4.2.4).
    pub fn may_be_stale(&self) -> bool {
        self.stale == Stale::Allowed
    }

    /// From when on it is good for nothing, and a store forgets it.
    pub fn kept_until(&self) -> Moment {
        self.kept_until
    }

    /// The same, stale from now on: what a soft purge leaves. It may still be used while it is asked for again and on
    /// an error, as long as it might have been anyway.
    #[must_use]
    pub fn made_stale(mut self, now: Moment) -> Self {
        self.fresh_until = self.fresh_until.min(now);
        self.lifetime = self.lifetime.min(self.age(now));
        self
    }
}

/// A moment so many seconds later, or earlier; never outside of time.
fn shifted(moment: Moment, seconds: i64) -> Moment {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds >= 0 {
        return moment + by;
    }
    let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Moment::from_nanos(moment.as_nanos().saturating_sub(nanos))
}
