//! `[limits.*]`, and the limits that are a route's own: how much a client may do.

use super::keys::keys;
use super::table::Table;

/// A limit. Only the rate must be said.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Limit(pub(super) Table);

impl Limit {
    keys! {
        /// "token-bucket", "fixed-window", "sliding-window" or "sliding-log".
        text algorithm;
        /// What can be spent at once, of a token bucket.
        count burst;
        /// What one request costs.
        count cost;
        /// Whom it counts: sources, the first present.
        texts key;
        /// How much more than the limit all nodes together may admit, as a share of it from 0 to 1; 0 unless said otherwise.
        ratio max_overshoot;
        /// "enforce" or "shadow".
        text mode;
        /// What becomes of it when the store does not decide: "share", "allow" or "deny"; what the store's section says by default.
        text on_failure;
        /// How much in which time: "100/min".
        text rate;
    }
}
