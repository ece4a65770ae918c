//! The words, and which part is whose.
//!
//! # Who decides, who counts, who chooses
//!
//! Four traits are where one's own parts go in. Each has one to three methods and is used as `Arc<dyn …>`:
//!
//! | trait | question | ours |
//! |---|---|---|
//! | [`TokenVerifier`](crate::auth::TokenVerifier) | who is it? | [`JwtVerifier`](crate::auth::JwtVerifier), [`ApiKeyVerifier`](crate::auth::ApiKeyVerifier) |
//! | [`KeySource`](crate::auth::KeySource) | which keys does the issuer sign with now? | `portcullis-jwks` |
//! | [`RateLimitStore`](crate::limit::RateLimitStore) | may it do so much more? | [`MemoryStore`](crate::limit::MemoryStore) |
//! | [`UpstreamPicker`](crate::upstream::UpstreamPicker) | which endpoint is next? | [`RoundRobin`](crate::upstream::RoundRobin), [`LeastRequest`](crate::upstream::LeastRequest) |
//!
//! What may have to wait answers with an [`Answer`](crate::Answer): a value now, or a boxed future. It is a future itself:
//!
//! ```
//! use portcullis_core::limit::{MemoryStore, RateLimitStore};
//! # portcullis_core::testing::wait(async {
//! let verdict = MemoryStore::new().take(&[]).await?;
//! assert!(verdict.admitted);
//! # Ok::<(), portcullis_core::limit::StoreError>(())
//! # }).unwrap();
//! ```
//!
//! # From a rule to a verdict
//!
//! A [`Rule`](crate::limit::Rule) says how much whom may do. What one request costs one subject under it is a
//! [`Charge`](crate::limit::Charge); a store takes all charges of a request together, or none, and says a
//! [`Verdict`](crate::limit::Verdict). A rule knows its own worst case:
//!
//! ```
//! use portcullis_core::limit::Rule;
//! let rule = Rule::new("per-user", "100/min".parse()?).burst(20);
//! assert_eq!(rule.worst_case(), "at most 120 in any minute: burst 20 + refill 100");
//! # Ok::<(), portcullis_core::limit::RateError>(())
//! ```
//!
//! # Time is an argument
//!
//! Nothing here reads a clock but [`Clock`](crate::time::Clock), and a test's stands still until it is moved:
//!
//! ```
//! use portcullis_core::time::{Clock, UnixTime};
//! use std::time::Duration;
//! let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
//! hand.advance(Duration::from_secs(60));
//! assert_eq!(clock.unix(), UnixTime::from_secs(1_800_000_060));
//! ```
