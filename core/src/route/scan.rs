//! The rule of precedence, written down literally: look at every route, keep the most specific.
//!
//! Slow and plain on purpose. `explain` reads from it why each route lost, and a property test holds the tree to it.

use std::cmp::Reverse;
use std::fmt;

use http::Method;

use super::host::HostPattern;
use super::pattern::{Pattern, Segment};
use super::table::{Entry, RouteIndex, Table};

/// What became of one route in the search for the owner of a request.
///
/// Its text is a sentence about the route, to stand after its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// None of its hosts is the request's.
    HostDiffers {
        /// The hosts that it names.
        accepted: Vec<HostPattern>,
    },
    /// It matches, but the owner names the host more exactly.
    HostOutranked {
        /// The owner's pattern.
        owner: String,
    },
    /// It has the owner's host and path, but not the method.
    MethodDiffers {
        /// The methods that it takes, sorted by name.
        accepted: Vec<Method>,
    },
    /// It has the owner's host and path and takes the method, but another one names the method more exactly.
    MethodOutranked {
        /// The winner's pattern.
        winner: String,
    },
    /// Its path is not the request's.
    PathDiffers {
        /// The first segment that differs, counted from 1.
        segment: usize,
        /// What the pattern has there.
        expected: String,
        /// What the request has there.
        found: String,
    },
    /// It matches, but the owner's path is more exact.
    PathOutranked {
        /// The owner's pattern.
        owner: String,
        /// The first segment where it is, counted from 1.
        segment: usize,
    },
    /// It takes the request.
    Won,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostDiffers { accepted } => write!(f, "is for other hosts: {}", listed(accepted)),
            Self::HostOutranked { owner } => write!(f, "matches, but `{owner}` names the host more exactly"),
            Self::MethodDiffers { accepted } => write!(f, "has this path, but takes only {}", listed(accepted)),
            Self::MethodOutranked { winner } => {
                write!(f, "has this path and takes the method, but `{winner}` names it more exactly")
            }
            Self::PathDiffers { segment, expected, found } => {
                write!(f, "has another path: segment {segment} is {expected}, the request has {found}")
            }
            Self::PathOutranked { owner, segment } => {
                write!(f, "matches, but `{owner}` is more exact at segment {segment}")
            }
            Self::Won => f.write_str("takes the request"),
        }
    }
}

fn listed(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Table {
    /// What became of every route in the search for the owner of a request, in the order of the list. At most one won,
    /// and it is the one that [`Table::find`] finds.
    ///
    /// Looks at every route: for people, not for the request path.
    pub fn explain(&self, host: &str, path: &str, method: &Method) -> Vec<(RouteIndex, Standing)> {
        let ranks: Vec<_> = self.entries().map(|(route, entry)| (route, entry, rank(entry, host, path))).collect();
        let best = ranks.iter().filter_map(|(_, _, rank)| rank.as_ref().ok()).min();
        let owners: Vec<_> = ranks
            .iter()
            .filter(|(_, _, rank)| rank.as_ref().ok() == best)
            .filter(|_| best.is_some())
            .map(|(route, entry, _)| (*route, *entry))
            .collect();
        let winner = choose(&owners, method);
        let standings = ranks.iter().map(|(route, entry, rank)| {
            let standing = match (rank, best) {
                (Err(standing), _) => standing.clone(),
                (Ok(own), Some(best)) if own != best => outranked(own, best, &owners),
                _ => in_the_final(*route, entry, winner, method),
            };
            (*route, standing)
        });
        standings.collect()
    }
}

/// How specific a match is; the least is the most specific. Two matches of one request that are equal have the same host
/// and the same shape of path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    host: HostRank,
    /// By segment; a path that ends comes before one that goes on, as with words in a dictionary.
    path: Vec<SegmentRank>,
}

/// In the order of precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Named,
    /// The longest first.
    Wildcard(Reverse<usize>),
    Any,
}

/// In the order of precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SegmentRank {
    Literal,
    Param,
    Rest,
}

