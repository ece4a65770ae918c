//! `breaker`: when an upstream is left alone.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::plan::{BreakerSettings, Opens};

use super::{DOWN, Problems, statuses};
use crate::config::problem::Problem;
use crate::config::schema::upstreams::Breaker as Written;
use crate::config::span::{At, Given, Span};

/// So many failures in a row open it, unless the file says.
const FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// What a rest grows up to, as a multiple of the first, unless the file says.
const LONGEST: u32 = 10;
/// A tenth of the window is the grain it slides by, and counts at most 16.7 million requests.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

pub(super) fn compile(written: Option<&Written>, problems: &mut Problems) -> Option<BreakerSettings> {
    let none = Written::default();
    let written = written.unwrap_or(&none);
    let on = match &written.on {
        Given::Broken => return None,
        Given::Value(list) => statuses(list, problems)?,
        Given::Absent => DOWN.into(),
    };
    let recovery = written.recovery.get().map_or(Duration::from_secs(30), |at| at.value);
    Some(BreakerSettings {
        opens: opens(written, problems),
        on,
        probes: count(&written.probes).unwrap_or(NonZeroU32::MIN),
        recovery,
        max_recovery: longest(written, recovery, problems),
    })
}

fn count(given: &Given<At<u32>>) -> Option<NonZeroU32> {
    given.get().and_then(|at| NonZeroU32::new(at.value))
}

/// Failures in a row, or a share of the last requests: one of the two.
fn opens(written: &Written, problems: &mut Problems) -> Opens {
    let consecutive = Opens::Consecutive(count(&written.failures).unwrap_or(FAILURES));
    if matches!(written.failure_ratio, Given::Absent) {
        let beside = |span: &Span, key: &str| {
            Problem::error(span, format!("`{key}` does nothing without `failure_ratio`"))
                .hint(format!("add `failure_ratio = 0.5`, or remove `{key}`: failures in a row have no window"))
        };
        if let Some(at) = written.window.get() {
            problems.note(beside(&at.span, "window"));
        }
        if let Some(at) = written.minimum.get() {
            problems.note(beside(&at.span, "minimum"));
        }
        return consecutive;
    }
    if let (Some(failures), Some(ratio)) = (written.failures.get(), written.failure_ratio.get()) {
        let problem = Problem::error(&ratio.span, "`failures` and `failure_ratio` both say what opens the breaker");
        let problem = problem.also(&failures.span, "failures in a row");
        problems.note(problem.hint("write one of the two: failures in a row, or a share of the last requests"));
    }
    let window = written.window.get().map_or(Duration::from_secs(10), |at| at.value);
    if let Some(at) = written.window.get().filter(|at| !WINDOWS.contains(&at.value)) {
        let problem = Problem::error(&at.span, "`window` must be from \"1s\" to \"10m\"");
        problems.note(problem.label("out of range"));
    }
    let ratio = written.failure_ratio.get().map_or(0.5, |at| at.value);
    Opens::Ratio { ratio, minimum: written.minimum.get().map_or(20, |at| at.value), window }
}

fn longest(written: &Written, recovery: Duration, problems: &mut Problems) -> Duration {
    let Some(at) = written.max_recovery.get() else { return recovery.saturating_mul(LONGEST) };
    if at.value < recovery {
        let problem = Problem::error(&at.span, "`max_recovery` is shorter than `recovery`");
        let problem = match written.recovery.get() {
            Some(recovery) => problem.also(&recovery.span, "the first rest"),
            None => problem.label(format!("`recovery` is {recovery:?} where it is not written")),
        };
        problems.note(problem.hint("as long as `recovery`: all rests are of one length"));
    }
    at.value
}
