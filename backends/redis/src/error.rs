//! What goes wrong.

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::url::UrlError;

/// Why a store cannot begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no tokio runtime to speak to the server on.
    NoRuntime,
    /// A prefix of keys that is none.
    Prefix,
    /// A further root that is not a certificate in PEM.
    Root,
    /// TLS cannot be set up: the operating system has no roots, for one.
    Tls(String),
    /// Nobody answers there, or not as a store does: what was said, without the URL.
    Unreachable(String),
    /// The URL is not that of a store.
    Url(UrlError),
}

/// Why a request was not decided: the source of a [`StoreError`](portcullis_core::limit::StoreError).
#[derive(Debug)]
#[non_exhaustive]
pub enum Undecided {
    /// So many requests wait for the server that one more would wait too long.
    Busy,
    /// A server of a cluster, spoken to as if it were the only one.
    InCluster,
    /// The server was lost, and is being looked for; or was never found yet.
    Lost,
    /// The server refused to count, or the connection broke.
    Redis(Refusal),
    /// The server answered what is no answer to what was asked.
    Reply,
    /// An algorithm that is not counted here.
    Unknown,
    /// The server did not answer within this time.
    Waited(Duration),
}

/// What a server refused with, or how the connection broke. It is for the log; there is nothing in it to act on.
#[derive(Clone, Debug)]
pub struct Refusal(RedisError);

impl Undecided {
    /// Whether the server is lost with it, and not only this request's decision.
    pub(crate) fn is_loss(&self) -> bool {
        match self {
            Self::Busy | Self::InCluster | Self::Lost | Self::Reply | Self::Unknown => false,
            Self::Redis(Refusal(error)) => is_loss(error),
            Self::Waited(_) => true,
        }
    }
}

/// A connection that broke, or a server that says that it is not (or not now) the one to ask. Any other error of a server is one
/// request's: it answers, and may decide the next.
fn is_loss(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        ErrorKind::ClusterConnectionNotFound | ErrorKind::Io | ErrorKind::Parse => true,
        _ => error.is_unrecoverable_error(),
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str("there is no tokio runtime to speak to Redis on"),
            Self::Prefix => f.write_str(
                "a prefix of keys is 1 to 64 letters, digits, and `-`, `_`, `.`, `:`, `/`; for example \"portcullis\"",
            ),
            Self::Root => f.write_str("this is not a certificate in PEM"),
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
            Self::Unreachable(error) => write!(f, "the store cannot be used: {error}"),
            Self::Url(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<UrlError> for OpenError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many requests wait for Redis"),
            Self::InCluster => {
                f.write_str("this is a server of a Redis Cluster: write \"redis+cluster://host:port\" instead of \"redis://host:port\"")
            }
            Self::Lost => f.write_str("Redis is lost"),
            Self::Redis(Refusal(error)) => error.fmt(f),
            Self::Reply => f.write_str("Redis answered what is no answer to the script"),
            Self::Unknown => f.write_str("the limit's algorithm is not counted here"),
            Self::Waited(time) => write!(f, "Redis did not answer within {time:?}"),
        }
    }
}

impl std::error::Error for Undecided {}

impl From<RedisError> for Undecided {
    fn from(error: RedisError) -> Self {
        Self::Redis(Refusal(error))
    }
}
