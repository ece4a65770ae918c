//! `split`: several upstreams by weight.

use portcullis_core::plan::{Share, Split};
use portcullis_core::route::Pattern;
use portcullis_core::source::{self, Source};

use super::Problems;
use super::target::Upstreams;
use crate::config::problem::Problem;
use crate::config::schema::split::{Share as WrittenShare, Split as Written};
use crate::config::span::{At, Given, Text};

/// How many upstreams one split may have: each is looked at for each request.
const MOST: usize = 32;

/// The split; none when something of it is broken.
pub(super) fn compile(
    upstreams: &Upstreams<'_>,
    written: &Written,
    pattern: Option<&Pattern>,
    problems: &mut Problems,
) -> Option<Split> {
    let by = match &written.by {
        Given::Absent => Some(None),
        Given::Broken => None,
        Given::Value(sources) => by(sources, pattern, problems).map(Some),
    };
    if written.to.is_absent() {
        let problem = Problem::error(&written.span, "a split needs the upstreams that it goes `to`");
        problems.note(problem.accepted("`to = [{ upstream = \"NAME\", weight = 95 }, …]`"));
    }
    let list = written.to.get()?;
    if list.value.len() > MOST {
        let title = format!("a split has {} upstreams", list.value.len());
        problems.note(Problem::error(&list.span, title).accepted(format!("at most {MOST}")));
    }
    let shares = shares(upstreams, &list.value, problems);
    let split = Split::new(by?, shares?);
    if split.is_none() {
        let problem = Problem::error(&list.span, "no upstream of this split gets any requests");
        problems.note(problem.accepted("at least one with a weight over 0"));
    }
    split
}

fn shares(upstreams: &Upstreams<'_>, written: &[WrittenShare], problems: &mut Problems) -> Option<Vec<Share>> {
    let mut shares: Vec<(Share, &Text)> = Vec::new();
    for share in written {
        let name = &share.upstream;
        let Some(upstream) = upstreams.find(name, problems) else { continue };
        if let Some((_, first)) = shares.iter().find(|(other, _)| other.upstream == upstream && !name.unset) {
            let title = format!("the upstream `{}` is named twice", name.shown());
            let problem = Problem::error(&name.span, title).also(&first.span, "the first time");
            problems.note(problem.hint("for a larger share give it a larger weight"));
        }
        let weight = share.weight.get().map_or(1, |weight| weight.value);
        shares.push((Share::new(&name.value, upstream, weight), name));
    }
    (shares.len() == written.len()).then(|| shares.into_iter().map(|(share, _)| share).collect())
}

fn by(sources: &At<Vec<Text>>, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Source> {
    if sources.value.is_empty() {
        problems.note(Problem::error(&sources.span, "`by` names no source").accepted(source::ACCEPTED));
        return None;
    }
    let parsed: Vec<Source> = sources.value.iter().filter_map(|text| one_source(text, pattern, problems)).collect();
    (parsed.len() == sources.value.len()).then(|| Source::first_of(parsed))
}

fn one_source(text: &Text, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Source> {
    let source = match text.value.parse::<Source>() {
        Ok(source) => source,
        Err(_) if text.unset => Source::identity_or_client(),
        Err(error) => {
            let title =
                if text.is_resolved() { format!("`{}` is not a source", text.shown()) } else { error.to_string() };
            problems.note(Problem::error(&text.span, title).accepted(source::ACCEPTED));
            return None;
        }
    };
    let absent = |param: &&str| pattern.is_some_and(|pattern| !pattern.has_param(param));
    if let Some(param) = source.params().find(absent) {
        let title = format!("the split sticks to `param:{param}`, which this route's path does not have");
        problems.note(Problem::error(&text.span, title));
        return None;
    }
    Some(source)
}
