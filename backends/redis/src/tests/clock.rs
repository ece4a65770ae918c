//! A server's clock that is set back.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, RateLimitStore};
use portcullis_core::testing::ManualClock;
use portcullis_core::time::{Clock, UnixTime};

use super::{charge, quota};
use crate::testing::Server;
use crate::{Builder, RedisStore};

async fn at(server: &Server, secs: u64) -> (RedisStore, ManualClock) {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(secs));
    let store = RedisStore::builder(&server.url()).unwrap().manual(clock).timeout(Builder::LONGEST_TIMEOUT);
    (store.connect().await.unwrap(), hand)
}

/// R05: what was spent in what is now the future keeps nobody out for longer than a limit takes to become whole.
#[tokio::test]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    const NOW: u64 = 1_800_000_030;
    let server = Server::start();
    let ((late, _), (store, hand)) = (at(&server, NOW + 5 * 3_600).await, at(&server, NOW).await);
    for algorithm in Algorithm::ALL {
        let limit = Charge { quota: quota(algorithm, 10, Duration::from_secs(60)), ..charge("back", 1, algorithm, 10) };
        for _ in 0..10 {
            assert!(late.take(&[limit]).await.unwrap().admitted);
        }
        let refused = store.take(&[limit]).await.unwrap();
        assert!(!refused.admitted && refused.remaining == 0, "{algorithm:?}: {refused:?}");
        assert!(refused.wait <= limit.quota.whole_after(), "{algorithm:?}: {refused:?}");
        hand.advance(refused.wait);
        assert!(store.take(&[limit]).await.unwrap().admitted, "{algorithm:?}");
        hand.advance(limit.quota.whole_after());
        let whole = store.take(&[Charge { cost: 10, ..limit }]).await.unwrap();
        assert!(whole.admitted, "{algorithm:?}: {whole:?}");
    }
}
