//! What the banker asks of the store for one account, and what the store gives.

use portcullis_core::limit::Charge;

/// What is asked for one account: to take, or to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whose, and how much in what time.
    pub(crate) charge: Charge,
    /// As much of this as there is.
    pub(crate) take: u32,
    /// Or this back.
    pub(crate) back: u32,
    /// What goes back was taken then, by the server's clock in nanoseconds; 0: whenever.
    pub(crate) at: u64,
}

/// What the store gave for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// So much.
    pub(crate) count: u32,
    /// When, by the server's clock in nanoseconds.
    pub(crate) at: u64,
    /// When the window ends in which that was, by the same clock. Of windows only.
    pub(crate) window_end: u64,
}
