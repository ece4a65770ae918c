//! `[[routes]]`: each route, and the table that chooses among them.

use std::time::Duration;

use http::Method;
use portcullis_core::auth::{Auth, IdentityHeaders};
use portcullis_core::plan::{Access, EncodedSeparators, Limits, Route, Target};
use portcullis_core::route::{Entry, HostPattern, Pattern, Table, Tie};

use super::access::Verifiers;
use super::limits::Rules;
use super::target::Upstreams;
use super::{Problems, cache, expressions, limit_keys, names, rules, server, upgrade};
use crate::config::problem::Problem;
use crate::config::schema::File;
use crate::config::schema::limits::Use;
use crate::config::schema::routes::Route as Written;
use crate::config::span::{At, Given, Text};

/// How long a whole request may take unless the file says.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What routes refer to.
#[derive(Debug)]
pub(super) struct Context<'f> {
    auths: &'f [Auth],
    cache_size: u64,
    default_limits: &'f [Use],
    identity_headers: &'f IdentityHeaders,
    max_body_size: Option<u64>,
    routes: &'f Given<At<Vec<Written>>>,
    rules: &'f Rules<'f>,
    upstreams: Upstreams<'f>,
    verifiers: Verifiers<'f>,
}

impl<'f> Context<'f> {
    pub(super) fn new(
        file: &'f File,
        (auths, identity_headers): (&'f [Auth], &'f IdentityHeaders),
        rules: &'f Rules<'f>,
        upstreams: Upstreams<'f>,
        (max_body_size, cache_size): (Option<u64>, u64),
    ) -> Self {
        Self {
            auths,
            cache_size,
            default_limits: file
                .defaults
                .get()
                .and_then(|defaults| defaults.limits.get())
                .map_or(&[], |list| &list.value),
            identity_headers,
            max_body_size,
            routes: &file.routes,
            rules,
            upstreams,
            verifiers: Verifiers::new(file),
        }
    }

    fn around<'a>(
        &'a self,
        access: Option<&'a Access>,
        pattern: Option<&'a Pattern>,
        target: Option<&'a Target>,
    ) -> cache::Around<'a> {
        cache::Around { access, auths: self.auths, pattern, size: self.cache_size, target }
    }
}

/// The routes and their table; none when one of them is broken.
pub(super) fn compile(context: &Context<'_>, problems: &mut Problems) -> Option<(Vec<Route>, Table)> {
    let written = match context.routes {
        Given::Broken => return None,
        Given::Value(list) if !list.value.is_empty() => &*list.value,
        Given::Value(_) | Given::Absent => {
            let hint = "add one:\n\n[[routes]]\npath = \"/**\"\nupstream = \"app\"";
            problems.note(Problem::of_file("there are no routes: nothing could be asked for").hint(hint));
            return None;
        }
    };
    let names = names::of_routes(written, problems);
    let mut routes = Vec::new();
    let mut entries = Vec::new();
    for (written, name) in written.iter().zip(&names) {
        let entry = entry(written, problems);
        let pattern = entry.as_ref().map(|entry| &entry.pattern);
        routes.extend(route(context, written, name, pattern, problems));
        entries.extend(entry.map(|entry| (entry, written)));
    }
    context.verifiers.note_open(problems);
    context.verifiers.note_open_by_default(problems);
    let table = table(entries, problems)?;
    // With an error elsewhere, what seems unused may only be misspelt where it is used.
    if !problems.has_errors() {
        context.rules.note_unused(problems);
        context.upstreams.note_unused(problems);
        context.verifiers.note_unused(problems);
    }
    // A route that is missing has been noted; without it the numbers of the table would be those of others.
    (routes.len() == written.len()).then_some((routes, table))
}

fn route(
    context: &Context<'_>,
    written: &Written,
    name: &str,
    pattern: Option<&Pattern>,
    problems: &mut Problems,
) -> Option<Route> {
    let access = context.verifiers.access(written, name, problems);
    let target = context.upstreams.target(written, pattern, problems);
    let (request, response) = rules::of_route(written, context.identity_headers, pattern, problems);
    if access == Some(Access::Public) {
        rules::note_unverified(written, target.as_ref(), &request, &response, problems);
    }
    let limits = limits(context, written, name, (pattern, access.as_ref()), problems);
    let max_body_size = server::body_size(&written.max_body_size, context.max_body_size, problems);
    let cache = cache::compile(written, context.around(access.as_ref(), pattern, target.as_ref()), problems);
    let require = expressions::require(written, name, (pattern, access.as_ref()), problems);
    let upgrade = upgrade::compile(written, target.as_ref(), &context.upstreams, problems);
    let keeps = written.encoded_slashes.get().is_some_and(|word| word.value == "keep");
    Some(Route {
        access: access?,
        cache: cache?,
        encoded_separators: if keeps { EncodedSeparators::Keep } else { EncodedSeparators::Reject },
        limits: limits?,
        max_body_size,
        name: name.into(),
        pattern: pattern?.clone(),
        request: request?,
        require: require?,
        response: response?,
        target: target?,
        timeout: written.timeout.get().map_or(TIMEOUT, |timeout| timeout.value),
        upgrade: upgrade?,
    })
}

