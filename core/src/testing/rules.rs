//! How a suite fails: every rule is tried, and those that do not hold are told together.

use std::any::Any;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Tries the rules of one trait.
pub(super) struct Rules {
    /// The trait.
    of: &'static str,
    held: usize,
    broken: Vec<(String, String)>,
}

impl Rules {
    pub(super) fn new(of: &'static str) -> Self {
        Self { of, held: 0, broken: Vec::new() }
    }

    /// Tries one rule. A panic in `check` is a rule that does not hold, whoever panicked.
    pub(super) fn check(&mut self, rule: impl Into<String>, check: impl FnOnce()) {
        match catch_unwind(AssertUnwindSafe(check)) {
            Ok(()) => self.held += 1,
            Err(panic) => self.broken.push((rule.into(), said(panic))),
        }
    }

    /// Fails if a rule did not hold: with each of them, what was expected and what was seen.
    #[expect(clippy::panic, reason = "a suite fails by panicking")]
    pub(super) fn finish(self) {
        if self.broken.is_empty() {
            return;
        }
        let mut report =
            format!("{}: {} of {} rules do not hold", self.of, self.broken.len(), self.broken.len() + self.held);
        for (rule, said) in &self.broken {
            // Into a String: never fails.
            let _ = write!(report, "\n\n- {rule}\n  {}", said.replace('\n', "\n  "));
        }
        panic!("{report}");
    }
}

/// Runs each of `each` on a thread of its own; a panic of one is a panic here, with its words.
pub(super) fn at_once<T: Send>(each: impl IntoIterator<Item = impl FnOnce() -> T + Send>) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = each.into_iter().map(|each| scope.spawn(each)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What a panic said.
fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or("panicked", |text| text).to_owned(),
    }
}

/// Ends a check whose rule does not hold.
#[expect(clippy::panic, reason = "a suite fails by panicking")]
#[track_caller]
pub(super) fn fail(said: &str) -> ! {
    panic!("{said}")
}

/// Fails unless what was seen is what was expected; says what of.
macro_rules! same {
    ($seen:expr, $expected:expr $(, $($of:tt)+)?) => {
        match (&$seen, &$expected) {
            (seen, expected) => if *seen != *expected {
                let of = $crate::testing::rules::of!($($($of)+)?);
                $crate::testing::rules::fail(&format!("expected: {expected:?}\nsaw:      {seen:?}{of}"))
            }
        }
    };
}

/// Fails unless something holds; says what was seen.
macro_rules! holds {
    ($expected:expr $(, $($of:tt)+)?) => {
        if !bool::from($expected) {
            let of = $crate::testing::rules::of!($($($of)+)?);
            $crate::testing::rules::fail(&format!("expected: {}{of}", stringify!($expected)))
        }
    };
}

macro_rules! of {
    () => {
        ""
    };
    ($($of:tt)+) => { format!("\nof:       {}", format_args!($($of)+)) };
}

pub(super) use {holds, of, same};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(
        expected = "Trait: 2 of 3 rules do not hold\n\n- one is two\n  expected: 2\n  saw:      1\n  of:       \
                               numbers\n\n- nothing panics\n  oh"
    )]
    fn all_that_do_not_hold_are_told_together() {
        let mut rules = Rules::new("Trait");
        rules.check("one is one", || same!(1, 1));
        rules.check("one is two", || same!(1, 2, "{}", "numbers"));
        rules.check("nothing panics", || panic!("oh"));
        rules.finish();
    }

    #[test]
    #[should_panic(expected = "- one is two\n  expected: 1 == 2\n  of:       7")]
    fn what_a_thread_says_is_heard() {
        let mut rules = Rules::new("Trait");
        rules.check("one is two", || {
            at_once([|| holds!(1 == 2, "{}", 7)]);
        });
        rules.finish();
    }
}
