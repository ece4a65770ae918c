//! Who may pass: the `auth` of routes and of `[defaults]`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use portcullis_core::plan::{Access, AuthIndex};

use super::Problems;
use super::auths::NONE;
use crate::config::problem::Problem;
use crate::config::schema::File;
use crate::config::schema::routes::Route;
use crate::config::span::{At, Given, Span, Text};
use crate::config::suggest::{did_you_mean, listed};

/// What is known of the verifiers while routes are compiled.
#[derive(Debug)]
pub(super) struct Verifiers<'f> {
    default: Option<&'f At<Vec<Text>>>,
    names: Vec<&'f At<String>>,
    /// Routes that say nothing where somebody must.
    open: RefCell<Vec<(String, Span)>>,
    used: RefCell<BTreeSet<usize>>,
}

impl<'f> Verifiers<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self {
            default: file.defaults.get().and_then(|defaults| defaults.auth.get()),
            names: file.auths.iter().map(|auth| &auth.name).collect(),
            open: RefCell::default(),
            used: RefCell::default(),
        }
    }

    /// Who may pass `route`.
    pub(super) fn access(&self, route: &Route, name: &str, problems: &mut Problems) -> Option<Access> {
        match (&route.auth, self.default) {
            (Given::Broken, _) => None,
            (Given::Value(list), _) | (Given::Absent, Some(list)) => self.named(list, problems),
            (Given::Absent, None) => {
                // What the gateway answers by itself gives nothing away.
                let answers_itself =
                    !route.respond.is_absent() || !route.redirect.is_absent() || route.answers_otherwise;
                if !self.names.is_empty() && !answers_itself {
                    self.open.borrow_mut().push((name.to_owned(), route.span.clone()));
                }
                Some(Access::Public)
            }
        }
    }

    fn named(&self, list: &At<Vec<Text>>, problems: &mut Problems) -> Option<Access> {
        match &*list.value {
            [] => {
                let problem = Problem::error(&list.span, "`auth` names nobody");
                problems.note(problem.accepted("the name of an [auth.NAME] table, or \"none\""));
                None
            }
            [text] if text.value == NONE => Some(Access::Public),
            [text] => self.one(text, problems).map(|index| Access::Verified(Box::new([index]))),
            several => self.several(list, several, problems),
        }
    }

    /// Any of several verifiers.
    fn several(&self, list: &At<Vec<Text>>, names: &[Text], problems: &mut Problems) -> Option<Access> {
        if names.len() > Access::MOST {
            let problem = Problem::error(&list.span, format!("{} verifiers are asked", names.len()));
            problems.note(problem.accepted(format!("at most {}", Access::MOST)));
            return None;
        }
        let mut indices: Vec<AuthIndex> = Vec::new();
        for text in names {
            if text.value == NONE {
                let problem = Problem::error(&text.span, "`none` stands alone or not at all");
                problems.note(problem.label("with it everybody passes, and nobody is identified"));
                continue;
            }
            let Some(index) = self.one(text, problems) else { continue };
            if indices.contains(&index) && !text.unset {
                problems.note(Problem::error(&text.span, format!("the verifier `{}` is named twice", text.shown())));
                continue;
            }
            indices.push(index);
        }
        (indices.len() == names.len()).then(|| Access::Verified(indices.into()))
    }

    fn one(&self, text: &Text, problems: &mut Problems) -> Option<AuthIndex> {
        if let Some(index) = self.names.iter().position(|name| name.value == text.value) {
            self.used.borrow_mut().insert(index);
            return Some(AuthIndex(index));
        }
        if text.unset && !self.names.is_empty() {
            return Some(AuthIndex(0));
        }
        let known = || self.names.iter().map(|name| &*name.value).chain([NONE]);
        let problem = Problem::error(&text.span, format!("there is no verifier `{}`", text.shown()));
        problems.note(problem.accepted(listed(known())).maybe_hint(did_you_mean(&text.written, known())));
        None
    }

    /// One error for all routes that say nothing.
    pub(super) fn note_open(&self, problems: &mut Problems) {
        let open = self.open.borrow();
        if let [(_, first), rest @ ..] = open.as_slice() {
            let names = listed(open.iter().map(|(name, _)| &**name));
            let title = match rest.len() {
                0 => format!("the route {names} does not say who may pass"),
                _ => format!("{} routes do not say who may pass: {names}", open.len()),
            };
            let mut problem = Problem::error(first, title).label("nothing about `auth` here");
            for (_, span) in rest {
                problem = problem.also(span, "nor here");
            }
            let verifier = self.names.first().map_or("", |name| &*name.value);
            problems.note(
                problem
                    .note("since there are [auth.*] tables, a route that says nothing could be open by mistake")
                    .hint(format!(
                        "write `auth = \"{verifier}\"` or `auth = \"none\"` in each of them, or `auth = \"{verifier}\"` once in [defaults]"
                    )),
            );
        }
    }

    /// Warns where a route that says nothing is open to anyone: what is forgotten should be closed.
    pub(super) fn note_open_by_default(&self, problems: &mut Problems) {
        if let Some(At { span, value }) = self.default
            && let [text] = &**value
            && text.value == NONE
            && let Some(verifier) = self.names.first()
        {
            let warning = Problem::warning(span, "a route that says nothing is open to anyone");
            problems.note(warning.hint(format!(
                "make it `auth = \"{}\"` here, and say `auth = \"none\"` in each route that is meant to be open",
                verifier.value
            )));
        }
    }

    /// Warns of verifiers that no route asks.
    pub(super) fn note_unused(&self, problems: &mut Problems) {
        for (index, name) in self.names.iter().enumerate() {
            if !self.used.borrow().contains(&index) {
                let warning = Problem::warning(&name.span, format!("no route asks the verifier `{}`", name.value));
                problems.note(warning.hint(format!("add it to a route: `auth = \"{}\"`", name.value)));
            }
        }
    }
}
