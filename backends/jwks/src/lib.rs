//! An issuer's published keys (a JSON Web Key Set, RFC 7517), fetched over HTTPS and kept fresh in the background.
//!
//! [`Jwks`] is a [`KeySource`](portcullis_core::auth::KeySource): give it to
//! [`JwtVerifier::keys`](portcullis_core::auth::JwtVerifier::keys).
//!
//! ```no_run
//! use portcullis_core::auth::{Algorithm, JwtVerifier};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = portcullis_jwks::Jwks::new("https://login.shop.test/jwks.json")?;
//! let verifier = JwtVerifier::keys(keys)
//!     .algorithms([Algorithm::RS256])
//!     .issuer("https://login.shop.test")
//!     .audience("shop")
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! - It fetches when it begins, and then each [`JwksBuilder::refresh`] period, a little earlier at random so that many gateways do
//!   not ask at one moment. An issuer's `Cache-Control: max-age` that is shorter is followed, down to 30 seconds; a longer one
//!   is not, since a key that was taken back would be good for as long.
//! - A token that names a key which the set does not have causes one fetch, at most every 30 seconds, however many such tokens
//!   there are; they all wait for that one.
//! - A fetch that fails takes nothing away: the last good keys stay for 24 hours more. It is tried again after 1, 2, 4, … up to
//!   60 seconds, with jitter.
//! - While there never were keys, or after those 24 hours, verification says "unavailable" (503) and never "invalid".
//!
//! # What it holds a server to
//!
//! - HTTPS with a certificate that the operating system's roots vouch for; plain HTTP to a loopback address only.
//! - A connection within 3 seconds, everything within 5; status 200; at most 256 KiB, at most 64 keys. Redirects are not followed:
//!   whoever could redirect could name the keys.
//!
//! It never installs a process-wide cryptography: the one it uses (aws-lc) is its own.

mod builder;
mod fetch;
mod schedule;
mod source;
mod task;
mod tls;
mod url;

pub use builder::{JwksBuilder, JwksError};
pub use source::{Jwks, Status};
pub use url::{JwksUrl, JwksUrlError};
