//! A limit that all programs on one Redis share.
//!
//! `cargo run -p portcullis-redis --example limiter -- redis://127.0.0.1:6379 198.51.100.7`: run it in two terminals, and count.

use std::error::Error;
use std::net::IpAddr;

use http::{HeaderMap, Method};
use portcullis_core::limit::{RateLimitStore, Rule, Verdict};
use portcullis_core::route::Params;
use portcullis_core::source::Facts;
use portcullis_core::subject::SubjectKey;
use portcullis_redis::RedisStore;

/// Takes one of a client's ten in a minute. Where there is a tower stack, `RateLimitLayer::new(store, rule)` does all of this.
async fn take(store: &RedisStore, client: IpAddr) -> Result<Verdict, Box<dyn Error>> {
    let rule = Rule::new("per-client", "10/min".parse()?);
    let facts = Facts {
        client: Some(client),
        headers: &HeaderMap::new(),
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    // What everybody who counts there hashes clients under.
    let subjects = store.subjects().unwrap_or_else(SubjectKey::random);
    Ok(store.take(&[rule.charge(&subjects, &facts)]).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let client = arguments.next().unwrap_or_else(|| "198.51.100.7".to_owned()).parse()?;
    let store = RedisStore::connect(&url).await?;
    for _ in 0..4 {
        let verdict = take(&store, client).await?;
        #[expect(clippy::print_stdout, reason = "an example tells")]
        if verdict.admitted {
            println!("admitted; {} of {} left", verdict.remaining, verdict.limit);
        } else {
            println!("refused; again in {} s", verdict.retry_after());
        }
    }
    Ok(())
}
