//! An answer that is stored: its head, its body, and where it came from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use portcullis_core::caching::{Freshness, VaryNames};
use portcullis_core::time::Moment;

use super::budget::Claim;
use crate::observe::RouteSeries;

/// An answer that is stored.
pub(crate) struct Stored {
    /// Its body, whole.
    pub(crate) body: Bytes,
    /// Counts its bytes for as long as anybody has it.
    pub(crate) _claim: Claim,
    pub(crate) head: Arc<Head>,
    /// A purge made it stale.
    pub(crate) is_softened: AtomicBool,
}

/// The head of an answer that others may have.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) freshness: Freshness,
    /// Its fields, but for those that belong to one exchange.
    pub(crate) headers: HeaderMap,
    /// The length of its body, where that is known.
    pub(crate) length: Option<u64>,
    /// Its fields as lines, but for the length.
    pub(crate) lines: Bytes,
    /// Where it came from, to be purged by.
    pub(crate) origin: Origin,
    /// Whose requests it is for.
    pub(crate) route: Arc<RouteSeries>,
    /// What its request said in the fields that it was chosen by.
    pub(crate) selected: Box<[u8]>,
    pub(crate) status: StatusCode,
    pub(crate) vary: VaryNames,
    pub(crate) version: Version,
}

/// What a stored answer is found by when it is to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The last invalidation or purge before it was asked for.
    pub(crate) began: u64,
    /// Where its URL stands among the invalidated.
    pub(crate) slot: usize,
    /// What the upstream calls it.
    pub(crate) tags: Box<[Box<str>]>,
    /// Its URL: scheme, host, port always, path, query.
    pub(crate) url: Box<str>,
}

/// What an entry takes beside its bytes: moka's own, and the structs.
const OVERHEAD: usize = 640;

/// What a field takes in its map beside its name and value.
const FIELD: usize = 96;

impl Stored {
    /// What it takes, beside its key.
    pub(crate) fn weight(&self) -> usize {
        self.head.weight() + self.body.len()
    }

    /// How fresh it is, purges included.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        let freshness = self.head.freshness;
        if self.is_softened.load(Ordering::Relaxed) { freshness.made_stale(now) } else { freshness }
    }
}

impl Head {
    /// What it takes, with all that goes with an entry but its key and its body.
    pub(crate) fn weight(&self) -> usize {
        let tags: usize = self.origin.tags.iter().map(|tag| tag.len() + size_of::<Box<str>>()).sum();
        let origin = self.selected.len() + self.origin.url.len() + tags;
        self.lines.len() + self.headers.len() * FIELD + origin + OVERHEAD
    }

    /// Whether it was chosen by what these fields of a request say. `room` is used and left as it was.
    pub(crate) fn is_for(&self, fields: &HeaderMap, room: &mut Vec<u8>) -> bool {
        if self.vary.is_empty() {
            return true;
        }
        let begin = room.len();
        self.vary.write(fields, room);
        let is_it = room.get(begin..) == Some(&*self.selected);
        room.truncate(begin);
        is_it
    }

    pub(super) fn is_same_variant(&self, other: &Self) -> bool {
        self.vary == other.vary && self.selected == other.selected
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("status", &self.head.status)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}
