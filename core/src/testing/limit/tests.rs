//! The suite finds what is wrong: one store for each way to break a rule.
#![expect(
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    reason = "a table of faults, and numbers that are small"
)]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::*;
use crate::limit::MemoryStore;
use crate::subject::Subject;
use crate::time::{Clock, ManualClock, UnixTime};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The charge that decides is always the first.
    BlamesTheFirst,
    /// Counts a subject by 8 bits of its number.
    CutsSubjects,
    /// A cost above the limit is taken for the limit.
    ForgivesCost,
    /// Expiry of more than 30 days is a date, and long ago.
    ForgetsLongPeriods,
    /// Keeps nothing over a day, and starts with less.
    HalvesAfterALeap,
    /// One subject for all rules.
    MixesRules,
    /// Refuses where nothing is asked.
    NeedsACharge,
    /// A changed quota is another key.
    QuotaIsTheKey,
    /// Reads, decides, then writes.
    ReadsThenWrites,
    /// Decides that it is full only after it has counted.
    SpendsRefused,
    /// Takes charges one after the other, and keeps what was spent.
    SpendsInTurn,
    /// Asking costs one.
    SpendsOnQuestions,
    /// Takes a shadow charge for an enforced one.
    ShadowRefuses,
    /// Never counts a shadow charge.
    ShadowIsIgnored,
    /// Says whole seconds.
    RoundsWaits,
    /// A reply that nobody read is the next one's.
    LeavesReplies,
    /// Fails where others are at work.
    GivesUpUnderLoad,
    /// Counts fixed windows whatever is asked for.
    OneAlgorithm,
}

struct Faulty {
    fault: Fault,
    right: MemoryStore,
    counts: Mutex<HashMap<(Subject, u64), u32>>,
    clock: Clock,
    busy: AtomicBool,
    stale: Arc<Mutex<Option<Verdict>>>,
    leaps: AtomicU64,
}

impl Faulty {
    fn new(fault: Fault) -> (Self, ManualClock) {
        let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let right = MemoryStore::with(clock.clone(), 1_000_000);
        let (counts, stale) = (Mutex::default(), Arc::default());
        (Self { fault, right, counts, clock, busy: AtomicBool::new(false), stale, leaps: AtomicU64::new(0) }, hand)
    }

    fn right(&self, charges: &[Charge]) -> Verdict {
        wait(self.right.take(charges)).unwrap()
    }

    /// The same charges, each changed.
    fn with(&self, charges: &[Charge], change: impl Fn(Charge) -> Charge) -> Verdict {
        self.right(&charges.iter().map(|charge| change(*charge)).collect::<Vec<_>>())
    }

    /// A subject told apart by something more, or less.
    fn subject(parts: &[u64]) -> Subject {
        let mut hasher = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]));
        parts.iter().for_each(|part| hasher.text(0, &part.to_le_bytes()));
        hasher.finish(RuleId::of("faulty"))
    }

    fn read_then_write(&self, charge: Charge) -> Verdict {
        let window = self.clock.now().as_nanos() / charge.quota.period.as_nanos() as u64;
        let counts = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = counts().get(&(charge.subject, window)).copied().unwrap_or_default();
        thread::yield_now();
        let admitted = spent + charge.cost.max(1) <= charge.quota.count.get();
        if admitted {
            counts().insert((charge.subject, window), spent + charge.cost);
        }
        Verdict { admitted, ..self.right(&[Charge { cost: 0, ..charge }]) }
    }

    fn faulty(&self, charges: &[Charge]) -> Verdict {
        let right = || self.right(charges);
        let only = match charges {
            [only] => Some(*only),
            _ => None,
        };
        match self.fault {
            Fault::BlamesTheFirst => Verdict { decided: 0, ..right() },
            Fault::CutsSubjects => self.with(charges, |charge| Charge {
                subject: Self::subject(&[charge.subject.as_u128() as u64 & 0xff]),
                ..charge
            }),
            Fault::ForgivesCost => {
                self.with(charges, |charge| Charge { cost: charge.cost.min(charge.quota.limit()), ..charge })
            }
            Fault::ForgetsLongPeriods => {
                let month = 30 * 24 * 3_600 * SECOND;
                self.with(charges, |charge| match charge.quota.period > month {
                    true => Charge { subject: Self::subject(&[self.clock.now().as_nanos()]), ..charge },
                    false => charge,
                })
            }
            Fault::HalvesAfterALeap => {
                let day = self.clock.now().as_nanos() / 86_400_000_000_000;
                let leapt = day.saturating_sub(self.leaps.swap(day, Ordering::Relaxed)) > 300;
                self.with(charges, |charge| Charge { cost: charge.cost + u32::from(leapt), ..charge })
            }
            Fault::MixesRules => self.with(charges, |charge| match charge.cost {
                1 if charge.quota.count.get() == 1 => Charge { subject: Self::subject(&[1]), ..charge },
                _ => charge,
            }),
            Fault::NeedsACharge if charges.is_empty() => Verdict { admitted: false, ..right() },
            Fault::QuotaIsTheKey => self.with(charges, |charge| Charge {
                subject: Self::subject(&[
                    charge.subject.as_u128() as u64,
                    charge.quota.count.get().into(),
                    charge.quota.burst.get().into(),
                    charge.quota.period.as_secs(),
                ]),
                ..charge
            }),
            Fault::ReadsThenWrites if only.is_some_and(|only| only.mode == Mode::Enforce) => {
                self.read_then_write(only.unwrap())
            }
            Fault::SpendsRefused => {
                let verdict = right();
                if !verdict.admitted && verdict.remaining > 0 {
                    for charge in charges {
                        self.right(&[Charge { cost: 1, ..*charge }]);
                    }
                }
                verdict
            }
            Fault::SpendsInTurn => {
                let refused = charges.iter().map(|charge| self.right(&[*charge])).find(|verdict| !verdict.admitted);
                refused.unwrap_or_else(|| self.with(charges, |charge| Charge { cost: 0, ..charge }))
            }
            Fault::SpendsOnQuestions => self.with(charges, |charge| Charge { cost: charge.cost.max(1), ..charge }),
            Fault::ShadowRefuses => self.with(charges, |charge| Charge { mode: Mode::Enforce, ..charge }),
            Fault::ShadowIsIgnored => self.with(charges, |charge| match charge.mode {
                Mode::Enforce => charge,
                Mode::Shadow => Charge { cost: 0, ..charge },
            }),
            Fault::RoundsWaits => {
                let verdict = right();
                Verdict { wait: Duration::from_secs(verdict.wait.as_secs()), ..verdict }
            }
            Fault::OneAlgorithm => self.with(charges, |charge| Charge {
                quota: Quota { algorithm: Algorithm::FixedWindow, ..charge.quota },
                ..charge
            }),
            _ => right(),
        }
    }
}

