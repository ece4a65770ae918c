//! Tokens of a real issuer, checked with the keys that it publishes and changes: portcullis-jwks fetches them, keeps them fresh and
//! survives the issuer's outages.
//!
//!     cargo run --bin issuer -- TOKEN

use std::error::Error;

use portcullis_core::auth::{Algorithm, JwtVerifier, TokenVerifier};
use portcullis_core::time::Clock;
use portcullis_jwks::Jwks;

/// A verifier of what the issuer at `url` signs. Fetching begins now; a token that comes before there are keys waits for them.
fn verifier(url: &str) -> Result<JwtVerifier, Box<dyn Error>> {
    let keys = Jwks::new(url)?;
    let verifier = JwtVerifier::keys(keys)
        .algorithms([Algorithm::RS256, Algorithm::ES256])
        .issuer("https://login.shop.test")
        .audience("shop")
        .build()?;
    Ok(verifier)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = std::env::args().nth(1).ok_or("give a token")?;
    let verifier = verifier("https://login.shop.test/jwks.json")?;
    let who = verifier.verify(&token, Clock::system().unix()).await?;
    println!("{} until {:?}", who.id(), who.expires());
    Ok(())
}

#[cfg(test)]
mod tests {
    use portcullis_core::auth::AuthError;
    use portcullis_core::testing::SigningKey;

    use super::*;

    #[tokio::test]
    async fn the_published_key_is_found_and_no_other() {
        let (theirs, mine) =
            (SigningKey::new(Algorithm::RS256).named("one"), SigningKey::next(Algorithm::RS256).named("one"));
        let published = format!("{{\"keys\": [{}]}}", theirs.jwk());
        let issuer = embedding::server(200, &published).await;
        let verifier = verifier(&format!("http://{issuer}/jwks.json")).unwrap();

        let (now, header) = (Clock::system().unix(), r#"{"alg":"RS256","kid":"one"}"#);
        let claims = embedding::claims("ada");
        let ada = verifier.verify(&theirs.sign(header, claims.as_bytes()), now).await.unwrap();
        assert_eq!(ada.id(), "ada");
        let forged = verifier.verify(&mine.sign(header, claims.as_bytes()), now).await;
        assert!(matches!(forged, Err(AuthError::Invalid(_))), "{forged:?}");
    }
}
