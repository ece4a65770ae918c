//! What is asked, with good tokens and bad ones.

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use portcullis_core::auth::{Algorithm, mint};
use portcullis_core::time::Clock;
use serde_json::{Map, Value, json};

/// What all verifiers check with.
pub const SECRET: &[u8] = b"a-secret-of-at-least-32-bytes-here";

/// The issuer and the audience that all of them ask for.
pub const ISSUER: &str = "https://login.shop.test";
pub const AUDIENCE: &str = "shop";

/// Where the limit stands alone, it counts by this field.
pub const USER: &str = "x-user";

/// Claims that are good for an hour; `jti` makes another token of the same user.
pub fn claims(sub: &str, jti: usize) -> Map<String, Value> {
    let exp = Clock::system().unix().as_secs() + 3600;
    let claims =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "role": "customer", "exp": exp, "jti": jti.to_string() });
    claims.as_object().cloned().unwrap_or_default()
}

/// The value of `Authorization`: these claims, signed with `secret`.
///
/// # Panics
/// When the secret is too short.
pub fn bearer(claims: &Map<String, Value>, secret: &[u8]) -> HeaderValue {
    let token = mint(Algorithm::HS256, secret, claims).expect("the secret is long enough");
    HeaderValue::try_from(format!("Bearer {token}")).expect("a token is ASCII")
}

/// A request of `user`, with a token or without.
///
/// # Panics
/// Never: there is room for three fields.
pub fn request(user: &HeaderValue, bearer: Option<&HeaderValue>) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static("/me");
    let headers = request.headers_mut();
    headers.try_insert(http::header::HOST, HeaderValue::from_static("shop.test")).expect("a new map has room");
    headers.try_insert(USER, user.clone()).expect("a new map has room");
    if let Some(bearer) = bearer {
        headers.try_insert(AUTHORIZATION, bearer.clone()).expect("a new map has room");
    }
    request
}
