//! A verifier with the keys that an issuer publishes.
//!
//! `cargo run -p portcullis-jwks --example verifier -- TOKEN`. A program that is proven against an issuer: `examples/embedding`.

use std::error::Error;

use portcullis_core::auth::{Algorithm, JwtVerifier, TokenVerifier as _};
use portcullis_core::time::Clock;

#[rustfmt::skip]
fn verifier() -> Result<JwtVerifier, Box<dyn Error>> {
    let keys = portcullis_jwks::Jwks::new("https://login.shop.test/jwks.json")?;
    let verifier = JwtVerifier::keys(keys).algorithms([Algorithm::RS256]).issuer("https://login.shop.test").audience("shop").build()?;
    Ok(verifier)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = std::env::args().nth(1).ok_or("give a token")?;
    let identity = verifier()?.verify(&token, Clock::system().unix()).await;
    // An example tells.
    #[expect(clippy::print_stdout, reason = "an example tells")]
    match identity {
        Ok(who) => println!("{}", who.id()),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
