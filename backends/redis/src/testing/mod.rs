//! For tests (feature `testing`): a store whose time a test moves, and real servers to try it on.
//!
//! [`Server`] and [`Cluster`] start `redis-server` processes of their own, in folders of their own, and end them when they are
//! dropped. Where there is no `redis-server` they panic and say how to get it. They block, and panic where they cannot go on.
#![allow(clippy::panic, reason = "a test that cannot go on says so by panicking")]

use std::time::Duration;

use portcullis_core::time::Clock;

use crate::builder::Builder;

mod cluster;
mod server;

pub use cluster::Cluster;
pub use server::{Server, Value, free_port};

impl Builder {
    /// Takes the time from `clock` instead of from Redis: the script's, and this node's own memory's. Everybody who counts under the
    /// prefix has to have the same.
    pub fn manual(mut self, clock: Clock) -> Self {
        self.hand = Some(clock.clone());
        self.clock(clock)
    }
}

/// Polls until it has happened.
///
/// # Panics
/// It has not within 20 seconds.
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if happened() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("in 20 s it did not happen that {what}");
}
