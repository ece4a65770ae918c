//! Which path an upstream is asked for: `rewrite` and `strip_prefix`.

use portcullis_core::plan::Rewrite;
use portcullis_core::route::Pattern;
use portcullis_core::template::{TargetTemplate, TemplateError};

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::routes::Route;
use crate::config::span::{Given, Text};
use crate::config::suggest::{did_you_mean, listed};

/// Which path and query the upstream of `route` is asked for.
pub(super) fn compile(route: &Route, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Rewrite> {
    match (&route.rewrite, &route.strip_prefix) {
        (Given::Absent, Given::Absent) => Some(Rewrite::Keep),
        (Given::Value(template), Given::Absent) => {
            let pattern = pattern?;
            let params = params(pattern);
            match TargetTemplate::parse(&template.value, &params) {
                Ok(template) => Some(Rewrite::Template(template)),
                Err(_) if template.unset => Some(Rewrite::Keep),
                Err(error) => {
                    problems.note(unfit_template(template, &error, "a path template", &params));
                    None
                }
            }
        }
        (Given::Absent, Given::Value(prefix)) => strip(prefix, pattern?, problems),
        (Given::Value(template), Given::Value(prefix)) => {
            let problem = Problem::error(&prefix.span, "`rewrite` and `strip_prefix` both say the path");
            problems.note(problem.also(&template.span, "the other one").hint("keep one of them"));
            None
        }
        _ => None,
    }
}

/// What templates of a route may call by name.
pub(super) fn params(pattern: &Pattern) -> Vec<&str> {
    pattern.names().chain(pattern.takes_rest().then_some("rest")).collect()
}

/// A template that is none. `what` is what it should be; nothing of a value from outside the file is shown.
pub(super) fn unfit_template(template: &Text, error: &TemplateError, what: &str, params: &[&str]) -> Problem {
    let title = if template.is_resolved() { format!("this is not {what}") } else { error.to_string() };
    let names = if params.is_empty() { "it has none".to_owned() } else { listed(params.iter().copied()) };
    let found = template.value.get(error.span.clone()).unwrap_or_default().trim_matches(['{', '}']);
    Problem::error(&template.part(&error.span), title)
        .note(format!("parameters of this route's path: {names}"))
        .maybe_hint(
            did_you_mean(found, params.iter().copied()).filter(|_| !template.is_resolved() && !params.contains(&found)),
        )
}

fn strip(prefix: &Text, pattern: &Pattern, problems: &mut Problems) -> Option<Rewrite> {
    let path = pattern.to_string();
    let literal = path.split(['{', '*']).next().unwrap_or_default();
    let text = prefix.value.trim_end_matches('/');
    // The literal part ends at a slash or with the path, so what follows the prefix in it decides the border.
    let fits = text.starts_with('/')
        && literal.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if fits || prefix.unset {
        return Some(Rewrite::StripPrefix(text.into()));
    }
    let problem = Problem::error(&prefix.span, format!("`{}` is not a prefix of this route's path", prefix.shown()));
    let longest = literal.trim_end_matches('/');
    problems.note(
        problem
            .accepted("whole literal segments that the path begins with, such as \"/api\"")
            .maybe_hint((!longest.is_empty()).then(|| format!("this path begins with \"{longest}\""))),
    );
    None
}
