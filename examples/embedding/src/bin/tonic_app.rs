//! A gRPC service behind the same layers. What it serves is tonic's own health service; yours is added the same way.
//!
//!     cargo run --bin tonic_app

use std::error::Error;
use std::time::Duration;

use portcullis_core::auth::JwtVerifier;
use portcullis_core::layer::{AuthenticateLayer, RateLimitLayer};
use portcullis_core::limit::{MemoryStore, Rule};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let verifier = JwtVerifier::hs256(embedding::SECRET).issuer("https://login.shop.test").audience("shop").build()?;
    let rule = Rule::new("per-user", "100/h".parse()?).burst(3);
    let (_, health) = tonic_health::server::health_reporter();
    Server::builder()
        .timeout(Duration::from_secs(5))
        // In tonic the first layer runs first.
        .layer(AuthenticateLayer::new(verifier))
        .layer(RateLimitLayer::new(MemoryStore::new(), rule))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    serve(TcpListener::bind("127.0.0.1:50051").await?).await
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;
    use tonic::transport::Channel;
    use tonic::{Code, Request};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    async fn check(client: &mut HealthClient<Channel>, token: Option<&str>) -> Result<i32, Code> {
        let mut request = Request::new(HealthCheckRequest::default());
        if let Some(token) = token {
            let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        client.check(request).await.map(|answer| answer.into_inner().status).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_caller_is_known_and_limited() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { serve(listener).await.map_err(|error| error.to_string()) });
        let mut client = HealthClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());

        assert_eq!(check(&mut client, None).await, Err(Code::Unauthenticated));
        let ada = embedding::token("ada");
        for _ in 0..3 {
            assert_eq!(check(&mut client, Some(&ada)).await, Ok(1), "serving");
        }
        assert_eq!(check(&mut client, Some(&ada)).await, Err(Code::ResourceExhausted));
        assert_eq!(check(&mut client, Some(&embedding::token("grace"))).await, Ok(1));
    }
}
