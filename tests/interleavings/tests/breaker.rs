//! The breaker, in every order of a few threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use interleavings::time::Moment;
use interleavings::upstream::{Breaker, BreakerChange, BreakerState, OpenedBy, Permit};
use loom::thread;

const REST: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(1_800_000_000_000_000_000) + Duration::from_secs(seconds)
}

/// Open since second 0, to be tried again from second 10 on.
fn open(failures: u32, probes: u32) -> Breaker {
    let breaker = Breaker::consecutive(failures).probes(probes).recovery(REST).build();
    for _ in 0..failures {
        let permit = breaker.permit(at(0)).unwrap();
        permit.settle(false, at(0));
    }
    assert_eq!(breaker.times_opened(), 1);
    breaker
}

/// How many probes are out: counted by what the model checker does not look at, so that it adds no orders.
#[derive(Clone, Default)]
struct Out(Arc<AtomicUsize>);

impl Out {
    /// A probe that was given, among at most so many.
    fn given(&self, permit: Permit, most: usize) -> Permit {
        assert!(permit.is_probe());
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < most, "more probes than there may be");
        permit
    }

    /// Before a probe gives its place back.
    fn back(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Three ask at the moment it half-opens, and leave: never more than `probes` are out, and each place comes back.
fn crowd(probes: u32) {
    // All orders of three that come and go take hours; those with two interruptions have found what was tried.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let (breaker, out) = (open(1, probes), Out::default());
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(client(&breaker, &out, probes))).collect();
        client(&breaker, &out, probes)();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // All are back: as many as there may be, and not one more.
        let again: Vec<_> = (0..probes).map(|_| breaker.permit(at(10)).unwrap()).collect();
        assert!(breaker.permit(at(10)).is_err());
        drop(again);
        assert_eq!(breaker.times_opened(), 1);
    });
}

fn client(breaker: &Breaker, out: &Out, probes: u32) -> impl FnOnce() + 'static {
    let (breaker, out) = (breaker.clone(), out.clone());
    move || {
        if let Ok(permit) = breaker.permit(at(10)) {
            let permit = out.given(permit, probes as usize);
            out.back();
            drop(permit);
        }
    }
}

#[test]
fn one_probe_at_a_time_whoever_comes_and_goes() {
    crowd(1);
}

#[test]
fn two_probes_at_a_time_whoever_comes_and_goes() {
    crowd(2);
}

/// Of a crowd that stays, exactly as many are probes as there may be.
#[test]
fn a_crowd_that_stays_has_exactly_its_probes() {
    for probes in [1, 2] {
        loom::model(move || {
            let breaker = open(1, probes);
            let ask = |breaker: Breaker| move || breaker.permit(at(10)).ok();
            let threads: Vec<_> = (0..2).map(|_| thread::spawn(ask(breaker.clone()))).collect();
            let mut permits = vec![ask(breaker.clone())()];
            permits.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
            assert_eq!(permits.iter().flatten().count(), probes as usize);
        });
    }
}