fn limits(
    context: &Context<'_>,
    written: &Written,
    name: &str,
    known: (Option<&Pattern>, Option<&Access>),
    problems: &mut Problems,
) -> Option<Limits> {
    let (uses, span) = match &written.limits {
        Given::Broken => return None,
        Given::Absent => (context.default_limits, &written.span),
        Given::Value(list) => (&*list.value, &list.span),
    };
    let rules = context.rules.of_route(name, uses, problems);
    if rules.len() > Limits::MOST {
        let title = format!("the route `{name}` has {} limits", rules.len());
        problems.note(Problem::error(span, title).accepted(format!("at most {}", Limits::MOST)));
        return None;
    }
    // What [defaults] gives to all routes need not fit each of them.
    let known = (known.0, known.1.filter(|_| !written.limits.is_absent()));
    for rule in &rules {
        limit_keys::check(&rule.value, &rule.span, written, known, problems);
    }
    Some(Limits::new(rules.into_iter().map(|rule| rule.value).collect()))
}

/// What the route asks of a request.
fn entry(written: &Written, problems: &mut Problems) -> Option<Entry> {
    let hosts = each(&written.hosts, problems, host);
    let methods = each(&written.methods, problems, method);
    if written.path.is_absent() {
        let problem = Problem::error(&written.span, "a route needs a `path`");
        problems.note(problem.accepted("\"/auth/login\", \"/users/{id}\", or \"/orders/**\" for all below"));
    }
    let pattern = pattern(written.path.get()?, problems);
    Some(Entry { pattern: pattern?, hosts: hosts?, methods: methods? })
}

/// Each of a list, without repetitions; none when one is broken.
pub(super) fn each<T: PartialEq>(
    given: &Given<At<Vec<Text>>>,
    problems: &mut Problems,
    read: impl Fn(&Text, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let list = match given {
        Given::Absent => return Some(Vec::new()),
        Given::Broken => return None,
        Given::Value(list) => &list.value,
    };
    let values: Vec<T> = list.iter().filter_map(|text| read(text, problems)).collect();
    let complete = values.len() == list.len();
    let mut different = Vec::new();
    for value in values {
        if !different.contains(&value) {
            different.push(value);
        }
    }
    complete.then_some(different)
}

fn pattern(path: &Text, problems: &mut Problems) -> Option<Pattern> {
    match path.value.parse::<Pattern>() {
        Ok(pattern) => Some(pattern),
        Err(_) if path.unset => "/unset".parse().ok(),
        Err(error) => {
            let title = if path.is_resolved() { "this is not a path".to_owned() } else { error.to_string() };
            problems.note(Problem::error(&path.part(&error.range()), title).accepted(error.accepted()));
            None
        }
    }
}

fn host(text: &Text, problems: &mut Problems) -> Option<HostPattern> {
    match text.value.parse::<HostPattern>() {
        Ok(host) => Some(host),
        Err(_) if text.unset => "unset.invalid".parse().ok(),
        Err(error) => {
            let problem = Problem::error(&text.span, format!("`{}` is not a host", text.shown()));
            let problem = if text.is_resolved() { problem } else { problem.label(error.to_string()) };
            let has_scheme = text.written.contains("://");
            let problem = problem.maybe_hint(has_scheme.then(|| "write the name alone, without `http://`".to_owned()));
            problems.note(problem.accepted("\"shop.test\", or \"*.shop.test\" for all below; without a port"));
            None
        }
    }
}

fn method(text: &Text, problems: &mut Problems) -> Option<Method> {
    let upper = text.written.to_ascii_uppercase();
    let parsed = Method::from_bytes(text.value.as_bytes())
        .ok()
        .filter(|method| !matches!(*method, Method::CONNECT | Method::TRACE));
    match parsed.filter(|method| method.as_str() == method.as_str().to_ascii_uppercase()) {
        Some(method) => Some(method),
        None if text.unset => Some(Method::GET),
        None => {
            let problem =
                Problem::error(&text.span, format!("`{}` is not a method that a route can take", text.shown()));
            let hint = (upper != text.written).then(|| format!("methods are upper case: \"{upper}\""));
            problems.note(
                problem.accepted("\"GET\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\" and the like").maybe_hint(hint),
            );
            None
        }
    }
}

fn table(entries: Vec<(Entry, &Written)>, problems: &mut Problems) -> Option<Table> {
    let (entries, written): (Vec<Entry>, Vec<&Written>) = entries.into_iter().unzip();
    match Table::new(entries) {
        Ok(table) => Some(table),
        Err(ties) => {
            for tie in &ties {
                note_tie(tie, &written, problems);
            }
            None
        }
    }
}

fn note_tie(tie: &Tie, written: &[&Written], problems: &mut Problems) {
    let place = |route: portcullis_core::route::RouteIndex| {
        let route = written.get(route.as_usize());
        let shown = route.and_then(|route| route.name.get().or(route.path.get())).map(Text::shown).unwrap_or_default();
        let span =
            route.map(|route| route.path.get().map_or(&route.span, |path| &path.span)).cloned().unwrap_or_default();
        (shown, span)
    };
    let ((first, first_at), (second, second_at)) = (place(tie.first), place(tie.second));
    let title = format!("two routes would take the same requests: `{first}` and `{second}`");
    problems.note(
        Problem::error(&second_at, title)
            .label("as specific as the first")
            .also(&first_at, "the first one")
            .note(format!("both would take `{}`", tie.example))
            .hint("tell them apart by path, hosts or methods, or remove one"),
    );
}
