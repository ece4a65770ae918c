//! What an origin remembers of a request.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::Message;

/// The field by which a test knows its request again, wherever it arrives and however often.
pub const MARKER: &str = "x-marker";

/// A request whose head reached an origin. It may have been executed from then on: an origin need not wait for the body.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// On which connection, in the order in which they were made.
    pub connection: usize,
    /// What was wrong with the origin then.
    pub fault: String,
    /// Its method.
    pub method: String,
    /// Its marker, if it had one.
    pub marker: String,
    /// Its body, once it has arrived to its end.
    pub body: Option<Digest>,
    /// How it went on.
    pub end: End,
}

/// A body's length and hash: two are the same if these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub usize, u64);

/// How an exchange ended, as the origin saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of the answer was given to the connection.
    Answered,
    /// The origin ended the connection itself.
    Broken,
    /// The other side ended the connection, so long after the head had arrived.
    Cut(Duration),
    /// It goes on.
    Open,
}

impl Digest {
    /// That of a body.
    pub fn of(body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self(body.len(), hasher.finish())
    }
}

impl Arrival {
    pub(super) fn new(head: &Message, connection: usize, fault: String) -> Self {
        let marker = head.get(MARKER).unwrap_or_default().to_owned();
        Self { connection, fault, method: head.method().to_owned(), marker, body: None, end: End::Open }
    }
}
