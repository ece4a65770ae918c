//! The atomics and locks that `upstream` counts with, in one place, so that a model checker can put its own there
//! (`tests/interleavings`).

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
