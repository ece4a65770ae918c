//! Where the addresses behind a server's name come from.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::EndpointUrl;
use crate::answer::Answer;

/// Finds the places that a server's URL stands for: DNS, a registry, a file.
///
/// It is the slow path, asked beside requests and never by one; [`Refresh`](super::Refresh) says when, and keeps what was found.
///
/// # Contract
///
/// - [`discover`](Self::discover) returns within a few seconds, and may be dropped at any point.
/// - It yields what holds now, not what it remembers: keeping is the caller's.
/// - Nothing found is an error, not an empty list.
///
/// ```
/// use std::time::Duration;
/// use portcullis_core::Answer;
/// use portcullis_core::upstream::{Discovered, Discovery, DiscoveryError, EndpointUrl, Place};
///
/// /// The same for every name.
/// struct Fixed(Vec<Place>);
///
/// impl Discovery for Fixed {
///     fn discover(&self, _: &EndpointUrl) -> Answer<Result<Discovered, DiscoveryError>> {
///         Answer::Now(Ok(Discovered { places: self.0.clone(), holds: Duration::MAX }))
///     }
/// }
/// ```
pub trait Discovery: Send + Sync + 'static {
    /// The places behind `url`, whose host is a name ([`EndpointUrl::name`]).
    ///
    /// # Errors
    /// None could be found, for whatever reason.
    fn discover(&self, url: &EndpointUrl) -> Answer<Result<Discovered, DiscoveryError>>;
}

/// What a [`Discovery`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The places, in any order.
    pub places: Vec<Place>,
    /// For how long they hold: a TTL.
    pub holds: Duration,
}

/// A place that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Where it is. The port is the URL's, unless the source knows another (as SRV records do).
    pub address: SocketAddr,
    /// Its share of the name's requests relative to the name's other places; 1 where the source knows none.
    pub weight: NonZeroU32,
}

impl Place {
    /// One that weighs as much as every other.
    pub const fn at(address: SocketAddr) -> Self {
        Self { address, weight: NonZeroU32::MIN }
    }
}

/// Why nothing was found, in a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryError(String);

impl DiscoveryError {
    /// With this sentence.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DiscoveryError {}
