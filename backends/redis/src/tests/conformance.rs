//! The suite of core on a server and on a cluster, and what a node's own memory says to the same.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Answer;
use portcullis_core::limit::{Algorithm, Charge, MemoryStore, Mode, Quota, RateLimitStore, StoreError, Verdict};
use portcullis_core::testing::{ManualClock, limit};
use portcullis_core::time::{Clock, UnixTime};
use tokio::runtime::Runtime;

use super::{charge, patient, quota};
use crate::testing::{Cluster, Server};
use crate::{Builder, RedisStore};

struct Drive {
    clock: Clock,
    hand: ManualClock,
    runtime: Runtime,
    store: Arc<RedisStore>,
}

impl limit::Driver for Drive {
    fn store(&self) -> Arc<dyn RateLimitStore> {
        self.store.clone()
    }

    fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    fn wait(&self, answer: Answer<Result<Verdict, StoreError>>) -> Result<Verdict, StoreError> {
        self.runtime.handle().block_on(answer)
    }
}

fn drive(url: &str) -> Drive {
    let runtime = Runtime::new().unwrap();
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let store = RedisStore::builder(url).unwrap().manual(clock.clone()).timeout(Builder::LONGEST_TIMEOUT);
    let store = Arc::new(runtime.block_on(store.connect()).unwrap());
    Drive { clock, hand, runtime, store }
}

#[test]
fn a_server_does_what_is_promised() {
    let server = Server::start();
    limit::conformance(&drive(&server.url()));
}

/// A store whose every limit allows an overshoot that is too small to be decided ahead with.
struct Narrow(RedisStore);

impl RateLimitStore for Narrow {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        let narrow: Vec<Charge> = charges.iter().map(|charge| Charge { overshoot: 1, ..*charge }).collect();
        self.0.take(&narrow)
    }
}

struct NarrowDrive(Drive);

impl limit::Driver for NarrowDrive {
    fn store(&self) -> Arc<dyn RateLimitStore> {
        Arc::new(Narrow(RedisStore::clone(&self.0.store)))
    }

    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }

    fn wait(&self, answer: Answer<Result<Verdict, StoreError>>) -> Result<Verdict, StoreError> {
        self.0.wait(answer)
    }
}

#[test]
fn an_overshoot_that_is_too_small_changes_nothing() {
    let server = Server::start();
    let drive = NarrowDrive(drive(&server.url()));
    limit::conformance(&drive);
    assert!(drive.0.store.counters().narrow > 0);
}

#[test]
fn a_cluster_does_what_is_promised() {
    let cluster = Cluster::start();
    limit::conformance(&drive(&cluster.url()));
}

/// On the server's own clock: what is refused passes when it was said that it would.
#[tokio::test]
async fn the_server_tells_the_time() {
    let server = Server::start();
    let store = patient(&server.url()).await;
    for algorithm in Algorithm::ALL {
        let one = Charge { quota: quota(algorithm, 1, Duration::from_millis(40)), ..charge("real", 1, algorithm, 1) };
        // It may have been the end of a window.
        let (mut passed, mut refused) = (0, 0);
        while passed < 3 || refused < 3 {
            let verdict = store.take(&[one]).await.unwrap();
            if verdict.admitted {
                passed += 1;
            } else {
                refused += 1;
                assert!(!verdict.wait.is_zero() && verdict.wait <= one.quota.whole_after(), "{verdict:?}");
                tokio::time::sleep(verdict.wait).await;
                let again = store.take(&[Charge { cost: 0, ..one }]).await.unwrap();
                assert!(again.admitted, "{algorithm:?}: {verdict:?}, and then {again:?}");
            }
        }
    }
}

/// Draws numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) % bound
    }
}

