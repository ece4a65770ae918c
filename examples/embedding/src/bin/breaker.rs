//! A circuit breaker around the calls of a client of one's own: a service that is down is not asked again and again.
//!
//!     cargo run --bin breaker

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use embedding::get;
use portcullis_core::time::Clock;
use portcullis_core::upstream::Breaker;

/// A client of the price service, which is not always there.
struct Prices {
    at: SocketAddr,
    breaker: Breaker,
    clock: Clock,
}

impl Prices {
    fn new(at: SocketAddr, clock: Clock) -> Self {
        let breaker = Breaker::consecutive(3).recovery(Duration::from_secs(30)).build();
        Self { at, breaker, clock }
    }

    /// The price of a thing. While the circuit is open the answer is an error at once, which says when to come back.
    async fn of(&self, thing: &str) -> Result<String, Box<dyn Error>> {
        let permit = self.breaker.permit(self.clock.now())?;
        let answer = embedding::try_fetch(self.at, get(&format!("/prices/{thing}"), None)).await;
        // What a failure is, the caller says: no answer, or one that says that the service cannot answer.
        let fine = answer.as_ref().is_ok_and(|(status, _)| *status < 500);
        permit.settle(fine, self.clock.now());
        match answer? {
            (200, price) => Ok(price),
            (status, _) => Err(format!("the price service says {status}").into()),
        }
    }
}

#[tokio::main]
async fn main() {
    let prices = Prices::new(([127, 0, 0, 1], 7001).into(), Clock::system());
    for _ in 0..5 {
        match prices.of("tea").await {
            Ok(price) => println!("tea is {price}"),
            Err(error) => println!("no price: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::time::UnixTime;

    use super::*;

    #[tokio::test]
    async fn three_failures_open_the_circuit_and_a_good_probe_closes_it() {
        let (clock, time) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let down = embedding::server(503, "down").await;
        let mut prices = Prices::new(down, clock);
        for _ in 0..3 {
            assert_eq!(prices.of("tea").await.unwrap_err().to_string(), "the price service says 503");
        }
        let open = prices.of("tea").await.unwrap_err();
        assert!(open.to_string().starts_with("the breaker is open; try again in "), "{open}");

        prices.at = embedding::server(200, "4.20").await;
        assert!(prices.of("tea").await.is_err(), "it rests, whoever is there by now");
        time.advance(Duration::from_secs(30));
        assert_eq!(prices.of("tea").await.unwrap(), "4.20");
    }
}
