use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::*;

mod ratio;

/// Four ticks of the breaker, so that a model in these units agrees with it exactly.
const UNIT: Duration = Duration::from_nanos(1 << 24);

fn at(units: u32) -> Moment {
    Moment::default() + UNIT * units
}

fn breaker(failures: u32, probes: u32, recovery: u32) -> Breaker {
    Breaker::consecutive(failures).probes(probes).recovery(UNIT * recovery).build()
}

/// Opens a breaker that stands closed without failures.
fn open(breaker: &Breaker, failures: u32, units: u32) {
    for _ in 0..failures {
        breaker.permit(at(units)).unwrap().settle(false, at(units));
    }
    assert!(matches!(breaker.state(at(units)), BreakerState::Open { .. }));
}

#[test]
fn opens_after_failures_in_a_row_only() {
    let breaker = breaker(3, 1, 10);
    for ok in [false, false, true, false, false] {
        breaker.permit(at(1)).unwrap().settle(ok, at(1));
        assert_eq!(breaker.state(at(1)), BreakerState::Closed);
    }
    breaker.permit(at(1)).unwrap().settle(false, at(1));
    assert_eq!(breaker.state(at(1)), BreakerState::Open { retry_after: UNIT * 10 });
    assert_eq!(breaker.permit(at(4)).unwrap_err(), Open { retry_after: UNIT * 7 });
    assert_eq!(breaker.times_opened(), 1);
}

#[test]
fn a_probe_closes_it_or_opens_it_for_twice_as_long() {
    let breaker = breaker(2, 1, 10);
    open(&breaker, 2, 0);
    assert!(breaker.permit(at(9)).is_err());
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);

    let probe = breaker.permit(at(10)).unwrap();
    assert_eq!(breaker.permit(at(10)).unwrap_err(), Open { retry_after: WHILE_PROBING });
    probe.settle(false, at(12));
    assert_eq!(breaker.state(at(12)), BreakerState::Open { retry_after: UNIT * 20 });
    assert_eq!(breaker.times_opened(), 2);

    breaker.permit(at(32)).unwrap().settle(true, at(32));
    assert_eq!(breaker.state(at(32)), BreakerState::Closed);
    // The count began anew: one failure is not enough.
    breaker.permit(at(32)).unwrap().settle(false, at(32));
    assert_eq!(breaker.state(at(32)), BreakerState::Closed);
}

#[test]
fn a_cancelled_probe_gives_its_place_back() {
    let breaker = breaker(1, 2, 10);
    open(&breaker, 1, 0);
    let (first, second) = (breaker.permit(at(10)).unwrap(), breaker.permit(at(10)).unwrap());
    assert!(breaker.permit(at(10)).is_err());
    drop(first);
    let third = breaker.permit(at(10)).unwrap();
    assert!(breaker.permit(at(10)).is_err());
    drop((second, third));
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
    breaker.permit(at(10)).unwrap().settle(true, at(10));
    assert_eq!(breaker.state(at(10)), BreakerState::Closed);
}

#[test]
fn what_was_dropped_unsettled_counts_as_nothing() {
    let breaker = breaker(2, 1, 10);
    breaker.permit(at(0)).unwrap().settle(false, at(0));
    (0..5).for_each(|_| drop(breaker.permit(at(0)).unwrap()));
    assert_eq!(breaker.state(at(0)), BreakerState::Closed);
    breaker.permit(at(0)).unwrap().settle(false, at(0));
    assert!(matches!(breaker.state(at(0)), BreakerState::Open { .. }));
}

#[test]
fn late_results_say_nothing() {
    let breaker = breaker(2, 3, 10);
    let mut early: Vec<_> = (0..6).map(|_| breaker.permit(at(0)).unwrap()).collect();
    let mut late = |ok, units| early.pop().unwrap().settle(ok, at(units));
    open(&breaker, 2, 0);
    late(true, 1);
    late(false, 1);
    assert_eq!(breaker.state(at(1)), BreakerState::Open { retry_after: UNIT * 9 });

    let (first, second, third) =
        (breaker.permit(at(10)).unwrap(), breaker.permit(at(10)).unwrap(), breaker.permit(at(10)).unwrap());
    late(false, 10);
    late(true, 10);
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);

    first.settle(true, at(11));
    // Closed again: neither a probe of before nor a request from before the rest counts.
    second.settle(false, at(11));
    late(false, 11);
    late(false, 11);
    drop(third);
    breaker.permit(at(11)).unwrap().settle(false, at(11));
    assert_eq!(breaker.state(at(11)), BreakerState::Closed);
    assert_eq!(breaker.times_opened(), 1);
}

