//! When a request is sent again.

use std::time::Duration;

use http::StatusCode;

/// When a request that an upstream did not answer well is sent again. Only what is safe to repeat is: see [`Retries::on`].
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// How often at most, beyond the first time. None at all where it is zero.
    pub attempts: u8,
    /// The longest wait before the first retry; it doubles with each. The wait itself is drawn at random.
    pub backoff: Duration,
    /// How many requests may be retries, as a share of those that came.
    pub budget: f64,
    /// After what.
    pub on: RetryOn,
    /// So many bytes of a body are kept to be sent again; a request with more is sent once.
    pub replay: usize,
}

/// What a request is sent again after.
///
/// Where no connection could be made, nobody was asked for anything: any request goes on to the next server. After that only one
/// whose method is idempotent (RFC 9110, section 9.2.2), and whose body is still there, goes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection, or not in time.
    pub connect: bool,
    /// A connection that broke before a complete head, or that brought no HTTP.
    pub reset: bool,
    /// Answers with these statuses. 504 stands for no answer in time too.
    pub statuses: Box<[StatusCode]>,
}

impl RetryOn {
    /// The words beside statuses: [`connect`](field@Self::connect).
    pub const CONNECT: &'static str = "connect";
    /// [`reset`](field@Self::reset).
    pub const RESET: &'static str = "reset";
}
