//! By chance.

use super::{Ask, EndpointIndex, Snapshot, UpstreamPicker};

/// Draws an endpoint at random, in proportion to the weights.
///
/// The simplest that shares the load: it keeps nothing and agrees with nobody. [`LeastRequest`](super::LeastRequest) draws twice, and
/// is better wherever some requests take longer than others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl UpstreamPicker for Random {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        pool.random((ask.random >> 32) as u32, None, ask)
    }
}