/// A quota with numbers that no computer likes.
fn odd_quota(random: &mut Random, algorithm: Algorithm) -> Quota {
    let nanos =
        [1_000_000, 1_000_001, 999_999_999, 1_500_000_000, 60_000_000_000, 86_399_999_999_993, 31_622_399_123_456_789];
    let counts = [1, 3, 10, 997, 65_536, 1_000_000_000, 4_000_000_000];
    let pick = |random: &mut Random, of: usize| usize::try_from(random.below(of as u64)).unwrap();
    let period = Duration::from_nanos(nanos[pick(random, nanos.len())]);
    let (count, burst) = (counts[pick(random, counts.len())], counts[pick(random, counts.len())]);
    Quota { burst: burst.try_into().unwrap(), ..quota(algorithm, count, period) }
}

/// Takes the same of Redis and of memory, whose arithmetic is what the script's has to be, and moves the time on by odd steps.
fn compare(drive: &Drive, memory: &MemoryStore, asked: &[Charge], random: &mut Random) {
    let said = drive.runtime.block_on(drive.store.take(asked)).unwrap();
    let Answer::Now(Ok(expected)) = memory.take(asked) else { panic!("memory answers") };
    assert_eq!(said, expected, "to {asked:#?} at {:?}", drive.clock.now());
    let period = u64::try_from(asked[0].quota.period.as_nanos()).unwrap();
    let step = [0, 1, period / 3, period - 1, period, 2 * period + 1];
    let step = step[usize::try_from(random.below(6)).unwrap()];
    // Seldom by months, or the tests come to the end of time.
    let most = if random.below(30) == 0 { u64::MAX } else { 10 * 86_400_000_000_000 };
    drive.hand.advance(Duration::from_nanos(step.min(most)));
}

/// To the nanosecond, for every verdict, in two limits that are asked together or one alone.
#[test]
fn what_redis_says_is_what_memory_says() {
    let server = Server::start();
    let drive = drive(&server.url());
    let memory = MemoryStore::with(drive.clock.clone(), 1_000_000);
    let mut random = Random(1);
    for client in 0..300 {
        let quotas = [0, 1].map(|_| {
            let algorithm = Algorithm::ALL[usize::try_from(random.below(4)).unwrap()];
            odd_quota(&mut random, algorithm)
        });
        for _ in 0..30 {
            let charges: Vec<Charge> = quotas
                .iter()
                .enumerate()
                .map(|(index, quota)| Charge {
                    quota: *quota,
                    cost: cost(&mut random, quota),
                    mode: if random.below(4) == 0 { Mode::Shadow } else { Mode::Enforce },
                    ..charge(&format!("odd {index}"), client, quota.algorithm, 1)
                })
                .collect();
            let asked = &charges[..1 + usize::try_from(random.below(2)).unwrap()];
            compare(&drive, &memory, asked, &mut random);
        }
    }
}

/// The same for a limit that is changed now and then, as it is while nodes are upgraded.
#[test]
fn a_changed_limit_reads_what_memory_reads() {
    let server = Server::start();
    let drive = drive(&server.url());
    let memory = MemoryStore::with(drive.clock.clone(), 1_000_000);
    let mut random = Random(2);
    for client in 0..200 {
        let algorithm = Algorithm::ALL[usize::try_from(random.below(4)).unwrap()];
        let mut quota = odd_quota(&mut random, algorithm);
        for _ in 0..30 {
            if random.below(4) == 0 {
                quota = odd_quota(&mut random, algorithm);
            }
            let cost = cost(&mut random, &quota);
            let asked = Charge { quota, cost, ..charge("changed", client, algorithm, 1) };
            compare(&drive, &memory, &[asked], &mut random);
        }
    }
}

/// Mostly parts of the limit, now and then nothing, one, or more than there ever is.
fn cost(random: &mut Random, quota: &Quota) -> u32 {
    let limit = quota.limit();
    match random.below(8) {
        0 => 0,
        1 => 1,
        2 => limit.saturating_add(1),
        3 => limit,
        _ => u32::try_from(random.below(u64::from(limit) / 2 + 1)).unwrap(),
    }
}
