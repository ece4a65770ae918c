//! Runtimes that ask have connections of their own.

use std::thread;
use std::time::Duration;

use portcullis_core::limit::{Algorithm, RateLimitStore, StoreError, Verdict};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;

use super::{charge, is_lost, patient, until};
use crate::testing::Server;
use crate::{RedisStore, State};

/// A worker: asks on a runtime of its own.
struct Worker(UnboundedSender<oneshot::Sender<Result<Verdict, StoreError>>>);

impl Worker {
    fn of(store: &RedisStore) -> Self {
        let (sender, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<_>>();
        let store = store.clone();
        thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let limit = charge("near", 1, Algorithm::FixedWindow, 1_000_000);
                while let Some(answer) = asked.recv().await {
                    answer.send(store.take(&[limit]).await).unwrap();
                }
            });
        });
        Self(sender)
    }

    async fn take(&self) -> Result<Verdict, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).unwrap();
        answered.await.unwrap()
    }

    /// Asks until its own connection is there.
    async fn settle(&self, store: &RedisStore, connections: usize) {
        for _ in 0..4_000 {
            self.take().await.unwrap();
            if store.0.shared.near.len() == connections {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it has no connection of its own");
    }
}

#[tokio::test]
async fn each_runtime_has_its_own_connection() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let limit = charge("near", 1, Algorithm::FixedWindow, 1_000_000);
    store.take(&[limit]).await.unwrap();
    assert_eq!(store.0.shared.near.len(), 0, "the keeper's runtime has the keeper's");
    let workers = [Worker::of(&store), Worker::of(&store)];
    for (number, worker) in (1..).zip(&workers) {
        worker.settle(&store, number).await;
    }
    let before = store.take(&[limit]).await.unwrap().remaining;
    for (spent, worker) in (1..).zip(workers.iter().cycle().take(10)) {
        assert_eq!(worker.take().await.unwrap().remaining, before - spent);
    }
    assert_eq!(server.texts(&["CLIENT", "LIST"]).join("\n").matches("cmd=evalsha").count(), 3);
    assert_eq!((store.counters().errors, store.state()), (0, State::Shared));
}

/// A server that closes what is idle closes no budget: what has ended is not asked, and made anew.
#[tokio::test]
async fn a_connection_that_ended_alone_is_no_loss() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    let worker = Worker::of(&store);
    worker.settle(&store, 1).await;
    server.ask(&["CONFIG", "SET", "timeout", "1"]);
    // The keeper asks oftener than that, and this worker nothing.
    until("the server has closed what is idle", || store.0.shared.near.len() == 0).await;
    server.ask(&["CONFIG", "SET", "timeout", "0"]);
    worker.settle(&store, 1).await;
    assert_eq!((store.counters().errors, store.counters().reconnects, store.state()), (0, 0, State::Shared));
}

/// With the server all are lost, and with it they come back.
#[tokio::test]
async fn a_loss_ends_all_of_them() {
    let mut server = Server::start();
    let store = patient(&server.url()).await;
    let worker = Worker::of(&store);
    worker.settle(&store, 1).await;
    server.kill();
    assert!(worker.take().await.is_err());
    until("it is lost", || is_lost(&store)).await;
    assert_eq!(store.0.shared.near.len(), 0);
    server.start_again();
    until("it is found", || matches!(store.state(), State::Shared | State::Recovering { .. })).await;
    assert!(worker.take().await.unwrap().admitted);
}
