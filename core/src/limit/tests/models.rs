//! The arithmetic against the plainest models, with random arrivals.

use proptest::prelude::*;

use super::*;

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(&Algorithm::ALL[..])
}

fn clone(cell: &Cell) -> Cell {
    match cell {
        Cell::Counted(counters) => Cell::Counted(*counters),
        Cell::Logged(log) => Cell::Logged(Box::new(log.copy())),
    }
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
            let worst = match algorithm {
                Algorithm::SlidingLog => count,
                Algorithm::SlidingWindow => 2 * count - 1,
                Algorithm::FixedWindow | Algorithm::TokenBucket => count + quota.limit(),
            };
            prop_assert!(sum <= worst, "{} in a period from {}", sum, start);
        }
    }

    #[test]
    fn a_wait_is_the_first_moment_that_passes(
        algorithm in any_algorithm(), count in 1_u32..20, millis in 1_u64..5_000, arrivals in arrivals(),
    ) {
        let quota = quota(algorithm, count, Duration::from_millis(millis), count);
        let mut cell = Cell::default();
        let mut now = Moment::default() + 1_800_000_000 * SECOND;
        for (gap, cost) in arrivals {
            now = now + Duration::from_millis(gap);
            let standing = cell.take(&quota, cost, now);
            prop_assert_eq!(standing.reset.is_zero(), cell.is_idle(now));
            let Some(wait) = standing.wait.filter(|_| cost <= count) else { continue };
            prop_assert!(!wait.is_zero());
            let mut early = clone(&cell);
            prop_assert!(early.peek(&quota, cost, now + (wait - Duration::from_nanos(1))).wait.is_some());
            prop_assert!(early.peek(&quota, cost, now + wait).wait.is_none());
        }
    }

    #[test]
    fn a_sliding_window_is_the_model(count in 1_u32..9, millis in 1_u64..5_000, arrivals in arrivals()) {
        let (store, hand) = store(10);
        let quota = quota(Algorithm::SlidingWindow, count, Duration::from_millis(millis), 1);
        let mut now = 1_800_000_000_000_u64;
        let mut counted = std::collections::HashMap::<u64, u64>::new();
        for (gap, cost) in arrivals {
            hand.advance(Duration::from_millis(gap));
            now += gap;
            let window = now / millis;
            let earlier = counted.get(&(window - 1)).copied().unwrap_or_default();
            // In units of a millisecond's share of one.
            let spent = |used: u64| used * millis + earlier * (millis - now % millis);
            let used = counted.entry(window).or_default();
            let verdict = take(&store, &[Charge { cost, ..charge(1, quota) }]);
            let whole = u64::from(count) * millis;
            prop_assert_eq!(verdict.admitted, spent(*used + u64::from(cost.max(1))) <= whole);
            *used += if verdict.admitted { u64::from(cost) } else { 0 };
            prop_assert_eq!(verdict.remaining, whole.saturating_sub(spent(*used)) / millis);
            let windows = if *used > 0 { 2 } else { u64::from(earlier > 0) };
            let rest = (windows * millis).saturating_sub(now % millis);
            prop_assert_eq!(verdict.reset, Duration::from_millis(if windows > 0 { rest } else { 0 }));
            prop_assert!(*used <= count.into(), "no window counts more than its count");
        }
    }

    #[test]
    fn a_sliding_log_is_the_model(count in 1_u32..9, millis in 1_u64..5_000, arrivals in arrivals()) {
        let (store, hand) = store(10);
        let quota = quota(Algorithm::SlidingLog, count, Duration::from_millis(millis), 1);
        let (mut admitted, mut now) = (Vec::<(u64, u32)>::new(), 0);
        for (gap, cost) in arrivals {
            hand.advance(Duration::from_millis(gap));
            now += gap;
            admitted.retain(|(at, _)| at + millis > now);
            let spent: u32 = admitted.iter().map(|(_, cost)| cost).sum();
            let verdict = take(&store, &[Charge { cost, ..charge(1, quota) }]);
            prop_assert_eq!(verdict.admitted, spent + cost.max(1) <= count);
            if verdict.admitted && cost > 0 {
                admitted.push((now, cost));
            }
            let spent: u32 = admitted.iter().map(|(_, cost)| cost).sum();
            prop_assert_eq!(verdict.remaining, u64::from(count - spent));
            let reset = admitted.last().map_or(0, |(at, _)| at + millis - now);
            prop_assert_eq!(verdict.reset, Duration::from_millis(reset));
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
    fn several_charges_are_one(
        algorithms in [any_algorithm(), any_algorithm()],
        arrivals in prop::collection::vec((0_u64..3_000, 0_u32..4, 0_u32..4), 1..60),
    ) {
        let (store, hand) = store(10);
        let quotas = [quota(algorithms[0], 20, 60 * SECOND, 20), quota(algorithms[1], 5, 10 * SECOND, 3)];
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
