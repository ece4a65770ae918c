//! All endpoints of an upstream, and who of them may be asked.
//!
//! # Who may be asked
//!
//! 1. Whoever is healthy by its checks, and not ejected for what came of the requests to it.
//! 2. An ejection is a guess from few requests, which may have been at fault themselves. So nobody is ejected when more than the
//!    share [`Eject::max`] would then be out; and when checks take out more later, those whose rest ends first are asked before it
//!    ends, until that share is kept.
//! 3. A check is evidence that somebody wrote down how to get, so it is heeded as far as it can be: one healthy endpoint of three gets
//!    all requests, rather than each of the dead ones a third. Only where none is healthy, or a smaller share than
//!    [`Thresholds::panic`], the checks must be wrong or nothing is lost by asking: all are asked, whatever is known of
//!    them. The roster then *panics*, and says so.
//! 4. Who is ejected is still the [last resort](Pool::last_resort) of a request that failed at everybody else: it may be well again, and
//!    they have just failed.
//!
//! # How it stays cheap
//!
//! What requests need is the [`Pool`], which is swapped whole when it changes. To ask for it costs one load, of when the next change by
//! time is due, and the reading of a pointer. When one is due, one caller makes it; the others go on with the old pool meanwhile.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Endpoint, Member, Pool, Snapshot, UpstreamPicker};
use crate::time::Moment;

mod settings;
mod standing;
mod state;

pub use settings::{Eject, RosterSettings, Thresholds};
pub use state::{EndpointStanding, EndpointState, RosterState};

use state::State;

/// All endpoints of an upstream, and who of them may be asked.
///
/// Whoever asks an endpoint of its [`pool`](Self::pool) says with [`settle`](Self::settle) what came of it, and whoever checks them, with
/// [`check`](Self::check). It runs nothing and reads no clock: what is due happens when the next one asks.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use portcullis_core::time::{Clock, UnixTime};
/// use portcullis_core::upstream::{Eject, Endpoint, LeastRequest, Member, Roster, RosterSettings, Tried};
///
/// let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
/// let member = |url: &str| Some(Member { endpoint: Arc::new(Endpoint::new(url.parse().ok()?)), weight: 1.try_into().ok()? });
/// let members = ["http://10.0.0.1:80", "http://10.0.0.2:80"].into_iter().filter_map(member);
/// let settings = RosterSettings { eject: Some(Eject::default()), ..RosterSettings::default() };
/// let roster = Roster::new("orders", members, |_| Arc::new(LeastRequest), settings, clock.now());
///
/// for _ in 0..100 {
///     let lease = roster.pool(clock.now()).pick("ada", &Tried::new()).unwrap();
///     let answered = lease.endpoint().authority() != "10.0.0.1:80"; // that one never does
///     roster.settle(lease.endpoint(), answered, clock.now());
/// }
/// assert_eq!(roster.pool(clock.now()).snapshot().members().len(), 1);
/// time.advance(Duration::from_secs(11)); // and is tried again after a rest
/// assert_eq!(roster.pool(clock.now()).snapshot().members().len(), 2);
/// ```
pub struct Roster {
    name: Arc<str>,
    /// When the next change by time is due, in nanoseconds. A hint: the pool is read through its own pointer, so no ordering is needed.
    due: AtomicU64,
    /// So many failures in a row eject; 0: nobody is ejected.
    failures: AtomicU32,
    pool: ArcSwap<Pool>,
    /// Changes are rare and made one after the other.
    state: Mutex<State>,
}

