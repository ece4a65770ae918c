//! Routes that nothing tells apart, and a request that hits both.

use std::collections::HashSet;

use http::Method;

use super::host::HostPattern;
use super::params::Spans;
use super::pattern::{Pattern, Segment};
use super::table::{RouteIndex, Table};

/// Two routes that nothing tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tie {
    /// The earlier one.
    pub first: RouteIndex,
    /// The later one.
    pub second: RouteIndex,
    /// A request that both would take: `GET http://shop.test/users/x`. Where other routes leave the two nothing to take,
    /// it is one that they would take were they alone.
    pub example: String,
}

/// A tie as it is met while the table is built.
#[derive(Debug)]
pub(super) struct Clash {
    pub(super) first: RouteIndex,
    pub(super) second: RouteIndex,
    /// The host that both name; none when neither names one.
    pub(super) host: Option<HostPattern>,
    /// The method that both name; none when neither names one.
    pub(super) method: Option<Method>,
}

/// One tie for each pair of routes. Called when the table is complete: only then is it known which examples the two own.
pub(super) fn ties(table: &Table, clashes: &[Clash]) -> Vec<Tie> {
    let mut seen = HashSet::new();
    clashes
        .iter()
        .filter(|clash| seen.insert((clash.first, clash.second)))
        .map(|clash| Tie { first: clash.first, second: clash.second, example: example(table, clash) })
        .collect()
}

fn example(table: &Table, clash: &Clash) -> String {
    let fresh = fresh_word(table);
    let hosts = host_candidates(clash.host.as_ref(), &fresh);
    let paths = table.entry(clash.first).map(|entry| path_candidates(&entry.pattern, &fresh)).unwrap_or_default();
    let pairs = || hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path)));
    let owned = pairs().find(|(host, path)| {
        let mut spans = Spans::EMPTY;
        table.owner(host, path, &mut spans).is_some_and(|leaf| leaf.holds(clash.first))
    });
    let (host, path) = owned.or_else(|| pairs().next()).map_or(("", "/"), |(host, path)| (host, path));
    let method = clash.method.clone().unwrap_or_else(|| unnamed_method(table, clash, host, path));
    format!("{method} http://{host}{path}")
}

/// A word that is no literal segment and no label of the table, so that only what takes anything takes it.
fn fresh_word(table: &Table) -> String {
    let mut words = HashSet::new();
    for (_, entry) in table.entries() {
        words.extend(entry.hosts.iter().flat_map(|host| host.name().split('.')));
        words.extend(entry.pattern.segments().iter().filter_map(|segment| match segment {
            Segment::Literal(text) => Some(&**text),
            _ => None,
        }));
    }
    let numbered = (1..).map(|n| format!("x{n}"));
    // There are finitely many words, so the search ends.
    std::iter::once("x".to_owned()).chain(numbered).find(|word| !words.contains(&**word)).unwrap_or_default()
}

fn host_candidates(host: Option<&HostPattern>, fresh: &str) -> Vec<String> {
    match host {
        Some(host) if host.is_wildcard() => vec![format!("{fresh}.{}", host.name())],
        Some(host) => vec![host.name().to_owned()],
        None => vec!["localhost".to_owned(), format!("{fresh}.{fresh}")],
    }
}

/// Paths that match the pattern. Of what `**` can take, some may belong to more specific routes: several are tried.
fn path_candidates(pattern: &Pattern, fresh: &str) -> Vec<String> {
    let mut start = String::new();
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) => start.extend(["/", text]),
            Segment::Param => start.extend(["/", fresh]),
            Segment::Rest => {
                let ends = [format!("/{fresh}"), format!("/{fresh}/"), format!("/{fresh}/{fresh}"), "/".to_owned()];
                let below = ends.iter().map(|end| format!("{start}{end}")).collect::<Vec<_>>();
                let itself = (!start.is_empty()).then(|| start.clone());
                return below.into_iter().chain(itself).collect();
            }
        }
    }
    vec![start]
}

/// GET, unless a third route with the same host and path names it.
fn unnamed_method(table: &Table, clash: &Clash, host: &str, path: &str) -> Method {
    let usual = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE];
    let takes = |method: &Method| table.find(host, path, method).is_ok_and(|found| found.route() == clash.first);
    usual.into_iter().find(takes).unwrap_or(Method::GET)
}

#[cfg(test)]
mod tests;
