//! What stands behind the gateway: the fifth step, *pick*, and the breaker before it.
//!
//! An upstream's [`Pool`] is its [`Endpoint`]s; an [`UpstreamPicker`] chooses one of them, and the [`Lease`] that comes
//! of it counts the request in flight until it is dropped. A [`Roster`] has all endpoints of an upstream, and makes the pools
//! of those that may be asked. A [`Breaker`] stops asking an upstream that does not answer; a [`RetryBudget`] bounds how much is
//! asked twice, and [`backoff`] says when.
//!
//! ```
//! use std::sync::Arc;
//! use portcullis_core::upstream::{NoEndpoint, Pool, RoundRobin, Snapshot, Tried};
//!
//! let servers = [("http://127.0.0.1:7011".parse()?, 1.try_into()?), ("http://127.0.0.1:7012".parse()?, 2.try_into()?)];
//! let snapshot = Snapshot::new(servers, None);
//! let picker = Arc::new(RoundRobin::new(&snapshot));
//! let pool = Pool::new("orders", snapshot, picker);
//!
//! let (key, mut tried) = ("ada", Tried::new());
//! let lease = pool.pick(&key, &tried).ok_or(NoEndpoint)?;
//! assert_eq!(lease.endpoint().authority(), "127.0.0.1:7012");
//! assert_eq!(lease.endpoint().in_flight(), 1);
//!
//! // That one did not answer: the next pick leaves it out.
//! tried.insert(lease.index());
//! let lease = pool.pick(&key, &tried).ok_or(NoEndpoint)?;
//! assert_eq!(lease.endpoint().authority(), "127.0.0.1:7011");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backoff;
mod breaker;
mod budget;
mod discovery;
mod endpoint;
mod hash;
mod latency;
mod least_request;
mod no_endpoint;
mod peak_ewma;
mod pool;
mod random;
mod refresh;
mod roster;
mod round_robin;
mod slots;
mod snapshot;
mod url;

pub use backoff::backoff;
pub use breaker::{Breaker, BreakerBuilder, BreakerChange, BreakerState, Open, OpenedBy, Permit};
pub use budget::RetryBudget;
pub use discovery::{Discovered, Discovery, DiscoveryError, Place};
pub use endpoint::Endpoint;
pub use hash::Hash;
pub use least_request::LeastRequest;
pub use no_endpoint::NoEndpoint;
pub use peak_ewma::PeakEwma;
pub use pool::{Lease, Pool, Tried};
pub use random::Random;
pub use refresh::{Refresh, Refreshed};
pub use roster::{Change, Eject, EndpointStanding, EndpointState, Roster, RosterSettings, RosterState, Thresholds};
pub use round_robin::RoundRobin;
pub use snapshot::{Member, Snapshot};
pub use url::{ACCEPTED_URLS, EndpointUrl, EndpointUrlError, MAX_SOCKET_PATH, Scheme};

/// Chooses one endpoint of a pool.
///
/// A picker is made for one [`Snapshot`] and lives as long as that: what is expensive happens when it is made. It is
/// asked by every worker at once, on the request path: no await, no allocation, no lock; it is immutable but for
/// atomics. It makes no difference between healthy and unhealthy endpoints: a snapshot holds those that may be used.
///
/// `testing::upstream::conformance` (feature `testing`) checks what is promised here; every implementation runs it.
///
/// An index outside `pool` counts as none. What is chosen is only counted as in flight afterwards, by the [`Lease`], so
/// two workers that pick at the same moment may see the same counts; that costs balance, never correctness.
///
/// ```
/// use portcullis_core::upstream::{Ask, EndpointIndex, Snapshot, UpstreamPicker};
///
/// /// Always the first that was not tried: the others are spares.
/// struct InOrder;
///
/// impl UpstreamPicker for InOrder {
///     fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
///         (0..pool.members().len()).map(EndpointIndex).find(|index| !ask.tried.contains(index))
///     }
/// }
/// ```
pub trait UpstreamPicker: Send + Sync + 'static {
    /// The endpoint to use, or none when all that remain were tried.
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex>;
}

/// An index into [`Snapshot::members`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointIndex(pub usize);

/// What a picker may look at besides the pool.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// A hash of what the request is known by, for pickers that keep equal keys on one endpoint.
    pub key: Option<u64>,
    /// Already tried for this request, each once; never picked again. See [`Tried`].
    pub tried: &'a [EndpointIndex],
    /// Fresh randomness for this pick, all 64 bits of it.
    pub random: u64,
}
