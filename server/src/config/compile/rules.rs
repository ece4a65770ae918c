//! `request` and `response` of a route: which header fields are removed, set and added.

use http::HeaderName;
use portcullis_core::auth::IdentityHeaders;
use portcullis_core::headers::{HeaderRule, HeaderRules};
use portcullis_core::plan::{Rewrite, Target};
use portcullis_core::route::{Pattern, canonical_host};
use portcullis_core::template::HeaderTemplate;

use super::Problems;
use super::headers::{self, Message};
use super::rewrite::{params, unfit_template};
use crate::config::problem::Problem;
use crate::config::schema::routes::Route;
use crate::config::schema::rules::Rules;
use crate::config::span::{At, Given, Text, shown};

/// What rules are compiled by.
struct Context<'c> {
    identity_headers: &'c IdentityHeaders,
    message: Message,
    params: Vec<&'c str>,
}

/// The rules of a route for its requests, and for its responses; none where something of them is broken.
pub(super) fn of_route(
    route: &Route,
    identity_headers: &IdentityHeaders,
    pattern: Option<&Pattern>,
    problems: &mut Problems,
) -> (Option<HeaderRules>, Option<HeaderRules>) {
    let mut compile = |given: &Given<Rules>, message| match given {
        Given::Absent => Some(HeaderRules::default()),
        Given::Broken => None,
        Given::Value(written) => {
            Context { identity_headers, message, params: params(pattern?) }.rules(written, problems)
        }
    };
    (compile(&route.request, Message::Request), compile(&route.response, Message::Response))
}

impl Context<'_> {
    fn rules(&self, written: &Rules, problems: &mut Problems) -> Option<HeaderRules> {
        let removed = match &written.remove {
            Given::Absent => Some(Vec::new()),
            Given::Broken => None,
            Given::Value(list) => {
                let names: Vec<_> = list.value.iter().filter_map(|text| self.removed(text, problems)).collect();
                (names.len() == list.value.len()).then_some(names)
            }
        };
        let set: Vec<_> = written.set.iter().filter_map(|(name, value)| self.set(name, value, problems)).collect();
        let added: Vec<_> = written.add.iter().filter_map(|(name, value)| self.added(name, value, problems)).collect();
        note_repeated(&written.set, problems);
        let complete = set.len() == written.set.len() && added.len() == written.add.len();
        complete.then_some(HeaderRules::new(removed?, set, added))
    }

    fn removed(&self, text: &Text, problems: &mut Problems) -> Option<HeaderName> {
        let at = At::new(text.value.clone(), text.span.clone());
        if text.unset {
            return Some(HeaderName::from_static("x-unset"));
        }
        let name = self.name(&at, "removed", problems)?;
        if self.message == Message::Request && name == http::header::HOST {
            let problem = Problem::error(&text.span, "`host` cannot be removed");
            problems.note(problem.label("every request names one (RFC 9112, section 3.2)"));
            return None;
        }
        Some(name)
    }

    fn set(&self, name: &At<String>, value: &Text, problems: &mut Problems) -> Option<HeaderRule> {
        let at = name;
        let name = self.name(at, "set", problems)?;
        let rule = self.rule(name, value, problems)?;
        if rule.value.has_values() && headers::is_text_only(&rule.name) {
            let title = format!("a value of a request cannot be in `{}`", rule.name);
            let problem =
                Problem::error(&value.span, title).label("whoever chose the value would steer who reads the field");
            problems.note(problem.accepted("text without `{…}`"));
            return None;
        }
        let is_host = self.message == Message::Request && rule.name == http::header::HOST;
        if is_host && !value.unset && canonical_host(&value.value).is_err() {
            let problem = Problem::error(&value.span, "this is not a host");
            problems.note(problem.accepted("a name or an address, with or without a port: \"orders.internal:8080\""));
            return None;
        }
        Some(rule)
    }

    fn added(&self, name: &At<String>, value: &Text, problems: &mut Problems) -> Option<HeaderRule> {
        let at = name;
        let name = self.name(at, "added", problems)?;
        if headers::is_single(&name) {
            let problem = Problem::error(&at.span, format!("a second `{name}` cannot be added"));
            problems.note(problem.label("a message has one at most").hint("put it into `set`"));
            return None;
        }
        let rule = self.rule(name, value, problems)?;
        if rule.value.has_values() && headers::is_text_only(&rule.name) {
            let title = format!("a value of a request cannot be in `{}`", rule.name);
            problems.note(Problem::error(&value.span, title).accepted("text without `{…}`"));
            return None;
        }
        Some(rule)
    }

    /// A name that rules may touch.
    fn name(&self, at: &At<String>, done: &str, problems: &mut Problems) -> Option<HeaderName> {
        let name = headers::parse(at, problems)?;
        if let Some(why) = headers::untouchable(&name, self.message) {
            problems.note(Problem::error(&at.span, format!("`{name}` cannot be {done}")).label(why));
            return None;
        }
        if self.identity_headers.contains(&name) {
            let problem = Problem::error(&at.span, format!("`{name}` cannot be {done}"));
            problems.note(
                problem
                    .label("it says who a request is from, and only a verifier says that")
                    .hint("the headers in `forward` of every [auth.*] are removed and set on every route"),
            );
            return None;
        }
        Some(name)
    }

    fn rule(&self, name: HeaderName, value: &Text, problems: &mut Problems) -> Option<HeaderRule> {
        let parsed = match HeaderTemplate::parse(&value.value, &self.params) {
            Err(_) if value.unset => HeaderTemplate::parse("unset", &self.params),
            parsed => parsed,
        };
        match parsed {
            Ok(template) => Some(HeaderRule { name, is_shown: !value.is_resolved(), value: template }),
            Err(error) => {
                problems.note(unfit_template(value, &error, "the value of a header", &self.params));
                None
            }
        }
    }
}

