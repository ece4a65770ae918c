//! The cache: `[cache]`, and the `cache` of routes.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;
use portcullis_core::auth::{Auth, TokenSource};
use portcullis_core::plan::{Access, CacheRule, Target};
use portcullis_core::route::Pattern;
use portcullis_core::source::{self, Source};

use super::{Problems, limit_keys};
use crate::config::problem::Problem;
use crate::config::schema::cache::{Cache, RouteCache, Table};
use crate::config::schema::routes::Route as Written;
use crate::config::span::{At, Given, Span, Text};

const MIB: u64 = 1024 * 1024;

/// Below it there is nothing to keep; over it somebody has slipped.
const SIZES: RangeInclusive<u64> = MIB..=1024 * 1024 * MIB;

/// One answer may take so much of the whole: at least eight of the largest fit.
const SHARE: u64 = 8;

/// What the cache as a whole may hold.
pub(super) fn size(cache: Option<&Cache>, problems: &mut Problems) -> u64 {
    let Some(size) = cache.and_then(|cache| cache.size.get()) else { return CacheRule::SIZE };
    if !SIZES.contains(&size.value) {
        let problem = Problem::error(&size.span, "`size` is out of range");
        problems
            .note(problem.accepted("\"1MiB\" to \"1TiB\"").hint("a route keeps nothing unless its `cache` says so"));
    }
    size.value
}

/// What is known of a route while its cache is compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) access: Option<&'a Access>,
    pub(super) auths: &'a [Auth],
    pub(super) pattern: Option<&'a Pattern>,
    /// What the cache as a whole may hold.
    pub(super) size: u64,
    pub(super) target: Option<&'a Target>,
}

/// How a route's answers are kept; none when something of it is broken.
pub(super) fn compile(written: &Written, around: Around<'_>, problems: &mut Problems) -> Option<Option<CacheRule>> {
    let table = match &written.cache {
        Given::Broken => return None,
        Given::Absent | Given::Value(RouteCache::Off) => return Some(None),
        Given::Value(RouteCache::On(table)) => table,
    };
    note_nothing_to_keep(written, table, around, problems);
    let key = sources(&table.key, around, problems);
    let per = sources(&table.per, around, problems).map(|per| per.map(|per| Source::first_of(per.into_vec())));
    if let (Some(Some(key)), Some(at)) = (&key, table.key.get()) {
        note_key(key, &at.span, written, around, problems);
    }
    if let (Some(Some(per)), Some(at)) = (&per, table.per.get()) {
        note_per(per, &at.span, around, problems);
    }
    let largest = around.size / SHARE;
    Some(Some(CacheRule {
        key: key?,
        max_size: max_size(&table.max_size, largest, problems).unwrap_or_else(|| CacheRule::MAX_SIZE.min(largest)),
        per: per?,
        stale_if_error: seconds(&table.stale_if_error, problems),
        stale_while_revalidate: seconds(&table.stale_while_revalidate, problems),
        token_cookies: token_cookies(around),
        ttl: seconds(&table.ttl, problems),
    }))
}

fn max_size(given: &Given<At<u64>>, largest: u64, problems: &mut Problems) -> Option<u64> {
    let size = given.get()?;
    if !(1..=largest).contains(&size.value) {
        let problem = Problem::error(&size.span, "`max_size` is out of range");
        let accepted = format!("up to an eighth of what [cache] `size` is, {largest} bytes");
        problems.note(problem.accepted(accepted));
    }
    Some(size.value)
}

/// A cache counts in whole seconds, as HTTP does.
fn seconds(given: &Given<At<Duration>>, problems: &mut Problems) -> Option<Duration> {
    let time = given.get()?;
    if time.value.subsec_nanos() != 0 {
        let problem = Problem::error(&time.span, "a cache counts in whole seconds");
        problems.note(problem.accepted("\"1s\" and more, without parts of a second"));
    }
    Some(time.value)
}

