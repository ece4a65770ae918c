//! `[store]`.

use std::time::Duration;

use super::Problems;
use crate::config::IN_CODE;
use crate::config::problem::Problem;
use crate::config::resolve::Secret;
use crate::config::schema::store::Store;
use crate::config::settings::{StorePlace, StoreSettings};
use crate::config::span::{At, Text};
use crate::config::suggest::did_you_mean;
use crate::parts;

/// What a request may wait for the store at most.
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);

pub(super) fn compile(store: Option<&Store>, problems: &mut Problems) -> StoreSettings {
    let mut settings = StoreSettings::default();
    let Some(store) = store else { return settings };
    if let Some(url) = store.url.get() {
        settings.place = place(url, problems);
    }
    if let Some(prefix) = store.prefix.get().filter(|prefix| !prefix.unset) {
        if let Some(why) = parts::prefix_problem(&prefix.value) {
            problems.note(Problem::error(&prefix.span, why));
        }
        settings.prefix.clone_from(&prefix.value);
    }
    if let Some(timeout) = store.timeout.get() {
        settings.timeout = bounded(timeout, problems);
    }
    settings
}

fn place(url: &Text, problems: &mut Problems) -> StorePlace {
    match &*url.value {
        _ if url.unset => StorePlace::Memory,
        "memory" => StorePlace::Memory,
        IN_CODE => StorePlace::InCode,
        other => {
            if let Some(why) = parts::store_problem(other) {
                let problem = Problem::error(&url.span, why);
                let problem = problem.accepted(
                    "`memory`, `redis://HOST:PORT`, `rediss://…`, `unix:/PATH`, `redis+cluster://A:6379,B:6379`",
                );
                let hint = did_you_mean(&url.written, ["memory", IN_CODE]);
                problems.note(problem.maybe_hint(hint.filter(|_| !url.is_resolved())));
            }
            StorePlace::Redis(Secret::new(other))
        }
    }
}

fn bounded(timeout: &At<Duration>, problems: &mut Problems) -> Duration {
    if !TIMEOUTS.contains(&timeout.value) {
        let problem = Problem::error(&timeout.span, "a request waits for the store from 1ms to 10s");
        problems.note(
            problem.hint("what is usual is \"25ms\": a request that is not decided by then is decided by `on_failure`"),
        );
    }
    timeout.value
}
