//! The memory store as a whole, the arithmetic against models, and the headers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;

use super::cell::Cell;
use super::*;
use crate::subject::{SubjectHasher, SubjectKey};
use crate::time::{Clock, ManualClock, Moment, UnixTime};

const SECOND: Duration = Duration::from_secs(1);

fn store(capacity: usize) -> (MemoryStore, ManualClock) {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    (MemoryStore::with(clock, capacity), hand)
}

fn quota(algorithm: Algorithm, count: u32, period: Duration, burst: u32) -> Quota {
    Quota { count: NonZeroU32::new(count).unwrap(), period, burst: NonZeroU32::new(burst).unwrap(), algorithm }
}

fn per_minute(count: u32) -> Quota {
    quota(Algorithm::TokenBucket, count, 60 * SECOND, count)
}

fn charge(who: u64, quota: Quota) -> Charge {
    let rule = RuleId::of("test");
    let mut subject = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]), rule);
    subject.text(0, &who.to_le_bytes());
    Charge { rule, subject: subject.finish(), quota, cost: 1 }
}

fn take(store: &MemoryStore, charges: &[Charge]) -> Verdict {
    match store.take(charges) {
        Answer::Now(verdict) => verdict.unwrap(),
        Answer::Later(_) => panic!("memory answers now"),
    }
}

#[cfg(feature = "testing")]
#[test]
fn memory_conforms() {
    struct Memory(Arc<MemoryStore>, ManualClock);
    impl crate::testing::limit::Driver for Memory {
        fn store(&self) -> Arc<dyn RateLimitStore> {
            self.0.clone()
        }
        fn advance(&self, by: Duration) {
            self.1.advance(by);
        }
    }
    let (store, hand) = store(1_000);
    crate::testing::limit::conformance(&Memory(Arc::new(store), hand));
}

#[test]
fn a_cell_is_small() {
    assert_eq!(size_of::<Cell>(), 16);
    assert_eq!(size_of::<(Subject, Cell)>(), 32);
}

#[test]
fn a_million_keys_stay_under_150_bytes_each() {
    // A tenth of a million, at the fill where growth has just doubled every part of the map: the worst case.
    let keys = 120_000;
    let cells = cells::Cells::new(keys);
    for who in 0..keys as u64 {
        let charge = charge(who, per_minute(1));
        cells.change(&charge, Moment::default(), |cell| cell.take(&charge.quota, 1, Moment::default()));
    }
    assert_eq!(cells.len(), keys);
    assert!(cells.bytes() < 150 * keys, "{} bytes a key", cells.bytes() / keys);
}

#[test]
fn a_flood_of_new_keys_frees_nobody_and_stays_within_the_capacity() {
    let (store, hand) = store(100);
    let limited = charge(0, per_minute(2));
    assert!(take(&store, &[Charge { cost: 2, ..limited }]).admitted);
    let mut admitted = 0;
    for who in 1..10_000 {
        admitted += u32::from(take(&store, &[charge(who, per_minute(2))]).admitted);
        assert!(!take(&store, &[limited]).admitted);
    }
    // 99 cells of their own, and the shared one with room for two.
    assert_eq!(admitted, 101);
    let stats = store.stats();
    assert_eq!((stats.keys, stats.capacity, stats.overflowed), (101, 100, 9_999 - 99));

    // Once those are whole again, new ones take their places.
    hand.advance(60 * SECOND);
    for who in 20_000..20_100 {
        assert_eq!(take(&store, &[charge(who, per_minute(2))]).remaining, 1, "a cell of its own");
    }
    assert!(store.stats().keys <= 101);
}

#[test]
fn under_concurrency_every_cell_is_counted_and_queued_once() {
    let cells = cells::Cells::new(50);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let cells = &cells;
            scope.spawn(move || {
                for step in 0..2_000_u64 {
                    let now = Moment::default() + Duration::from_millis(10 * step);
                    let charge = charge((step * (thread + 1)) % 97, per_minute(100));
                    cells.sweep(now, step ^ thread);
                    cells.change(&charge, now, |cell| cell.take(&charge.quota, 1, now));
                }
            });
        }
    });
    let [count, map, queues] = cells.counts();
    assert!(count <= 51 && count == map && count == queues, "{count} counted, {map} kept, {queues} queued");
}

