//! The routing table: a tree for each host, and one for routes that name none.

use std::fmt;

use http::Method;

use super::host::HostPattern;
use super::params::{Params, Spans};
use super::pattern::Pattern;
use super::tie::{Clash, Tie, ties};
use super::tree::{Leaf, Names, Node};

/// What a route asks of a request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path.
    pub pattern: Pattern,
    /// The hosts; empty stands for any host, and for requests without one.
    pub hosts: Vec<HostPattern>,
    /// The methods; empty stands for all. GET implies HEAD.
    pub methods: Vec<Method>,
}

/// A route's number: its place in the list that the table was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteIndex(u32);

impl RouteIndex {
    pub(super) fn new(place: usize) -> Self {
        // A list of four thousand million routes does not fit into memory.
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The place in the list.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// The routes of a plan, ready to be searched; immutable.
///
/// How one is chosen is told in the [module's docs](super). A search costs a look-up for each segment of the path and
/// each label of the host, whatever the number of routes; see [`Table::find`] for the worst case.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
    named: Names<Node>,
    /// By the name behind `*.`.
    wildcards: Names<Node>,
    any_host: Node,
}

/// A route that takes a request, and where its parameters stand in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    route: RouteIndex,
    spans: Spans,
}

impl Found {
    /// The route.
    pub const fn route(&self) -> RouteIndex {
        self.route
    }
}

/// Why no route takes a request. Complete by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed<'t> {
    /// The path is a route's, the method is not (405).
    MethodNotAllowed {
        /// The methods that are taken, sorted by name: for the `Allow` field (RFC 9110, section 10.2.1).
        allow: &'t [Method],
    },
    /// No route has this host and path (404).
    NotFound,
}

impl fmt::Display for Missed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MethodNotAllowed { allow } => {
                let names: Vec<_> = allow.iter().map(Method::as_str).collect();
                write!(f, "the path takes only {}", names.join(", "))
            }
            Self::NotFound => f.write_str("no route has this host and path"),
        }
    }
}

impl std::error::Error for Missed<'_> {}

impl Table {
    /// A table of `entries`; a route's place in the list is its number.
    ///
    /// # Errors
    /// All pairs of routes that nothing tells apart: the same host, the same shape of path (whatever the parameters are
    /// called), and one method that both name or none that either names. Of three such routes, the later two are each
    /// paired with the first.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Vec<Tie>> {
        let mut table = Self {
            entries: Vec::new(),
            named: Names::default(),
            wildcards: Names::default(),
            any_host: Node::default(),
        };
        let mut clashes = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            table.insert(RouteIndex::new(place), entry, &mut clashes);
        }
        table.entries = entries;
        if clashes.is_empty() { Ok(table) } else { Err(ties(&table, &clashes)) }
    }

    fn insert(&mut self, route: RouteIndex, entry: &Entry, clashes: &mut Vec<Clash>) {
        let any_host = entry.hosts.is_empty().then_some(None);
        for host in entry.hosts.iter().map(Some).chain(any_host) {
            let root = match host {
                None => &mut self.any_host,
                Some(host) if host.is_wildcard() => self.wildcards.entry(host.name().into()).or_default(),
                Some(host) => self.named.entry(host.name().into()).or_default(),
            };
            let leaf = root.leaf_mut(entry.pattern.segments());
            for (first, method) in leaf.insert(route, &entry.methods) {
                clashes.push(Clash { first, second: route, host: host.cloned(), method });
            }
        }
    }

    /// The route that owns a request and takes its method. `host` is canonical, empty when the request names none;
    /// `path` is canonical.
    ///
    /// Allocates nothing. In the usual case it makes one look-up for each segment of the path; in the worst case it
    /// visits each node of the trees whose host matches once, so it is bounded by the table and not by the request.
    ///
    /// # Errors
    /// [`Missed::NotFound`] when no route has this host and path, [`Missed::MethodNotAllowed`] when those that have it
    /// do not take `method`.
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Result<Found, Missed<'_>> {
        let mut spans = Spans::EMPTY;
        let leaf = self.owner(host, path, &mut spans).ok_or(Missed::NotFound)?;
        let route = leaf.choose(method).ok_or(Missed::MethodNotAllowed { allow: leaf.allow() })?;
        Ok(Found { route, spans })
    }

    /// The parameters of a match, given the `path` that it was found by.
    pub fn params<'a>(&'a self, found: &'a Found, path: &'a str) -> Params<'a> {
        let names = self.entry(found.route).map(|entry| entry.pattern.name_slice()).unwrap_or_default();
        Params::new(path, &found.spans, names)
    }

    /// What `route` asks of a request; none when the number is from another, longer table.
    pub fn entry(&self, route: RouteIndex) -> Option<&Entry> {
        self.entries.get(route.as_usize())
    }

    /// All routes, in the order of the list.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (RouteIndex, &Entry)> {
        self.entries.iter().enumerate().map(|(place, entry)| (RouteIndex::new(place), entry))
    }

    /// The routes with the most specific host and path that match.
    pub(super) fn owner(&self, host: &str, path: &str, spans: &mut Spans) -> Option<&Leaf> {
        let left = path.strip_prefix('/')?;
        let named = self.named.get(host).into_iter();
        // Wildcards from the longest: the name without its first label, then without its second, and so on.
        let first = if self.wildcards.is_empty() { None } else { parent(host) };
        let parents = std::iter::successors(first, |name| parent(name));
        let wildcards = parents.filter_map(|name| self.wildcards.get(name));
        let mut roots = named.chain(wildcards).chain(std::iter::once(&self.any_host));
        roots.find_map(|root| root.find(path, Some(left), spans))
    }
}

/// A host's name without its first label.
fn parent(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, parent)| parent)
}

#[cfg(test)]
pub(in crate::route) mod tests;
