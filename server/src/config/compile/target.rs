//! What answers: an upstream with its rewrite, or the gateway itself.

use std::cell::RefCell;
use std::collections::BTreeSet;

use http::{HeaderMap, StatusCode};
use portcullis_core::plan::{Respond, Rewrite, Target, UpstreamIndex};
use portcullis_core::route::Pattern;
use portcullis_core::template::PathTemplate;

use super::{Problems, headers};
use crate::config::problem::Problem;
use crate::config::schema::File;
use crate::config::schema::routes::{Respond as WrittenRespond, Route};
use crate::config::span::{At, Given, Text};
use crate::config::suggest::{did_you_mean, listed};

const WAYS: &str = "`upstream = \"NAME\"`, or `respond = { status = 200, body = \"ok\" }`";

/// What is known of the upstreams while routes are compiled.
#[derive(Debug)]
pub(super) struct Upstreams<'f> {
    names: Vec<&'f At<String>>,
    used: RefCell<BTreeSet<usize>>,
}

impl<'f> Upstreams<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self { names: file.upstreams.iter().map(|upstream| &upstream.name).collect(), used: RefCell::default() }
    }

    /// What answers requests of `route`, whose path is `pattern` (none when that is broken).
    pub(super) fn target(&self, route: &Route, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Target> {
        let rewrite = rewrite(route, pattern, problems);
        match (&route.upstream, &route.respond) {
            (Given::Value(name), Given::Absent) => {
                let upstream = self.find(name, problems);
                Some(Target::Upstream { rewrite: rewrite?, upstream: upstream? })
            }
            (Given::Absent, Given::Value(written)) => {
                for path in [route.rewrite.get(), route.strip_prefix.get()].into_iter().flatten() {
                    let problem = Problem::error(&path.span, "a route that answers by itself has no path to rewrite");
                    problems.note(problem.also(&written.span, "it answers by itself here"));
                }
                respond(written, problems).map(Target::Respond)
            }
            (Given::Absent, Given::Absent) if !route.answers_otherwise => {
                let problem =
                    Problem::error(&route.span, "this route goes nowhere").label("nothing here says what answers");
                problems.note(problem.accepted(WAYS));
                None
            }
            (Given::Value(name), Given::Value(written)) => {
                let problem = Problem::error(&name.span, "a route has an upstream or answers by itself, not both");
                problems.note(problem.also(&written.span, "it answers by itself here"));
                let _ = self.find(name, problems);
                None
            }
            _ => None,
        }
    }

    fn find(&self, name: &Text, problems: &mut Problems) -> Option<UpstreamIndex> {
        let known = || self.names.iter().map(|name| &*name.value);
        if let Some(index) = known().position(|known| known == name.value) {
            self.used.borrow_mut().insert(index);
            return Some(UpstreamIndex(index));
        }
        if name.unset && !self.names.is_empty() {
            return Some(UpstreamIndex(0));
        }
        let problem = Problem::error(&name.span, format!("there is no upstream `{}`", name.shown()));
        problems.note(if self.names.is_empty() {
            problem.hint("name its servers: `[upstreams]`, and below it `app = [\"http://127.0.0.1:7001\"]`")
        } else {
            problem.accepted(listed(known())).maybe_hint(did_you_mean(&name.written, known()))
        });
        None
    }

    /// Warns of upstreams that no route names.
    pub(super) fn note_unused(&self, problems: &mut Problems) {
        for (index, name) in self.names.iter().enumerate() {
            if !self.used.borrow().contains(&index) {
                problems.note(Problem::warning(&name.span, format!("no route goes to the upstream `{}`", name.value)));
            }
        }
    }
}

fn rewrite(route: &Route, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Rewrite> {
    match (&route.rewrite, &route.strip_prefix) {
        (Given::Absent, Given::Absent) => Some(Rewrite::Keep),
        (Given::Value(template), Given::Absent) => {
            let pattern = pattern?;
            let params: Vec<&str> = pattern.names().chain(pattern.takes_rest().then_some("rest")).collect();
            match PathTemplate::parse(&template.value, &params) {
                Ok(template) => Some(Rewrite::Template(template)),
                Err(_) if template.unset => Some(Rewrite::Keep),
                Err(error) => {
                    problems.note(unfit_template(template, &error.span, &error.to_string(), &params));
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

fn unfit_template(template: &Text, place: &std::ops::Range<usize>, why: &str, params: &[&str]) -> Problem {
    let title = if template.is_resolved() { "this is not a path template".to_owned() } else { why.to_owned() };
    let names = if params.is_empty() { "it has none".to_owned() } else { listed(params.iter().copied()) };
    let found = template.value.get(place.clone()).unwrap_or_default().trim_matches(['{', '}']);
    Problem::error(&template.part(place), title)
        .note(format!("parameters of this route's path: {names}"))
        .maybe_hint(did_you_mean(found, params.iter().copied()).filter(|_| !template.is_resolved()))
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

fn respond(written: &WrittenRespond, problems: &mut Problems) -> Option<Respond> {
    let mut fields = HeaderMap::new();
    for (name, value) in &written.headers {
        if let Some((name, value)) = headers::for_response(name, value, problems)
            && fields.try_append(name, value).is_err()
        {
            problems.note(Problem::error(&written.span, "too many headers"));
        }
    }
    let status = match &written.status {
        Given::Broken => return None,
        Given::Absent => StatusCode::OK,
        Given::Value(status) => StatusCode::from_u16(u16::try_from(status.value).ok()?).ok()?,
    };
    let body = written.body.get();
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(body) = body.filter(|body| bodiless && !body.value.is_empty()) {
        problems.note(Problem::error(&body.span, format!("a response of status {} has no body", status.as_u16())));
    }
    Some(Respond { body: body.map(|body| body.value.clone()).unwrap_or_default().into(), headers: fields, status })
}
