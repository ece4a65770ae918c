//! What is known of a name, and when to look it up again. Pure: it asks nobody and reads no clock.

use std::sync::Arc;
use std::time::Duration;

use super::{Discovered, Place, backoff};
use crate::time::Moment;

/// The shortest time between two look-ups: a TTL of nought would be one after the other.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time that a list is believed: a record with a TTL of a day is a move that takes a day.
const LONGEST: Duration = Duration::from_mins(5);
/// Look-ups of names that were found together drift apart by so much at most, so that they do not go on together.
const APART: Duration = Duration::from_secs(3);
/// How long to wait after a failed look-up; with each that follows, up to eleven times as long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What is known of a name's places, and when to look again.
///
/// A list holds for its TTL, but from 1 second to 5 minutes, and up to 3 seconds (at most a tenth) longer. A look-up that fails, or finds
/// nothing, is made again after 1 to 11 seconds, and takes nothing away: the last good list goes on, for ever if need be. What failed is the
/// look-up, not the servers.
///
/// ```
/// use std::time::Duration;
/// use portcullis_core::time::{Clock, UnixTime};
/// use portcullis_core::upstream::{Discovered, Place, Refresh, Refreshed};
///
/// let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
/// let mut refresh = Refresh::new(clock.now());
/// let places = vec![Place::at("192.0.2.7:80".parse()?)];
///
/// let found = Some(Discovered { places: places.clone(), holds: Duration::from_secs(30) });
/// assert_eq!(refresh.take(found, clock.now(), 0), Refreshed::Changed);
/// assert_eq!(refresh.due().since(clock.now()), Duration::from_secs(30));
///
/// time.advance(Duration::from_secs(30));
/// assert_eq!(refresh.take(None, clock.now(), 0), Refreshed::Failed);
/// assert_eq!((&**refresh.places(), refresh.stale_since()), (&*places, Some(clock.now())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Refresh {
    due: Moment,
    failures: u32,
    places: Arc<[Place]>,
    stale_since: Option<Moment>,
}

/// What a look-up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The list is another one.
    Changed,
    /// The look-up failed, or found nothing: the list is what it was.
    Failed,
    /// The same places again, in whatever order.
    Same,
}

impl Refresh {
    /// So many places of one name are heeded, the first in the order of addresses: whoever answers for a name must not say how much memory
    /// we take.
    pub const MOST_PLACES: usize = 1024;

    /// Of a name that nothing is known of: a look-up is due at once.
    pub fn new(now: Moment) -> Self {
        Self { due: now, failures: 0, places: Arc::default(), stale_since: None }
    }

    /// When to look again.
    pub const fn due(&self) -> Moment {
        self.due
    }

    /// The last good list, in the order of addresses, each once; empty before there was one.
    pub const fn places(&self) -> &Arc<[Place]> {
        &self.places
    }

    /// Since when look-ups fail; none while they do not.
    pub const fn stale_since(&self) -> Option<Moment> {
        self.stale_since
    }