/// Two probes decide at once, one for and one against: it is one or the other, said by exactly one of them.
#[test]
fn of_two_probes_that_disagree_one_decides() {
    loom::model(|| {
        let breaker = open(1, 2);
        let (good, bad) = (breaker.permit(at(10)).unwrap(), breaker.permit(at(10)).unwrap());
        let thread = thread::spawn(move || good.settle(true, at(11)));
        let changes = [bad.settle(false, at(11)), thread.join().unwrap()];
        match (breaker.state(at(11)), changes) {
            (BreakerState::Closed, [None, Some(BreakerChange::Closed)]) => assert_eq!(breaker.times_opened(), 1),
            (BreakerState::Open { .. }, [Some(BreakerChange::Opened { by: OpenedBy::Probe, .. }), None]) => {
                assert_eq!((breaker.times_opened(), breaker.times_reopened()), (2, 1));
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A probe that fails while another is dropped and a third client asks: the place of the dropped one is not that of a
/// later period.
#[test]
fn a_place_goes_back_to_its_own_period_only() {
    loom::model(|| {
        let breaker = open(1, 2);
        let (bad, gone) = (breaker.permit(at(10)).unwrap(), breaker.permit(at(10)).unwrap());
        let threads = [
            thread::spawn(move || {
                bad.settle(false, at(10));
            }),
            thread::spawn(move || drop(gone)),
        ];
        // Long after the rest that the failed probe begins.
        let early = breaker.permit(at(100)).ok();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(breaker.times_opened(), 2);
        // In the new period both places are there, but for the one that was given in it.
        let given = usize::from(early.as_ref().is_some_and(|_| true));
        let more: Vec<_> = (0..3).map_while(|_| breaker.permit(at(100)).ok()).collect();
        assert!(more.len() == 2 || more.len() + given == 2, "{given} and {}", more.len());
    });
}

/// Failures at once open it once, and exactly one of them is told.
#[test]
fn failures_at_once_open_it_once() {
    for failures in [1, 2, 3] {
        loom::model(move || {
            let breaker = Breaker::consecutive(failures).recovery(REST).build();
            let permits: Vec<_> = (0..3).map(|_| breaker.permit(at(0)).unwrap()).collect();
            let mut settle = permits.into_iter().map(|permit| move || permit.settle(false, at(0)));
            let threads = [settle.next(), settle.next()].map(|settle| thread::spawn(settle.unwrap()));
            let mut changes = vec![settle.next().unwrap()()];
            changes.extend(threads.map(|thread| thread.join().unwrap()));
            assert_eq!(changes.iter().flatten().count(), 1, "{changes:?}");
            assert_eq!(breaker.times_opened(), 1);
            assert_eq!(breaker.state(at(0)), BreakerState::Open { retry_after: retry_after(&breaker) });
        });
    }
}

fn retry_after(breaker: &Breaker) -> Duration {
    breaker.permit(at(0)).unwrap_err().retry_after
}

/// What was asked before it opened says nothing after it closed, whenever it comes.
#[test]
fn a_late_failure_changes_nothing() {
    loom::model(|| {
        let breaker = Breaker::consecutive(1).recovery(REST).build();
        let (late, first) = (breaker.permit(at(0)).unwrap(), breaker.permit(at(0)).unwrap());
        first.settle(false, at(0));
        let probe = breaker.permit(at(10)).unwrap();
        let thread = thread::spawn(move || late.settle(false, at(11)));
        assert_eq!(probe.settle(true, at(11)), Some(BreakerChange::Closed));
        assert_eq!(thread.join().unwrap(), None);
        assert_eq!((breaker.state(at(11)), breaker.times_opened()), (BreakerState::Closed, 1));
    });
}

/// The share of failures: whoever comes last sees all, so it opens; and once.
#[test]
fn enough_failures_at_once_open_it_by_their_share() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let breaker = Breaker::failure_ratio(0.5).minimum(2).recovery(REST).build();
        let (one, other) = (breaker.permit(at(0)).unwrap(), breaker.permit(at(0)).unwrap());
        let thread = thread::spawn(move || one.settle(false, at(0)));
        let changes = [other.settle(false, at(0)), thread.join().unwrap()];
        assert_eq!(changes.iter().flatten().count(), 1, "{changes:?}");
        assert_eq!(breaker.times_opened(), 1);
    });
}

/// One more failure of before, counted whenever its thread comes to it: after the breaker has closed it is in no share, and
/// neither are those that opened it.
#[test]
fn a_late_failure_is_in_no_share() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let breaker = Breaker::failure_ratio(0.5).minimum(2).recovery(Duration::from_secs(1)).build();
        let [late, one, other] = [(); 3].map(|()| breaker.permit(at(0)).unwrap());
        let thread = thread::spawn(move || late.settle(false, at(0)));
        one.settle(false, at(0));
        other.settle(false, at(0));
        assert_eq!(breaker.permit(at(1)).unwrap().settle(true, at(1)), Some(BreakerChange::Closed));
        assert_eq!(breaker.permit(at(3)).unwrap().settle(false, at(3)), None, "one is not enough");
        thread.join().unwrap();
        assert_eq!((breaker.state(at(3)), breaker.times_opened()), (BreakerState::Closed, 1));
    });
}
