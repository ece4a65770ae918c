//! One path, two readers: what the gateway takes for another path, a service may take for the protected one.
//!
//! The gateway reads a path by RFC 3986, and strictly. Services are more lenient, each in its own way: they fold upper and lower
//! case, cut `;…` and trailing dots off, decode twice, do not care for a slash at the end. Where such a variant of a protected path
//! belongs to a route that asks for less and goes to the same upstream, its protection depends on how the service reads,
//! which nobody here can know. So example requests of each protected path are spelt anew and run through the routes that were
//! compiled, and one that comes to the same upstream by a weaker door is an error.

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use portcullis_core::admit::{self, Head};
use portcullis_core::plan::{Access, Plan, Rewrite, Route, Target, UpstreamIndex};
use portcullis_core::route::{Entry, Missed, RouteIndex, canonicalise};

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::routes::Route as Written;
use crate::config::span::{Span, Text};
use crate::config::suggest::listed;

mod spell;

use spell::Words;

/// A request that comes to a protected path by a route that asks for less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    /// The request that the protected route takes.
    pub(super) meant: String,
    pub(super) protected: RouteIndex,
    /// Its other spelling, which the weaker route takes.
    pub(super) spelt: String,
    pub(super) weaker: RouteIndex,
}

/// Notes one error for each route by which protected paths can be come to. `written` is in the order of the plan.
pub(super) fn note(plan: &Plan, written: &[Written], problems: &mut Problems) {
    let mut breaches = breaches(plan);
    // A placeholder names no path and no upstream.
    let is_real = |index: RouteIndex| written.get(index.as_usize()).is_some_and(|route| !has_placeholder(route));
    breaches.retain(|breach| is_real(breach.protected) && is_real(breach.weaker));
    while let Some(first) = breaches.first().cloned() {
        let of_one: Vec<Breach> = breaches.extract_if(.., |breach| breach.weaker == first.weaker).collect();
        problems.0.extend(problem(plan, written, &of_one));
    }
}

/// The first few spellings by which each protected route can be gone around, for each route that lets them.
pub(super) fn breaches(plan: &Plan) -> Vec<Breach> {
    let mut found = Vec::new();
    let words = Words::of(plan.table.entries().map(|(_, entry)| entry.pattern.to_string()));
    let usual = usual_methods(plan);
    let doors = doors(plan);
    for (index, _) in plan.table.entries() {
        let Some(route) = plan.routes.get(index.as_usize()) else { continue };
        if doors.iter().any(|door| is_way_around(door, route)) {
            around(plan, &words, &usual, index, &mut found);
        }
    }
    found
}

/// One route of each kind of access to each upstream: few, whatever the number of routes.
fn doors(plan: &Plan) -> Vec<&Route> {
    let mut doors: Vec<&Route> = Vec::new();
    for route in &plan.routes {
        let is_same =
            |door: &&Route| door.access == route.access && upstreams(&door.target) == upstreams(&route.target);
        if !doors.iter().any(is_same) {
            doors.push(route);
        }
    }
    doors
}

/// Whether `door` lets somebody in to an upstream of `route` whom `route` would not.
fn is_way_around(door: &Route, route: &Route) -> bool {
    is_weaker(&door.access, &route.access) && share(&door.target, &route.target)
}

/// Spells the paths of one protected route anew.
fn around(plan: &Plan, words: &Words, usual: &[Method], index: RouteIndex, found: &mut Vec<Breach>) {
    let (Some(route), Some(entry)) = (plan.routes.get(index.as_usize()), plan.table.entry(index)) else { return };
    let methods = if entry.methods.is_empty() { usual } else { &entry.methods };
    for host in hosts(entry) {
        for path in spell::examples(&entry.pattern.to_string()) {
            let own = methods.iter().find(|method| owner(plan, &host, &path.text, method) == Some(index));
            // A more specific route may own this one. What is sent on with a value of the identity in it cannot be known.
            let Some(meant) = own.and_then(|method| forwarded(plan, route, &host, &path.text, method)) else {
                continue;
            };
            let folded = spell::folded(&meant);
            for variant in spell::variants(&path, words) {
                let Some((method, weaker)) = weaker(plan, route, &host, &variant, methods) else { continue };
                let Some(door) = plan.routes.get(weaker.as_usize()) else { continue };
                let sent = forwarded(plan, door, &host, &variant, method);
                if sent.is_some_and(|sent| spell::folded(&sent) == folded) {
                    let shown = |path: &str| request(entry, &host, path, method);
                    let (meant, spelt) = (shown(&path.text), shown(&variant));
                    found.push(Breach { meant, protected: index, spelt, weaker });
                }
            }
        }
    }
}

/// The route that takes `path` and is a way around `protected`, and a method that both take.
fn weaker<'m>(
    plan: &Plan,
    protected: &Route,
    host: &str,
    path: &str,
    methods: &'m [Method],
) -> Option<(&'m Method, RouteIndex)> {
    let path = canonicalise(path).ok()?;
    for method in methods {
        match plan.table.find(host, path.as_str(), method).map(|found| found.route()) {
            Err(Missed::NotFound) => return None,
            Err(Missed::MethodNotAllowed { .. }) => {}
            Ok(owner) if plan.routes.get(owner.as_usize()).is_some_and(|door| is_way_around(door, protected)) => {
                return Some((method, owner));
            }
            Ok(_) => {}
        }
    }
    None
}

fn owner(plan: &Plan, host: &str, path: &str, method: &Method) -> Option<RouteIndex> {
    let path = canonicalise(path).ok()?;
    plan.table.find(host, path.as_str(), method).map(|found| found.route()).ok()
}

