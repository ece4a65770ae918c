//! What the tests stand on: a gateway on a free port, upstreams that do as they are told, origins that fail as they are told, a client that sends raw bytes, and
//! tokens, good and bad. All of it blocking and plain: a test reads like a conversation on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

mod client;
mod dice;
mod gateway;
mod message;
mod name_server;
mod origin;
mod stage;
mod token;
mod upstream;
mod wire;

pub use client::Client;
pub use dice::Dice;
pub use gateway::Gateway;
pub use message::Message;
pub use name_server::{NameServer, Record};
pub use origin::Origin;
pub use origin::arrival::{Arrival, Digest, End, MARKER};
pub use origin::fault::{Delays, Fault};
pub use stage::{Peer, Stage};
pub use token::{SECRET, claims, forge, mint, token};
pub use upstream::{Reply, Upstream};

use std::time::Duration;

/// How long anything may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asks again and again until the answer is yes, bounded: for what happens soon, at a moment that nobody announces.
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let (clock, began) = (portcullis_core::time::Clock::system(), portcullis_core::time::Clock::system().now());
    while !happened() {
        assert!(clock.now().since(began) < PATIENCE, "it never came true that {what}");
        // A pause between two looks, so that a test that waits leaves the core to whom it waits for.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
