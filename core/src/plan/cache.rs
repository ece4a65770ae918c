//! How a route's answers are kept.

use std::time::Duration;

use crate::source::Source;

/// How a route's answers are kept: what its table `cache` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// What tells requests apart in place of host, port, path and query: all of them together. The scheme and the route
    /// always do.
    pub key: Option<Box<[Source]>>,
    /// The largest body that is kept, in bytes.
    pub max_size: u64,
    /// Whom answers are kept apart for; none: they are for everybody. A request without it goes past the cache.
    pub per: Option<Source>,
    /// How long after it is stale an answer may stand in for a failure, where the origin does not say.
    pub stale_if_error: Option<Duration>,
    /// How long after it is stale an answer may be used while it is asked for again, where the origin does not say.
    pub stale_while_revalidate: Option<Duration>,
    /// The cookies that the route's verifiers take tokens from. They are no reason to go past the cache: whoever they
    /// are from counts as identified.
    pub token_cookies: Box<[Box<str>]>,
    /// How long an answer is fresh, where the origin does not say.
    pub ttl: Option<Duration>,
}

impl CacheRule {
    /// The largest body that is kept unless the route says: 1 MiB.
    pub const MAX_SIZE: u64 = 1024 * 1024;
    /// What the cache as a whole may hold unless the file says: 256 MiB.
    pub const SIZE: u64 = 256 * 1024 * 1024;

    /// What `cache = "on"` is: as the origin says.
    pub fn on() -> Self {
        Self {
            key: None,
            max_size: Self::MAX_SIZE,
            per: None,
            stale_if_error: None,
            stale_while_revalidate: None,
            token_cookies: Box::default(),
            ttl: None,
        }
    }

    /// Whether cookies are known to the route: it keys by one, or keeps answers apart. Else a request with cookies of
    /// its own goes past the cache.
    pub fn takes_cookies(&self) -> bool {
        self.per.is_some() || self.key.iter().flatten().any(Source::reads_cookie)
    }

    /// Whether answers are kept apart for who they are for. Of somebody whom a verifier accepted, only by what the
    /// verifier said.
    pub fn keeps_apart(&self, verified: bool) -> bool {
        self.per.as_ref().is_some_and(|per| !verified || per.needs_identity())
    }
}
