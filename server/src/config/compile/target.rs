//! What answers: upstreams with a rewrite, or the gateway itself.

use std::cell::RefCell;
use std::collections::BTreeSet;

use portcullis_core::plan::{Target, UpstreamIndex};
use portcullis_core::route::Pattern;

use super::{Problems, redirect, respond, rewrite, split};
use crate::config::problem::Problem;
use crate::config::schema::File;
use crate::config::schema::routes::Route;
use crate::config::span::{At, Span, Text};
use crate::config::suggest::{did_you_mean, listed};

const WAYS: &str = "`upstream = \"NAME\"`, `split = [{ upstream = \"NAME\", weight = 95 }, …]`, `redirect = \"https://…{path}\"`, or \
                    `respond = { status = 200, body = \"ok\" }`";

/// What is known of the upstreams while routes are compiled.
#[derive(Debug)]
pub(super) struct Upstreams<'f> {
    in_code: Vec<bool>,
    names: Vec<&'f At<String>>,
    used: RefCell<BTreeSet<usize>>,
}

impl<'f> Upstreams<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self {
            in_code: file.upstreams.iter().map(|upstream| upstream.in_code).collect(),
            names: file.upstreams.iter().map(|upstream| &upstream.name).collect(),
            used: RefCell::default(),
        }
    }

    /// What answers requests of `route`, whose path is `pattern` (none when that is broken).
    pub(super) fn target(&self, route: &Route, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Target> {
        let rewrite = rewrite::compile(route, pattern, problems);
        let ways = ways(route);
        if ways.is_empty() && nothing_answers(route) {
            let problem =
                Problem::error(&route.span, "this route goes nowhere").label("nothing here says what answers");
            problems.note(problem.accepted(WAYS));
        }
        // Each is looked at, also where there are too many: each may have problems of its own.
        let mut targets = Vec::new();
        if let Some(name) = route.upstream.get() {
            let upstream = self.find(name, problems);
            targets
                .push(rewrite.clone().zip(upstream).map(|(rewrite, upstream)| Target::Upstream { rewrite, upstream }));
        }
        if let Some(split) = route.split.get() {
            let split = split::compile(self, split, pattern, problems);
            targets.push(rewrite.zip(split).map(|(rewrite, split)| Target::Split { rewrite, split }));
        }
        if let Some(written) = route.redirect.get() {
            note_alone(route, &written.span, problems);
            targets.push(redirect::compile(written, pattern, problems).map(Target::Redirect));
        }
        if let Some(written) = route.respond.get() {
            note_alone(route, &written.span, problems);
            targets.push(respond::compile(written, problems).map(Target::Respond));
        }
        if let [(first, span), (second, other), ..] = &*ways {
            let title = format!("a route is answered in one way, not by both `{first}` and `{second}`");
            problems.note(Problem::error(other, title).also(span, "the other one").hint("keep one of them"));
            return None;
        }
        targets.pop().flatten()
    }

    pub(super) fn find(&self, name: &Text, problems: &mut Problems) -> Option<UpstreamIndex> {
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

    /// Whether an upstream is a service of the embedding program.
    pub(super) fn is_in_code(&self, upstream: UpstreamIndex) -> bool {
        self.in_code.get(upstream.0).is_some_and(|in_code| *in_code)
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

/// How the route says that it is answered: each key with its place.
fn ways(route: &Route) -> Vec<(&'static str, &Span)> {
    let ways = [
        ("upstream", route.upstream.get().map(|name| &name.span)),
        ("split", route.split.get().map(|split| &split.span)),
        ("redirect", route.redirect.get().map(|redirect| &redirect.span)),
        ("respond", route.respond.get().map(|respond| &respond.span)),
    ];
    ways.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

/// Whether no way to answer is written, not even one that is broken or not built.
fn nothing_answers(route: &Route) -> bool {
    let absent =
        [route.upstream.is_absent(), route.split.is_absent(), route.redirect.is_absent(), route.respond.is_absent()];
    !route.answers_otherwise && absent.iter().all(|absent| *absent)
}

/// Notes what says something about a request to an upstream, where there is none. `answer` is where the route answers.
fn note_alone(route: &Route, answer: &Span, problems: &mut Problems) {
    const ALONE: &str = "it answers by itself here";
    for path in [route.rewrite.get(), route.strip_prefix.get()].into_iter().flatten() {
        let problem = Problem::error(&path.span, "a route that answers by itself has no path to rewrite");
        problems.note(problem.also(answer, ALONE));
    }
    if let Some(rules) = route.request.get().filter(|rules| !rules.is_empty()) {
        let problem = Problem::error(&rules.span, "a route that answers by itself sends no request");
        problems.note(problem.also(answer, ALONE).hint("fields of the answer are set in `response`"));
    }
    if let Some(upgrade) = route.upgrade.get().filter(|upgrade| !upgrade.value.is_empty()) {
        let problem =
            Problem::error(&upgrade.span, "a route that answers by itself has nobody to hand a connection to");
        problems.note(problem.also(answer, ALONE));
    }
}