/// Makes a picker for a snapshot.
type MakePicker = Box<dyn Fn(&Snapshot) -> Arc<dyn UpstreamPicker> + Send + Sync>;
/// Who is told of changes.
type Told = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// Something that changed who may be asked, or would have.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Change<'a> {
    /// It failed so often in a row that it rests.
    Ejected {
        /// Which.
        endpoint: &'a Endpoint,
        /// For how long.
        rest: Duration,
    },
    /// Its checks pass again.
    Healthy(&'a Endpoint),
    /// Hardly anybody is healthy: health is ignored, and all are asked.
    Panicking,
    /// Enough are healthy: health is heeded again.
    PanicOver,
    /// Its rest is over.
    Returned(&'a Endpoint),
    /// Its checks fail.
    Unhealthy(&'a Endpoint),
}

impl Roster {
    /// Of these endpoints, all of which may be asked. `picker` makes the picker of each pool.
    pub fn new(
        name: impl Into<Arc<str>>,
        members: impl IntoIterator<Item = Member>,
        picker: impl Fn(&Snapshot) -> Arc<dyn UpstreamPicker> + Send + Sync + 'static,
        settings: RosterSettings,
        now: Moment,
    ) -> Self {
        let name: Arc<str> = name.into();
        let state = State::new(members, Box::new(picker), settings);
        let (pool, due) = state.pool(&name, now);
        Self {
            due: AtomicU64::new(due),
            failures: AtomicU32::new(state.failures()),
            pool: ArcSwap::from_pointee(pool),
            state: Mutex::new(state),
            name,
        }
    }

    /// Tells `told` of each change, once, in order. It is called while the roster is locked, on the thread that found it: it must be quick,
    /// and not ask the roster anything.
    #[must_use]
    pub fn telling(self, told: impl Fn(&Change<'_>) + Send + Sync + 'static) -> Self {
        self.state().told = Box::new(told);
        self
    }

    /// The upstream's name.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Those that may be asked at `now`. A request that tries again uses the pool that it began with, as that is what its
    /// [`Tried`](super::Tried) is about.
    pub fn pool(&self, now: Moment) -> Arc<Pool> {
        if now.as_nanos() >= self.due.load(Ordering::Relaxed)
            && let Ok(mut state) = self.state.try_lock()
        {
            state.advance(now);
            self.publish(&state, now);
        }
        self.pool.load_full()
    }

    /// Says what came of one attempt at an endpoint: whether it was answered. What says nothing about the endpoint, such as the client's own
    /// fault, is not to be said. Without a failure before, an answer writes nothing.
    pub fn settle(&self, endpoint: &Endpoint, answered: bool, now: Moment) {
        let failures = self.failures.load(Ordering::Relaxed);
        if answered || failures == 0 {
            return endpoint.forget_failures();
        }
        if endpoint.has_failed(failures) {
            let mut state = self.state();
            if state.eject(endpoint, now) {
                self.publish(&state, now);
            }
        }
    }

    /// An endpoint asked to be left alone for so long (`Retry-After` beside a 429 or 503): it rests as if it were ejected, within the
    /// bounds of [`Eject::max`], for at most its longest rest. False when it does not, because too many are out, or nobody is ejected.
    pub fn rest(&self, endpoint: &Endpoint, rest: Duration, now: Moment) -> bool {
        let mut state = self.state();
        let rests = state.rest(endpoint, rest, now);
        if rests {
            self.publish(&state, now);
        }
        rests
    }

    /// Takes the result of a check of an endpoint. It changes something only after as many in a row as [`Thresholds`] says.
    pub fn check(&self, endpoint: &Endpoint, passed: bool, now: Moment) {
        let mut state = self.state();
        if state.check(endpoint, passed, now) {
            self.publish(&state, now);
        }
    }

    /// Replaces the endpoints. One that was there before, by URL and address, goes on with all that is known of it, whatever stands in its
    /// place in `members`; a new one beside others warms up.
    pub fn replace(&self, members: impl IntoIterator<Item = Member>, now: Moment) {
        let mut state = self.state();
        state.replace(members, now);
        self.publish(&state, now);
    }

    /// Replaces the picker and the settings, and then the endpoints. What they turn off is forgotten.
    pub fn change(
        &self,
        members: impl IntoIterator<Item = Member>,
        picker: impl Fn(&Snapshot) -> Arc<dyn UpstreamPicker> + Send + Sync + 'static,
        settings: RosterSettings,
        now: Moment,
    ) {
        let mut state = self.state();
        state.change(Box::new(picker), settings);
        state.replace(members, now);
        self.failures.store(state.failures(), Ordering::Relaxed);
        self.publish(&state, now);
    }

    /// All endpoints, in the order they were given, those too that may not be asked.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.state().endpoints().cloned().collect()
    }

    /// How all of them stand at `now`: for whoever watches.
    pub fn state_at(&self, now: Moment) -> RosterState {
        let mut state = self.state();
        if now.as_nanos() >= self.due.load(Ordering::Relaxed) {
            state.advance(now);
            self.publish(&state, now);
        }
        state.shown(now)
    }

    fn publish(&self, state: &State, now: Moment) {
        let (pool, due) = state.pool(&self.name, now);
        self.pool.store(Arc::new(pool));
        self.due.store(due, Ordering::Relaxed);
    }

    /// Where somebody who is told panicked, the state is whole all the same: they are told last.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("name", &self.name).field("pool", &self.pool.load()).finish_non_exhaustive()
    }
}

/// A weight that is nought counts as one.
fn weighing(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests;
