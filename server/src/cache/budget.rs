//! How many bytes answers may have in memory: those that are stored, those on their way, and those that were evicted while a
//! client still reads them.
//!
//! The store's own bound is what is evicted down to, a moment later. This one is never passed: who asks for more than is left
//! gets nothing, and streams through unstored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many bytes for all.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    used: AtomicU64,
}

/// Some of them; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, used: AtomicU64::new(0) })
    }

    /// Bytes that are claimed.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Claims so many, if they are left.
    pub(crate) fn claim(self: &Arc<Self>, bytes: u64) -> Option<Claim> {
        let mut claim = Claim { budget: Arc::clone(self), bytes: 0 };
        claim.grow(bytes).then_some(claim)
    }
}

impl Claim {
    /// Claims so many more; if they are not left, nothing changes.
    pub(crate) fn grow(&mut self, by: u64) -> bool {
        let Budget { most, used } = &*self.budget;
        let grown = |used: u64| used.checked_add(by).filter(|used| used <= most);
        let fits = used.try_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        if fits {
            self.bytes += by;
        }
        fits
    }

    /// Claims as many more as it takes to have so many.
    pub(crate) fn reach(&mut self, bytes: u64) -> bool {
        bytes <= self.bytes || self.grow(bytes - self.bytes)
    }

    /// Another one of the same budget, of no bytes.
    pub(crate) fn nothing(&self) -> Self {
        Self { budget: Arc::clone(&self.budget), bytes: 0 }
    }

    /// Gives so many back.
    pub(crate) fn shrink(&mut self, by: u64) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.budget.used.fetch_sub(by, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_there_is() {
        let budget = Budget::new(100);
        let mut first = budget.claim(60).unwrap();
        assert!(budget.claim(41).is_none());
        assert!(!first.grow(41) && first.grow(40) && !first.grow(1) && !first.grow(u64::MAX));
        first.shrink(30);
        assert_eq!(budget.used(), 70);
        let second = budget.claim(30).unwrap();
        drop(first);
        assert_eq!(budget.used(), 30);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
