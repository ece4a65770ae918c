//! Servers that are written as names: each is looked up beside requests, again and again, by its TTL.
//!
//! A name is one task on the background thread, which no request waits for, but those that come before the first answer. Who has
//! servers of that name is called when its list is another one ([`Name::on_change`]). A name lives as long as somebody has it, so that a
//! reload that keeps the name keeps what was found.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use portcullis_core::time::{Clock, Moment};
use portcullis_core::upstream::{Discovered, Discovery, DiscoveryError, EndpointUrl, Place, Refresh, Refreshed};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::background::Background;
use crate::config::ResolverSettings;
use crate::observe::metrics::NameReading;

mod allowed;
#[cfg(feature = "dns")]
mod dns;
#[cfg(not(feature = "dns"))]
#[path = "no_dns.rs"]
mod dns;

/// A look-up that takes longer has failed.
const LONGEST_LOOKUP: Duration = Duration::from_secs(15);

/// All names that are looked up.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashMap<EndpointUrl, Known>>);

/// A name, and how it is looked up.
#[derive(Debug)]
struct Known {
    name: Weak<Name>,
    settings: ResolverSettings,
}

/// A name that stands for servers, and what is known of it.
pub(crate) struct Name {
    url: EndpointUrl,
    known: watch::Sender<Lookups>,
    told: Mutex<Vec<Weak<Told>>>,
    task: OnceLock<AbortHandle>,
}

/// Is called when a list changed.
type Told = dyn Fn() + Send + Sync;

/// Wants to know when a name's list changes, for as long as this is kept.
#[must_use]
pub(crate) struct Following {
    _told: Arc<Told>,
}

/// What look-ups of a name came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    /// So many failed, or found nothing.
    pub(crate) failed: u64,
    /// So many found something.
    pub(crate) found: u64,
    /// The last good list.
    pub(crate) places: Arc<[Place]>,
    /// Since when they fail; none while they do not.
    pub(crate) stale_since: Option<Moment>,
}

impl Names {
    /// The name in this URL; none where the host is an address, or is `localhost`, which is this machine and does not move, or where
    /// this build looks up nothing. Then the system is asked for each new connection.
    pub(crate) fn find(
        &self,
        url: &EndpointUrl,
        settings: &ResolverSettings,
        background: &Background,
        clock: &Clock,
    ) -> Option<Arc<Name>> {
        let (host, _) = url.name()?;
        if allowed::is_localhost(host) {
            return None;
        }
        let discovery = dns::discovery(settings)?;
        let mut all = lock(&self.0);
        all.retain(|_, known| known.name.strong_count() > 0);
        let old = all.get(url).and_then(|known| Some((known.name.upgrade()?, &known.settings)));
        let seed = match old {
            Some((name, same)) if same == settings => return Some(name),
            // Asked elsewhere from now on; until there is an answer, what was found holds.
            old => old.map(|(name, _)| name.lookups().places),
        };
        let runtime = match background.handle() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, server = %url, "a name cannot be looked up beside requests: no thread for it");
                return None;
            }
        };
        let name = Arc::new(Name::new(url.clone(), seed.unwrap_or_default()));
        let task = follow(Arc::downgrade(&name), discovery, clock.clone());
        let _ = name.task.set(runtime.spawn(task).abort_handle());
        all.insert(url.clone(), Known { name: Arc::downgrade(&name), settings: settings.clone() });
        Some(name)
    }
}

impl Names {
    /// How all of them are doing, in the order of their URLs.
    pub(crate) fn readings(&self) -> Vec<NameReading> {
        let all: Vec<_> = lock(&self.0).values().filter_map(|known| known.name.upgrade()).collect();
        let reading = |name: &Arc<Name>| {
            let lookups = name.lookups();
            NameReading {
                server: name.url.to_string(),
                addresses: lookups.places.len() as u64,
                failed: lookups.failed,
                found: lookups.found,
                stale: lookups.stale_since.is_some(),
            }
        };
        let mut readings: Vec<_> = all.iter().map(reading).collect();
        readings.sort_by(|a, b| a.server.cmp(&b.server));
        readings
    }
}

