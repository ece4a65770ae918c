//! The search for one host: a tree with a node for each segment, walked from the most specific branch to the least.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use http::Method;

use super::params::Spans;
use super::pattern::Segment;
use super::table::RouteIndex;

/// What may follow one segment.
#[derive(Debug, Default)]
pub(super) struct Node {
    literals: Names<Node>,
    param: Option<Box<Node>>,
    /// The routes whose path ends here.
    end: Option<Leaf>,
    /// The routes that take all below.
    rest: Option<Leaf>,
}

/// Things by name. The names are the operator's and the table never changes, so a client cannot make them collide: a hash
/// that is quick for short texts will do.
pub(super) type Names<T> = HashMap<Box<str>, T, BuildHasherDefault<Fnv>>;

/// FNV-1a, 64 bits (Fowler, Noll and Vo).
#[derive(Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Node {
    /// The leaf of a pattern; made if it is not there. Parameter names do not matter: two patterns of one shape share
    /// their leaf.
    pub(super) fn leaf_mut(&mut self, segments: &[Segment]) -> &mut Leaf {
        match segments {
            [] => self.end.get_or_insert_default(),
            [Segment::Literal(text), below @ ..] => self.literals.entry(text.clone()).or_default().leaf_mut(below),
            [Segment::Param, below @ ..] => self.param.get_or_insert_default().leaf_mut(below),
            [Segment::Rest, ..] => self.rest.get_or_insert_default(),
        }
    }

    /// The most specific leaf that matches what is left of `path`: `None` once its last segment is taken. `spans` holds
    /// what the way there took, and is as it was when nothing matches.
    ///
    /// A branch that leads nowhere is left for the next one. No two ways lead to one node, so a search visits each node
    /// at most once: in the worst case the whole tree of a host, never more, however the path is made. It goes at most
    /// `MAX_SEGMENTS` deep.
    pub(super) fn find(&self, path: &str, left: Option<&str>, spans: &mut Spans) -> Option<&Leaf> {
        let Some(left) = left else {
            return self.end.as_ref().or_else(|| self.take_rest(path.len(), spans));
        };
        let start = path.len() - left.len();
        let (segment, below) = left.split_once('/').map_or((left, None), |(segment, below)| (segment, Some(below)));
        if let Some(leaf) = self.literals.get(segment).and_then(|node| node.find(path, below, spans)) {
            return Some(leaf);
        }
        if let Some(node) = self.param.as_ref().filter(|_| !segment.is_empty()) {
            spans.push(start, start + segment.len());
            if let Some(leaf) = node.find(path, below, spans) {
                return Some(leaf);
            }
            spans.pop();
        }
        self.take_rest(start, spans)
    }

    fn take_rest(&self, start: usize, spans: &mut Spans) -> Option<&Leaf> {
        self.rest.as_ref().inspect(|_| spans.set_rest(start))
    }
}

/// The routes with one host and one path.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// By the methods they name. Short: no two routes may name the same one.
    named: Vec<(Method, RouteIndex)>,
    /// The one that names none. Conditions (`when`) will make a list of this and of each method's route, in which the
    /// routes with a condition come first.
    any: Option<RouteIndex>,
    /// The methods that are taken, sorted: what a 405 says.
    allow: Vec<Method>,
}

impl Leaf {
    /// Adds a route; the routes that were there and take a request from it, each with the method if both name one.
    pub(super) fn insert(&mut self, route: RouteIndex, methods: &[Method]) -> Vec<(RouteIndex, Option<Method>)> {
        let mut clashes = Vec::new();
        if methods.is_empty() {
            match self.any {
                Some(first) if first != route => clashes.push((first, None)),
                _ => self.any = Some(route),
            }
        }
        for method in methods {
            match self.naming(method) {
                Some(first) if first != route => clashes.push((first, Some(method.clone()))),
                Some(_) => {}
                None => self.named.push((method.clone(), route)),
            }
        }
        self.allow.extend(methods.iter().cloned());
        if methods.contains(&Method::GET) {
            self.allow.push(Method::HEAD);
        }
        self.allow.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.allow.dedup();
        clashes
    }

    /// The route that takes `method`: one that names it, else for HEAD one that names GET, else one that names none.
    pub(super) fn choose(&self, method: &Method) -> Option<RouteIndex> {
        self.naming(method)
            .or_else(|| if method == Method::HEAD { self.naming(&Method::GET) } else { None })
            .or(self.any)
    }

    /// The methods that are taken, sorted by name.
    pub(super) fn allow(&self) -> &[Method] {
        &self.allow
    }

    /// Whether `route` is one of them.
    pub(super) fn holds(&self, route: RouteIndex) -> bool {
        self.any == Some(route) || self.named.iter().any(|(_, own)| *own == route)
    }

    fn naming(&self, method: &Method) -> Option<RouteIndex> {
        self.named.iter().find_map(|(own, route)| (own == method).then_some(*route))
    }
}
