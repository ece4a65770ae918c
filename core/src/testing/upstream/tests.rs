//! Our own pickers run the suite, and it finds what is wrong with others.
#![expect(clippy::cast_possible_truncation, reason = "a fault of one picker")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::upstream::{Hash, LeastRequest, PeakEwma, Random, RoundRobin};

struct Ours(Claims, fn(&Snapshot) -> Arc<dyn UpstreamPicker>);

impl Driver for Ours {
    fn picker(&self, pool: &Snapshot) -> Arc<dyn UpstreamPicker> {
        (self.1)(pool)
    }
    fn claims(&self) -> Claims {
        self.0
    }
}

#[test]
fn our_pickers_conform() {
    conformance(&Ours(Claims { retries: true, ..Claims::default() }, |pool| Arc::new(RoundRobin::new(pool))));
    conformance(&Ours(Claims { retries: true, ..Claims::default() }, |_| Arc::new(LeastRequest)));
    conformance(&Ours(Claims { retries: true, ..Claims::default() }, |_| Arc::new(PeakEwma)));
    conformance(&Ours(Claims { retries: true, ..Claims::default() }, |_| Arc::new(Random)));
    conformance(&Ours(Claims { retries: true, keys: true, ..Claims::default() }, |pool| Arc::new(Hash::new(pool))));
}

/// What a picker does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Divides by how many there are.
    DividesByNone,
    /// Looks at the pool that it was made for, with one more.
    EndsTooLate,
    /// Picks among half of the pool when something is busy.
    FleesFromBusy,
    /// None where its first choice was tried.
    GivesUp,
    /// Draws evenly.
    IgnoresWeights,
    /// Goes by weight until something was tried.
    IgnoresWeightsOfTheRest,
    /// Draws anew for a known key.
    ForgetsKeys,
    /// The first, where all were tried.
    NeverNone,
    /// Draws whatever was tried.
    PicksTried,
    /// Remembers where it was, for everybody.
    Races,
    /// Never comes to the last.
    Starves,
    /// Adds weights in 32 bits.
    Overflows,
}

struct Faulty(Fault, AtomicUsize);

impl Faulty {
    /// A weighted choice among those that were not tried, by `random`.
    fn draw(
        pool: &Snapshot,
        tried: &[EndpointIndex],
        random: u64,
        weight: impl Fn(usize) -> u64,
    ) -> Option<EndpointIndex> {
        let open: Vec<_> = (0..pool.members().len()).filter(|index| !tried.contains(&EndpointIndex(*index))).collect();
        let total: u64 = open.iter().map(|index| weight(*index)).sum();
        let mut point = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        open.into_iter()
            .find(|index| {
                let here = point < weight(*index);
                point = point.saturating_sub(weight(*index));
                here
            })
            .map(EndpointIndex)
    }
}

impl UpstreamPicker for Faulty {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        let len = pool.members().len();
        let weight = |index: usize| u64::from(pool.members()[index].weight.get());
        let mixed = ask.key.map(|key| ScriptedRandom::seeded(key ^ ask.tried.len() as u64).draw());
        let right = || Self::draw(pool, ask.tried, mixed.unwrap_or(ask.random), weight);
        match self.0 {
            Fault::DividesByNone => {
                let from = ask.random as usize % len;
                right().filter(|_| from < len)
            }
            Fault::EndsTooLate if ask.random > u64::MAX - 8 => Some(EndpointIndex(len)),
            Fault::FleesFromBusy if pool.members().iter().any(|member| member.endpoint.in_flight() > 0) => {
                Self::draw(pool, ask.tried, ask.random, |index| u64::from(index % 2 == 0))
            }
            Fault::ForgetsKeys => Self::draw(pool, ask.tried, ask.random, weight),
            Fault::GivesUp => Self::draw(pool, &[], ask.random, weight).filter(|index| !ask.tried.contains(index)),
            Fault::IgnoresWeights => Self::draw(pool, ask.tried, ask.random, |_| 1),
            Fault::IgnoresWeightsOfTheRest if !ask.tried.is_empty() => Self::draw(pool, ask.tried, ask.random, |_| 1),
            Fault::NeverNone => right().or((len > 0).then_some(EndpointIndex(0))),
            Fault::Overflows => {
                let total = pool.members().iter().map(|member| member.weight.get()).sum::<u32>();
                right().filter(|_| total > 0)
            }
            Fault::PicksTried => Self::draw(pool, &[], ask.random, weight),
            Fault::Races => {
                let own = right()?;
                self.1.store(own.0, Ordering::SeqCst);
                // Long enough that threads which were started one after the other meet, also where there are few cores.
                (0..20).for_each(|_| std::thread::yield_now());
                Some(EndpointIndex(self.1.load(Ordering::SeqCst)))
            }
            Fault::Starves if len > 2 => Self::draw(pool, ask.tried, ask.random, |index| u64::from(index + 1 < len)),
            _ => right(),
        }
    }
}

struct Drive(Fault);

impl Driver for Drive {
    fn picker(&self, _: &Snapshot) -> Arc<dyn UpstreamPicker> {
        Arc::new(Faulty(self.0, AtomicUsize::new(0)))
    }
    fn claims(&self) -> Claims {
        Claims { weights: true, retries: true, keys: true }
    }
}

fn report(fault: Fault) -> String {
    match catch_unwind(AssertUnwindSafe(|| conformance(&Drive(fault)))) {
        Ok(()) => String::new(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}

#[test]
fn each_fault_is_found_and_named() {
    assert_eq!(report(Fault::None), "");
    for (fault, rule) in [
        (Fault::DividesByNone, "an empty pool has no endpoint"),
        (Fault::EndsTooLate, "only an endpoint of the pool is picked"),
        (Fault::FleesFromBusy, "endpoints that are busy change none of this"),
        (Fault::ForgetsKeys, "the same key is the same endpoint"),
        (Fault::GivesUp, "there is none only when all were tried"),
        (Fault::IgnoresWeights, "endpoints get what they weigh"),
        (Fault::IgnoresWeightsOfTheRest, "those that are left get what they weigh"),
        (Fault::NeverNone, "what was tried is not picked again"),
        (Fault::Overflows, "the largest weights overflow nothing"),
        (Fault::PicksTried, "what was tried is not picked again"),
        (Fault::Races, "threads that pick at once get endpoints of the pool"),
        (Fault::Starves, "each endpoint is reached once the others were tried"),
    ] {
        let report = report(fault);
        assert!(report.contains(&format!("\n- {rule}\n")), "{fault:?} is not found by {rule:?}: {report}");
    }
}

/// A report is read by whoever wrote the picker: the rule, what was expected, what was seen.
#[test]
fn a_report_says_what_was_seen() {
    let report = report(Fault::IgnoresWeights);
    assert!(report.contains("endpoint 0 had "), "{report}");
    assert!(report.contains("of 20000 requests, its share is 14000; weights [7, 2, 1], failing: None"), "{report}");
}
