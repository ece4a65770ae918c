//! Names that have series of their own, so many and no more.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Metrics;

/// What belongs to no route: the request was refused before it had one.
pub(super) const NONE: usize = 0;
/// What belongs to names that came when there were too many.
const OTHER: usize = 1;

/// A name and its number in every shard.
#[derive(Clone)]
pub(super) struct Series {
    pub(super) index: usize,
    name: Arc<str>,
}

/// Where the requests of one route are counted; it carries the route's name.
#[derive(Clone)]
pub struct RouteSeries(pub(super) Series);

/// Where the attempts at one upstream are counted; it carries the upstream's name.
#[derive(Clone)]
pub struct UpstreamSeries(pub(super) Series);

/// Where the refusals of one limit are counted.
#[derive(Clone)]
pub(crate) struct LimitSeries(pub(super) Series);

impl RouteSeries {
    /// The route's name, which a shared series does not have in metrics.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl UpstreamSeries {
    /// The upstream's name, which a shared series does not have in metrics.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl From<Series> for LimitSeries {
    fn from(series: Series) -> Self {
        Self(series)
    }
}

impl From<Series> for Arc<RouteSeries> {
    fn from(series: Series) -> Self {
        Self::new(RouteSeries(series))
    }
}

impl From<Series> for Arc<UpstreamSeries> {
    fn from(series: Series) -> Self {
        Self::new(UpstreamSeries(series))
    }
}

impl fmt::Debug for LimitSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LimitSeries({})", self.0.name)
    }
}

impl fmt::Debug for RouteSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteSeries({})", self.0.name)
    }
}

impl fmt::Debug for UpstreamSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamSeries({})", self.0.name)
    }
}

/// The names of one kind, numbered in the order they came. A number is never given to another name.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Arc<str>, usize>,
    folded: u64,
}

impl Names {
    /// The name's number, the next one when it is new, [`OTHER`]'s when there are too many.
    pub(super) fn find(&self, name: &str) -> Series {
        let mut known = self.known();
        if let Some((name, index)) = known.numbers.get_key_value(name) {
            return Series { index: *index, name: Arc::clone(name) };
        }
        let name: Arc<str> = name.into();
        if known.numbers.len() >= Metrics::MAX_NAMES {
            known.folded += 1;
            return Series { index: OTHER, name };
        }
        let index = known.numbers.len() + OTHER + 1;
        known.numbers.insert(Arc::clone(&name), index);
        Series { index, name }
    }

    /// How many times a name found no number of its own.
    pub(super) fn folded(&self) -> u64 {
        self.known().folded
    }

    /// The labels, by number.
    pub(super) fn labels(&self) -> Vec<Arc<str>> {
        let known = self.known();
        let mut named: Vec<_> = known.numbers.iter().map(|(name, index)| (*index, Arc::clone(name))).collect();
        named.sort_unstable();
        let fixed = ["(none)", "(other)"].map(Arc::from);
        fixed.into_iter().chain(named.into_iter().map(|(_, name)| name)).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
