//! The apps: all answer `GET /me` with a few bytes to whom their layers let through.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum_jwt::{Decoder, Token};
use axum_jwt_auth::{Claims, LocalDecoder};
use portcullis_core::auth::JwtVerifier;
use portcullis_core::layer::{AuthenticateLayer, RateLimitLayer};
use portcullis_core::limit::{MemoryStore, Rule};
use serde::Deserialize;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use crate::requests::{AUDIENCE, ISSUER, SECRET, USER};

/// Every app by its name, as the figures are named.
pub const NAMES: [&str; 9] = [
    "bare",
    "authenticate/portcullis",
    "authenticate/axum-jwt",
    "authenticate/axum-jwt-auth",
    "limit/portcullis",
    "limit/tower_governor",
    "both/portcullis",
    "both/axum-jwt+tower_governor",
    "both/axum-jwt-auth+tower_governor",
];

/// How much each may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// So much that nobody is refused.
    Ample,
    /// Once an hour.
    Once,
}

/// The app with this name.
///
/// # Panics
/// When there is none.
pub fn app(name: &str, quota: Quota) -> Router {
    let bare = Router::new().route("/me", get(|| async { "hello" }));
    match name {
        "bare" => bare,
        "authenticate/portcullis" => bare.layer(authenticate()),
        "authenticate/axum-jwt" => axum_jwt(bare),
        "authenticate/axum-jwt-auth" => axum_jwt_auth(bare),
        "limit/portcullis" => {
            bare.layer(limit(rule(quota).keyed_by(format!("header:{USER}").parse().expect("it is one"))))
        }
        "limit/tower_governor" => governor(bare, quota, ByHeader),
        "both/portcullis" => bare.layer(limit(rule(quota))).layer(authenticate()),
        "both/axum-jwt+tower_governor" => axum_jwt(governor(bare, quota, BySubject)),
        "both/axum-jwt-auth+tower_governor" => axum_jwt_auth(governor(bare, quota, BySubject)),
        other => panic!("there is no app {other:?}"),
    }
}

fn authenticate() -> AuthenticateLayer {
    let verifier = JwtVerifier::hs256(SECRET).issuer(ISSUER).audience(AUDIENCE).build();
    AuthenticateLayer::new(verifier.expect("the secret is long enough"))
}

fn rule(quota: Quota) -> Rule {
    match quota {
        Quota::Ample => Rule::new("per-user", "1000000/s".parse().expect("it is one")),
        Quota::Once => Rule::new("per-user", "1/h".parse().expect("it is one")),
    }
}

fn limit(rule: Rule) -> RateLimitLayer {
    let layer = RateLimitLayer::new(MemoryStore::new(), rule);
    assert_eq!(layer.problem(), None);
    layer
}

/// What the others' layers read of a token.
#[derive(Clone, Deserialize)]
pub struct User {
    sub: String,
}

fn axum_jwt(app: Router) -> Router {
    use axum_jwt::jsonwebtoken::{Algorithm, DecodingKey, Validation};
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    let decoder = Decoder::new(DecodingKey::from_secret(SECRET), validation);
    app.layer(axum_jwt::layer(decoder).with_filter(|_: &Token<User>| true).store_to_extension())
}

#[derive(Clone)]
struct Keys(axum_jwt_auth::Decoder<User>);

impl FromRef<Keys> for axum_jwt_auth::Decoder<User> {
    fn from_ref(keys: &Keys) -> Self {
        Arc::clone(&keys.0)
    }
}

fn axum_jwt_auth(app: Router) -> Router {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    let decoder = LocalDecoder::new(vec![DecodingKey::from_secret(SECRET)], validation).expect("a key and an audience");
    app.layer(from_fn_with_state(Keys(Arc::new(decoder)), know))
}

async fn know(State(_): State<Keys>, claims: Claims<User>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(claims.claims);
    next.run(request).await
}

fn governor<K>(app: Router, quota: Quota, key: K) -> Router
where
    K: KeyExtractor + Send + Sync + 'static,
    K::Key: Send + Sync + 'static,
{
    let mut builder = GovernorConfigBuilder::default();
    match quota {
        Quota::Ample => builder.per_nanosecond(1000).burst_size(1_000_000),
        Quota::Once => builder.per_second(3600).burst_size(1),
    };
    let config = builder.key_extractor(key).use_headers().finish().expect("neither is nothing");
    app.layer(GovernorLayer::new(config))
}

/// By whom the JWT layer found.
#[derive(Clone)]
struct BySubject;

impl KeyExtractor for BySubject {
    type Key = String;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<String, GovernorError> {
        let extensions = request.extensions();
        let user = extensions.get::<User>().or_else(|| Some(&extensions.get::<Token<User>>()?.claims));
        user.map(|user| user.sub.clone()).ok_or(GovernorError::UnableToExtractKey)
    }
}

/// By a field.
#[derive(Clone)]
struct ByHeader;

impl KeyExtractor for ByHeader {
    type Key = String;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<String, GovernorError> {
        let value = request.headers().get(USER).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or(GovernorError::UnableToExtractKey)
    }
}
