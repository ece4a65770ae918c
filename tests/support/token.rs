//! Tokens, good and bad.

use portcullis_core::auth::{self, Algorithm};
use portcullis_core::time::Clock;
use serde_json::{Value, json};

/// The secret of the tests' verifiers.
pub const SECRET: &str = "the-secret-of-the-tests-0123456789abcdef";

/// Claims that the tests' verifier accepts for an hour.
pub fn claims(sub: &str) -> Value {
    let exp = Clock::system().unix().as_secs() + 3600;
    json!({"iss": "https://login.shop.test", "aud": "shop", "sub": sub, "role": "customer", "exp": exp})
}

/// A good token for `sub`.
pub fn token(sub: &str) -> String {
    mint(&claims(sub))
}

/// A token with these claims, properly signed.
pub fn mint(claims: &Value) -> String {
    auth::mint(Algorithm::HS256, SECRET.as_bytes(), claims.as_object().unwrap()).unwrap()
}

/// The same claims signed by somebody else.
pub fn forge(claims: &Value) -> String {
    auth::mint(Algorithm::HS256, b"somebody-else's-secret-0123456789abcdef", claims.as_object().unwrap()).unwrap()
}
