//! A connection for each runtime that asks: a question and its answer cross no thread, and those of one moment go out together.
//!
//! A gateway has a runtime for each of its workers. On the keeper's connection, which is driven elsewhere, each question would wake
//! that thread and each answer this one. Until a runtime's own connection is there, and where it cannot be had, the keeper's is used.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Id};
use tokio::time::{sleep, timeout};

use crate::keeper::{ATTEMPT, LONGEST_REST};
use crate::link::Link;
use crate::shared::Shared;
use crate::url::Target;

/// For so many runtimes at most; those beyond use the keeper's connection.
const MOST: usize = 256;

/// The connections of runtimes.
#[derive(Default)]
pub(crate) struct Near(ArcSwap<Vec<Place>>);

/// A runtime's, once it is there.
#[derive(Clone)]
struct Place {
    runtime: Id,
    link: Arc<OnceLock<Arc<Link>>>,
}

impl Near {
    /// Whether this connection is one of these.
    pub(crate) fn has(&self, link: &Arc<Link>) -> bool {
        self.0.load().iter().filter_map(|place| place.link.get()).any(|known| Arc::ptr_eq(known, link))
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.load().iter().filter(|place| place.link.get().is_some_and(|link| !link.has_ended())).count()
    }

    /// Forgets all. Those that are being made now are not used either.
    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }

    /// Makes room for a runtime, if nobody has; what has ended is forgotten.
    fn add(&self, runtime: Id) -> Option<Arc<OnceLock<Arc<Link>>>> {
        let link = Arc::default();
        let place = Place { runtime, link: Arc::clone(&link) };
        let before = self.0.rcu(|places| {
            let mut places: Vec<_> = places.iter().filter(|place| !place.has_ended()).cloned().collect();
            if places.len() < MOST && places.iter().all(|place| place.runtime != runtime) {
                places.push(place.clone());
            }
            places
        });
        let is_free = before.iter().all(|place| place.has_ended() || place.runtime != runtime);
        is_free.then_some(link)
    }

    fn remove(&self, link: &Arc<OnceLock<Arc<Link>>>) {
        self.0.rcu(|places| places.iter().filter(|place| !Arc::ptr_eq(&place.link, link)).cloned().collect::<Vec<_>>());
    }
}

impl Place {
    fn has_ended(&self) -> bool {
        self.link.get().is_some_and(|link| link.has_ended())
    }
}

/// The connection to ask on from here; none while the server is lost.
pub(crate) fn link(shared: &Arc<Shared>) -> Option<Arc<Link>> {
    let kept = shared.link.load();
    let Target::Server(..) = shared.url.0 else { return kept.clone() };
    let Ok(here) = Handle::try_current() else { return kept.clone() };
    let runtime = here.id();
    if kept.is_none() || runtime == shared.runtime.id() {
        return kept.clone();
    }
    let near = shared.near.0.load();
    match near.iter().find(|place| place.runtime == runtime) {
        Some(place) if !place.has_ended() => place.link.get().cloned().or_else(|| kept.clone()),
        _ => {
            if let Some(place) = shared.near.add(runtime) {
                here.spawn(make(Arc::clone(shared), place));
            }
            kept.clone()
        }
    }
}

/// Connects, and leaves the connection in its place; if that fails, the next one tries after a rest.
async fn make(shared: Arc<Shared>, place: Arc<OnceLock<Arc<Link>>>) {
    let made = timeout(ATTEMPT, Link::to(&shared.url.0, shared.tls.as_ref())).await;
    match made {
        Ok(Ok(link)) => drop(place.set(Arc::new(link))),
        _ => {
            sleep(LONGEST_REST).await;
            shared.near.remove(&place);
        }
    }
}
