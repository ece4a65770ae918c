//! The end of a request: counted, and told.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use http::{Method, Version};
use portcullis_core::time::Clock;

use super::access::AccessLog;
use super::metrics::Metrics;
use super::record::{Ending, Record};
use crate::gateway::Watcher;

/// Who is told when a request ends: the metrics, then the access log.
///
/// Cheap to clone. A worker keeps an `Arc` of its own around a clone, so that the reference count that each request
/// raises is not one that all cores share.
#[derive(Clone)]
pub(crate) struct Observer {
    clock: Clock,
    access: Arc<AccessLog>,
    metrics: Arc<Metrics>,
    watchers: Arc<[Arc<Watcher>]>,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("access", &self.access)
            .field("watchers", &self.watchers.len())
            .finish_non_exhaustive()
    }
}

impl Observer {
    /// An observer that tells these two.
    pub(crate) fn new(clock: Clock, access: Arc<AccessLog>, metrics: Arc<Metrics>) -> Self {
        Self { clock, access, metrics, watchers: Arc::default() }
    }

    /// The same, which tells these too.
    pub(crate) fn watched_by(self, watchers: &[Arc<Watcher>]) -> Self {
        Self { watchers: watchers.into(), ..self }
    }

    /// A record of a request whose head is complete now.
    pub(crate) fn open(self: &Arc<Self>, method: Method, version: Version) -> OpenRecord {
        OpenRecord { record: Record::new(self.clock.now(), method, version), observer: Arc::clone(self) }
    }
}

/// A record that is told when it is dropped: it rides on the response body, and however that ends, the request is
/// counted and logged exactly once.
#[derive(Debug)]
pub(crate) struct OpenRecord {
    record: Record,
    observer: Arc<Observer>,
}

impl Deref for OpenRecord {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl DerefMut for OpenRecord {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.record
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if thread::panicking() {
            self.record.ending = Ending::Panicked;
        }
        let ended = self.observer.clock.now();
        let took = ended.since(self.record.started);
        self.observer.metrics.finished(&self.record, took);
        self.observer.access.write(&self.record, ended);
        for watcher in &*self.observer.watchers {
            // Somebody else's code, in a drop: a panic here must not become two.
            if catch_unwind(AssertUnwindSafe(|| watcher(&self.record, took))).is_err() {
                tracing::error!("an observer of requests panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::Readings;

    #[test]
    fn is_counted_once_however_it_ends() {
        let metrics = Arc::new(Metrics::new(&Clock::system()));
        let observer = Arc::new(Observer::new(Clock::system(), Arc::new(AccessLog::off()), Arc::clone(&metrics)));
        observer.open(Method::GET, Version::HTTP_11).ending = Ending::Complete;
        drop(observer.open(Method::GET, Version::HTTP_11));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _open = observer.open(Method::GET, Version::HTTP_11);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let text = metrics.encode(Readings::default());
        for ending in ["client-gone", "complete", "panicked"] {
            let line = format!("portcullis_endings_total{{ending=\"{ending}\"}} 1\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
