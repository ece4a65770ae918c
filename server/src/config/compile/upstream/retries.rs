//! `retries`: when a request is sent again.

use std::time::Duration;

use http::StatusCode;
use portcullis_core::plan::{Retries, RetryOn};

use super::{DOWN, Problems, status};
use crate::config::problem::Problem;
use crate::config::schema::upstreams::Retries as Written;
use crate::config::span::{At, Given, Text};

/// How many bytes of a body are kept to be sent again, unless the file says.
const REPLAY: u64 = 64 * 1024;

pub(super) fn compile(written: &Given<Written>, problems: &mut Problems) -> Option<Retries> {
    let written = match written {
        Given::Absent => None,
        Given::Broken => return None,
        Given::Value(written) => Some(written),
    };
    let on = match written.map(|written| &written.on) {
        Some(Given::Broken) => return None,
        Some(Given::Value(list)) => on(list, problems)?,
        Some(Given::Absent) | None => RetryOn { connect: true, reset: true, statuses: DOWN.into() },
    };
    let attempts = written.and_then(|written| written.attempts.get()).map_or(1, |at| at.value);
    let replay = written.and_then(|written| written.replay.get()).map_or(REPLAY, |at| at.value);
    Some(Retries {
        attempts: u8::try_from(attempts).unwrap_or(u8::MAX),
        backoff: written.and_then(|written| written.backoff.get()).map_or(Duration::from_millis(25), |at| at.value),
        budget: written.and_then(|written| written.budget.get()).map_or(0.2, |at| at.value),
        on,
        replay: usize::try_from(replay).unwrap_or(usize::MAX),
    })
}

fn on(list: &At<Vec<Text>>, problems: &mut Problems) -> Option<RetryOn> {
    let (mut connect, mut reset, mut statuses) = (false, false, Vec::<StatusCode>::new());
    let mut good = true;
    for text in &list.value {
        match &*text.value {
            RetryOn::CONNECT => connect = true,
            RetryOn::RESET => reset = true,
            _ => match status(text) {
                Some(status) => statuses.push(status),
                None => {
                    let title = format!("`{}` is nothing that a request is sent again after", text.shown());
                    let accepted = "\"connect\", \"reset\", or a status from \"400\" to \"599\", such as \"502\"";
                    problems.note(Problem::error(&text.span, title).accepted(accepted));
                    good = false;
                }
            },
        }
    }
    good.then(|| RetryOn { connect, reset, statuses: statuses.into() })
}
