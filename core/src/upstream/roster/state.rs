//! The endpoints of a roster and how they stand; what its lock guards.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::standing::{STEPS, Standing};
use super::{Change, Eject, MakePicker, RosterSettings, Told, weighing};
use crate::time::Moment;
use crate::upstream::{Endpoint, Member, Pool, Snapshot};

/// How all endpoints of a roster stand at one moment.
#[derive(Clone, Debug)]
pub struct RosterState {
    /// Each, in the order they were given.
    pub endpoints: Vec<EndpointState>,
    /// Health is ignored, because hardly anybody is healthy.
    pub panicking: bool,
}

/// How one endpoint stands at one moment.
#[derive(Clone, Debug)]
pub struct EndpointState {
    /// Whether it is asked. One that rests or is unhealthy may be, where too many are.
    pub asked: bool,
    /// Checks that failed, ever.
    pub checks_failed: u64,
    /// Checks that passed, ever.
    pub checks_passed: u64,
    /// Ejections, ever.
    pub ejections: u64,
    /// Which.
    pub endpoint: Arc<Endpoint>,
    /// How it stands.
    pub standing: EndpointStanding,
    /// What it weighs when it is warm.
    pub weight: NonZeroU32,
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EndpointStanding {
    /// It rests, because it failed.
    Ejected {
        /// For so long still.
        rest: Duration,
    },
    /// Nothing is against it.
    Ready,
    /// Its checks fail.
    Unhealthy,
    /// It has returned, or is new, and has this share of its weight.
    Warming {
        /// From a tenth to nine tenths.
        share: f64,
    },
}

impl EndpointStanding {
    /// A stable word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ejected { .. } => "ejected",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Warming { .. } => "warming",
        }
    }
}

pub(super) struct State {
    entries: Vec<Entry>,
    panicking: bool,
    picker: MakePicker,
    settings: RosterSettings,
    pub(super) told: Told,
}

struct Entry {
    endpoint: Arc<Endpoint>,
    weight: NonZeroU32,
    standing: Standing,
}

impl State {
    pub(super) fn new(members: impl IntoIterator<Item = Member>, picker: MakePicker, settings: RosterSettings) -> Self {
        let mut state = Self { entries: Vec::new(), panicking: false, picker, settings, told: Box::new(|_| {}) };
        state.replace(members, Moment::default());
        state
    }

    /// So many failures in a row eject; 0: nobody is.
    pub(super) fn failures(&self) -> u32 {
        self.settings.eject.as_ref().map_or(0, |eject| eject.failures.get())
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.entries.iter().map(|entry| &entry.endpoint)
    }

    /// What time alone changes.
    pub(super) fn advance(&mut self, now: Moment) {
        let told = &self.told;
        for entry in &mut self.entries {
            if entry.standing.wake(now) {
                // What came in of requests from before says nothing of now.
                entry.endpoint.forget_failures();
                told(&Change::Returned(&entry.endpoint));
            }
        }
        self.heed();
    }

    /// Ejects an endpoint, unless too many are out; true when it does.
    pub(super) fn eject(&mut self, endpoint: &Endpoint, now: Moment) -> bool {
        let Some(eject) = self.settings.eject.clone() else { return false };
        let jitter = rand::random();
        self.put_to_rest(endpoint, |standing| standing.eject(&eject, jitter, now))
    }

    pub(super) fn rest(&mut self, endpoint: &Endpoint, rest: Duration, now: Moment) -> bool {
        let Some(eject) = &self.settings.eject else { return false };
        let rest = rest.min(eject.rest.saturating_mul(Eject::MOST_GROWN));
        self.put_to_rest(endpoint, |standing| {
            standing.ejections += 1;
            standing.rest(rest, now);
            rest
        })
    }

    fn put_to_rest(&mut self, endpoint: &Endpoint, rest: impl FnOnce(&mut Standing) -> Duration) -> bool {
        let out = self.entries.iter().filter(|entry| entry.standing.is_out()).count();
        let may_be_out = self.may_be_out();
        let Some(entry) = self.entries.iter_mut().find(|entry| std::ptr::eq(&*entry.endpoint, endpoint)) else {
            // It is no longer one of these.
            return false;
        };
        // One that is out already is asked by requests from before, or because too many are: that is known.
        if entry.standing.is_out() || out >= may_be_out {
            return false;
        }
        let rest = rest(&mut entry.standing);
        (self.told)(&Change::Ejected { endpoint: &entry.endpoint, rest });
        true
    }

    /// Takes a check's result; true when it changes anything.
    pub(super) fn check(&mut self, endpoint: &Endpoint, passed: bool, now: Moment) -> bool {
        let Some(thresholds) = &self.settings.health else { return false };
        let mut entries = self.entries.iter_mut();
        let Some(entry) = entries.find(|entry| std::ptr::eq(&*entry.endpoint, endpoint)) else { return false };
        if !entry.standing.check(passed, thresholds, now) {
            return false;
        }
        let endpoint = &entry.endpoint;
        (self.told)(&if passed { Change::Healthy(endpoint) } else { Change::Unhealthy(endpoint) });
        self.heed();
        true
    }

