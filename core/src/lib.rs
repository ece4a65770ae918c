//! The policies of the Portcullis gateway as a library: routes, verified identities, rate limits, balancing and circuit
//! breaking. It knows no sockets, files, timers or configuration format, spawns nothing and installs nothing; whoever embeds
//! it brings the request and the time.
//!
//! ```
//! use portcullis_core::auth::{Algorithm, JwtVerifier, TokenVerifier, mint};
//! use portcullis_core::limit::{MemoryStore, RateLimitStore, Rule};
//! use portcullis_core::route::Params;
//! use portcullis_core::source::Facts;
//! use portcullis_core::subject::SubjectKey;
//! use portcullis_core::time::Clock;
//! # let runtime = |future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
//! #     let mut future = future;
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     assert!(future.as_mut().poll(&mut cx).is_ready(), "memory answers at once");
//! # };
//! # runtime(Box::pin(async {
//!
//! let secret = "a-secret-of-at-least-32-bytes-here";
//! let verifier = JwtVerifier::hs256(secret).issuer("https://login.shop.test").audience("shop").build().unwrap();
//! let clock = Clock::system();
//!
//! // What a login would sign.
//! let claims = serde_json::json!({
//!     "iss": "https://login.shop.test", "aud": "shop", "sub": "ada", "exp": clock.unix().as_secs() + 3600,
//! });
//! let token = mint(Algorithm::HS256, secret.as_bytes(), claims.as_object().unwrap()).unwrap();
//!
//! // Who it is.
//! let ada = verifier.verify(&token, clock.unix()).await.unwrap();
//! assert_eq!(ada.id(), "ada");
//!
//! // How much she may do: two at once, a hundred a minute.
//! let (store, key) = (MemoryStore::new(), SubjectKey::random());
//! let rule = Rule::new("per-user", "100/min".parse().unwrap()).burst(2);
//! let (headers, method) = (http::HeaderMap::new(), http::Method::GET);
//! let facts = Facts {
//!     client: None,
//!     headers: &headers,
//!     host: "shop.test",
//!     identity: Some(&ada),
//!     method: &method,
//!     params: Params::EMPTY,
//!     path: "/orders",
//!     query: None,
//! };
//! let charge = rule.charge(&key, &facts);
//! assert!(store.take(&[charge]).await.unwrap().admitted);
//! assert!(store.take(&[charge]).await.unwrap().admitted);
//! let refused = store.take(&[charge]).await.unwrap();
//! assert!(!refused.admitted && refused.retry_after() == 1);
//! # }));
//! ```
//!
//! # Where things are
//!
//! The `guide` has the concepts, the steps of a request and recipes.
//!
//! Read [`plan`] first: what a request is decided by. Then [`admit`], the first three of a gateway's eight steps, which calls
//! [`route`], [`auth`] and [`limit`]; then [`upstream`], what stands behind, and [`caching`], when it need not be asked. [`source`] names a value of a request, [`subject`]
//! is who it is counted as, [`template`] makes a path, a query, a header or a URL of it; [`headers`] is what a proxy does to fields; [`rejection`] is every
//! way to be refused; [`time`] is the only file that reads a clock; [`answer`] is what the traits return. `layer` (feature `tower`) puts
//! the steps in front of any service.
//!
//! # Features
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `api-key` | `auth::ApiKeyVerifier`: API keys, known by their hashes | yes |
//! | `jwt` | `auth::JwtVerifier`: JSON Web Tokens under secrets, public keys, and keys that change | yes |
//! | `testing` | `testing`: suites that an implementation of a trait runs to prove itself, private keys to make tokens with | no |
//! | `tower` | `layer`: the steps as layers in front of any `tower` service | no |
//!
//! A feature makes something available and changes nothing that is there. None installs anything: no runtime, no provider of
//! cryptography, no subscriber.
//!
//! # The lexicon
//!
//! One word for each thing, in code, configuration and metrics alike:
//!
//! - **client**: who sends a request, known by its address until a verifier says more.
//! - **route**: one entry of the routing table; owns what happens to the requests that match it.
//! - **source**: the name of one value of a request ("identity", "header:x").
//! - **template**: text with values of a request in it, encoded for the place they go to.
//! - **split**: several upstreams on one route, each with a **share** of its requests.
//! - **verifier**: checks a token and yields an **identity** (verifier, id, claims).
//! - **rule**: a named limit. Its **quota** is how much in which period; a **charge** is what one request costs a
//!   **subject** (who it is counted as) under it; a **verdict** is what the store says to all charges of a request.
//! - **upstream**: a named service behind the gateway; its **pool** is its **endpoints**, each a **member** with a weight; a
//!   **picker** chooses one, and a **lease** is the use of one by one request. Its **roster** has all of them, those
//!   too that may not be asked now: **ejected** for what came of requests, or **unhealthy** by a **check**.
//! - **cache**: keeps answers, each **fresh** and then **stale**, under a **key** that tells requests apart; the answers of one key are
//!   its **variants**. What goes past it is a **bypass**.
//! - **breaker**: stops asking an upstream that does not answer; a **permit** is its leave to ask.
//! - **budget**: how many **retries** an upstream may be asked for, as a share of its requests.
//! - **plan**: the validated run-time description; immutable.
//! - **rejection**: a refusal, with its status and stable code.

// docs.rs says which feature brings what.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admit;
pub mod answer;
pub mod auth;
pub mod caching;
pub mod expr;
// Nothing but pages: only the documentation has it, and its examples need what these features bring.
#[cfg(all(doc, feature = "api-key", feature = "jwt", feature = "testing"))]
pub mod guide;
pub mod headers;
#[cfg(feature = "tower")]
pub mod layer;
pub mod limit;
pub mod plan;
pub mod rejection;
pub mod route;
pub mod source;
pub mod subject;
pub mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod upstream;

mod sharded;
mod sync;

pub use answer::Answer;
pub use rejection::Rejection;
pub use sharded::Sharded;
