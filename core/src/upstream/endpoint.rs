//! One server of an upstream.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::latency::{Latency, Sample};
use super::{EndpointUrl, Scheme};
use crate::time::Moment;

/// One server of an upstream: where it is, how many requests it is answering for us now, how long it takes, and how it failed of late.
///
/// A reload that keeps a URL keeps its endpoint, so that the counts go on (see [`Roster::replace`](super::Roster::replace)).
/// Its weight is not here but in the snapshot, because it may change with the reload.
#[derive(Debug)]
pub struct Endpoint {
    url: EndpointUrl,
    /// Where the URL's host was found, if it is a name that was looked up.
    address: Option<SocketAddr>,
    in_flight: AtomicU32,
    latency: Latency,
    /// Failed attempts since the last that did not; counted only where somebody is ejected for it.
    failures: AtomicU32,
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl Endpoint {
    /// An endpoint that answers nothing yet.
    pub const fn new(url: EndpointUrl) -> Self {
        Self {
            url,
            address: None,
            in_flight: AtomicU32::new(0),
            latency: Latency::new(),
            failures: AtomicU32::new(0),
            kept: None,
        }
    }

    /// The same, with what its owner keeps for it and finds again with [`kept`](Self::kept): connections, a client, a name for
    /// the log. It lives as long as the endpoint does, in every pool that has it and in every lease on it.
    pub fn keeping<T: Any + Send + Sync>(url: EndpointUrl, kept: T) -> Self {
        Self { kept: Some(Box::new(kept)), ..Self::new(url) }
    }

    /// The same at one of the addresses that its host's name was found to have: a name may stand for several endpoints.
    pub const fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Where its host's name was found; none where nobody looked.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether both are in the same place: the same URL, and the same address, where that was looked up.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        self.url == other.url && self.address == other.address
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

    /// Takes note that an answer took so long, until `now`; see [`Lease::observe`](super::Lease::observe).
    pub fn observe(&self, latency: Duration, now: Moment) {
        self.latency.observe(latency, now);
    }

    /// How long it takes to answer: an average of the last ten seconds or so, to which a peak counts at once; it falls while nobody
    /// asks. None before the first answer.
    pub fn latency(&self, now: Moment) -> Option<Duration> {
        self.latency.sample().map(|sample| sample.at(now))
    }

    pub(super) fn sample(&self) -> Option<Sample> {
        self.latency.sample()
    }

    /// Failed attempts in a row, as far as anybody counts them.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Counts a failed attempt; true for the one of all threads that makes it `most` in a row, with which the count begins anew.
    pub(super) fn has_failed(&self, most: u32) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) >= most.saturating_sub(1)
            && self.failures.swap(0, Ordering::Relaxed) >= most
    }

    /// An attempt did not fail, or what failed before says nothing any more. Without a failure before, nothing is written.
    pub(super) fn forget_failures(&self) {
        if self.failures() != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
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
