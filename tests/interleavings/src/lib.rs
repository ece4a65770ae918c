//! The sources of core::upstream that count with atomics, as they are, over the atomics of a model checker.
//!
//! `crate::sync` is the one place that they take atomics and locks from; here it is loom's. What else they name stands
//! here as well: the time as it is, and of the rejections the one that they make.

#![allow(dead_code, unused_imports, reason = "they are whole; the models need a part")]

#[path = "../../../core/src/time.rs"]
#[allow(clippy::disallowed_methods, reason = "core's file that reads the clock")]
pub mod time;

pub mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

pub mod rejection {
    /// The one that a breaker makes.
    pub enum Rejection {
        CircuitOpen { retry_after: std::time::Duration },
    }
}

pub mod upstream;