#[test]
fn a_full_store_asks_the_shared_cell_about_new_keys() {
    let (store, _) = store(0);
    let ask = |who| Charge { cost: 0, ..charge(who, per_minute(1)) };
    assert!(take(&store, &[ask(1)]).admitted);
    assert!(take(&store, &[charge(2, per_minute(1))]).admitted);
    assert!(!take(&store, &[ask(1)]).admitted);
    assert!(!take(&store, &[ask(3), charge(4, per_minute(5))]).admitted);
    assert_eq!(store.stats().keys, 1);
}

#[test]
fn whole_cells_go_away_whoever_is_asking() {
    let (store, hand) = store(10_000);
    for who in 0..1_000 {
        let _ = take(&store, &[charge(who, per_minute(2))]);
    }
    assert_eq!(store.stats().keys, 1_000);
    for _ in 0..100_000 {
        hand.advance(Duration::from_millis(61));
        let _ = take(&store, &[charge(0, per_minute(2))]);
    }
    assert!(store.stats().keys < 10, "{:?}", store.stats());
    assert_eq!(store.stats().overflowed, 0);
}

#[test]
fn asking_makes_no_cell() {
    let (store, _) = store(10);
    let _ =
        take(&store, &[Charge { cost: 0, ..charge(1, per_minute(1)) }, Charge { cost: 2, ..charge(2, per_minute(1)) }]);
    assert_eq!(store.stats().keys, 0);
}

#[test]
fn a_changed_algorithm_starts_anew() {
    let (store, _) = store(10);
    let bucket = charge(1, per_minute(1));
    let window = Charge { quota: quota(Algorithm::FixedWindow, 1, 60 * SECOND, 1), ..bucket };
    for charge in [bucket, window, bucket] {
        assert!(take(&store, &[charge]).admitted);
        assert!(!take(&store, &[charge]).admitted);
    }
}

#[test]
fn a_refund_does_not_give_back_what_time_gave_back() {
    let quota = per_minute(2);
    let at = |secs: u64| Moment::default() + Duration::from_secs(1_000 + secs);
    let mut cell = Cell::default();
    let _ = cell.take(&quota, 1, at(0));
    cell.refund(&quota, 1, at(0), at(0));
    assert_eq!(cell.peek(&quota, 1, at(0)).remaining, 2);

    let _ = cell.take(&quota, 1, at(0));
    let _ = cell.take(&quota, 2, at(30));
    cell.refund(&quota, 1, at(0), at(30));
    assert_eq!(cell.peek(&quota, 1, at(30)).remaining, 0);

    let quota = Quota { algorithm: Algorithm::FixedWindow, ..quota };
    let mut cell = Cell::default();
    let _ = cell.take(&quota, 1, at(0));
    let _ = cell.take(&quota, 2, at(60));
    cell.refund(&quota, 1, at(0), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)).remaining, 0);
    cell.refund(&quota, 2, at(60), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)), Cell::default().peek(&quota, 1, at(60)));
}

