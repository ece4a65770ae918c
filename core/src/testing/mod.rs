//! What an implementation of our traits runs to prove itself, and private keys to make tokens with.

pub mod limit;

#[cfg(feature = "jwt")]
pub use crate::auth::SigningKey;
