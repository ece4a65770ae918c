//! The memory store as a whole, cells, and the headers; the arithmetic against models is in `models`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::cell::{Cell, Standing};
use super::*;
use crate::subject::{SubjectHasher, SubjectKey};
use crate::time::{Clock, ManualClock, Moment, UnixTime};

mod models;

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
    let mut subject = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]));
    subject.text(0, &who.to_le_bytes());
    Charge { rule, subject: subject.finish(rule), quota, cost: 1, mode: Mode::Enforce, overshoot: 0 }
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
                    cells.sweep(&charge, now);
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
fn algorithms_are_counted_apart() {
    let (store, _) = store(10);
    let under = |algorithm| charge(1, quota(algorithm, 1, 60 * SECOND, 1));
    for algorithm in Algorithm::ALL {
        assert!(take(&store, &[under(algorithm)]).admitted, "{algorithm:?} starts anew");
        assert!(!take(&store, &[under(algorithm)]).admitted);
    }
    for algorithm in Algorithm::ALL {
        assert!(!take(&store, &[under(algorithm)]).admitted, "{algorithm:?} goes on where it was");
    }
}

/// A cell that holds what another algorithm keeps has spent nothing, and harms nobody.
#[test]
fn a_cell_of_another_algorithm_is_a_fresh_one() {
    let (now, one) = (Moment::default() + 1_000 * SECOND, |algorithm| quota(algorithm, 1, 60 * SECOND, 1));
    let (log, bucket) = (one(Algorithm::SlidingLog), one(Algorithm::TokenBucket));
    let mut cell = Cell::default();
    for quota in [log, bucket, log] {
        assert_eq!(cell.peek(&quota, 1, now).wait, None);
        cell.refund(&quota, 1, now, now);
        assert_eq!(cell.take(&quota, 1, now).wait, None);
        assert!(cell.take(&quota, 1, now).wait.is_some());
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

/// In a sliding window only what the current one counted comes back, and what the one before counted stays.
#[test]
fn a_refund_of_a_sliding_window_leaves_the_one_before() {
    let quota = quota(Algorithm::SlidingWindow, 4, 60 * SECOND, 1);
    let at = |secs: u64| Moment::default() + Duration::from_secs(1_200 + secs);
    let mut cell = Cell::default();
    let _ = cell.take(&quota, 2, at(0));
    let before = cell.peek(&quota, 1, at(60));
    let _ = cell.take(&quota, 1, at(60));
    cell.refund(&quota, 2, at(59), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)).remaining, 1, "spent in another window than was asked in");
    cell.refund(&quota, 1, at(60), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)), before);
    assert_eq!(before.reset, 60 * SECOND);
    cell.refund(&quota, 1, at(60), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)), before, "there is nothing to give back");
}

/// What comes back after the window has become the one before leaves the rest of it there, though somebody has looked since.
#[test]
fn a_refund_of_a_sliding_window_that_has_passed_leaves_the_rest_of_it() {
    let quota = quota(Algorithm::SlidingWindow, 10, 60 * SECOND, 1);
    let at = |secs: u64| Moment::default() + Duration::from_secs(1_200 + secs);
    let mut cell = Cell::default();
    let _ = cell.take(&quota, 10, at(50));
    // Refused, and so the counts are those of the window before.
    assert!(cell.take(&quota, 10, at(60)).wait.is_some());
    cell.refund(&quota, 4, at(50), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)).remaining, 4);
    cell.refund(&quota, 6, at(50), at(60));
    assert_eq!(cell.peek(&quota, 1, at(60)).remaining, 10);
}

/// Of a log the oldest since asking come back: what stays was spent no earlier than what was.
#[test]
fn a_refund_of_a_log_forgets_nothing_too_early() {
    let quota = quota(Algorithm::SlidingLog, 4, 60 * SECOND, 1);
    let at = |secs: u64| Moment::default() + Duration::from_secs(1_200 + secs);
    let mut cell = Cell::default();
    for secs in [0, 10, 20] {
        let _ = cell.take(&quota, 1, at(secs));
    }
    cell.refund(&quota, 1, at(5), at(20));
    assert_eq!(
        cell.peek(&quota, 3, at(59)),
        Standing { limit: 4, remaining: 2, reset: 21 * SECOND, wait: Some(SECOND) }
    );
    cell.refund(&quota, 9, at(5), at(20));
    assert_eq!(cell.peek(&quota, 3, at(59)).remaining, 3);
    cell.refund(&quota, 9, at(0), at(20));
    assert!(cell.is_idle(at(20)));
}

/// Eight bytes for each that is remembered, and never more of them than the limit.
#[test]
fn a_log_takes_eight_bytes_for_each() {
    let quota = quota(Algorithm::SlidingLog, MAX_LOG, 60 * SECOND, 1);
    let mut cell = Cell::default();
    for number in 0..3 * MAX_LOG {
        let now = Moment::default() + SECOND + number * Duration::from_millis(1);
        assert_eq!(cell.take(&quota, 1, now).wait.is_none(), number < MAX_LOG);
        let Cell::Logged(log) = &cell else { panic!("a log") };
        assert!(log.bytes() <= 8 * 2 * (number as usize + 1) && log.bytes() <= 8 * MAX_LOG as usize);
    }
}

#[test]
fn a_set_of_charges_tells_them_in_order() {
    let set = [63, 0, 5, 64].into_iter().fold(ChargeSet::EMPTY, ChargeSet::with);
    assert_eq!(set.indices().collect::<Vec<_>>(), [0, 5, 63]);
    assert_eq!(ChargeSet::EMPTY.indices().count(), 0);
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
        alone: false,
        would_refuse: ChargeSet::EMPTY,
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
    let verdict = Verdict {
        admitted: true,
        decided: 0,
        limit: u64::MAX,
        remaining: u64::MAX,
        reset: most,
        wait: most,
        alone: false,
        would_refuse: ChargeSet::EMPTY,
    };
    let mut headers = HeaderMap::new();
    policies.write(&verdict, HeaderFamilies::default(), &mut headers);
    assert_eq!(headers["x-ratelimit-limit"], u64::MAX.to_string());
    assert!(headers["ratelimit"].to_str().unwrap().ends_with(&format!(";r={};t={}", u64::MAX, u64::MAX)));
}
