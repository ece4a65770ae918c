//! A breaker that opens by the share of failures.

use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::super::*;

fn at(millis: u64) -> Moment {
    Moment::from_nanos(1_800_000_000_000_000_000) + Duration::from_millis(millis)
}

fn half_of_ten() -> Breaker {
    Breaker::failure_ratio(0.5).minimum(10).recovery(Duration::from_millis(100)).build()
}

/// Asks once and settles.
fn ask(breaker: &Breaker, ok: bool, millis: u64) -> Option<BreakerChange> {
    breaker.permit(at(millis)).unwrap().settle(ok, at(millis))
}

const OPENED: BreakerChange = BreakerChange::Opened { by: OpenedBy::Ratio, rest: Duration::from_millis(100) };

#[test]
fn opens_at_its_share_of_enough_requests_and_not_before() {
    let breaker = half_of_ten();
    for turn in 0..9 {
        assert_eq!(ask(&breaker, turn % 2 == 1, turn), None, "too few to tell");
    }
    assert_eq!(ask(&breaker, true, 9), None, "looked at when one fails");
    assert_eq!(ask(&breaker, false, 10), Some(OPENED));
    assert!(breaker.permit(at(11)).is_err());
    assert_eq!((breaker.times_opened(), breaker.times_reopened()), (1, 0));

    let healthy = half_of_ten();
    (0..6000).for_each(|turn| assert_eq!(ask(&healthy, turn % 5 < 3, turn), None, "two of five fail"));
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let breaker = half_of_ten();
    (0..9).for_each(|_| assert_eq!(ask(&breaker, false, 0), None));
    assert_eq!(ask(&breaker, false, 10_000), None);
    (0..8).for_each(|_| assert_eq!(ask(&breaker, false, 10_000), None));
    assert_eq!(ask(&breaker, false, 18_000), Some(OPENED), "ten within ten seconds");
}

#[test]
fn after_it_has_closed_it_counts_anew_and_a_row_of_rests_goes_on() {
    let breaker = half_of_ten();
    let early: Vec<_> = (0..20).map(|_| breaker.permit(at(0)).unwrap()).collect();
    assert_eq!((0..10).filter(|_| ask(&breaker, false, 0).is_some()).count(), 1);
    assert_eq!(ask(&breaker, true, 150), Some(BreakerChange::Closed));
    // Neither what failed before, nor what was asked before and fails only now.
    for (late, now) in early.into_iter().zip([200, 1500, 5000].into_iter().cycle()) {
        assert_eq!(late.settle(false, at(now)), None);
    }
    (0..9).for_each(|_| assert_eq!(ask(&breaker, false, 5000), None));
    assert_eq!(ask(&breaker, false, 5000), Some(OPENED));
    let again = BreakerChange::Opened { by: OpenedBy::Probe, rest: Duration::from_millis(200) };
    assert_eq!(ask(&breaker, false, 6000), Some(again));
    assert_eq!((breaker.times_opened(), breaker.times_reopened()), (3, 1));
}

#[test]
fn odd_ratios_are_clamped() {
    for (ratio, of_ten) in [(f64::NAN, 10), (2.0, 10), (-1.0, 1), (0.0, 1), (f64::INFINITY, 10)] {
        let breaker = Breaker::failure_ratio(ratio).minimum(0).window(Duration::ZERO).build();
        let of = 10 - of_ten;
        assert!((0..of).all(|_| ask(&breaker, true, 0).is_none()));
        assert!(ask(&breaker, false, 0).is_some(), "one of {} is enough for {ratio}", of + 1);
    }
    let all = Breaker::failure_ratio(1.0).minimum(2).build();
    ask(&all, true, 0);
    (0..100).for_each(|_| assert_eq!(ask(&all, false, 0), None));
}

#[test]
fn simultaneous_failures_open_it_once() {
    for _ in 0..20 {
        let breaker = Breaker::failure_ratio(0.5).minimum(400).build();
        let all_there = Barrier::new(4);
        let changes: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let permits: Vec<_> = (0..100).map(|_| breaker.permit(at(0)).unwrap()).collect();
                        all_there.wait();
                        permits.into_iter().filter_map(|permit| permit.settle(false, at(0))).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((changes, breaker.times_opened()), (1, 1));
    }
}

proptest! {
    /// Against the plain definition: never below the share or the volume of the whole window, always when the newest nine
    /// tenths of it say so.
    #[test]
    fn opens_when_the_window_says_so(
        percent in 1_u64..=100,
        minimum in 1_u32..15,
        results in prop::collection::vec((any::<bool>(), prop_oneof![0_u64..200, 0_u64..5000]), 1..150),
    ) {
        let breaker = Breaker::failure_ratio(percent as f64 / 100.0).minimum(minimum).build();
        let (mut now, mut seen) = (0, Vec::new());
        for (ok, pause) in results {
            now += pause;
            seen.push((now, ok));
            // The counters' own slots, so that the model and they agree on what the window is.
            let slot = |millis: u64| (1_800_000_000_000 + millis) / 1000;
            let within = || seen.iter().filter(|(time, _)| slot(*time) + 10 > slot(now));
            let (all, failed) = (within().count() as u64, within().filter(|(_, ok)| !ok).count() as u64);
            let opens = !ok && all >= u64::from(minimum) && failed * 100 >= all * percent;
            prop_assert_eq!(ask(&breaker, ok, now).is_some(), opens);
            if opens {
                break;
            }
        }
    }
}
