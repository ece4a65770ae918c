//! A picker of one's own, in a gateway of one's own: the first server does all the work and the others are spares, as a database
//! with a standby wants it.
//!
//!     cargo run --bin own_picker

use std::error::Error;
use std::sync::Arc;

use portcullis::{Gateway, config};
use portcullis_core::upstream::{Ask, EndpointIndex, Snapshot, UpstreamPicker};

/// The first server that was not tried yet. Nothing to keep, so nothing is made for a snapshot.
struct Standby;

impl UpstreamPicker for Standby {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        (0..pool.members().len()).map(EndpointIndex).find(|index| !ask.tried.contains(index))
    }
}

/// `balance = "in-code"` is what this program brings.
async fn gateway(servers: [&str; 2]) -> Result<Gateway, Box<dyn Error>> {
    let [first, standby] = servers;
    let plan = format!(
        r#"
        [log]
        access = "off"
        [upstreams.ledger]
        servers = ["{first}", "{standby}"]
        balance = "in-code"
        [[routes]]
        path = "/**"
        upstream = "ledger"
        "#
    );
    let plan = config::from_text("plan", &plan)?;
    Ok(Gateway::builder(plan).picker("ledger", |_| Arc::new(Standby)).build().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let gateway = gateway(["http://127.0.0.1:7001", "http://127.0.0.1:7002"]).await?;
    gateway.serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use embedding::{get, server};
    use portcullis_core::testing;

    use super::*;

    struct Driver;

    impl testing::upstream::Driver for Driver {
        fn picker(&self, _: &Snapshot) -> Arc<dyn UpstreamPicker> {
            Arc::new(Standby)
        }

        fn claims(&self) -> testing::upstream::Claims {
            // It does not go by weight.
            testing::upstream::Claims { weights: false, ..testing::upstream::Claims::default() }
        }
    }

    #[test]
    fn it_keeps_the_contract() {
        testing::upstream::conformance(&Driver);
    }

    #[tokio::test]
    async fn the_standby_works_when_the_first_is_down() {
        let standby = server(200, "standby").await;
        // A port that was free a moment ago, and has nobody.
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let gateway = gateway([&format!("http://{nobody}"), &format!("http://{standby}")]).await.unwrap();
        let response = gateway.handle(get("/", None)).await;
        assert_eq!((response.status().as_u16(), embedding::text(response).await.as_str()), (200, "standby"));

        let first = server(200, "first").await;
        let gateway = super::gateway([&format!("http://{first}"), &format!("http://{standby}")]).await.unwrap();
        for _ in 0..5 {
            assert_eq!(embedding::text(gateway.handle(get("/", None)).await).await, "first");
        }
    }
}
