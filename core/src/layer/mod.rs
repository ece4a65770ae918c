//! The policies as [tower](https://docs.rs/tower-layer) layers (feature `tower`): in front of axum, tonic, plain hyper, or anything else
//! that is a `Service` of `http` requests.
//!
//! - [`AuthenticateLayer`]: who a request is from, or 401. The [`Identity`](crate::auth::Identity) is an extension of the request.
//! - [`RateLimitLayer`]: how much whom may do, or 429; what is left is said in each answer.
//! - [`AdmitLayer`]: a whole [`Plan`](crate::plan::Plan): route, authenticate, limit.
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use portcullis_core::auth::{Identity, JwtVerifier};
//! use portcullis_core::layer::{AuthenticateLayer, RateLimitLayer};
//! use portcullis_core::limit::{MemoryStore, Rule};
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! /// Any service: here one that answers with who asks.
//! #[derive(Clone)]
//! struct WhoAmI;
//!
//! impl Service<Request<String>> for WhoAmI {
//!     type Response = Response<String>;
//!     type Error = Infallible;
//!     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
//!
//!     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
//!         std::task::Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, request: Request<String>) -> Self::Future {
//!         let who = request.extensions().get::<Identity>().map_or("nobody", Identity::id);
//!         std::future::ready(Ok(Response::new(who.to_owned())))
//!     }
//! }
//!
//! # fn now<T>(future: impl Future<Output = T>) -> T {
//! #     match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
//! #         std::task::Poll::Ready(value) => value,
//! #         std::task::Poll::Pending => unreachable!("nothing has to wait here"),
//! #     }
//! # }
//! let verifier = JwtVerifier::hs256(b"a-secret-of-at-least-32-bytes-here").any_issuer().any_audience().build()?;
//! let limit = RateLimitLayer::new(MemoryStore::new(), Rule::new("per-user", "100/min".parse()?));
//! let mut service = AuthenticateLayer::new(verifier).layer(limit.layer(WhoAmI));
//!
//! let refused = now(service.call(Request::new(String::new())))?;
//! assert_eq!(refused.status(), 401);
//! assert_eq!(refused.headers()["www-authenticate"], "Bearer");
//!
//! # use portcullis_core::auth::{Algorithm, mint};
//! # let claims = serde_json::json!({ "sub": "ada", "exp": 4_000_000_000_u64 });
//! # let token = mint(Algorithm::HS256, b"a-secret-of-at-least-32-bytes-here", claims.as_object().expect("it is one"))?;
//! let good = Request::builder().header("authorization", format!("Bearer {token}")).body(String::new())?;
//! let passed = now(service.call(good))?;
//! assert_eq!(passed.status(), 200);
//! assert_eq!(passed.headers()["ratelimit"], r#""per-user";r=99;t=1"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds for all three
//!
//! - They call the same functions as the gateway ([`admit`](mod@crate::admit)), and a refusal is the gateway's own answer
//!   ([`Rejection::response`](crate::Rejection::response)), byte for byte: same body, same fields. A request whose `X-Request-Id` is one is
//!   told it, as the document's `instance` too. The rejection goes along in the response's extensions, for whoever logs or counts.
//! - `poll_ready` asks the inner service and nothing else: no policy ever holds up the service as a whole.
//! - A decision that can be made at once is made in `call` and allocates nothing but what goes into the request's extensions. One that has
//!   to wait (a new token, keys to be fetched, a store across the network) rides in the future, with one box.
//! - A future that is dropped leaves nothing behind. No task is spawned, no runtime is needed, nothing is global.
//! - The inner service must be `Clone`, because a waiting future takes along the one that was ready; and its body's data `Bytes`, as with
//!   axum, hyper and tonic.
//!
//! A request passes the layer that was added last first. Limits of identities come after authentication; a limit of addresses that
//! should also hold for who has no token stands before it, as a second layer.

mod admit;
mod answer;
mod asker;
mod authenticate;
mod body;
mod future;
mod gated;
mod matched;
mod rate_limit;

#[cfg(test)]
mod tests;

pub use admit::{Admit, AdmitLayer};
pub use authenticate::{Authenticate, AuthenticateLayer};
pub use body::Body;
pub use future::ResponseFuture;
pub use matched::Matched;
pub use rate_limit::{RateLimit, RateLimitLayer};