impl Name {
    fn new(url: EndpointUrl, places: Arc<[Place]>) -> Self {
        let known = watch::Sender::new(Lookups { places, ..Lookups::default() });
        Self { url, known, told: Mutex::default(), task: OnceLock::new() }
    }

    /// Calls `told` whenever the list is another one, for as long as the caller keeps what this returns.
    pub(crate) fn on_change(&self, told: impl Fn() + Send + Sync + 'static) -> Following {
        let following: Arc<Told> = Arc::new(told);
        let mut told = lock(&self.told);
        // A list may never change, while many come and go.
        told.retain(|told| told.strong_count() > 0);
        told.push(Arc::downgrade(&following));
        Following { _told: following }
    }

    /// What look-ups came to so far.
    pub(crate) fn lookups(&self) -> Lookups {
        self.known.borrow().clone()
    }

    /// The addresses, once the first look-up is over.
    ///
    /// # Errors
    /// It has none.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let mut known = self.known.subscribe();
        // The sender is ours: it cannot be gone.
        let known = known.wait_for(|known| known.found + known.failed > 0 || !known.places.is_empty()).await;
        let places = known.map(|known| Arc::clone(&known.places)).unwrap_or_default();
        if places.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address was found for the name"));
        }
        Ok(places.iter().map(|place| place.address).collect())
    }

    /// How many are told, those included that are gone and not yet forgotten.
    #[cfg(test)]
    pub(crate) fn told(&self) -> usize {
        lock(&self.told).len()
    }

    /// Takes what a look-up came to.
    fn take(&self, refresh: &mut Refresh, found: Result<Discovered, DiscoveryError>, now: Moment) {
        let was_stale = refresh.stale_since().is_some();
        let error = found.as_ref().err().map(ToString::to_string);
        let outcome = refresh.take(found.ok(), now, rand::random());
        let (server, places) = (&self.url, refresh.places().len());
        match outcome {
            Refreshed::Failed if was_stale => tracing::debug!(%server, error, "a name is still not found"),
            Refreshed::Failed => {
                tracing::warn!(%server, error, places, "a name is not found: what was found before goes on");
            }
            Refreshed::Changed => tracing::info!(%server, places, "a name stands for other addresses now"),
            Refreshed::Same if was_stale => tracing::info!(%server, places, "a name is found again"),
            Refreshed::Same => {}
        }
        self.known.send_modify(|known| {
            match outcome {
                Refreshed::Failed => known.failed += 1,
                Refreshed::Changed | Refreshed::Same => known.found += 1,
            }
            known.places = Arc::clone(refresh.places());
            known.stale_since = refresh.stale_since();
        });
        if outcome == Refreshed::Changed {
            self.tell();
        }
    }

    /// Not under the lock: whoever is called may ask for more.
    fn tell(&self) {
        let told: Vec<_> = lock(&self.told).iter().filter_map(Weak::upgrade).collect();
        told.iter().for_each(|told| told());
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name").field("url", &self.url).field("known", &*self.known.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Following")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Looks a name up again and again, for as long as somebody has it.
async fn follow(name: Weak<Name>, discovery: Arc<dyn Discovery>, clock: Clock) {
    let Some((url, places)) = name.upgrade().map(|name| (name.url.clone(), name.lookups().places)) else { return };
    let mut refresh = Refresh::new(clock.now());
    if !places.is_empty() {
        refresh.take(Some(Discovered { places: places.to_vec(), holds: Duration::ZERO }), clock.now(), 0);
    }
    loop {
        let found = timeout(LONGEST_LOOKUP, discovery.discover(&url)).await;
        let found = found.unwrap_or_else(|_| Err(DiscoveryError::new(format!("no answer within {LONGEST_LOOKUP:?}"))));
        let Some(name) = name.upgrade() else { return };
        name.take(&mut refresh, found, clock.now());
        drop(name);
        sleep(refresh.due().since(clock.now())).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
