//! What it picks, and a simulation of pickers where one endpoint of five is slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::pool::tests::snapshot;
use super::*;
use crate::testing::ScriptedRandom;
use crate::time::Moment;
use crate::upstream::{Lease, LeastRequest, Pool, Random, RoundRobin};

const START: Moment = Moment::from_nanos(1_800_000_000_000_000_000);
const MS: Duration = Duration::from_millis(1);

/// Which of two endpoints, whichever is drawn first.
fn picks(pool: &Snapshot) -> [usize; 2] {
    [0, u64::MAX].map(|random| PeakEwma.pick(pool, &Ask { key: None, tried: &[], random }).unwrap().0)
}

#[test]
fn the_faster_is_taken_until_it_is_busy() {
    let pool = snapshot(&[1, 1]);
    let [slow, fast] = [0, 1].map(|index: usize| Arc::clone(&pool.members()[index].endpoint));
    slow.observe(40 * MS, START);
    fast.observe(10 * MS, START);
    for _ in 0..3 {
        assert_eq!(picks(&pool), [1, 1]);
        fast.enter();
    }
    assert_eq!(picks(&pool), [0, 1], "four times as busy at a quarter of the latency");
    fast.enter();
    assert_eq!(picks(&pool), [0, 0]);
}

#[test]
fn one_without_a_sample_is_tried_by_one_request() {
    let pool = snapshot(&[1, 1]);
    let [known, new] = [0, 1].map(|index: usize| Arc::clone(&pool.members()[index].endpoint));
    known.observe(MS, START);
    assert_eq!(picks(&pool), [1, 1]);
    new.enter();
    assert_eq!(picks(&pool), [0, 0], "until its first answer");
    new.leave();
    new.observe(2 * MS, START);
    assert_eq!(picks(&pool), [0, 0]);
}

#[test]
fn one_that_was_slow_is_tried_again() {
    let pool = snapshot(&[1, 1]);
    pool.members()[0].endpoint.observe(1000 * MS, START);
    for second in 0..60 {
        pool.members()[1].endpoint.observe(10 * MS, START + Duration::from_secs(second));
        if picks(&pool) == [0, 0] {
            assert!((40..50).contains(&second), "after {second} s");
            return;
        }
    }
    panic!("never");
}

/// What came of a run: the requests that each endpoint got, and all latencies in order.
struct Run {
    counts: Vec<usize>,
    latencies: Vec<Duration>,
}

impl Run {
    fn at(&self, permille: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * permille / 1000]
    }
}

/// Requests that come by chance, 100 a second, to five endpoints, each of which does one after the other: four in about 4 ms, the first
/// in about 40. The same chance for every picker.
fn simulate(picker: impl Fn(&Snapshot) -> Arc<dyn UpstreamPicker>) -> Run {
    const REQUESTS: usize = 40_000;
    let snapshot = snapshot(&[1; 5]);
    let pool = Pool::new("users", Snapshot::of(snapshot.members().to_vec()), picker(&snapshot));
    let (mut random, mut now) = (ScriptedRandom::seeded(7), START);
    let mut free = [START; 5];
    let mut running: BTreeMap<(Moment, usize), (Lease, Moment)> = BTreeMap::new();
    let mut run = Run { counts: vec![0; 5], latencies: Vec::new() };
    // An exponential distribution of mean 1.
    let mut drawn = || -(((random.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln();
    let mut choice = ScriptedRandom::seeded(8);
    for number in 0..REQUESTS {
        now = now + Duration::from_secs_f64(drawn() / 100.0);
        let work = drawn();
        while let Some(entry) = running.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((ended, _), (lease, began)): ((Moment, usize), (Lease, Moment)) = entry.remove_entry();
            lease.observe(ended.since(began), ended);
        }
        let lease = pool.lease(&Ask { key: None, tried: &[], random: choice.draw() }).unwrap();
        let index = lease.index().0;
        let mean = if index == 0 { 40.0 } else { 4.0 };
        free[index] = free[index].max(now) + Duration::from_secs_f64(work * mean / 1e3);
        run.counts[index] += 1;
        run.latencies.push(free[index].since(now));
        running.insert((free[index], number), (lease, now));
    }
    run.latencies.sort_unstable();
    run
}

/// With one slow endpoint of five: whoever looks at load keeps the tail short, and whoever looks at latency too, shorter.
#[test]
fn one_slow_endpoint_of_five() {
    let runs = [
        ("round-robin", simulate(|pool| Arc::new(RoundRobin::new(pool)))),
        ("random", simulate(|_| Arc::new(Random))),
        ("least-request", simulate(|_| Arc::new(LeastRequest))),
        ("peak-ewma", simulate(|_| Arc::new(PeakEwma))),
    ];
    for (name, run) in &runs {
        let [half, most, tail] = [500, 990, 999].map(|permille| run.at(permille));
        eprintln!("{name:13} requests {:?}, 50 % {half:.1?}, 99 % {most:.1?}, 99.9 % {tail:.1?}", run.counts);
    }
    let [round_robin, random, least_request, peak_ewma] = runs.map(|(_, run)| run);
    assert!(least_request.at(990) * 2 < round_robin.at(990).min(random.at(990)));
    assert!(peak_ewma.at(990) < least_request.at(990));
    assert!(peak_ewma.counts[0] < least_request.counts[0] && least_request.counts[0] < round_robin.counts[0] * 3 / 4);
    assert!(peak_ewma.counts[0] > 20, "the slow one is tried again and again");
}
