//! The files of core::upstream that the models run. rustfmt is told to skip them, because it would look for their tests here.

#[rustfmt::skip]
#[path = "../../../../core/src/upstream/breaker/mod.rs"]
pub mod breaker;
#[rustfmt::skip]
#[path = "../../../../core/src/upstream/budget.rs"]
pub mod budget;
#[rustfmt::skip]
#[path = "../../../../core/src/upstream/slots.rs"]
mod slots;

pub use breaker::{Breaker, BreakerBuilder, BreakerChange, BreakerState, Open, OpenedBy, Permit};
pub use budget::RetryBudget;

/// The counters by time, for a model of their own.
pub struct Counters(slots::Slots);

impl Counters {
    pub fn new(window: std::time::Duration) -> Self {
        Self(slots::Slots::new(window))
    }

    pub fn add(&self, now: crate::time::Moment) {
        self.0.add(now);
    }

    pub fn sum(&self, now: crate::time::Moment) -> u64 {
        self.0.sum(now, 0)
    }
}
