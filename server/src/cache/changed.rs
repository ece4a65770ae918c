//! What a request that changes something makes invalid (RFC 9111, section 4.4), whatever route it came by.

use http::{HeaderMap, Method, StatusCode};
use portcullis_core::caching::{self, Origin, Scheme};
use portcullis_core::headers::Proto;
use portcullis_core::source::Facts;

use super::Cache;

/// The target of a request that may change something.
#[derive(Debug)]
pub(crate) struct Changed {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
    method: Method,
    path: Box<str>,
    query: Option<Box<str>>,
}

impl Changed {
    pub(super) fn new(origin: Origin<'_>, facts: &Facts<'_>) -> Self {
        Self {
            scheme: origin.scheme,
            host: origin.host.into(),
            port: origin.port,
            method: facts.method.clone(),
            path: facts.path.into(),
            query: facts.query.map(Into::into),
        }
    }

    fn origin(&self) -> Origin<'_> {
        Origin { scheme: self.scheme, host: &self.host, port: self.port }
    }
}

impl Cache {
    /// Takes note that a request which may have changed something was answered so.
    pub(crate) fn note_change(&self, changed: &Changed, status: StatusCode, answer: &HeaderMap) {
        if !caching::invalidates(&changed.method, status) {
            return;
        }
        let mut url = String::new();
        write_url(&mut url, changed.origin(), &changed.path, changed.query.as_deref());
        let mut slots = vec![self.store.slot(url.as_bytes())];
        for named in caching::also_invalidated(answer, changed.origin(), &changed.path) {
            url.clear();
            write_url(&mut url, changed.origin(), &named.path, named.query.as_deref());
            slots.push(self.store.slot(url.as_bytes()));
        }
        self.store.invalidate(slots);
    }
}

/// The scheme that a client used, as far as it is believed.
pub(super) const fn scheme(proto: Proto) -> Scheme {
    match proto {
        Proto::Https => Scheme::Https,
        _ => Scheme::Http,
    }
}

/// A URL in the one form in which the cache knows it: with its port, whatever the scheme's own is.
pub(super) fn write_url(out: &mut String, origin: Origin<'_>, path: &str, query: Option<&str>) {
    use std::fmt::Write as _;

    // Writing to a string does not fail.
    let _ = write!(out, "{}://{}:{}{path}", origin.scheme.as_str(), origin.host, origin.port);
    if let Some(query) = query {
        let _ = write!(out, "?{query}");
    }
}
