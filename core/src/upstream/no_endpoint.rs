//! That a pool has nobody left to ask.

use std::fmt;

use crate::rejection::Rejection;

/// Every endpoint of a pool was tried, or it has none: what [`Pool::pick`](super::Pool::pick) yields nothing for, as an error. The
/// answer to that is a 503.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoEndpoint;

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no endpoint is left to ask")
    }
}

impl std::error::Error for NoEndpoint {}

impl From<NoEndpoint> for Rejection {
    fn from(NoEndpoint: NoEndpoint) -> Self {
        Self::NoEndpoint
    }
}