impl RateLimitStore for Faulty {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        if self.fault == Fault::GivesUpUnderLoad {
            if self.busy.swap(true, Ordering::SeqCst) {
                return Answer::Now(Err(StoreError::new("somebody else was writing")));
            }
            thread::yield_now();
            let verdict = self.faulty(charges);
            self.busy.store(false, Ordering::SeqCst);
            return Answer::Now(Ok(verdict));
        }
        let verdict = self.faulty(charges);
        if self.fault != Fault::LeavesReplies {
            return Answer::Now(Ok(verdict));
        }
        // A reply of its own at the second look; one that nobody came for is found by the next.
        let (stale, mut looked) = (Arc::clone(&self.stale), false);
        Answer::later(std::future::poll_fn(move |cx| {
            let mut stale = stale.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::replace(&mut looked, true) {
                stale.get_or_insert(verdict);
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(Ok(stale.take().unwrap_or(verdict)))
        }))
    }
}

struct Drive(Arc<Faulty>, ManualClock, &'static [Algorithm]);

impl Driver for Drive {
    fn store(&self) -> Arc<dyn RateLimitStore> {
        self.0.clone()
    }
    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }
    fn algorithms(&self) -> &[Algorithm] {
        self.2
    }
}

/// What the suite says to a store with this fault.
fn report(fault: Fault, algorithms: &'static [Algorithm]) -> String {
    let (store, hand) = Faulty::new(fault);
    let drive = Drive(Arc::new(store), hand, algorithms);
    match catch_unwind(AssertUnwindSafe(|| conformance(&drive))) {
        Ok(()) => String::new(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}

#[test]
fn a_store_without_fault_passes() {
    assert_eq!(report(Fault::None, &Algorithm::ALL), "");
}

#[test]
fn each_fault_is_found_and_named() {
    for (fault, rule) in [
        (Fault::BlamesTheFirst, "the charge that decides is named (token-bucket)"),
        (Fault::CutsSubjects, "subjects are counted apart (fixed-window)"),
        (Fault::ForgetsLongPeriods, "a period of months is counted to its end (sliding-log)"),
        (Fault::ForgivesCost, "a cost above the limit is refused, always (token-bucket)"),
        (Fault::GivesUpUnderLoad, "exactly its count is admitted under concurrency (token-bucket)"),
        (Fault::HalvesAfterALeap, "a clock that leaps makes a limit whole (sliding-window)"),
        (Fault::LeavesReplies, "a caller that leaves spoils nothing (fixed-window)"),
        (Fault::MixesRules, "rules are counted apart (token-bucket)"),
        (Fault::NeedsACharge, "no charges at all are admitted"),
        (Fault::OneAlgorithm, "a bucket spends its burst and refills one at a time (token-bucket)"),
        (Fault::OneAlgorithm, "any sequence of takes is what the algorithm says (sliding-log)"),
        (Fault::QuotaIsTheKey, "a changed quota reads what was spent before (fixed-window)"),
        (Fault::QuotaIsTheKey, "a changed quota reads what was spent before (token-bucket)"),
        (Fault::ReadsThenWrites, "exactly its count is admitted under concurrency (fixed-window)"),
        (Fault::RoundsWaits, "a refused charge passes when it was said that it would, and not before (sliding-window)"),
        (Fault::ShadowIsIgnored, "a shadow charge counts as if it were enforced (token-bucket)"),
        (Fault::ShadowRefuses, "a shadow charge refuses nothing (token-bucket)"),
        (Fault::ShadowRefuses, "shadow charges are taken each by itself (fixed-window)"),
        (Fault::SpendsInTurn, "all charges of a request are spent, or none is (sliding-log)"),
        (Fault::SpendsInTurn, "several limits admit no more than the smallest under concurrency"),
        (Fault::SpendsOnQuestions, "a cost of 0 asks for 1 and spends nothing (token-bucket)"),
        (Fault::SpendsRefused, "a refused charge costs nothing (token-bucket)"),
    ] {
        let report = report(fault, &Algorithm::ALL);
        assert!(report.contains(&format!("\n- {rule}")), "{fault:?} is not found by {rule:?}: {report}");
    }
}

/// A store that counts only some says so, and must not count the others by another algorithm.
#[test]
fn an_algorithm_that_is_not_counted_is_an_error() {
    let report = report(Fault::None, &[Algorithm::FixedWindow, Algorithm::SlidingWindow]);
    let expected = "RateLimitStore: 2 of 46 rules do not hold\n\n- what is not counted is an error (token-bucket)\n  expected: \
                    verdict.is_err()\n  of:       Ok(Verdict { admitted: true";
    assert!(report.starts_with(expected), "{report}");
}
