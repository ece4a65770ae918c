//! The retry budget and the counters by time, in every order of a few threads.

use std::time::Duration;

use interleavings::time::Moment;
use interleavings::upstream::{Counters, RetryBudget};
use loom::sync::Arc;
use loom::thread;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(1_800_000_000_000_000_000) + Duration::from_secs(seconds)
}

/// One retry is allowed, two want it: one gets it.
#[test]
fn the_last_retry_is_spent_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let budget = RetryBudget::new(1.0).min_per_second(0);
        budget.count(at(0));
        let other = budget.clone();
        let thread = thread::spawn(move || other.try_spend(at(0)));
        assert!(budget.try_spend(at(0)) ^ thread.join().unwrap());
        assert_eq!(budget.left(at(0)), 0);
    });
}

/// The first requests of a second come at once, where an older second's count stands: each is counted, once.
#[test]
fn a_new_slot_begins_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let counters = Arc::new(Counters::new(Duration::from_secs(10)));
        counters.add(at(0));
        let add = || {
            let counters = Arc::clone(&counters);
            move || counters.add(at(16))
        };
        let threads = [thread::spawn(add()), thread::spawn(add())];
        add()();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counters.sum(at(16)), 3);
    });
}

/// Somebody who is sixteen slots late at the same place: it is not counted, and takes nothing away.
#[test]
fn who_comes_too_late_takes_nothing_away() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let counters = Arc::new(Counters::new(Duration::from_secs(10)));
        let (late, now) = (Arc::clone(&counters), Arc::clone(&counters));
        let threads = [thread::spawn(move || late.add(at(0))), thread::spawn(move || now.add(at(16)))];
        counters.add(at(16));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counters.sum(at(16)), 2);
    });
}