/// The entry's rank if it matches, else why it does not.
fn rank(entry: &Entry, host: &str, path: &str) -> Result<Rank, Standing> {
    let any_host = entry.hosts.is_empty().then_some(HostRank::Any);
    let covering = entry.hosts.iter().filter(|pattern| pattern.covers(host)).map(|pattern| {
        if pattern.is_wildcard() { HostRank::Wildcard(Reverse(pattern.name().len())) } else { HostRank::Named }
    });
    let host = covering.chain(any_host).min();
    let host = host.ok_or_else(|| Standing::HostDiffers { accepted: entry.hosts.clone() })?;
    compare(&entry.pattern, path)?;
    let path = entry.pattern.segments().iter().map(|segment| match segment {
        Segment::Literal(_) => SegmentRank::Literal,
        Segment::Param => SegmentRank::Param,
        Segment::Rest => SegmentRank::Rest,
    });
    Ok(Rank { host, path: path.collect() })
}

/// Segment by segment, to the first that differs.
fn compare(pattern: &Pattern, path: &str) -> Result<(), Standing> {
    let Some(below) = path.strip_prefix('/') else {
        let (expected, found) = ("a path".to_owned(), format!("`{path}`"));
        return Err(Standing::PathDiffers { segment: 1, expected, found });
    };
    let mut asked = pattern.segments().iter();
    let mut names = pattern.names();
    let mut given = below.split('/');
    for segment in 1.. {
        let (expected, found) = (asked.next(), given.next());
        let name = if expected == Some(&Segment::Param) { names.next() } else { None };
        match (expected, found) {
            (None, None) | (Some(Segment::Rest), _) => break,
            (Some(Segment::Literal(literal)), Some(text)) if **literal == *text => {}
            (Some(Segment::Param), Some(text)) if !text.is_empty() => {}
            _ => {
                let (expected, found) = (shown(expected, name), shown_text(found));
                return Err(Standing::PathDiffers { segment, expected, found });
            }
        }
    }
    Ok(())
}

fn shown(segment: Option<&Segment>, name: Option<&str>) -> String {
    match segment {
        Some(Segment::Literal(text)) => shown_text(Some(text)),
        Some(Segment::Param) => format!("`{{{}}}`", name.unwrap_or_default()),
        Some(Segment::Rest) => "`**`".to_owned(),
        None => shown_text(None),
    }
}

fn shown_text(segment: Option<&str>) -> String {
    match segment {
        Some("") => "empty (a trailing slash)".to_owned(),
        Some(text) => format!("`{text}`"),
        None => "none (the end)".to_owned(),
    }
}

/// Of routes with one host and path: one that names the method; for HEAD, one that names GET; one that names none.
fn choose<'t>(owners: &[(RouteIndex, &'t Entry)], method: &Method) -> Option<(RouteIndex, &'t Entry)> {
    let naming = |method: &Method| owners.iter().find(|(_, entry)| entry.methods.contains(method));
    let implied = || if method == Method::HEAD { naming(&Method::GET) } else { None };
    let naming_none = || owners.iter().find(|(_, entry)| entry.methods.is_empty());
    naming(method).or_else(implied).or_else(naming_none).copied()
}

/// What keeps a matching route from owning the request.
fn outranked(own: &Rank, best: &Rank, owners: &[(RouteIndex, &Entry)]) -> Standing {
    let owner = owners.first().map(|(_, entry)| entry.pattern.to_string()).unwrap_or_default();
    if own.host != best.host {
        return Standing::HostOutranked { owner };
    }
    let same = own.path.iter().zip(&best.path).take_while(|(own, best)| own == best).count();
    Standing::PathOutranked { owner, segment: same + 1 }
}

/// The standing of a route that has the owner's host and path.
fn in_the_final(route: RouteIndex, entry: &Entry, winner: Option<(RouteIndex, &Entry)>, method: &Method) -> Standing {
    let accepted = accepted(entry);
    let takes = accepted.is_empty() || accepted.contains(method);
    match winner {
        Some((won, _)) if won == route => Standing::Won,
        Some((_, winner)) if takes => Standing::MethodOutranked { winner: winner.pattern.to_string() },
        _ => Standing::MethodDiffers { accepted },
    }
}

/// The methods that a route takes, sorted by name; empty for all.
fn accepted(entry: &Entry) -> Vec<Method> {
    let mut methods = entry.methods.clone();
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    methods.dedup();
    methods
}

#[cfg(test)]
mod tests;
