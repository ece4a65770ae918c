//! An endpoint as this process reaches it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use portcullis_core::upstream::{Endpoint, EndpointUrl, Place, Scheme};

use crate::forward::connect::Address;
use crate::forward::idle::Idle;
use crate::names::Name;

/// An endpoint as this process reaches it: what the endpoint keeps for us.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: Address,
    /// The `Host` of a request that came without one.
    pub(crate) authority: HeaderValue,
    /// The same for the log.
    pub(crate) name: Arc<str>,
    pub(crate) idle: Idle,
    /// Why the last check of it failed, if it did.
    pub(crate) ailment: Mutex<Option<String>>,
}

impl Server {
    /// The server behind an endpoint of ours; none behind one of another make, which no pool of ours has.
    pub(crate) fn of(endpoint: &Endpoint) -> Option<&Self> {
        endpoint.kept()
    }

    /// Why the last check of it failed, if it did.
    pub(crate) fn ailment(&self) -> Option<String> {
        self.ailment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The endpoint of this URL, at this place where its host is a name that was found: the one that was there before, with its
    /// connections, where there was one.
    pub(crate) fn endpoint(
        url: &EndpointUrl,
        (place, name): (Option<&Place>, Option<&Arc<Name>>),
        most_idle: usize,
        known: &[Arc<Endpoint>],
    ) -> Arc<Endpoint> {
        let at = place.map(|place| place.address);
        let mut known = known.iter().filter(|endpoint| endpoint.url() == url && endpoint.address() == at);
        if let Some((endpoint, server)) = known.find_map(|endpoint| Some((endpoint, Self::of(endpoint)?))) {
            server.idle.set_most(most_idle);
            return Arc::clone(endpoint);
        }
        let endpoint = |address| Endpoint::keeping(url.clone(), Self::new(url, address, most_idle));
        Arc::new(match (at, name) {
            (Some(at), _) => endpoint(Address::Ip(at)).at(at),
            (None, Some(name)) => endpoint(Address::Awaited(Arc::clone(name))),
            (None, None) => endpoint(address(url)),
        })
    }

    fn new(url: &EndpointUrl, address: Address, most_idle: usize) -> Self {
        let authority = match address {
            // A path is no host; what applications call the machine that they are on is.
            Address::Unix(_) => HeaderValue::from_static("localhost"),
            // A parsed endpoint's authority is a host and a port; were it ever not a header value, an empty Host is right
            // (RFC 9112, section 3.2).
            _ => HeaderValue::from_str(url.authority()).unwrap_or(HeaderValue::from_static("")),
        };
        let name = match address {
            Address::Unix(_) => url.to_string().into(),
            // One of several that the name stands for.
            Address::Ip(address) if url.name().is_some() => format!("{} ({address})", url.authority()).into(),
            _ => url.authority().into(),
        };
        Self { address, authority, name, idle: Idle::new(most_idle), ailment: Mutex::default() }
    }
}

fn address(url: &EndpointUrl) -> Address {
    let authority = url.authority();
    if url.scheme() == Scheme::Unix {
        return Address::Unix(Path::new(authority).into());
    }
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Address::Ip(address);
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    Address::Name(host.into(), port.parse().unwrap_or(80))
}
