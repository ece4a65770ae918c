//! An axum app with verified identities and honest limits: two layers, no gateway.
//!
//!     cargo run --bin axum_app
//!     curl -i http://127.0.0.1:8080/me

use std::error::Error;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use portcullis_core::auth::{Identity, JwtVerifier};
use portcullis_core::layer::{AuthenticateLayer, RateLimitLayer};
use portcullis_core::limit::{MemoryStore, Rule};

fn app() -> Result<Router, Box<dyn Error>> {
    let verifier = JwtVerifier::hs256(embedding::SECRET).issuer("https://login.shop.test").audience("shop").build()?;
    let per_user = Rule::new("per-user", "100/h".parse()?).burst(3);
    let per_address = Rule::new("per-address", "1000/min".parse()?).keyed_by("client".parse()?);
    let of_address = RateLimitLayer::new(MemoryStore::new(), per_address)
        .client(|parts| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()));

    Ok(Router::new()
        .route("/me", get(|Extension(who): Extension<Identity>| async move { who.id().to_owned() }))
        .layer(RateLimitLayer::new(MemoryStore::new(), per_user))
        .layer(AuthenticateLayer::new(verifier))
        // Added last, so it runs first: it also holds for who has no token.
        .layer(of_address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("a token to try: {}", embedding::token("ada"));
    axum::serve(listener, app()?.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use embedding::{fetch, get, token};

    use super::*;

    #[tokio::test]
    async fn a_user_is_known_and_limited() {
        let address = embedding::serve(app().unwrap()).await;
        assert_eq!(fetch(address, get("/me", None)).await.0, 401);
        let ada = token("ada");
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(fetch(address, get("/me", Some(&ada))).await.0);
        }
        assert_eq!(answers, [200, 200, 200, 429]);
        assert_eq!(fetch(address, get("/me", Some(&token("grace")))).await, (200, "grace".to_owned()));
    }
}