#[test]
fn odd_settings_and_times_are_clamped() {
    // No failures, no probes: one of each. No recovery: a probe at once.
    let none = breaker(0, 0, 0);
    none.permit(at(5)).unwrap().settle(false, at(5));
    assert_eq!(none.state(at(5)), BreakerState::HalfOpen);
    let probe = none.permit(at(5)).unwrap();
    assert!(none.permit(at(5)).is_err());
    // The clock readings of two threads may cross: an earlier one does not bring back an earlier period.
    probe.settle(false, at(0));
    assert_eq!(none.times_opened(), 2);
    assert!(none.permit(at(6)).is_ok());

    let large = Breaker::consecutive(u32::MAX).recovery(Duration::MAX).build();
    let end = Moment::from_nanos(u64::MAX);
    for _ in 0..u16::MAX {
        large.permit(end).unwrap().settle(false, end);
    }
    assert_eq!(large.times_opened(), 1);
    assert_eq!(Word::unpack(Word::CLOSED.pack()), Word::CLOSED);
}

#[test]
fn a_thousand_that_wait_for_it_get_as_many_probes_as_there_are() {
    for probes in [1, 3] {
        let breaker = breaker(1, probes, 10);
        open(&breaker, 1, 0);
        let all_there = Barrier::new(1000);
        let permits: Vec<_> = thread::scope(|scope| {
            let ask = || {
                all_there.wait();
                breaker.permit(at(10))
            };
            let threads: Vec<_> = (0..1000).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert_eq!(permits.len(), probes as usize);
        drop(permits);
        assert!(breaker.permit(at(10)).is_ok());
    }
}

#[test]
fn simultaneous_failures_open_it_once_and_each_is_counted() {
    let breaker = breaker(400, 1, 10);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    breaker.permit(at(1)).unwrap().settle(false, at(1));
                }
            });
        }
    });
    assert_eq!(breaker.times_opened(), 1);
    assert_eq!(breaker.state(at(1)), BreakerState::Open { retry_after: UNIT * 10 });
}

#[test]
fn rests_double_until_it_has_been_closed_for_as_long_as_it_rested() {
    let breaker = Breaker::consecutive(1).recovery(UNIT * 10).max_recovery(UNIT * 35).build();
    let opens = |units| match breaker.permit(at(units)).unwrap().settle(false, at(units)).unwrap() {
        BreakerChange::Opened { by, rest } => (by, rest.as_nanos() / UNIT.as_nanos()),
        BreakerChange::Closed => panic!("a failure closes nothing"),
    };
    let closes = |units| {
        let change = breaker.permit(at(units)).unwrap().settle(true, at(units));
        assert_eq!(change, Some(BreakerChange::Closed));
    };
    assert_eq!(opens(100), (OpenedBy::Consecutive, 10));
    assert_eq!(opens(110), (OpenedBy::Probe, 20));
    assert_eq!(opens(130), (OpenedBy::Probe, 35));
    assert_eq!(opens(165), (OpenedBy::Probe, 35));
    // It flaps: up for less than it rested is no recovery.
    closes(200);
    assert_eq!(opens(234), (OpenedBy::Consecutive, 35));
    closes(269);
    assert_eq!(opens(304), (OpenedBy::Consecutive, 10));
    closes(314);
    assert_eq!(opens(320), (OpenedBy::Consecutive, 20));
    assert_eq!((breaker.times_opened(), breaker.times_reopened()), (7, 3));
}

#[test]
fn rests_stay_within_their_bounds() {
    // By default ten times the first; never shorter than it.
    for (longest, expected) in [(None, 100), (Some(5), 10), (Some(40), 40)] {
        let builder = Breaker::consecutive(1).recovery(UNIT * 10);
        let breaker = longest.map_or(builder.clone(), |longest| builder.max_recovery(UNIT * longest)).build();
        for step in 1..40 {
            breaker.permit(at(step * 1000)).unwrap().settle(false, at(step * 1000));
        }
        assert_eq!(breaker.state(at(39_000)), BreakerState::Open { retry_after: UNIT * expected });
    }
    let forever = Breaker::consecutive(1).max_recovery(Duration::MAX).build();
    for _ in 0..16 {
        // Without an end after a few: nothing runs over.
        forever.permit(Moment::from_nanos(u64::MAX)).map(|permit| permit.settle(false, at(0))).ok();
        assert_ne!(forever.state(at(0)), BreakerState::Closed);
    }
}

