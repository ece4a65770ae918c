//! What a match took from the path: spans in a fixed array, so that a hit allocates nothing.

use std::fmt;

use super::pattern::{MAX_PARAMS, REST};

/// Where the parameters of a match stand in the path, from the left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    /// Start and end in bytes. Four bytes a number: 136 in all, which travel with a request.
    params: [(u32, u32); MAX_PARAMS],
    len: usize,
    /// Where the text that `**` took begins; it goes to the end of the path.
    rest: Option<u32>,
}

impl Spans {
    pub(super) const EMPTY: Self = Self { params: [(0, 0); MAX_PARAMS], len: 0, rest: None };

    /// Adds one. A pattern has at most `MAX_PARAMS`, so there is room.
    pub(super) fn push(&mut self, start: usize, end: usize) {
        if let Some(place) = self.params.get_mut(self.len) {
            *place = (offset(start), offset(end));
            self.len += 1;
        }
    }

    /// Takes back the last one: the search goes on elsewhere.
    pub(super) const fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    pub(super) fn set_rest(&mut self, start: usize) {
        self.rest = Some(offset(start));
    }

    fn taken(&self) -> &[(u32, u32)] {
        self.params.get(..self.len).unwrap_or_default()
    }
}

/// A path of 4 GiB does not exist; if it did, its far parameters would read as absent.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("params", &self.taken()).field("rest", &self.rest).finish()
    }
}

/// The parameters that a pattern took from a path: names from the route, values as they stand in the canonical path.
///
/// `rest` is what `**` took, without its leading slash; empty when it took nothing, absent when the pattern has no `**`.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    path: &'a str,
    spans: &'a Spans,
    names: &'a [Box<str>],
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const EMPTY: Params<'static> = Params { path: "", spans: &Spans::EMPTY, names: &[] };

    pub(super) const fn new(path: &'a str, spans: &'a Spans, names: &'a [Box<str>]) -> Self {
        Self { path, spans, names }
    }

    /// The value of `name`, as it stands in the canonical path: escapes are still escapes.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// Names and values from the left, `rest` last.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (path, spans) = (self.path, self.spans);
        let params = self.names.iter().zip(spans.taken()).filter_map(move |(name, (start, end))| {
            path.get(*start as usize..*end as usize).map(|value| (&**name, value))
        });
        let rest = spans.rest.and_then(move |start| path.get(start as usize..)).map(|value| (REST, value));
        params.chain(rest)
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
