//! `eject`, `health` and `slow_start`: which servers may be asked.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use portcullis_core::plan::HealthCheck;
use portcullis_core::upstream::{Eject, RosterSettings, Thresholds};

use super::{Problems, Written};
use crate::config::problem::Problem;
use crate::config::schema::upstreams::{Eject as WrittenEject, Health};
use crate::config::span::{At, Given, Text};

/// None where something is wrong, which was noted.
pub(super) fn compile(written: &Written, problems: &mut Problems) -> Option<(RosterSettings, Option<HealthCheck>)> {
    let slow_start = written.slow_start.get().map_or(Duration::ZERO, |at| at.value);
    let eject = match &written.eject {
        Given::Absent => Some(Some(Eject::default())),
        Given::Broken => None,
        Given::Value(written) => Some(eject(written)),
    };
    let health = match &written.health {
        Given::Absent => Some(None),
        Given::Broken => None,
        Given::Value(written) => health(written, problems).map(Some),
    };
    let (check, thresholds) = health?.unzip();
    Some((RosterSettings { eject: eject?, health: thresholds, slow_start }, check))
}

fn eject(written: &WrittenEject) -> Option<Eject> {
    let WrittenEject::On { failures, max, rest } = written else { return None };
    let default = Eject::default();
    Some(Eject {
        failures: count(failures, default.failures),
        max: max.get().map_or(default.max, |at| at.value),
        rest: rest.get().map_or(default.rest, |at| at.value),
    })
}

fn health(written: &Health, problems: &mut Problems) -> Option<(HealthCheck, Thresholds)> {
    let (path, status) = (path(written, problems), status(&written.status, problems));
    let time = |given: &Given<At<Duration>>, default| given.get().map_or(Duration::from_secs(default), |at| at.value);
    let default = Thresholds::default();
    let thresholds = Thresholds {
        healthy: count(&written.healthy, default.healthy),
        panic: written.panic.get().map_or(default.panic, |at| at.value),
        unhealthy: count(&written.unhealthy, default.unhealthy),
    };
    let (interval, timeout) = (time(&written.interval, 5), time(&written.timeout, 1));
    Some((HealthCheck { interval, path: path?, status: status?, timeout }, thresholds))
}

fn count(given: &Given<At<u32>>, default: NonZeroU32) -> NonZeroU32 {
    given.get().and_then(|at| NonZeroU32::new(at.value)).unwrap_or(default)
}

/// The request target of a check: it goes out as it is.
fn path(written: &Health, problems: &mut Problems) -> Option<Box<str>> {
    const ACCEPTED: &str = "a path such as \"/health\", with a query if need be";
    let text = match &written.path {
        Given::Absent => {
            problems.note(Problem::error(&written.span, "`health` needs a `path`").accepted("`path = \"/health\"`"));
            return None;
        }
        Given::Broken => return None,
        Given::Value(text) => text,
    };
    let is_sent_as_it_is = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if text.value.starts_with('/') && text.value.bytes().all(is_sent_as_it_is) {
        return Some(text.value.as_str().into());
    }
    if text.unset {
        return Some("/".into());
    }
    problems.note(Problem::error(&text.span, "this is not the path of a request").accepted(ACCEPTED));
    None
}

fn status(written: &Given<At<Vec<Text>>>, problems: &mut Problems) -> Option<Box<[RangeInclusive<u16>]>> {
    let list = match written {
        Given::Absent => return Some([200..=299].into()),
        Given::Broken => return None,
        Given::Value(list) => list,
    };
    if list.value.is_empty() {
        let problem = Problem::error(&list.span, "no status would say that a server is well");
        problems.note(problem.accepted("`status = [\"200-299\"]`"));
        return None;
    }
    let ranges: Vec<_> = list.value.iter().filter_map(|text| range(text, problems)).collect();
    (ranges.len() == list.value.len()).then(|| ranges.into())
}

fn range(text: &Text, problems: &mut Problems) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.value.split_once('-').unwrap_or((&text.value, &text.value));
    let number = |text: &str| text.parse::<u16>().ok().filter(|status| (200..=599).contains(status) && text.len() == 3);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(first..=last),
        _ if text.unset => Some(200..=299),
        _ => {
            let title = format!("`{}` is no status and no range of them", text.shown());
            problems.note(Problem::error(&text.span, title).accepted("\"200\" to \"599\", or \"200-299\""));
            None
        }
    }
}
