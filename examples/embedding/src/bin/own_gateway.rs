//! A monolith that puts the gateway in front of its own router: verified identities, limits and a breaker, one process, no
//! connection between them. What the gateway does is one text; what the shop does is axum as ever.
//!
//!     cargo run --bin own_gateway
//!     curl -i http://127.0.0.1:8080/hello

use std::error::Error;

use axum::routing::get;
use axum::{Extension, Router};
use portcullis::{Gateway, config};
use portcullis_core::auth::Identity;

/// `servers = "in-code"` (here in its short form) is a service that this program brings.
const PLAN: &str = r#"
    [log]
    access = "off"

    [upstreams]
    shop = "in-code"

    [auth.users]
    kind       = "jwt"
    algorithms = ["HS256"]
    secret     = "${JWT_SECRET:-a-secret-of-at-least-32-bytes-here}"
    issuer     = "https://login.shop.test"
    audience   = ["shop"]

    [[routes]]
    path     = "/hello"
    upstream = "shop"
    auth     = "none"

    [[routes]]
    path     = "/me"
    upstream = "shop"
    auth     = "users"
    limits   = ["100/min"]
"#;

/// The shop itself. Who a request is from has been verified by the time that it gets here.
fn shop() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/me", get(|Extension(who): Extension<Identity>| async move { who.id().to_owned() }))
}

async fn gateway() -> Result<Gateway, Box<dyn Error>> {
    let plan = config::from_text("plan", PLAN)?;
    let gateway = Gateway::builder(plan).upstream("shop", shop()).observer(|record, took| {
        if let Some(path) = &record.path {
            println!("{} {path}: {} in {took:?}", record.method, record.status());
        }
    });
    Ok(gateway.build().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    gateway().await?.serve(listener, interrupted).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use embedding::{get, token};

    use super::*;

    #[tokio::test]
    async fn the_shop_knows_who_asks_and_nobody_else_gets_in() {
        let gateway = gateway().await.unwrap();
        let ask = async |target, token: Option<&str>| {
            let response = gateway.handle(get(target, token)).await;
            (response.status().as_u16(), embedding::text(response).await)
        };
        assert_eq!(ask("/hello", None).await, (200, "hello".to_owned()));
        assert_eq!(ask("/me", None).await.0, 401);
        assert_eq!(ask("/me", Some(&token("ada"))).await, (200, "ada".to_owned()));
        assert_eq!(ask("/elsewhere", None).await.0, 404);
    }

    #[tokio::test]
    async fn it_serves_a_listener_until_it_is_told_to_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let gateway = gateway().await.map_err(|error| error.to_string())?;
            gateway.serve(listener, async { drop(stopped.await) }).await.map_err(|error| error.to_string())
        });
        let (status, body) = embedding::fetch(address, get("/me", Some(&token("ada")))).await;
        assert_eq!((status, body.as_str()), (200, "ada"));
        drop(stop);
        assert_eq!(serving.await.unwrap(), Ok(()));
    }
}