    /// Takes what a look-up that ended at `now` found; none when it failed. `random` is fresh randomness, all 64 bits of it.
    pub fn take(&mut self, found: Option<Discovered>, now: Moment, random: u64) -> Refreshed {
        let Some(Discovered { mut places, holds }) = found.filter(|found| !found.places.is_empty()) else {
            self.due = now + AFTER_FAILURE + backoff(AFTER_FAILURE, self.failures, random);
            self.failures = self.failures.saturating_add(1);
            self.stale_since.get_or_insert(now);
            return Refreshed::Failed;
        };
        let holds = holds.clamp(SHORTEST, LONGEST);
        // `backoff` draws from nothing to below its base.
        self.due = now + holds + backoff((holds / 10).min(APART), 0, random);
        (self.failures, self.stale_since) = (0, None);
        places.sort_unstable();
        // The same address twice is one place, whatever its weights.
        places.dedup_by_key(|place| place.address);
        places.truncate(Self::MOST_PLACES);
        if *places == *self.places {
            return Refreshed::Same;
        }
        self.places = places.into();
        Refreshed::Changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{Clock, UnixTime};

    fn found(lasts: &[u8], holds: Duration) -> Option<Discovered> {
        let place = |last: &u8| Place::at(([192, 0, 2, *last], 80).into());
        Some(Discovered { places: lasts.iter().map(place).collect(), holds })
    }

    const TTL: Duration = Duration::from_secs(20);

    #[test]
    fn the_order_of_an_answer_changes_nothing() {
        let (clock, _time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let mut refresh = Refresh::new(clock.now());
        assert_eq!(refresh.due(), clock.now());
        assert_eq!(refresh.take(found(&[2, 1], TTL), clock.now(), 0), Refreshed::Changed);
        let first = Arc::clone(refresh.places());
        assert_eq!(refresh.take(found(&[1, 2, 1], TTL), clock.now(), 0), Refreshed::Same);
        assert!(Arc::ptr_eq(&first, refresh.places()));
        assert_eq!(refresh.take(found(&[1, 3], TTL), clock.now(), 0), Refreshed::Changed);
        assert_eq!(refresh.take(found(&[1], TTL), clock.now(), 0), Refreshed::Changed);
        assert_eq!(&**refresh.places(), found(&[1], TTL).unwrap().places);
    }

    #[test]
    fn failures_keep_the_last_good_list_and_ask_less_and_less_often() {
        let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let mut refresh = Refresh::new(clock.now());
        refresh.take(found(&[1, 2], TTL), clock.now(), 0);
        let (good, mut pauses) = (Arc::clone(refresh.places()), Vec::new());
        time.advance(TTL);
        let began = clock.now();
        for failure in 0..6 {
            // Nothing found is a failure like any other.
            let nothing = if failure % 2 == 0 { None } else { found(&[], TTL) };
            assert_eq!(refresh.take(nothing, clock.now(), u64::MAX), Refreshed::Failed);
            let pause = refresh.due().since(clock.now());
            time.advance(pause);
            pauses.push(pause.as_secs_f64().round());
        }
        assert_eq!(pauses, [2.0, 3.0, 5.0, 9.0, 11.0, 11.0]);
        assert!(Arc::ptr_eq(&good, refresh.places()));
        assert_eq!(refresh.stale_since(), Some(began));

        assert_eq!(refresh.take(found(&[2, 1], TTL), clock.now(), 0), Refreshed::Same);
        assert_eq!((refresh.stale_since(), refresh.due()), (None, clock.now() + TTL));
        refresh.take(None, clock.now(), 0);
        assert_eq!(refresh.due(), clock.now() + AFTER_FAILURE, "the count began anew");
    }

    #[test]
    fn an_answer_that_is_too_long_is_cut_the_same_way_each_time() {
        let mut refresh = Refresh::new(Moment::default());
        let place = |port| Place::at(([192, 0, 2, 1], port).into());
        let all = |places: Vec<_>| Some(Discovered { places, holds: TTL });
        refresh.take(all((1..=2000).map(place).collect()), Moment::default(), 0);
        assert_eq!(refresh.places().len(), Refresh::MOST_PLACES);
        assert_eq!(refresh.take(all((1..=2000).rev().map(place).collect()), Moment::default(), 0), Refreshed::Same);
    }

    proptest! {
        #[test]
        fn looks_again_from_a_second_to_five_minutes_and_three_seconds(
            holds in any::<Duration>(), now in 0..u64::MAX / 2, random in any::<u64>(),
        ) {
            let now = Moment::from_nanos(now);
            let mut refresh = Refresh::new(now);
            refresh.take(found(&[1], holds), now, random);
            let pause = refresh.due().since(now);
            prop_assert!(pause >= holds.clamp(SHORTEST, LONGEST));
            prop_assert!(pause <= holds.clamp(SHORTEST, LONGEST) + APART);
        }
    }
}
