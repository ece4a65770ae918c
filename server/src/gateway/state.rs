//! The gateway's state: the plan that runs, what it runs on, and who is connected.

// Its public face is `Gateway`, a handle on this.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use portcullis_core::Sharded;
use portcullis_core::admit::Services;
use portcullis_core::headers::Via;
use portcullis_core::limit::Stats;
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use super::store::Store;
use super::{Brought, Chance, GatewayError};
use crate::background::Background;
use crate::config::Config;
use crate::connection::{Current, Here};
use crate::live::{Ground, Running};
use crate::names::Names;
use crate::observe::{AccessLog, Metrics, Observer, StoreReading};

/// What one gateway is made of, shared by its connections and by every clone of [`Gateway`](super::Gateway).
#[derive(Debug)]
pub(crate) struct State {
    running: ArcSwap<Running>,
    /// One reload at a time: each builds on the one before it. Every plan that may still be alive, to be counted.
    reloading: Mutex<Vec<Weak<Running>>>,
    clock: Clock,
    pub(super) store: Store,
    /// Its name among those that share the store.
    pub(super) node: String,
    /// What the program brought itself.
    brought: Brought,
    /// What subjects are hashed under while the store says nothing.
    subjects: SubjectKey,
    metrics: Arc<Metrics>,
    random: Sharded<StdRng>,
    connections: Arc<AtomicUsize>,
    tunnels: Arc<AtomicUsize>,
    draining: AtomicBool,
    drain: Notify,
    drained: Arc<Notify>,
    /// What was wrong with the last configuration that was not taken over.
    reload_problem: Mutex<Option<String>>,
    background: Background,
    /// The names of servers that are looked up.
    names: Names,
    /// Whether every verifier had keys once.
    had_keys: AtomicBool,
    here: Sharded<Option<Here>>,
    /// Tells our own mark in `Via` from everybody else's.
    via: Via,
}

/// A client's place among the connections; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<AtomicUsize>,
    drained: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.drained.notify_waiters();
        }
    }
}

