//! The eight steps of a request.
//!
//! | step | where | may refuse with |
//! |---|---|---|
//! | 1 route | [`admit::route`](crate::admit::route), [`route`](crate::route) | 400 404 405 |
//! | 2 authenticate | [`admit`](crate::admit), [`auth`](crate::auth) | 401 403 429 503 |
//! | 3 limit | [`admit`](crate::admit), [`limit`](crate::limit) | 429 503 |
//! | 4 look up | the gateway's cache, by [`caching`](crate::caching) | 504 |
//! | 5 pick | [`upstream`](crate::upstream) | 503 |
//! | 6 forward | the gateway | 502 504 |
//! | 7 store | the gateway's cache, by [`caching`](crate::caching) | |
//! | 8 finish | the gateway | |
//!
//! The first three read nothing but the plan, the head of the request, the clock, the store and the keys, and are here; so is the
//! fifth, and so are the rules of the fourth and the seventh. A gateway does the rest, which needs sockets. What comes after admission takes proof of it:
//! [`Admitted`](crate::admit::Admitted) has no other maker than admission, so that to forward what was not admitted does not compile.
//!
//! Every way to be refused is a [`Rejection`](crate::Rejection), with its status and stable code.
//!
//! The fifth step by itself, with a retry that leaves out what was tried:
//!
//! ```
//! use portcullis_core::upstream::{LeastRequest, Pool, Snapshot, Tried};
//! use std::sync::Arc;
//!
//! let servers = [("http://127.0.0.1:7001".parse()?, 1.try_into()?), ("http://127.0.0.1:7002".parse()?, 1.try_into()?)];
//! let pool = Pool::new("users", Snapshot::new(servers, None), Arc::new(LeastRequest));
//! let mut tried = Tried::new();
//! while let Some(lease) = pool.pick("ada", &tried) {
//!     // Ask lease.endpoint(), which did not answer:
//!     tried.insert(lease.index());
//! }
//! assert_eq!(tried.as_slice().len(), 2, "each was asked once");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
