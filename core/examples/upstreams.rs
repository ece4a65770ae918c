//! A circuit breaker around any call, and a balanced pool of one's own endpoints.
//!
//! `cargo run -p portcullis-core --example upstreams`

#![allow(clippy::print_stdout, reason = "an example says what it found")]

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Clock;
use portcullis_core::upstream::{Breaker, LeastRequest, NoEndpoint, Pool, Snapshot, Tried};

type Failed = Box<dyn std::error::Error>;

/// Stands for any HTTP client: it knows one address at which somebody answers.
struct Client {
    alive: &'static str,
}

impl Client {
    async fn get(&self, url: String) -> Result<String, Failed> {
        if url.contains(self.alive) { Ok(format!("an answer from {url}")) } else { Err("connection refused".into()) }
    }
}

/// One call, unless the service behind it has not been answering.
#[rustfmt::skip]
async fn guarded(breaker: &Breaker, clock: &Clock, client: &Client, url: String) -> Result<String, Failed> {
    let permit = breaker.permit(clock.now())?;                 // Err: open, with the time until the next probe
    let answer = client.get(url).await;
    permit.settle(answer.is_ok(), clock.now());                // dropped unsettled: counts as nothing, gives its probe back
    answer
}

/// One call to one of several endpoints; one that does not answer is passed over.
#[rustfmt::skip]
async fn balanced(pool: &Pool, client: &Client, key: &str) -> Result<String, Failed> {
    let mut tried = Tried::new();
    loop {
        let lease = pool.pick(&key, &tried).ok_or(NoEndpoint)?;    // lease.endpoint(); settles on drop
        match client.get(lease.endpoint().authority().to_owned()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if tried.insert(lease.index()) => {}
            Err(error) => return Err(error),
        }
    }
}

fn pool() -> Result<Pool, Failed> {
    let urls = ["http://127.0.0.1:7011", "http://127.0.0.1:7012", "http://127.0.0.1:7013"];
    let servers: Vec<_> = urls.iter().map(|url| Ok((url.parse()?, 1.try_into()?))).collect::<Result<_, Failed>>()?;
    Ok(Pool::new("orders", Snapshot::new(servers, None), Arc::new(LeastRequest)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let (clock, pool) = (Clock::system(), pool()?);
    let breaker = Breaker::consecutive(5).recovery(Duration::from_secs(30)).build();
    let client = Client { alive: ":7012" };

    println!("{}", balanced(&pool, &client, "ada").await?);
    for _ in 0..6 {
        match guarded(&breaker, &clock, &client, "127.0.0.1:7013".to_owned()).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("no answer: {error}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use portcullis_core::time::UnixTime;
    use portcullis_core::upstream::{BreakerState, Open};

    use super::*;

    #[tokio::test]
    async fn who_answers_is_found_and_nothing_stays_in_flight() {
        let pool = pool().unwrap();
        for alive in [":7011", ":7012", ":7013"] {
            assert!(balanced(&pool, &Client { alive }, "ada").await.unwrap().ends_with(alive));
        }
        let error = balanced(&pool, &Client { alive: ":7014" }, "ada").await.unwrap_err();
        assert!(error.is::<NoEndpoint>());
        assert!(pool.snapshot().members().iter().all(|member| member.endpoint.in_flight() == 0));
    }

    #[tokio::test]
    async fn five_failures_open_the_breaker_and_an_answer_closes_it() {
        let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let breaker = Breaker::consecutive(5).recovery(Duration::from_secs(30)).build();
        let call = |alive| {
            let (breaker, clock) = (&breaker, &clock);
            async move { guarded(breaker, clock, &Client { alive }, "127.0.0.1:7011".to_owned()).await }
        };
        for _ in 0..5 {
            assert!(!call(":7012").await.unwrap_err().is::<Open>());
        }
        assert!(call(":7011").await.unwrap_err().is::<Open>(), "it rests, though it would answer");
        time.advance(Duration::from_secs(30));
        assert!(call(":7011").await.is_ok());
        assert_eq!(breaker.state(clock.now()), BreakerState::Closed);
    }

    #[test]
    fn the_whole_example_runs() {
        main().unwrap();
    }
}
