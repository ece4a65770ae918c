//! Expressions: a question about a request that a source cannot put, such as `identity.claims.role == "admin"`.
//!
//! An [`Expr`] is compiled and checked once, when the configuration is read; a request only evaluates it. What evaluates is behind
//! [`Evaluator`], so that the engine can be replaced and a program can bring conditions of its own. The feature `cel` brings
//! `Expr::compile`, for the Common Expression Language; the folder `cel` is the only place that names its engine.
//!
//! An evaluation that fails is an error and never an answer: whoever asks must refuse, or take the condition for one that does not
//! hold.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::source::Facts;
use crate::time::Stopwatch;

#[cfg(feature = "cel")]
mod cel;
#[cfg(test)]
mod tests;

/// How long an expression's text may be, in bytes.
pub const MAX_SOURCE: usize = 4 * 1024;

/// An evaluation that takes longer is counted and told of.
pub const SLOW: Duration = Duration::from_millis(1);

/// What answers for an [`Expr`]. It must be quick, for it runs on the path of every request that asks, and must never panic.
pub trait Evaluator: fmt::Debug + Send + Sync + 'static {
    /// The value for one request.
    ///
    /// # Errors
    /// When there is none, such as for a header that is not there. What the error says is written to the log: never a value of the
    /// request.
    fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, EvalError>;
}

/// A compiled expression. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Expr(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    evaluator: Box<dyn Evaluator>,
    place: Box<str>,
    reads: Reads,
    source: Box<str>,
    tally: Tally,
}

/// What an expression names of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Whether it reads who the request is from.
    pub identity: bool,
    /// The path parameters that it names.
    pub params: Vec<Box<str>>,
}

/// What became of an expression's evaluations.
#[derive(Debug, Default)]
struct Tally {
    failed: AtomicU64,
    slow: AtomicU64,
}

/// What an expression has to yield; complete by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// Whatever JSON can write.
    Anything,
    /// True or false.
    Condition,
    /// A whole number, not negative.
    Count,
}

/// Why a text is no expression that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    message: String,
    offset: Option<usize>,
}

impl ExprError {
    /// An error that says `message`, at a byte of the text where that is known.
    pub fn new(message: impl Into<String>, offset: Option<usize>) -> Self {
        Self { message: message.into(), offset }
    }

    /// Where in the text, in bytes; none where nobody knows.
    pub const fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExprError {}

/// Why an expression has no value for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError(Cow<'static, str>);

impl EvalError {
    /// What went wrong, in words for the operator's log.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EvalError {}

impl Expr {
    /// An expression that `evaluator` answers for. `place` says in the log which one it is; `source` is what `explain` shows.
    pub fn new(place: &str, source: &str, reads: Reads, evaluator: impl Evaluator) -> Self {
        let (place, source, evaluator) = (place.into(), source.into(), Box::new(evaluator));
        Self(Arc::new(Inner { evaluator, place, reads, source, tally: Tally::default() }))
    }

    /// The text that it was made from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Where it stands in the configuration.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What it names of a request.
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// How many evaluations had no value.
    pub fn failed(&self) -> u64 {
        self.0.tally.failed.load(Ordering::Relaxed)
    }

    /// How many evaluations took longer than [`SLOW`].
    pub fn slow(&self) -> u64 {
        self.0.tally.slow.load(Ordering::Relaxed)
    }

    /// Whether the condition holds for a request.
    ///
    /// # Errors
    /// When the evaluation fails or yields anything but true or false. It is counted, and told of in the log.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvalError> {
        self.value(facts, |value| value.as_bool().ok_or("it yields neither true nor false"))
    }

    /// The number for a request.
    ///
    /// # Errors
    /// When the evaluation fails or yields anything but a whole number from 0 to `u32::MAX`. It is counted, and told of in the log.
    pub fn count(&self, facts: &Facts<'_>) -> Result<u32, EvalError> {
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.value(facts, |value| number(value).ok_or("it yields no whole number from 0 to 4294967295"))
    }

    /// The value for a request.
    ///
    /// # Errors
    /// When the evaluation fails. It is counted, and told of in the log.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, EvalError> {
        self.value(facts, |value| Ok(value.clone()))
    }

    fn value<T>(&self, facts: &Facts<'_>, read: impl Fn(&Value) -> Result<T, &'static str>) -> Result<T, EvalError> {
        let watch = Stopwatch::started();
        let result = self.0.evaluator.evaluate(facts);
        let took = watch.elapsed();
        if took > SLOW {
            self.tell(&self.0.tally.slow, |place, times| {
                let took = took.as_micros();
                tracing::warn!(
                    place,
                    took_us = u64::try_from(took).unwrap_or(u64::MAX),
                    times,
                    "an expression is slow"
                );
            });
        }
        let result = result.and_then(|value| read(&value).map_err(EvalError::new));
        if let Err(error) = &result {
            self.tell(&self.0.tally.failed, |place, times| {
                tracing::warn!(place, %error, times, "an expression failed");
            });
        }
        result
    }

    /// Counts, and tells of the first time, the second, the fourth and so on: a client must not be able to fill the log.
    fn tell(&self, tally: &AtomicU64, say: impl Fn(&str, u64)) {
        let times = tally.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if times.is_power_of_two() {
            say(&self.0.place, times);
        }
    }
}

/// Two are the same when they were written the same, in the same place.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        (self.place(), self.source()) == (other.place(), other.source())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}
