//! A service with verified identities and honest limits: axum, in ten lines of ours.
//!
//! `cargo run -p portcullis-core --features tower --example service`, then ask `http://127.0.0.1:8080/me` with and without a token.

use axum::{Extension, Router, routing::get};
use portcullis_core::{
    auth::{Identity, JwtVerifier},
    layer::{AuthenticateLayer, RateLimitLayer},
    limit::{MemoryStore, Rule},
};

#[rustfmt::skip]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = JwtVerifier::hs256(b"a-secret-of-at-least-32-bytes-here")
        .issuer("https://login.shop.test")
        .audience("shop")
        .build()?;
    let store = MemoryStore::new();
    let rule = Rule::new("per-user", "100/min".parse()?).burst(20);

    let app = Router::new()
        .route("/me", get(|Extension(who): Extension<Identity>| async move { who.id().to_owned() }))
        .layer(RateLimitLayer::new(store, rule))        // after authentication: layers added last run first
        .layer(AuthenticateLayer::new(verifier));

    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}

/// In tests `main` binds any free port instead and tells which; all else is the real thing.
#[cfg(test)]
mod tokio {
    pub(crate) use ::tokio::{main, runtime};

    pub(crate) mod net {
        pub(crate) struct TcpListener;

        impl TcpListener {
            pub(crate) async fn bind(_: &str) -> std::io::Result<::tokio::net::TcpListener> {
                let listener = ::tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                super::super::tests::ADDRESS.set(listener.local_addr()?).expect("bound once");
                Ok(listener)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::OnceLock;

    use portcullis_core::auth::{Algorithm, mint};

    pub(crate) static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();

    /// What the service says to a request with these fields, as it stands on the wire.
    fn ask(fields: &str) -> String {
        let mut client = TcpStream::connect(ADDRESS.wait()).unwrap();
        client
            .write_all(format!("GET /me HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_sample_verifies_and_limits() {
        std::thread::spawn(|| super::main().map_err(|error| error.to_string()));
        let refused = ask("");
        assert!(
            refused.starts_with("HTTP/1.1 401 ") && refused.contains("\r\nwww-authenticate: Bearer\r\n"),
            "{refused}"
        );
        assert!(refused.contains("\r\ncontent-type: application/problem+json\r\n"), "{refused}");

        let claims = serde_json::json!({
            "iss": "https://login.shop.test", "aud": "shop", "sub": "ada", "exp": 4_000_000_000_u64,
        });
        let token = mint(Algorithm::HS256, b"a-secret-of-at-least-32-bytes-here", claims.as_object().unwrap()).unwrap();
        let bearer = format!("authorization: Bearer {token}\r\n");
        let passed = ask(&bearer);
        assert!(passed.starts_with("HTTP/1.1 200 ") && passed.ends_with("\r\n\r\nada"), "{passed}");
        assert!(passed.contains("\r\nratelimit-policy: \"per-user\";q=20;w=12\r\n"), "{passed}");
        assert!(passed.contains("\r\nx-ratelimit-remaining: 19\r\n"), "{passed}");

        // The burst is spent, and what comes back meanwhile is a drop: one in 600 ms.
        let answers: Vec<_> = (0..60).map(|_| ask(&bearer)).collect();
        let refused = answers.iter().find(|answer| answer.starts_with("HTTP/1.1 429 ")).expect("the limit is used up");
        for field in ["retry-after: ", "ratelimit: \"per-user\";r=0;t=", "ratelimit-policy: ", "x-ratelimit-limit: 20"]
        {
            assert!(refused.contains(&format!("\r\n{field}")), "{field} in {refused}");
        }
    }
}
