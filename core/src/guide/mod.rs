//! The guide: what the parts are, how a request meets them, and what people build from them.
//!
//! - [`concepts`]: the words, and which part is whose.
//! - [`steps`]: the eight steps of a request, and what each may answer.
//! - [`recipes`]: limits by tenant, several issuers, API keys in a database of one's own, a picker of one's own, testing.
//!
//! Every block of code in it is a test. How to prove a part of one's own: [`testing`](crate::testing).

pub mod concepts;
pub mod recipes;
pub mod steps;