/// A tunnel's place among those that are open; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenTunnel(Arc<AtomicUsize>);

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// A gateway that runs `config`.
    ///
    /// # Errors
    /// There is no store for its limits.
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        access: AccessLog,
        brought: Brought,
    ) -> Result<Arc<Self>, GatewayError> {
        let metrics = Arc::new(Metrics::new(&clock));
        metrics.reloaded(config.fingerprint, clock.unix());
        let mut seeds: StdRng = rand::make_rng();
        #[expect(clippy::expect_used, reason = "letters, digits and a hyphen are a token")]
        let via = Via::new(&format!("portcullis-{:08x}", seeds.next_u32())).expect("a token");
        let (background, names) = (Background::default(), Names::default());
        let store = Store::new(&config.settings.store, &brought, &clock, &background)?;
        let ground =
            Ground { background: &background, clock: &clock, metrics: &metrics, names: &names, brought: &brought };
        let state = Arc::new(Self {
            node: format!("{:016x}", seeds.next_u64()),
            running: ArcSwap::from_pointee(Running::new(config, Arc::new(access), None, ground)),
            background,
            names,
            had_keys: AtomicBool::new(false),
            here: Sharded::new(|| None),
            reloading: Mutex::default(),
            brought,
            subjects: SubjectKey::random(),
            store,
            clock,
            metrics,
            random: Sharded::new(|| StdRng::from_rng(&mut seeds)),
            connections: Arc::default(),
            tunnels: Arc::default(),
            draining: AtomicBool::new(false),
            drain: Notify::new(),
            drained: Arc::default(),
            reload_problem: Mutex::default(),
            via,
        });
        state.hear_of_purges();
        Ok(state)
    }

    /// Swaps in another configuration in one step: each request is decided by the one it began with. Counters, breakers,
    /// connections and series go on where their names stay, and so does the access log unless `access` is another.
    ///
    /// # Errors
    /// What cannot change without a restart; then nothing has changed.
    pub(crate) fn reload(&self, mut config: Config, access: Option<AccessLog>) -> Result<(), GatewayError> {
        let mut plans = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.running.load_full();
        let fixed = old.settings.needs_restart(&config.settings);
        if !fixed.is_empty() {
            return Err(GatewayError::NeedsRestart(fixed));
        }
        self.brought.put_into(&mut config).map_err(GatewayError::InCode)?;
        // The old log ends with the last request that writes to it.
        let access = access.map_or_else(|| Arc::clone(&old.access), Arc::new);
        let ground = Ground {
            background: &self.background,
            clock: &self.clock,
            metrics: &self.metrics,
            names: &self.names,
            brought: &self.brought,
        };
        let running = Running::new(config, access, Some(&old), ground);
        *self.problem() = None;
        self.metrics().reloaded(running.fingerprint, self.clock.unix());
        plans.retain(|plan| plan.strong_count() > 0);
        plans.push(Arc::downgrade(&old));
        self.running.store(Arc::new(running));
        // A thread that is handed nothing any more would keep the old plan for ever.
        self.here.for_each(|here| *here = None);
        Ok(())
    }

    /// Notes that a configuration was not taken over, and why: `/readyz` and the metrics say so until one is.
    pub(crate) fn reload_failed(&self, problem: String) {
        *self.problem() = Some(problem);
        self.metrics().reload_failed();
    }

    /// Why the last configuration was not taken over, if it was not.
    pub(crate) fn last_reload_problem(&self) -> Option<String> {
        self.problem().clone()
    }

    fn problem(&self) -> MutexGuard<'_, Option<String>> {
        self.reload_problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many plans are in memory: the one in force, and older ones of requests and connections that began under them and
    /// have had no request since. A connection takes the newest with its next request, and goes after `server.idle_timeout`.
    pub(crate) fn plans(&self) -> usize {
        let older = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        1 + older.iter().filter(|plan| plan.strong_count() > 0).count()
    }

    /// The verifiers without keys, and whether the gateway is not ready because of it: only until each had keys once, whatever then
    /// becomes of an issuer, or of one that a reload adds.
    pub(crate) fn missing_keys(&self) -> (Vec<Arc<str>>, bool) {
        let missing: Vec<_> = self.running.load().keys().filter(|keys| keys.keys == 0).map(|keys| keys.name).collect();
        if missing.is_empty() {
            self.had_keys.store(true, Ordering::Release);
        }
        let unready = !missing.is_empty() && !self.had_keys.load(Ordering::Acquire);
        (missing, unready)
    }

    /// The names of servers that are looked up.
    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// What it counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Its access log.
    pub(crate) fn access(&self) -> Arc<AccessLog> {
        Arc::clone(&self.running.load().access)
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether it is on its way out: `/readyz` says no.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Tells every connection to end after the request it is at.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.drain.notify_waiters();
        if self.connections() == 0 {
            self.drained.notify_waiters();
        }
    }

    /// Resolves when the last connection has ended.
    pub(crate) async fn drained(&self) {
        loop {
            // Registered before the look, so that the last one to leave is not missed.
            let left = self.drained.notified();
            if self.connections() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Open client connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Counts one more tunnel.
    pub(crate) fn open_tunnel(&self) -> OpenTunnel {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
        OpenTunnel(Arc::clone(&self.tunnels))
    }

    /// Open tunnels.
    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }

    /// Resolves when draining begins.
    pub(crate) async fn draining(&self) {
        self.drain.notified().await;
    }

    /// A place for one more connection, unless there are `server.max_connections`.
    pub(crate) fn admit_connection(self: &Arc<Self>) -> Option<Place> {
        let most = self.running.load().settings.server.max_connections;
        let one_more = |open| (open < most).then_some(open + 1);
        if self.connections.try_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            self.metrics().connection_refused();
            return None;
        }
        self.metrics().connection_accepted();
        Some(Place { connections: Arc::clone(&self.connections), drained: Arc::clone(&self.drained) })
    }

    /// Our mark in `Via`, in a copy of its own.
    pub(crate) fn via(&self) -> Via {
        self.via.unshared()
    }

    /// Whether `running` is the plan that runs now.
    pub(crate) fn is_running(&self, running: &Arc<Running>) -> bool {
        Arc::ptr_eq(&self.running.load(), running)
    }

    /// The plan that runs now.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    pub(crate) fn current(&self, running: Arc<Running>) -> Current {
        let observer = Observer::new(self.clock.clone(), Arc::clone(&running.access), Arc::clone(&self.metrics))
            .watched_by(&self.brought.watchers);
        Current { running, observer: Arc::new(observer) }
    }

    /// What this thread keeps for requests that are handed in.
    pub(crate) fn here(&self) -> Here {
        let mut mine = self.here.mine();
        match &*mine {
            Some(here) if self.is_running(&here.current.running) => here.clone(),
            _ => mine.insert(Here { current: Arc::new(self.current(self.running())), via: self.via() }).clone(),
        }
    }

    /// What the first steps ask.
    pub(crate) fn services(&self) -> Services<'_> {
        Services { clock: &self.clock, local: self.store.local(), store: self.store.asked(), subjects: &self.subjects }
    }

    /// Tells `told` once the store decides, or when it is too late for a start to wait for that; drops it where there is nothing to wait for.
    pub(crate) fn when_store_settled(&self, told: impl FnOnce() + Send + 'static) {
        self.store.when_settled(&self.background, told);
    }

    /// How a store is doing that nodes share.
    pub(crate) fn store_reading(&self) -> Option<StoreReading> {
        self.store.reading(&self.clock)
    }

    /// How full the memory of this process is in which limits are counted; none where the program brings it.
    pub(crate) fn store_stats(&self) -> Option<Stats> {
        self.store.stats()
    }

    /// What the program brought itself.
    pub(crate) fn brought(&self) -> &Brought {
        &self.brought
    }

    /// This thread's randomness: for ids and for the choice of endpoints, never for secrets.
    pub(crate) fn random_u64(&self) -> u64 {
        self.random.mine().next_u64()
    }

    /// What chance decides about one request.
    pub(crate) fn chance(&self) -> Chance {
        Chance::draw(&mut self.random.mine())
    }
}
