//! Routing: from a request's host, path and method to the one route that owns it.
//!
//! A request is made canonical first ([`canonicalise`], [`canonical_host`]), so that every spelling of a path meets the
//! same route. Then the [`Table`] finds the most specific route, whatever order the routes were written in:
//!
//! 1. **Host**: a named host before a wildcard, a longer wildcard before a shorter one, any wildcard before none.
//! 2. **Path**, segment by segment from the left: a literal before a `{parameter}` before `**`. A path that ends exactly
//!    beats a `**` that takes nothing.
//! 3. The first host and path that match **own** the request. Only routes with that same host and path compete from
//!    here: one that names the method before one that names none. Naming GET implies HEAD, and a route that names HEAD
//!    itself comes before one that implies it. None takes the method: 405. A request never falls through to a wider
//!    pattern.
//!
//! Why the third rule: an operator who writes `/admin/**` closes all of `/admin`. Were a request for another method to
//! fall through to `/{tenant}/users`, the door would be open beside the lock.
//!
//! # A worked example
//!
//! | route | pattern | methods |
//! |---|---|---|
//! | 0 | `/{tenant}/users` | all |
//! | 1 | `/admin/**` | GET |
//! | 2 | `/shop/settings` | all |
//!
//! - `GET /admin/users`: 0 and 1 match. At segment 1 route 1 has a literal where route 0 has a parameter: 1 owns it.
//! - `POST /admin/users`: 1 owns it just the same and does not take POST: 405 with `Allow: GET, HEAD`.
//! - `GET /shop/users`: 2 begins with the literal, but does not match; so it owns nothing here, and 0 does.
//! - `GET /shop/users/7`: none matches: 404.
//!
//! ```
//! use http::Method;
//! use portcullis_core::route::{Entry, Missed, Table, canonicalise};
//!
//! let entry = |path: &str, methods: &[Method]| Entry {
//!     pattern: path.parse().expect("a pattern"),
//!     hosts: Vec::new(),
//!     methods: methods.to_vec(),
//! };
//! let table = Table::new(vec![
//!     entry("/{tenant}/users", &[]),
//!     entry("/admin/**", &[Method::GET]),
//!     entry("/shop/settings", &[]),
//! ])
//! .expect("no two routes tie");
//!
//! let path = canonicalise("/x/../%61dmin//users")?;
//! let found = table.find("shop.test", path.as_str(), &Method::GET).expect("route 1 owns it");
//! assert_eq!(found.route().as_usize(), 1);
//! assert_eq!(table.params(&found, path.as_str()).get("rest"), Some("users"));
//!
//! let allow = [Method::GET, Method::HEAD];
//! assert_eq!(table.find("shop.test", "/admin/users", &Method::POST), Err(Missed::MethodNotAllowed { allow: &allow }));
//!
//! let found = table.find("shop.test", "/shop/users", &Method::GET).expect("route 0 owns it");
//! assert_eq!(table.params(&found, "/shop/users").get("tenant"), Some("shop"));
//! assert_eq!(table.find("shop.test", "/shop/users/7", &Method::GET), Err(Missed::NotFound));
//! # Ok::<(), portcullis_core::route::PathError>(())
//! ```
//!
//! # Reading order
//!
//! `canonical` and `host` (what a request is), `pattern` (what a route is), `tree` (the search), `table` (hosts and the
//! public face), `params` (what a match took), `tie` (routes that nothing tells apart), and `scan`: the rule above once
//! more, literally, as a scan over all routes. The scan is what `explain` reads from and what the tree is tested against.

mod canonical;
mod host;
mod params;
mod pattern;
mod scan;
mod table;
mod tie;
mod tree;

pub use canonical::{CanonicalPath, PathError, canonicalise};
pub use host::{HostError, HostPattern, MAX_HOST, canonical_host};
pub use params::Params;
pub use pattern::{MAX_PARAMS, MAX_SEGMENTS, Pattern, PatternError, PatternProblem};
pub use scan::Standing;
pub use table::{Entry, Found, Missed, RouteIndex, Table};
pub use tie::Tie;
