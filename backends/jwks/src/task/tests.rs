//! The task under paused time, with a script for an issuer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use portcullis_core::auth::Algorithm;
use portcullis_core::testing::SigningKey;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::fetch::FetchError;

/// What the issuer does next.
enum Step {
    /// Publishes these keys, with a `max-age`.
    Keys(&'static [&'static str], Option<u64>),
    Text(&'static str),
    Down,
    /// Answers `Keys` after a while.
    Slow(Duration, &'static [&'static str]),
}

#[derive(Clone, Default)]
struct Issuer(Arc<Script>);

#[derive(Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    fetches: AtomicUsize,
}

impl Fetch for Issuer {
    async fn fetch(&self) -> Result<Fetched, FetchError> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let step = self.0.steps.lock().unwrap().pop_front().unwrap_or(Step::Down);
        match step {
            Step::Keys(names, freshness) => Ok(answer(names, freshness)),
            Step::Text(text) => Ok(Fetched { body: Bytes::from_static(text.as_bytes()), freshness: None }),
            Step::Down => Err(FetchError::Deadline),
            Step::Slow(wait, names) => {
                sleep(wait).await;
                Ok(answer(names, None))
            }
        }
    }
}

/// The same key under each name.
fn answer(names: &[&str], freshness: Option<u64>) -> Fetched {
    let keys: Vec<_> = names.iter().map(|name| SigningKey::new(Algorithm::EdDSA).named(name).jwk()).collect();
    let body = json!({ "keys": keys }).to_string().into();
    Fetched { body, freshness: freshness.map(Duration::from_secs) }
}

struct Running {
    issuer: Issuer,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let issuer = Issuer::default();
        issuer.0.steps.lock().unwrap().extend(steps);
        let shared = Arc::new(Shared::new("https://login.shop.test/jwks".parse().unwrap()));
        let task = Task::new(Arc::clone(&shared), issuer.clone(), Duration::from_secs(600), Clock::system());
        Self { issuer, shared, task: tokio::spawn(run(task)) }
    }

    fn fetches(&self) -> usize {
        self.issuer.0.fetches.load(Ordering::SeqCst)
    }

    fn names(&self) -> Vec<String> {
        let keys = self.shared.keys.load_full();
        keys.into_iter().flat_map(|keys| keys.names().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn script(&self, step: Step) {
        self.issuer.0.steps.lock().unwrap().push_back(step);
    }

    /// Lets the task run for so long.
    async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_at_start_and_each_period() {
    let running = Running::start([Step::Keys(&["a"], None), Step::Keys(&["a", "b"], None)]);
    running.shared.refresh(0).await;
    assert_eq!((running.names(), running.fetches(), running.shared.generation()), (vec!["a".to_owned()], 1, 1));
    running.pass(539).await;
    assert_eq!(running.fetches(), 1);
    running.pass(62).await;
    assert_eq!((running.names().len(), running.fetches(), running.shared.generation()), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_same_keys_are_the_same_set() {
    let running = Running::start([Step::Keys(&["a", "b"], Some(60)), Step::Keys(&["b", "a"], None)]);
    running.pass(61).await;
    assert_eq!((running.fetches(), running.shared.generation()), (2, 1));
}

/// J10: however many ask, one fetch; and the next one 30 seconds later.
#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_names_is_one_fetch() {
    let running = Running::start([Step::Keys(&["a"], None), Step::Slow(Duration::from_secs(2), &["a", "b"])]);
    running.shared.refresh(0).await;
    let asking: Vec<_> = (0..1000)
        .map(|_| {
            let shared = Arc::clone(&running.shared);
            tokio::spawn(async move {
                shared.refresh(1).await;
                shared.generation()
            })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 2, "each waited for the one fetch");
    }
    assert_eq!(running.fetches(), 2);
    for _ in 0..1000 {
        running.shared.refresh(2).await;
    }
    assert_eq!(running.fetches(), 2, "too early for another");
    running.pass(29).await;
    running.shared.refresh(2).await;
    assert_eq!(running.fetches(), 2);
    running.pass(2).await;
    running.script(Step::Keys(&["a", "b", "c"], None));
    running.shared.refresh(2).await;
    assert_eq!((running.fetches(), running.names().len()), (3, 3));
    // Ten seconds of them cost no more than that.
    for _ in 0..10_000 {
        running.shared.refresh(3).await;
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(running.fetches(), 3);
}

/// J10: the fetch at start does not count.
#[tokio::test(start_paused = true)]
async fn the_first_unknown_name_is_asked_for_at_once() {
    let running = Running::start([Step::Keys(&["a"], None), Step::Keys(&["a", "b"], None)]);
    running.shared.refresh(0).await;
    running.shared.refresh(1).await;
    assert_eq!((running.fetches(), running.names().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_less_than_there_is_does_not_ask() {
    let running = Running::start([Step::Keys(&["a"], None)]);
    running.shared.refresh(0).await;
    running.shared.refresh(0).await;
    assert_eq!(running.fetches(), 1);
}

/// J09, J10: failures take nothing away, come again later and later, and never more than asked for.
#[tokio::test(start_paused = true)]
async fn the_last_good_keys_stay() {
    let running =
        Running::start([Step::Keys(&["a"], Some(60)), Step::Down, Step::Text("<html>"), Step::Text("{\"keys\":[]}")]);
    running.pass(3600).await;
    assert_eq!(running.names(), ["a"]);
    let failed = running.shared.failed.load(Ordering::Relaxed);
    assert!((60..150).contains(&failed), "a minute's rest each at the end: {failed}");
    running.script(Step::Keys(&["b"], None));
    running.pass(61).await;
    assert_eq!((running.names(), running.shared.generation()), (vec!["b".to_owned()], 2));
}

/// J09: a day without an issuer is the end of its keys.
#[tokio::test(start_paused = true)]
async fn keys_do_not_outlive_their_issuer_by_more_than_a_day() {
    let running = Running::start([Step::Keys(&["a"], Some(60))]);
    running.pass(24 * 3600 - 10).await;
    assert_eq!(running.names(), ["a"]);
    running.pass(20).await;
    assert_eq!((running.names().len(), running.shared.generation()), (0, 0));
    running.script(Step::Keys(&["a"], None));
    running.pass(61).await;
    assert_eq!(
        (running.names().len(), running.shared.generation()),
        (1, 2),
        "what was accepted before stays forgotten"
    );
}

/// J09: while there never were keys, who asks waits for the fetch that runs, and is let go when it fails.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_start_is_found_later() {
    let running = Running::start([Step::Down, Step::Down, Step::Keys(&["a"], None)]);
    running.shared.refresh(0).await;
    assert_eq!((running.fetches(), running.names().len()), (1, 0));
    running.pass(5).await;
    assert_eq!((running.fetches(), running.names().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_cancels_nothing() {
    let running = Running::start([Step::Keys(&["a"], None), Step::Slow(Duration::from_secs(5), &["b"])]);
    running.shared.refresh(0).await;
    let left = tokio::time::timeout(Duration::from_secs(1), running.shared.refresh(1)).await;
    assert!(left.is_err());
    running.shared.refresh(1).await;
    assert_eq!((running.fetches(), running.names()), (2, vec!["b".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_task_that_is_gone() {
    let running = Running::start([Step::Slow(Duration::from_secs(3600), &["a"])]);
    let waiting = tokio::spawn({
        let shared = Arc::clone(&running.shared);
        async move { shared.refresh(0).await }
    });
    running.pass(1).await;
    running.task.abort();
    waiting.await.unwrap();
    running.shared.refresh(0).await;
    assert_eq!(running.names().len(), 0);
}
