//! A store of one's own, proven with the suite that every store runs. The counts of this one live with one keeper, who is asked
//! over a channel, as they would live with a server of yours who is asked over the network: the answer comes later.
//!
//!     cargo run --bin own_store

use std::collections::HashMap;
use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Algorithm, Charge, ChargeSet, Mode, RateLimitStore, Rule, StoreError, Verdict};
use portcullis_core::subject::Subject;
use portcullis_core::time::{Clock, Moment};
use tokio::sync::oneshot;

/// A question: these charges, together or not at all.
type Question = (Vec<Charge>, oneshot::Sender<Verdict>);

/// Asks the keeper.
#[derive(Clone, Debug)]
struct Keeper(mpsc::Sender<Question>);

impl RateLimitStore for Keeper {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        if charges.iter().any(|charge| charge.quota.algorithm != Algorithm::FixedWindow) {
            return Answer::Now(Err(StoreError::new("only fixed windows are counted here")));
        }
        let (answer, answered) = oneshot::channel();
        if self.0.send((charges.to_vec(), answer)).is_err() {
            return Answer::Now(Err(StoreError::new("the keeper is gone")));
        }
        // A store over a network gives up in time, too: what then becomes of the request is its rule's `on_failure`.
        Answer::later(async move { answered.await.map_err(|_| StoreError::new("the keeper is gone")) })
    }
}

impl Keeper {
    /// A keeper in a thread of its own, which ends with the last of those who ask. One at a time: so a decision is one step.
    fn start(clock: Clock) -> Self {
        let (ask, asked) = mpsc::channel::<Question>();
        thread::spawn(move || {
            let mut windows = Windows::default();
            for (charges, answer) in asked {
                // Whoever asked may have left.
                let _ = answer.send(windows.decide(&charges, clock.now()));
            }
        });
        Self(ask)
    }
}

/// What was spent in the present window, and when that ends.
#[derive(Default)]
struct Windows(HashMap<Subject, (Moment, u32)>);

impl Windows {
    fn decide(&mut self, charges: &[Charge], now: Moment) -> Verdict {
        let spent = HashMap::clone(&self.0);
        let of = |mode| charges.iter().enumerate().filter(move |(_, charge)| charge.mode == mode);
        let enforced: Vec<_> = of(Mode::Enforce).map(|(place, charge)| self.take(place, charge, now)).collect();
        if enforced.iter().any(|one| !one.admitted) {
            // All that are enforced, or nothing at all.
            self.0 = spent;
        }
        let admitted = enforced.iter().all(|one| one.admitted);
        let shadows: Vec<_> = match admitted {
            true => of(Mode::Shadow).map(|(place, charge)| self.take(place, charge, now)).collect(),
            false => Vec::new(),
        };
        let would = shadows.iter().filter(|one| !one.admitted);
        let would_refuse = would.fold(ChargeSet::EMPTY, |set, one| set.with(one.decided));
        let first = if enforced.is_empty() { &shadows } else { &enforced };
        let wait = if admitted { Duration::ZERO } else { longest(&enforced) };
        Verdict { admitted, would_refuse, wait, ..deciding(first) }
    }

    /// Takes one charge, and says how its limit stands then.
    fn take(&mut self, place: usize, charge: &Charge, now: Moment) -> Verdict {
        let (period, limit) = (charge.quota.period.as_nanos() as u64, charge.quota.limit());
        let end = Moment::from_nanos((now.as_nanos() / period + 1) * period);
        let (until, count) = self.0.entry(charge.subject).or_default();
        if *until <= now {
            *count = 0;
        }
        *until = end;
        // A cost of 0 asks for 1.
        let admitted = count.saturating_add(charge.cost.max(1)) <= limit;
        *count += if admitted { charge.cost } else { 0 };
        let (remaining, left) = (limit.saturating_sub(*count), end.since(now));
        Verdict {
            admitted,
            decided: place,
            limit: limit.into(),
            remaining: remaining.into(),
            reset: if *count == 0 { Duration::ZERO } else { left },
            wait: if admitted { Duration::ZERO } else { left },
            alone: false,
            would_refuse: ChargeSet::EMPTY,
        }
    }
}

fn longest(verdicts: &[Verdict]) -> Duration {
    verdicts.iter().map(|one| one.wait).max().unwrap_or_default()
}

/// The one to tell of: of those refused the longest wait, else the smallest share that is left.
fn deciding(verdicts: &[Verdict]) -> Verdict {
    let refused = verdicts.iter().filter(|one| !one.admitted).max_by_key(|one| one.wait);
    let share = |one: &Verdict| one.remaining as f64 / one.limit as f64;
    let none = Verdict {
        admitted: true,
        decided: 0,
        limit: 0,
        remaining: 0,
        reset: Duration::ZERO,
        wait: Duration::ZERO,
        alone: false,
        would_refuse: ChargeSet::EMPTY,
    };
    *refused.or_else(|| verdicts.iter().min_by(|a, b| share(a).total_cmp(&share(b)))).unwrap_or(&none)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Keeper::start(Clock::system());
    let rule = Rule::new("per-user", "2/min".parse()?).algorithm(Algorithm::FixedWindow);
    let app = axum::Router::new()
        .fallback(|| async { "hello" })
        .layer(portcullis_core::layer::RateLimitLayer::new(store, rule));
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_core::testing::{ManualClock, limit};
    use portcullis_core::time::UnixTime;

    use super::*;

    struct Driver(Arc<Keeper>, ManualClock);

    impl limit::Driver for Driver {
        fn store(&self) -> Arc<dyn RateLimitStore> {
            self.0.clone()
        }

        fn advance(&self, by: Duration) {
            self.1.advance(by);
        }

        fn algorithms(&self) -> &[Algorithm] {
            &[Algorithm::FixedWindow]
        }
    }

    #[test]
    fn it_keeps_the_contract() {
        let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        limit::conformance(&Driver(Arc::new(Keeper::start(clock)), hand));
    }
}
