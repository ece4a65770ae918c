//! One server of an upstream.

use std::any::Any;
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
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl Endpoint {
    /// An endpoint that answers nothing yet.
    pub const fn new(url: EndpointUrl) -> Self {
        Self { url, in_flight: AtomicU32::new(0), kept: None }
    }

    /// The same, with what its owner keeps for it and finds again with [`kept`](Self::kept): connections, a client, a name for
    /// the log. It lives as long as the endpoint does, in every pool that has it and in every lease on it.
    pub fn keeping<T: Any + Send + Sync>(url: EndpointUrl, kept: T) -> Self {
        Self { kept: Some(Box::new(kept)), ..Self::new(url) }
    }

    /// What its owner keeps for it; none when that is not a `T`. Costs the comparison of a type's number.
    pub fn kept<T: Any>(&self) -> Option<&T> {
        self.kept.as_deref()?.downcast_ref()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_as_what_it_is() {
        let url = || -> EndpointUrl { "http://127.0.0.1:7001".parse().unwrap() };
        let endpoint = Endpoint::keeping(url(), 7_u16);
        assert_eq!((endpoint.kept::<u16>(), endpoint.kept::<u32>()), (Some(&7), None));
        assert_eq!(Endpoint::new(url()).kept::<u16>(), None);
    }
}