/// Notes names that are set twice: in headers upper and lower case are the same, in the file they are not.
fn note_repeated(set: &[(At<String>, Text)], problems: &mut Problems) {
    for (place, (name, _)) in set.iter().enumerate() {
        let first = set.iter().take(place).find(|(other, _)| other.value.eq_ignore_ascii_case(&name.value));
        if let Some((first, _)) = first {
            let title = format!("`{}` is set twice", shown(&name.value));
            let problem = Problem::error(&name.span, title).also(&first.span, "the first time");
            problems.note(problem.hint("upper and lower case are the same in names of headers"));
        }
    }
}

/// Notes templates of a public route that read who a request is from: nobody is identified there.
pub(super) fn note_unverified(
    route: &Route,
    target: Option<&Target>,
    request: &Option<HeaderRules>,
    response: &Option<HeaderRules>,
    problems: &mut Problems,
) {
    let place = match target {
        Some(Target::Redirect(redirect)) if redirect.to.needs_identity() => route.redirect.get().map(|at| &at.to.span),
        Some(Target::Upstream { rewrite: Rewrite::Template(template), .. })
        | Some(Target::Split { rewrite: Rewrite::Template(template), .. })
            if template.needs_identity() =>
        {
            route.rewrite.get().map(|at| &at.span)
        }
        _ => None,
    };
    if let Some(span) = place {
        let problem =
            Problem::error(span, "this needs an identity, and the route is public: every request would be a 400");
        problems.note(problem.hint("name a verifier: `auth = \"…\"`"));
    }
    for (given, compiled) in [(&route.request, request), (&route.response, response)] {
        let (Some(written), Some(rules)) = (given.get(), compiled) else { continue };
        let written = written.set.iter().chain(&written.add);
        for ((_, text), rule) in written.zip(rules.set().iter().chain(rules.added())) {
            if rule.value.needs_identity() {
                let title = format!("`{}` is never sent: it needs an identity, and the route is public", rule.name);
                problems.note(Problem::warning(&text.span, title).hint("name a verifier: `auth = \"…\"`"));
            }
        }
    }
}
