//! Whom limits count: their keys, by themselves and on the routes that have them.

use portcullis_core::limit::Rule;
use portcullis_core::plan::Access;
use portcullis_core::route::Pattern;
use portcullis_core::source::{self, Source};

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::routes::Route as Written;
use crate::config::span::{At, Given, Span, Text};
use crate::config::suggest::did_you_mean;

/// Whom a limit counts.
pub(super) fn key(sources: &At<Vec<Text>>, problems: &mut Problems) -> Option<Source> {
    if sources.value.is_empty() {
        problems.note(Problem::error(&sources.span, "`key` names no source").accepted(source::ACCEPTED));
        return None;
    }
    let parsed: Vec<Source> = sources.value.iter().filter_map(|text| one_source(text, problems)).collect();
    (parsed.len() == sources.value.len()).then(|| Source::first_of(parsed))
}

/// A source of a limit's key, with a warning where a client could choose its own.
fn one_source(text: &Text, problems: &mut Problems) -> Option<Source> {
    let source = source(text, problems)?;
    if source.is_chosen_by_client() {
        problems.note(chosen(&text.span, &text.shown()));
    }
    Some(source)
}

/// A source; none when it is broken.
pub(super) fn source(text: &Text, problems: &mut Problems) -> Option<Source> {
    const WORDS: [&str; 11] = [
        "identity", "client", "claim:", "header:", "cookie:", "query:", "param:", "host", "path", "method", "everyone",
    ];
    match text.value.parse::<Source>() {
        Ok(source) => Some(source),
        Err(_) if text.unset => Some(Source::identity_or_client()),
        Err(error) => {
            let title =
                if text.is_resolved() { format!("`{}` is not a source", text.shown()) } else { error.to_string() };
            let kind = text.written.split_inclusive(':').next().unwrap_or_default();
            let hint = did_you_mean(kind, WORDS).filter(|_| !WORDS.contains(&kind));
            problems.note(Problem::error(&text.span, title).accepted(source::ACCEPTED).maybe_hint(hint));
            None
        }
    }
}

fn chosen(span: &Span, source: &str) -> Problem {
    Problem::warning(span, format!("a client can choose its own `{source}`, and so escape this limit"))
        .label("each new value is a new budget")
        .hint("count by \"identity\" or \"client\"")
}

/// What a route lacks that a limit's key reads. An absent value is no error for a request, which then counts by its client;
/// but a key that is absent always, or that the route leaves to the client, is not what anybody meant.
pub(super) fn check(
    rule: &Rule,
    span: &Span,
    written: &Written,
    (pattern, access): (Option<&Pattern>, Option<&Access>),
    problems: &mut Problems,
) {
    let key = rule.key();
    for param in key.params().filter(|param| pattern.is_some_and(|pattern| !pattern.has_param(param))) {
        let title =
            format!("the limit `{}` counts by `param:{param}`, which this route's path does not have", rule.name());
        problems.note(Problem::error(span, title).also(&written.span, "this route"));
    }
    if access == Some(&Access::Public) && key.needs_identity() {
        let title =
            format!("the limit `{}` counts by `{key}`, which nobody has here: this route is public", rule.name());
        let warning = Problem::warning(span, title).label("every request counts by its client");
        problems.note(warning.also(&written.span, "this route").hint("set `auth`, or count by \"client\""));
    }
    if key.reads_host() && !names_its_hosts(written) {
        let hint = "name the route's `hosts`, or count by \"identity\" or \"client\"";
        problems.note(chosen(span, "host").also(&written.span, "this route takes more hosts than it names").hint(hint));
    }
    if key.reads_method() && written.methods.get().is_none_or(|methods| methods.value.is_empty()) {
        let hint = "name the route's `methods`, or count by \"identity\" or \"client\"";
        problems.note(chosen(span, "method").also(&written.span, "this route takes any method").hint(hint));
    }
}

/// Whether the hosts that the route takes are a list that ends: none of any name, and no wildcard.
fn names_its_hosts(written: &Written) -> bool {
    match &written.hosts {
        Given::Value(hosts) => {
            !hosts.value.is_empty() && !hosts.value.iter().any(|host| host.value.trim_start().starts_with('*'))
        }
        Given::Broken => true,
        Given::Absent => false,
    }
}
