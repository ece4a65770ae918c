//! What chance decides about one request.

use rand::Rng;

/// What chance decides about one request, drawn at once: each look at a thread's randomness costs a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    /// If it came without one.
    pub(crate) request_id: u128,
    /// If it is part of no trace yet.
    pub(crate) trace_id: u128,
    /// Who we are in its trace.
    pub(crate) parent_id: u64,
    /// Which server is asked.
    pub(crate) endpoint: u64,
}

impl Chance {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        let mut wide = || (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        let (request_id, trace_id) = (wide(), wide());
        Self { request_id, trace_id, parent_id: random.next_u64(), endpoint: random.next_u64() }
    }
}