/// The path that the upstream of `route` is asked for; none where the gateway refuses.
fn forwarded(plan: &Plan, route: &Route, host: &str, path: &str, method: &Method) -> Option<String> {
    let uri: Uri = path.parse().ok()?;
    let mut headers = HeaderMap::new();
    headers.try_insert(HOST, HeaderValue::try_from(host).ok()?).ok()?;
    let head = Head { client: None, headers: &headers, method, uri: &uri, version: Version::HTTP_11 };
    let routed = admit::route(plan, head).ok()?;
    Some(rewrite(&route.target)?.apply(&routed.facts(None)).ok()?.path.into_owned())
}

/// Whether somebody passes `weak` who does not pass `strong`.
fn is_weaker(weak: &Access, strong: &Access) -> bool {
    match (weak, strong) {
        (_, Access::Public) => false,
        (Access::Public, Access::Verified(_)) => true,
        (Access::Verified(weak), Access::Verified(strong)) => weak.iter().any(|verifier| !strong.contains(verifier)),
    }
}

/// Whether two routes have an upstream in common.
fn share(one: &Target, other: &Target) -> bool {
    common(one, other).is_some()
}

fn common(one: &Target, other: &Target) -> Option<UpstreamIndex> {
    let others = upstreams(other);
    upstreams(one).into_iter().find(|upstream| others.contains(upstream))
}

/// Where a target sends requests; what the gateway answers by itself can be read by nobody else.
fn upstreams(target: &Target) -> Vec<UpstreamIndex> {
    match target {
        Target::Split { split, .. } => split.shares().iter().map(|share| share.upstream).collect(),
        Target::Upstream { upstream, .. } => vec![*upstream],
        _ => Vec::new(),
    }
}

fn rewrite(target: &Target) -> Option<&Rewrite> {
    match target {
        Target::Split { rewrite, .. } | Target::Upstream { rewrite, .. } => Some(rewrite),
        _ => None,
    }
}

/// A host of each kind that the route names; any for a route that names none.
fn hosts(entry: &Entry) -> Vec<String> {
    if entry.hosts.is_empty() {
        return vec!["localhost".to_owned()];
    }
    entry.hosts.iter().map(|host| host.to_string().replace('*', "x")).collect()
}

/// What a route that names no method is tried with: the usual ones, and all that some route names.
fn usual_methods(plan: &Plan) -> Vec<Method> {
    let mut methods = vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for method in plan.table.entries().flat_map(|(_, entry)| &entry.methods) {
        if !methods.contains(method) {
            methods.push(method.clone());
        }
    }
    methods
}

fn request(entry: &Entry, host: &str, path: &str, method: &Method) -> String {
    if entry.hosts.is_empty() { format!("{method} {path}") } else { format!("{method} http://{host}{path}") }
}

fn has_placeholder(route: &Written) -> bool {
    let lists =
        [route.auth.get(), route.hosts.get(), route.methods.get()].into_iter().flatten().flat_map(|list| &list.value);
    let texts = [route.path.get(), route.rewrite.get(), route.strip_prefix.get(), route.upstream.get()];
    lists.chain(texts.into_iter().flatten()).any(|text: &Text| text.unset)
}

/// The error for one weaker route.
fn problem(plan: &Plan, written: &[Written], breaches: &[Breach]) -> Option<Problem> {
    const MOST: usize = 4;
    let first = breaches.first()?;
    let weak = written.get(first.weaker.as_usize())?;
    let mut protected: Vec<RouteIndex> = breaches.iter().map(|breach| breach.protected).collect();
    protected.dedup();
    let title = format!("`{}` goes around what protects `{}`", first.spelt, first.meant);
    let mut problem = Problem::error(place(weak), title).label(match asks(plan, first.weaker) {
        Some(names) => format!("this route takes it, for {names}"),
        None => "this route takes it, for everybody".to_owned(),
    });
    for index in protected.iter().take(MOST) {
        let names = asks(plan, *index).unwrap_or_default();
        problem = problem.also(place(written.get(index.as_usize())?), format!("protected by {names}"));
    }
    if protected.len() > MOST {
        problem = problem.note(format!("{} more protected routes can be gone around here", protected.len() - MOST));
    }
    let others =
        breaches.iter().skip(1).filter(|breach| breach.protected == first.protected && breach.meant == first.meant);
    let others: Vec<&str> = others.map(|breach| &*breach.spelt).take(MOST - 1).collect();
    if !others.is_empty() {
        problem = problem.note(format!("so do {}", listed(others)));
    }
    let upstream = upstream_name(plan, first);
    Some(
        problem
            .note(format!("both go to the upstream `{upstream}`, and many services take the one path for the other"))
            .hint(format!(
                "turn it around: protect the wider route too, and give what is public routes of its own; or, if the service \
                 behind `{upstream}` tells such paths apart, say so by giving the public route an upstream of its own name"
            )),
    )
}

fn place(route: &Written) -> &Span {
    route.path.get().map_or(&route.span, |path| &path.span)
}

/// The verifiers of a route; none of a public one.
fn asks(plan: &Plan, route: RouteIndex) -> Option<String> {
    match &plan.routes.get(route.as_usize())?.access {
        Access::Public => None,
        Access::Verified(verifiers) => {
            Some(listed(verifiers.iter().filter_map(|index| plan.auths.get(index.0)).map(|auth| &*auth.name)))
        }
    }
}

fn upstream_name<'p>(plan: &'p Plan, breach: &Breach) -> &'p str {
    let target = |route: RouteIndex| plan.routes.get(route.as_usize()).map(|route| &route.target);
    let targets = target(breach.weaker).zip(target(breach.protected));
    targets.and_then(|(one, other)| common(one, other)).map_or("", |upstream| plan.upstream_name(upstream))
}

#[cfg(test)]
mod tests;