/// The sources of a list; none when one is broken, or reads what the route does not have.
fn sources(given: &Given<At<Vec<Text>>>, around: Around<'_>, problems: &mut Problems) -> Option<Option<Box<[Source]>>> {
    let list = match given {
        Given::Absent => return Some(None),
        Given::Broken => return None,
        Given::Value(list) => list,
    };
    if list.value.is_empty() {
        problems.note(Problem::error(&list.span, "this names no source").accepted(source::ACCEPTED));
        return None;
    }
    let mut sources = Vec::new();
    for text in &list.value {
        let Some(source) = limit_keys::source(text, problems) else { continue };
        for param in source.params().filter(|param| around.pattern.is_some_and(|pattern| !pattern.has_param(param))) {
            let title = format!("`param:{param}` is not in this route's path");
            problems.note(Problem::error(&text.span, title).accepted("a parameter that the path names"));
        }
        if around.access == Some(&Access::Public) && source.needs_identity() && !text.unset {
            let title = format!("nobody has `{}` here: this route is public", text.shown());
            problems.note(Problem::error(&text.span, title).hint("set `auth`, so that somebody is identified"));
        }
        sources.push(source);
    }
    (sources.len() == list.value.len()).then(|| Some(sources.into()))
}

/// What a key must tell apart, or stand for something else than who wrote it thinks.
fn note_key(key: &[Source], span: &Span, written: &Written, around: Around<'_>, problems: &mut Problems) {
    let reads = |is: fn(&Source) -> bool| key.iter().any(is);
    if let Some(pattern) = around.pattern {
        let names_all = pattern.names().all(|name| key.iter().any(|source| source.params().any(|param| param == name)));
        let is_one_path = !pattern.takes_rest() && names_all;
        if !is_one_path && !reads(Source::reads_path) {
            let problem = Problem::error(span, "this key does not tell the paths of the route apart");
            let label = "the answer for one path would be given on another";
            problems.note(problem.label(label).hint("add \"path\", or every parameter of the path as \"param:NAME\""));
        }
    }
    if reads(Source::reads_method) {
        let problem =
            Problem::error(span, "`method` is no part of a key").label("HEAD is answered with what GET stored");
        problems.note(problem.hint("leave it out: no other method is answered from the cache"));
    }
    let hosts = written.hosts.get().map_or(&[][..], |hosts| &hosts.value);
    let is_one_host = matches!(hosts, [one] if !one.value.trim_start().starts_with('*'));
    if !is_one_host && !reads(Source::reads_host) {
        let warning = Problem::warning(span, "this key does not tell hosts apart");
        let label = "the answer for one host is given on another";
        problems.note(warning.label(label).hint("add \"host\", or name the one host of the route in `hosts`"));
    }
}

/// Whom answers are kept apart for must be somebody.
fn note_per(per: &Source, span: &Span, around: Around<'_>, problems: &mut Problems) {
    match around.access {
        Some(Access::Verified(_)) if !per.needs_identity() => {
            let problem = Problem::error(span, format!("`{per}` does not tell those apart whom this route lets in"));
            let label = "one would be given what was made for another";
            problems.note(
                problem.label(label).accepted("\"identity\", a \"claim:NAME\", or either joined with another source"),
            );
        }
        Some(Access::Public) if per.is_chosen_by_client() => {
            let warning = Problem::warning(span, format!("a client can choose its own `{per}`"));
            problems.note(warning.label("who sends the same is given the same answers, private ones too"));
        }
        _ => {}
    }
}

/// A cache on a route that never has anything to keep.
fn note_nothing_to_keep(written: &Written, table: &Table, around: Around<'_>, problems: &mut Problems) {
    if matches!(around.target, Some(Target::Redirect(_) | Target::Respond(_))) {
        let problem = Problem::error(&table.span, "there is nothing to keep: the gateway answers by itself");
        problems.note(problem.hint("remove `cache` from this route"));
    }
    let methods = written.methods.get().map_or(&[][..], |methods| &methods.value);
    let is_read = |method: &Text| [Method::GET, Method::HEAD].iter().any(|read| *read == *method.value);
    if !methods.is_empty() && !methods.iter().any(is_read) && !methods.iter().any(|method| method.unset) {
        let problem = Problem::error(&table.span, "there is nothing to keep: the route takes neither GET nor HEAD");
        problems.note(problem.hint("remove `cache` from this route"));
    }
}

/// The cookies that the route's verifiers take tokens from.
fn token_cookies(around: Around<'_>) -> Box<[Box<str>]> {
    let Some(Access::Verified(verifiers)) = around.access else { return Box::default() };
    let auths = verifiers.iter().filter_map(|index| around.auths.get(index.0));
    let mut names: Vec<Box<str>> = Vec::new();
    for source in auths.flat_map(|auth| auth.token.iter()) {
        if let TokenSource::Cookie(name) = source
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names.into()
}
