//! What stands behind: endpoints, pickers, leases, the breaker.

use std::sync::Arc;

/// Chooses one endpoint of a pool.
pub trait UpstreamPicker: Send + Sync + 'static {
    /// The endpoint to use, or none when all that remain were tried.
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex>;
}

/// An index into a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointIndex(pub usize);

/// The endpoints of a pool at one time.
#[derive(Debug)]
pub struct Snapshot {
    /// In the configuration's order.
    pub endpoints: Box<[Arc<Endpoint>]>,
}

/// What a picker may look at besides the pool.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// A key for pickers that hash.
    pub key: Option<u64>,
    /// Already tried for this request.
    pub tried: &'a [EndpointIndex],
    /// Randomness for this pick.
    pub random: u64,
}

/// One server of an upstream.
#[derive(Debug)]
pub struct Endpoint {}