#[test]
fn jitter_makes_a_rest_longer_by_at_most_its_share() {
    let breaker = Breaker::consecutive(1).recovery(UNIT * 1000).max_recovery(UNIT * 1000).jitter(0.5).build();
    let mut rests: Vec<_> = (1..=20)
        .map(|step| match breaker.permit(at(step * 2000)).unwrap().settle(false, at(step * 2000)) {
            Some(BreakerChange::Opened { rest, .. }) => rest,
            other => panic!("{other:?}"),
        })
        .collect();
    rests.sort_unstable();
    rests.dedup();
    assert!(rests.len() > 10, "{rests:?}");
    assert!(rests.iter().all(|rest| (UNIT * 1000..UNIT * 1500).contains(rest)), "{rests:?}");
    for nothing in [f64::NAN, -1.0] {
        let breaker = Breaker::consecutive(1).recovery(UNIT).jitter(nothing).build();
        let change = breaker.permit(at(1)).unwrap().settle(false, at(1));
        assert_eq!(change, Some(BreakerChange::Opened { by: OpenedBy::Consecutive, rest: UNIT }));
    }
}

/// The same rules with a lock's worth of freedom: one thing after another, nothing packed.
#[derive(Debug)]
struct Model {
    state: ModelState,
    period: u32,
    failures: u32,
    probes: u32,
    recovery: u32,
    longest: u32,
    /// The last rest, and when it closed after it.
    rest: u32,
    closed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ModelState {
    Closed { failures: u32 },
    HalfOpen { under_way: u32 },
    Open { until: u32 },
}

impl Model {
    /// The period a permit was given in, or none.
    fn permit(&mut self, now: u32) -> Option<u32> {
        self.state = match self.state {
            ModelState::Closed { failures } => ModelState::Closed { failures },
            ModelState::HalfOpen { under_way } if under_way < self.probes => {
                ModelState::HalfOpen { under_way: under_way + 1 }
            }
            ModelState::Open { until } if now >= until => {
                self.period += 1;
                ModelState::HalfOpen { under_way: 1 }
            }
            ModelState::HalfOpen { .. } | ModelState::Open { .. } => return None,
        };
        Some(self.period)
    }

    fn settle(&mut self, period: u32, ok: Option<bool>, now: u32) {
        if period != self.period {
            return;
        }
        let before = self.state;
        let flaps = self.rest > 0 && (matches!(before, ModelState::HalfOpen { .. }) || now < self.closed + self.rest);
        let rest = if flaps { (self.rest * 2).min(self.longest) } else { self.recovery };
        self.state = match (before, ok) {
            (ModelState::HalfOpen { under_way }, None) => ModelState::HalfOpen { under_way: under_way - 1 },
            (state, None) => state,
            (_, Some(true)) => ModelState::Closed { failures: 0 },
            (ModelState::Closed { failures }, Some(false)) if failures + 1 < self.failures => {
                ModelState::Closed { failures: failures + 1 }
            }
            (_, Some(false)) => ModelState::Open { until: now + rest },
        };
        match (before, self.state) {
            (_, ModelState::Open { .. }) => self.rest = rest,
            (ModelState::HalfOpen { .. }, ModelState::Closed { .. }) => self.closed = now,
            _ => {}
        }
        if std::mem::discriminant(&before) != std::mem::discriminant(&self.state) {
            self.period += 1;
        }
    }

    fn state(&self, now: u32) -> BreakerState {
        match self.state {
            ModelState::Closed { .. } => BreakerState::Closed,
            ModelState::Open { until } if now < until => BreakerState::Open { retry_after: UNIT * (until - now) },
            ModelState::HalfOpen { .. } | ModelState::Open { .. } => BreakerState::HalfOpen,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask,
    Pass(u32),
    Settle(prop::sample::Index, Option<bool>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        1 => prop_oneof![0_u32..8, 0_u32..60].prop_map(Step::Pass),
        4 => (any::<prop::sample::Index>(), prop_oneof![1 => Just(None), 1 => Just(Some(true)), 3 => Just(Some(false))])
            .prop_map(|(which, ok)| Step::Settle(which, ok)),
    ]
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        (failures, probes, recovery, longest) in (1_u32..4, 1_u32..4, 1_u32..10, 10_u32..50),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let builder = Breaker::consecutive(failures).probes(probes).recovery(UNIT * recovery);
        let breaker = builder.max_recovery(UNIT * longest).build();
        let state = ModelState::Closed { failures: 0 };
        let mut model = Model { state, period: 0, failures, probes, recovery, longest, rest: 0, closed: 0 };
        let mut now = 0;
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Pass(units) => now += units,
                Step::Ask => {
                    let (permit, period) = (breaker.permit(at(now)).ok(), model.permit(now));
                    prop_assert_eq!(permit.is_some(), period.is_some());
                    held.extend(permit.zip(period));
                }
                Step::Settle(which, ok) if !held.is_empty() => {
                    let (permit, period) = held.swap_remove(which.index(held.len()));
                    model.settle(period, ok, now);
                    match ok {
                        Some(ok) => _ = permit.settle(ok, at(now)),
                        None => drop(permit),
                    }
                }
                Step::Settle(..) => {}
            }
            prop_assert_eq!(breaker.state(at(now)), model.state(now));
        }
    }
}
