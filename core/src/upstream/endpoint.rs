//! One server of an upstream.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{EndpointUrl, Scheme};

/// One server of an upstream: where it is, and how many requests it is answering for us now.
///
/// A reload that keeps a URL keeps its endpoint, so that the count goes on (see [`Snapshot::new`](super::Snapshot::new)).
/// Its weight is not here but in the snapshot, because it may change with the reload.
#[derive(Debug)]
pub struct Endpoint {
    url: EndpointUrl,
    in_flight: AtomicU32,
}

impl Endpoint {
    /// An endpoint that answers nothing yet.
    pub const fn new(url: EndpointUrl) -> Self {
        Self { url, in_flight: AtomicU32::new(0) }
    }

    /// Where it is.
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// How it is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.url.scheme()
    }

    /// `host:port`, the port always written; for a unix socket, its path.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// How many leases on it live.
    pub fn in_flight(&self) -> u32 {
        // A count to compare with other counts: nothing else is read by it, so no ordering is needed, here or below.
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a lease. It cannot wrap: four thousand million leases do not fit in memory.
    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a lease's count back.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