    pub(super) fn replace(&mut self, members: impl IntoIterator<Item = Member>, now: Moment) {
        let mut old = std::mem::take(&mut self.entries);
        let are_others = !old.is_empty();
        for Member { endpoint, weight } in members {
            // The same place twice is one.
            if self.entries.iter().any(|entry| entry.endpoint.is_where(&endpoint)) {
                continue;
            }
            let known = old.iter().position(|entry| entry.endpoint.is_where(&endpoint));
            self.entries.push(match known {
                Some(place) => Entry { weight, ..old.swap_remove(place) },
                None => {
                    let mut standing = Standing::new();
                    standing.warms_since = are_others.then_some(now);
                    Entry { endpoint, weight, standing }
                }
            });
        }
        self.heed();
    }

    pub(super) fn change(&mut self, picker: MakePicker, settings: RosterSettings) {
        (self.picker, self.settings) = (picker, settings);
        for entry in &mut self.entries {
            if self.settings.eject.is_none() {
                entry.standing.rests_until = None;
                entry.endpoint.forget_failures();
            }
            if self.settings.health.is_none() {
                entry.standing.healthy = true;
            }
        }
    }

    /// Looks whether enough are healthy to go by that.
    fn heed(&mut self) {
        let (all, healthy) = (self.entries.len(), self.entries.iter().filter(|entry| entry.standing.healthy).count());
        let least = self.settings.health.as_ref().map_or(0.0, |health| health.panic) * all as f64;
        let panics = all > 0 && (healthy == 0 || (healthy as f64) < least - ROUNDING);
        if panics != self.panicking {
            self.panicking = panics;
            (self.told)(&if panics { Change::Panicking } else { Change::PanicOver });
        }
    }

    /// How many may be out by ejection: the share of all, and never all of them.
    fn may_be_out(&self) -> usize {
        let all = self.entries.len();
        let most = self.settings.eject.as_ref().map_or(0.0, |eject| eject.max) * all as f64 + ROUNDING;
        (1..all).take_while(|out| *out as f64 <= most).last().unwrap_or(0)
    }

    /// Whether each may be asked, by its place.
    fn asked(&self) -> Vec<bool> {
        let mut asked: Vec<_> = self.entries.iter().map(|entry| self.panicking || !entry.standing.is_out()).collect();
        let count = asked.iter().filter(|asked| **asked).count();
        let missing = self.entries.len().saturating_sub(self.may_be_out() + count);
        let mut resting: Vec<_> = self.entries.iter().map(|entry| &entry.standing).zip(&mut asked).collect();
        resting.retain(|(standing, asked)| standing.healthy && !**asked);
        resting.sort_by_key(|(standing, _)| standing.rests_until);
        resting.into_iter().take(missing).for_each(|(_, asked)| *asked = true);
        asked
    }

    /// The pool of those that may be asked, and when that changes by itself.
    pub(super) fn pool(&self, name: &Arc<str>, now: Moment) -> (Pool, u64) {
        let slow_start = self.settings.slow_start;
        let warmth = |entry: &Entry| if self.panicking { STEPS } else { entry.standing.warmth(slow_start, now) };
        let asked = self.asked();
        let in_pool = || self.entries.iter().zip(&asked).filter(|(_, asked)| **asked).map(|(entry, _)| entry);
        let are_all_warm = in_pool().all(|entry| warmth(entry) == STEPS);
        let snapshot = Snapshot::of(in_pool().map(|entry| Member {
            endpoint: Arc::clone(&entry.endpoint),
            weight: if are_all_warm {
                entry.weight
            } else {
                weighing(entry.weight.get().saturating_mul(warmth(entry)))
            },
        }));
        let due = self.entries.iter().filter_map(|entry| entry.standing.next(slow_start, now)).min();
        let picker = (self.picker)(&snapshot);
        let rests = |entry: &Entry| entry.standing.healthy && entry.standing.rests_until.is_some();
        let resting = self.entries.iter().zip(&asked).filter(|(entry, asked)| !**asked && rests(entry));
        let pool = Pool::new(Arc::clone(name), snapshot, picker)
            .with_resting(resting.map(|(entry, _)| Arc::clone(&entry.endpoint)));
        (pool, due.map_or(u64::MAX, Moment::as_nanos))
    }

    pub(super) fn shown(&self, now: Moment) -> RosterState {
        let shown = |(entry, asked): (&Entry, bool)| EndpointState {
            asked,
            checks_failed: entry.standing.checks_failed,
            checks_passed: entry.standing.checks_passed,
            ejections: entry.standing.ejections,
            endpoint: Arc::clone(&entry.endpoint),
            standing: self.standing(entry, now),
            weight: entry.weight,
        };
        RosterState { endpoints: self.entries.iter().zip(self.asked()).map(shown).collect(), panicking: self.panicking }
    }

    fn standing(&self, entry: &Entry, now: Moment) -> EndpointStanding {
        let standing = &entry.standing;
        if !standing.healthy {
            return EndpointStanding::Unhealthy;
        }
        if let Some(until) = standing.rests_until {
            return EndpointStanding::Ejected { rest: until.since(now) };
        }
        match standing.warmth(self.settings.slow_start, now) {
            STEPS => EndpointStanding::Ready,
            warmth => EndpointStanding::Warming { share: f64::from(warmth) / f64::from(STEPS) },
        }
    }
}

/// A share such as 0.29 of 100 is meant to be 29, which binary fractions miss by less than this.
const ROUNDING: f64 = 1e-9;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("settings", &self.settings).finish_non_exhaustive()
    }
}
