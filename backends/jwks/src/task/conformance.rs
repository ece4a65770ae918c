//! The suite that every source of keys runs, under paused time.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::task::Poll;

use portcullis_core::auth::KeySource;
use portcullis_core::testing::SigningKey;
use portcullis_core::testing::key_source::{Driver, Hold, conformance};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::*;
use crate::fetch::FetchError;
use crate::source::Jwks as Source;

#[derive(Clone)]
struct Issuer(Arc<State>);

struct State {
    published: Mutex<Vec<SigningKey>>,
    held: watch::Sender<bool>,
    fetches: AtomicU64,
}

impl Fetch for Issuer {
    async fn fetch(&self) -> Result<Fetched, FetchError> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let _ = self.0.held.subscribe().wait_for(|held| !held).await;
        let keys: Vec<_> = self.0.published.lock().unwrap().iter().map(SigningKey::jwk).collect();
        if keys.is_empty() {
            return Err(FetchError::Deadline);
        }
        Ok(Fetched { body: json!({ "keys": keys }).to_string().into(), freshness: None })
    }
}

struct Jwks {
    issuer: Issuer,
    runtime: Runtime,
}

impl Driver for Jwks {
    fn source(&self) -> Arc<dyn KeySource> {
        let shared = Arc::new(Shared::new("https://login.shop.test/jwks".parse().unwrap()));
        let (period, clock) = (Duration::from_secs(600), Clock::system());
        let task = Task::new(Arc::clone(&shared), self.issuer.clone(), period, clock);
        let task = self.runtime.spawn(run(task)).abort_handle();
        Arc::new(Source::fetched_by(task, shared))
    }

    fn publish(&self, keys: &[SigningKey]) {
        *self.issuer.0.published.lock().unwrap() = keys.to_vec();
    }

    fn hold(&self, held: Hold) {
        self.issuer.0.held.send_replace(held == Hold::Holds);
    }

    fn fetches(&self) -> u64 {
        self.issuer.0.fetches.load(Ordering::SeqCst)
    }

    fn next_fetch(&self) {
        self.runtime.block_on(async { sleep(THROTTLE + Duration::from_secs(1)).await });
    }

    fn turn(&self, mut future: Pin<&mut (dyn Future<Output = ()> + Send)>) -> Poll<()> {
        self.runtime.block_on(async {
            let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
            yield_now().await;
            polled
        })
    }
}

#[test]
fn an_issuers_keys_conform() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (published, fetches) = (Mutex::default(), AtomicU64::new(0));
    let issuer = Issuer(Arc::new(State { published, held: watch::Sender::new(false), fetches }));
    conformance(&Jwks { issuer, runtime });
}