#[test]
fn headers_tell_the_verdict() {
    let rules = [
        Arc::new(Rule::new("per-user", "100/min".parse().unwrap()).burst(20)),
        Arc::new(Rule::new(r#"a "b\c" é"#, "5/1500ms".parse().unwrap()).algorithm(Algorithm::FixedWindow)),
    ];
    let policies = Policies::new(&rules);
    let refused = Verdict {
        admitted: false,
        decided: 1,
        limit: 5,
        remaining: 0,
        reset: Duration::from_millis(1_400),
        wait: Duration::from_millis(1_001),
    };
    let mut headers = HeaderMap::new();
    policies.write(&refused, HeaderFamilies::default(), &mut headers);
    let expected = [
        ("retry-after", "2"),
        ("ratelimit-policy", r#""per-user";q=20;w=12, "a \"b\\c\" _";q=5;w=2"#),
        ("ratelimit", r#""a \"b\\c\" _";r=0;t=2"#),
        ("x-ratelimit-limit", "5"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "2"),
    ];
    assert_eq!(headers.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(headers[name], value, "{name}");
    }

    let mut headers = HeaderMap::new();
    policies.write(
        &Verdict { wait: Duration::from_nanos(1), ..refused },
        HeaderFamilies { ratelimit: false, x_ratelimit: false },
        &mut headers,
    );
    assert_eq!((headers.len(), &headers["retry-after"]), (1, &http::HeaderValue::from_static("1")));

    let nobody = Verdict { admitted: true, decided: 2, ..refused };
    let mut headers = HeaderMap::new();
    policies.write(&nobody, HeaderFamilies::default(), &mut headers);
    Policies::new(&[]).write(&nobody, HeaderFamilies::default(), &mut headers);
    assert!(headers.is_empty());
}

#[test]
fn the_longest_name_and_the_largest_numbers_fit_a_header() {
    let name = "\"".repeat(MAX_NAME);
    let policies = Policies::new(&[Arc::new(Rule::new(name, "1/s".parse().unwrap()))]);
    let most = Duration::MAX;
    let verdict = Verdict { admitted: true, decided: 0, limit: u64::MAX, remaining: u64::MAX, reset: most, wait: most };
    let mut headers = HeaderMap::new();
    policies.write(&verdict, HeaderFamilies::default(), &mut headers);
    assert_eq!(headers["x-ratelimit-limit"], u64::MAX.to_string());
    assert!(headers["ratelimit"].to_str().unwrap().ends_with(&format!(";r={};t={}", u64::MAX, u64::MAX)));
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![Just(Algorithm::FixedWindow), Just(Algorithm::TokenBucket)]
}

/// Milliseconds to wait before each of some takes, and their costs.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((prop_oneof![Just(0), 0_u64..50, 0_u64..3_000], 0_u32..4), 1..120)
}

/// What a bucket is: water that runs out evenly, in nanoseconds' worth.
struct Leaky {
    level: u128,
    at: u64,
}

impl Leaky {
    fn pours(&mut self, cost: u32, interval: u64, burst: u32, now: u64) -> bool {
        self.level = self.level.saturating_sub(u128::from(now - self.at));
        self.at = now;
        let with = self.level + u128::from(cost.max(1)) * u128::from(interval);
        let fits = with <= u128::from(burst) * u128::from(interval);
        if fits && cost > 0 {
            self.level = with;
        }
        fits
    }
}

proptest! {
    #[test]
    fn a_bucket_is_the_model(count in 1_u32..40, burst in 1_u32..8, millis in 1_u64..5_000, arrivals in arrivals()) {
        let (store, hand) = store(10);
        let quota = quota(Algorithm::TokenBucket, count, Duration::from_millis(millis), burst);
        let interval = (millis * 1_000_000).div_ceil(u64::from(count));
        let (mut model, mut now) = (Leaky { level: 0, at: 0 }, 0);
        for (gap, cost) in arrivals {
            hand.advance(Duration::from_millis(gap));
            now += gap * 1_000_000;
            let verdict = take(&store, &[Charge { cost, ..charge(1, quota) }]);
            prop_assert_eq!(verdict.admitted, model.pours(cost, interval, burst, now));
            prop_assert_eq!(verdict.reset.as_nanos(), model.level);
            prop_assert_eq!(u128::from(verdict.remaining), u128::from(burst) - model.level.div_ceil(interval.into()));
            if !verdict.admitted && cost <= burst {
                // The wait is the first nanosecond at which it would pass.
                let (mut early, later) = (Leaky { level: model.level, at: now }, u64::try_from(verdict.wait.as_nanos()).unwrap());
                prop_assert!(!early.pours(cost, interval, burst, now + later - 1));
                prop_assert!(early.pours(cost, interval, burst, now + later));
            }
        }
    }

    #[test]
    fn no_period_sees_more_than_the_worst_case(
        algorithm in any_algorithm(), count in 1_u32..20, burst in 1_u32..20, millis in 1_u64..5_000, arrivals in arrivals(),
    ) {
        let (store, hand) = store(10);
        let quota = quota(algorithm, count, Duration::from_millis(millis), burst);
        let (mut passed, mut now) = (Vec::new(), 0);
        for (gap, cost) in arrivals {
            hand.advance(Duration::from_millis(gap));
            now += gap;
            if take(&store, &[Charge { cost, ..charge(1, quota) }]).admitted {
                passed.push((now, cost));
            }
        }
        for (start, _) in &passed {
            let sum: u32 = passed.iter().filter(|(at, _)| (*start..*start + millis).contains(at)).map(|(_, cost)| cost).sum();
            prop_assert!(sum <= count + quota.limit(), "{} in a period from {}", sum, start);
        }
    }

    #[test]
    fn a_window_counts_no_more_than_its_count(count in 1_u32..9, millis in 1_u64..5_000, arrivals in arrivals()) {
        let (store, hand) = store(10);
        let quota = quota(Algorithm::FixedWindow, count, Duration::from_millis(millis), 1);
        let mut now = 1_800_000_000_000_u64;
        let mut counted = std::collections::HashMap::<u64, u32>::new();
        for (gap, cost) in arrivals {
            hand.advance(Duration::from_millis(gap));
            now += gap;
            let used = counted.entry(now / millis).or_default();
            let verdict = take(&store, &[Charge { cost, ..charge(1, quota) }]);
            prop_assert_eq!(verdict.admitted, *used + cost.max(1) <= count);
            *used += if verdict.admitted { cost } else { 0 };
            prop_assert_eq!(verdict.remaining, u64::from(count - *used));
            let rest = if *used == 0 { 0 } else { millis - now % millis };
            prop_assert_eq!(verdict.reset, Duration::from_millis(rest));
        }
    }

    #[test]
    fn several_charges_are_one(arrivals in prop::collection::vec((0_u64..3_000, 0_u32..4, 0_u32..4), 1..60)) {
        let (store, hand) = store(10);
        let quotas = [per_minute(20), quota(Algorithm::FixedWindow, 5, 10 * SECOND, 1)];
        let mut alone = [Cell::default(), Cell::default()];
        let mut now = Moment::default() + 1_800_000_000 * SECOND;
        for (gap, one, other) in arrivals {
            let gap = Duration::from_millis(gap);
            hand.advance(gap);
            now = now + gap;
            let costs = [one, other];
            let charges = [0, 1].map(|i| Charge { cost: costs[i], ..charge(i as u64, quotas[i]) });
            let fits = [0, 1].map(|i| alone[i].peek(&quotas[i], costs[i], now).wait.is_none()) == [true, true];
            if fits {
                for i in [0, 1] {
                    let _ = alone[i].take(&quotas[i], costs[i], now);
                }
            }
            prop_assert_eq!(take(&store, &charges).admitted, fits);
        }
    }

    #[test]
    fn no_numbers_panic(
        algorithm in any_algorithm(), count in 1_u32.., burst in 1_u32.., secs in any::<u64>(), nanos in 0_u32..1_000_000_000,
        takes in prop::collection::vec((any::<u64>(), any::<u32>()), 1..20),
    ) {
        let quota = quota(algorithm, count, Duration::new(secs, nanos), burst);
        let mut cell = Cell::default();
        let mut now = Moment::default();
        for (at, cost) in takes {
            now = now.max(Moment::from_nanos(at));
            let standing = cell.take(&quota, cost, now);
            prop_assert!(standing.remaining <= standing.limit);
            cell.refund(&quota, cost, now, now);
        }
    }
}
