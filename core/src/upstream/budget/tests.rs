use std::thread;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Moment {
    Moment::from_nanos(1_800_000_000_000_000_000) + Duration::from_millis(millis)
}

fn spend(budget: &RetryBudget, now: Moment) -> usize {
    (0..100_000).take_while(|_| budget.try_spend(now)).count()
}

#[test]
fn a_fresh_budget_has_its_floor_and_a_quiet_route_keeps_it() {
    let budget = RetryBudget::new(0.2);
    assert_eq!(budget.left(at(0)), 30);
    assert_eq!(spend(&budget, at(0)), 30);
    assert_eq!(spend(&budget, at(9999)), 0);
    // Three a second, by its clock of a tenth, for a minute, of one request each.
    let granted: usize = (0..180)
        .map(|turn| {
            budget.count(at(20_000 + turn * 340));
            usize::from(budget.try_spend(at(20_000 + turn * 340)))
        })
        .sum();
    assert_eq!(granted, 180);
}

#[test]
fn a_busy_one_has_its_share_and_not_the_floor_beside_it() {
    let budget = RetryBudget::new(0.2);
    (0..5000).for_each(|turn| budget.count(at(turn)));
    assert_eq!(spend(&budget, at(5000)), 1000);
    assert_eq!(budget.left(at(5000)), 0);
    // The clones are the same budget, and what was counted holds under other bounds.
    let wider = budget.clone().with_share(0.5);
    assert_eq!(spend(&wider, at(5000)), 1500);
    assert_eq!(spend(&budget.min_per_second(1000), at(5000)), 7500);
}

#[test]
fn a_process_that_starts_with_everything_failing_asks_at_most_its_share_more() {
    for rate in [1_u64, 10, 100, 1000] {
        let budget = RetryBudget::new(0.2);
        let mut retries = 0;
        for millis in 0..60_000 {
            for _ in 0..(rate * (millis + 1) / 1000 - rate * millis / 1000) {
                budget.count(at(millis));
                retries += u64::from(budget.try_spend(at(millis)));
            }
        }
        let requests = rate * 60;
        assert!(retries <= (requests / 5).max(7 * 30), "{retries} of {requests}");
        assert!(retries >= (requests / 7).min(30), "{retries} of {requests}");
    }
}

#[test]
fn odd_shares_are_clamped() {
    for nothing in [f64::NAN, -1.0, f64::NEG_INFINITY, 0.0] {
        let budget = RetryBudget::new(nothing).min_per_second(0);
        (0..100).for_each(|_| budget.count(at(0)));
        assert_eq!(budget.left(at(0)), 0);
    }
    let most = RetryBudget::new(f64::INFINITY).min_per_second(u32::MAX);
    most.count(at(0));
    assert_eq!(most.left(at(0)), 42_949_672_950);
    assert!(most.try_spend(Moment::from_nanos(u64::MAX)));
    assert!(most.try_spend(at(0)), "a reading that is late");
    assert_eq!(most.left(Moment::from_nanos(u64::MAX)), 42_949_672_948);
}

#[test]
fn many_threads_spend_what_there_is_and_not_one_more() {
    let budget = RetryBudget::new(0.2).min_per_second(0);
    let spent: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..2500).for_each(|millis| budget.count(at(millis)));
                    spend(&budget, at(2500))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(spent + spend(&budget, at(2500)), 2000);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Count(u64),
    Pass(u64),
    Spend(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u64..20).prop_map(Step::Count),
        3 => prop_oneof![0_u64..50, 0_u64..3000, 0_u64..15_000].prop_map(Step::Pass),
        3 => (1_u64..20).prop_map(Step::Spend),
    ]
}

proptest! {
    /// Against the plain definition, on lists of times.
    #[test]
    fn what_it_grants_is_within_the_bound_and_what_it_refuses_is_not(
        percent in 0_u64..150,
        floor in 0_u32..3,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let budget = RetryBudget::new(percent as f64 / 100.0).min_per_second(floor);
        let floor = u64::from(floor) * 10;
        let (mut now, mut requests, mut retries) = (0, Vec::new(), Vec::new());
        let within = |times: &[u64], millis: u64, now: u64| times.iter().filter(|time| *time + millis > now).count() as u64;
        for step in steps {
            match step {
                Step::Pass(millis) => now += millis,
                Step::Count(times) => (0..times).for_each(|_| {
                    budget.count(at(now));
                    requests.push(now);
                }),
                Step::Spend(times) => for _ in 0..times {
                    if budget.try_spend(at(now)) {
                        retries.push(now);
                        let bound = (within(&requests, 10_000, now) * percent / 100).max(floor);
                        prop_assert!(within(&retries, 10_000, now) <= bound);
                    } else {
                        let bound = (within(&requests, 9_000, now) * percent / 100).max(floor);
                        prop_assert!(within(&retries, 10_100, now) + 1 > bound);
                    }
                },
            }
        }
    }
}
