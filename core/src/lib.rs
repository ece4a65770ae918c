//! The policies of the Portcullis gateway as a library.
//!
//! TODO(docs): worked example and map come with the finished modules.
//!
//! # The lexicon
//!
//! One word for each thing, in code, configuration and metrics alike:
//!
//! - **client**: who sends a request, known by its address until a verifier says more.
//! - **route**: one entry of the routing table; owns what happens to the requests that match it.
//! - **source**: the name of one value of a request ("identity", "header:x").
//! - **verifier**: checks a token and yields an **identity** (verifier, id, claims).
//! - **rule**: a named limit. Its **quota** is how much in which period; a **charge** is what one request costs a
//!   **subject** (who it is counted as) under it; a **verdict** is what the store says to all charges of a request.
//! - **upstream**: a named service behind the gateway; its **pool** is its **endpoints**, a **picker** chooses one, and a
//!   **lease** is the use of one by one request.
//! - **breaker**: stops asking an upstream that does not answer; a **permit** is its leave to ask.
//! - **plan**: the validated run-time description; immutable.
//! - **rejection**: a refusal, with its status and stable code.

pub mod admit;
pub mod answer;
pub mod auth;
pub mod headers;
pub mod limit;
pub mod plan;
pub mod rejection;
pub mod route;
pub mod source;
pub mod subject;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod upstream;

mod sharded;

pub use answer::Answer;
pub use rejection::Rejection;
pub use sharded::Sharded;
