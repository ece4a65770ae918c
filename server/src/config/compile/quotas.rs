//! Limits of a day and longer, where the memory that counts them ends with the process.

use std::time::Duration;

use portcullis_core::limit::Rate;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::File;
use crate::config::schema::limits::{Limit, Use};
use crate::config::settings::StorePlace;
use crate::config::span::Text;

/// From this period on a limit is a quota, which nobody expects to be whole again after a restart.
const QUOTA: Duration = Duration::from_secs(24 * 60 * 60);

/// Warns of each quota that is kept in memory.
pub(super) fn note(file: &File, place: &StorePlace, problems: &mut Problems) {
    if *place != StorePlace::Memory {
        return;
    }
    file.limits.iter().filter_map(|named| of_limit(&named.limit)).for_each(|rate| look(rate, problems));
    let routes = file.routes.get().into_iter().flat_map(|routes| &routes.value).filter_map(|route| route.limits.get());
    let defaults = file.defaults.get().and_then(|defaults| defaults.limits.get());
    for written in defaults.into_iter().chain(routes).flat_map(|uses| &uses.value) {
        match written {
            Use::Inline(limit) => of_limit(limit).into_iter().for_each(|rate| look(rate, problems)),
            Use::Short(text) => look(text, problems),
        }
    }
}

fn of_limit(limit: &Limit) -> Option<&Text> {
    limit.rate.get()
}

/// A name of a limit is no rate, and is passed over.
fn look(rate: &Text, problems: &mut Problems) {
    if rate.value.parse::<Rate>().is_ok_and(|rate| rate.period >= QUOTA) {
        let warning =
            Problem::warning(&rate.span, "this quota is kept in memory").label("a restart makes it whole again");
        problems.note(warning.hint("to keep it: `[store] url = \"redis://HOST:PORT\"`"));
    }
}
