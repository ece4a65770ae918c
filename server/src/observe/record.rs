//! What one request leaves behind.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use portcullis_core::auth::Identity;
use portcullis_core::time::Moment;

use super::clip::Clip;
use super::metrics::{RouteSeries, UpstreamSeries};

/// What one request leaves behind: filled by the steps as they learn it, read once when the response body ends.
///
/// Setting a field copies or counts a reference; nothing is formatted before the end. There is no place for a token, a
/// header field's value (but the request id) or a query. Every field but the first three may stay as it began.
#[derive(Debug)]
#[non_exhaustive]
pub struct Record {
    /// When the head was complete.
    pub started: Moment,
    /// The method.
    pub method: Method,
    /// The protocol the client speaks.
    pub version: Version,
    /// The client, as `trusted_proxies` has it.
    pub client: Option<IpAddr>,
    /// The request id, the client's own or ours.
    pub request_id: Option<Clip>,
    /// The host asked for.
    pub host: Option<Clip>,
    /// The canonical path, never with a query; before there is one, the path as it came.
    pub path: Option<Clip>,
    /// The route, once there is one.
    pub route: Option<Arc<RouteSeries>>,
    /// Who the request is from, once a verifier said so.
    pub identity: Option<Arc<Identity>>,
    /// What step 2 decided.
    pub auth: Option<AuthOutcome>,
    /// Why a token was refused, for the operator's eyes only.
    pub auth_reason: Option<&'static str>,
    /// What step 3 decided.
    pub limit: Option<LimitRecord>,
    /// What the cache did, on a route that keeps answers.
    pub cache: Option<CacheOutcome>,
    /// The upstream, once it was asked.
    pub upstream: Option<Arc<UpstreamSeries>>,
    /// The breaker's state when the request asked for its leave.
    pub breaker: Option<BreakerState>,
    /// The authority of the endpoint that was tried last.
    pub endpoint: Option<Arc<str>>,
    /// How many attempts were made.
    pub attempts: u8,
    /// From the start of the last attempt to its complete response head.
    pub until_head: Option<Duration>,
    /// The status sent, once a head was; of a refused gRPC call the one that others would have got.
    pub status: Option<StatusCode>,
    /// Bytes of the request's body that arrived; of a tunnel, those that went to the upstream.
    pub bytes_received: u64,
    /// Bytes of the response's body that were sent; of a tunnel, those that went to the client.
    pub bytes_sent: u64,
    /// Why it ended. It begins as [`Ending::ClientGone`], because that is what is true if nobody gets to say more.
    pub ending: Ending,
    /// Whose side an error was on, where the ending does not say it; see [`Record::origin`].
    pub origin: Option<Origin>,
}

impl Record {
    /// A request whose head was complete at `started`.
    pub const fn new(started: Moment, method: Method, version: Version) -> Self {
        Self {
            started,
            method,
            version,
            client: None,
            request_id: None,
            host: None,
            path: None,
            route: None,
            identity: None,
            auth: None,
            auth_reason: None,
            limit: None,
            cache: None,
            upstream: None,
            breaker: None,
            endpoint: None,
            attempts: 0,
            until_head: None,
            status: None,
            bytes_received: 0,
            bytes_sent: 0,
            ending: Ending::ClientGone,
            origin: None,
        }
    }

    /// The status as a number: what was sent; 499 when the client left before that, 500 when nothing could be sent.
    pub fn status(&self) -> u16 {
        match (self.status, self.ending) {
            (Some(status), _) => status.as_u16(),
            (None, Ending::ClientGone) => 499,
            (None, _) => 500,
        }
    }

    /// Whose side the error was on; nobody's when there was none. What [`Record::origin`](field@Record::origin) says, or
    /// else what the ending implies.
    pub fn origin(&self) -> Option<Origin> {
        self.origin.or(match self.ending {
            Ending::ClientGone => Some(Origin::Client),
            Ending::Panicked | Ending::Stopped => Some(Origin::Gateway),
            Ending::TimedOut | Ending::UpstreamCut => Some(Origin::Upstream),
            Ending::ClientClosed | Ending::Complete | Ending::Idle | Ending::UpstreamClosed => None,
            Ending::Rejected(_) => Some(match self.status() {
                ..500 => Origin::Client,
                502 | 504 => Origin::Upstream,
                _ => Origin::Gateway,
            }),
        })
    }
}

/// What authentication decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthOutcome {
    /// A verifier accepted the token.
    Accepted,
    /// The route asks for none.
    NotAsked,
    /// No token, or none that is good.
    Refused,
    /// Too many failures from this client: not even looked at.
    Throttled,
    /// The keys to check it with were never had.
    Unavailable,
}

impl AuthOutcome {
    /// The word for it in logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotAsked => "not-asked",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The state of an upstream's breaker; complete by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// One probe at a time passes.
    HalfOpen,
    /// Requests are refused at once.
    Open,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The word for it in logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// What the cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheOutcome {
    /// It had nothing to do with it: the request's method, or something else in it.
    Bypass,
    /// It waited for the answer to another.
    Collapsed,
    /// It was answered from what is stored.
    Hit,
    /// Its upstream was asked.
    Miss,
    /// Its upstream said that what is stored still holds.
    Revalidated,
    /// It was answered from what is stored and stale.
    Stale,
}

impl CacheOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [Self::Bypass, Self::Collapsed, Self::Hit, Self::Miss, Self::Revalidated, Self::Stale];

    /// The word for it in logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Collapsed => "collapsed",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
        }
    }
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The client closed a tunnel, and then the upstream did.
    ClientClosed,
    /// The client went away before it had the whole response, or broke off a tunnel.
    ClientGone,
    /// The response was sent to its end.
    Complete,
    /// No byte went through a tunnel for too long.
    Idle,
    /// The gateway's own code panicked.
    Panicked,
    /// The gateway refused it; the rejection's stable code.
    Rejected(&'static str),
    /// The gateway stopped, and a tunnel was open when its grace was over.
    Stopped,
    /// The response's head was sent, and then no byte for too long.
    TimedOut,
    /// The upstream closed a tunnel, and then the client did.
    UpstreamClosed,
    /// The response's head was sent, and then the upstream broke off.
    UpstreamCut,
}

impl Ending {
    /// The word for it in logs and metrics; the code of a rejection is told beside it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClientClosed => "client-closed",
            Self::ClientGone => "client-gone",
            Self::Complete => "complete",
            Self::Idle => "idle",
            Self::Panicked => "panicked",
            Self::Rejected(_) => "rejected",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed-out",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamCut => "upstream-cut",
        }
    }
}

/// The limit that decided, and what it decided.
#[derive(Clone, Debug)]
pub struct LimitRecord {
    /// The limit's name.
    pub name: Arc<str>,
    /// What it decided.
    pub outcome: LimitOutcome,
    /// What is left of it after this request; not told of one that would refuse.
    pub remaining: Option<u64>,
    /// This node decided alone, by its share, because the store did not.
    pub alone: bool,
}

/// What the limits decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitOutcome {
    /// All held.
    Admitted,
    /// One did not hold.
    Refused,
    /// The store did not answer; what happened then is the status's business.
    StoreLost,
    /// All that are enforced held, and one in shadow did not.
    WouldRefuse,
}

impl LimitOutcome {
    /// The word for it in logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::StoreLost => "store-lost",
            Self::WouldRefuse => "would-refuse",
        }
    }
}

/// Whose side an error was on; complete by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client's.
    Client,
    /// The gateway's own.
    Gateway,
    /// The upstream's.
    Upstream,
}

impl Origin {
    /// The word for it in logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::new(Moment::default(), Method::GET, Version::HTTP_11)
    }

    #[test]
    fn a_request_that_nobody_finished_is_a_client_that_left() {
        let record = record();
        assert_eq!(
            (record.status(), record.ending.code(), record.origin()),
            (499, "client-gone", Some(Origin::Client))
        );
    }

    #[test]
    fn a_status_that_was_sent_stays() {
        let mut record = record();
        record.status = Some(StatusCode::OK);
        assert_eq!((record.status(), record.ending), (200, Ending::ClientGone));
        record.ending = Ending::Complete;
        assert_eq!(record.origin(), None);
    }

    #[test]
    fn what_was_said_of_the_origin_beats_what_is_implied() {
        let mut record = record();
        record.status = Some(StatusCode::SERVICE_UNAVAILABLE);
        record.ending = Ending::Rejected("breaker-open");
        assert_eq!(record.origin(), Some(Origin::Gateway));
        record.origin = Some(Origin::Upstream);
        assert_eq!(record.origin(), Some(Origin::Upstream));
    }

    /// It rides in the request's future and on the body.
    #[test]
    fn is_small() {
        assert!(size_of::<Record>() <= 448, "{} bytes", size_of::<Record>());
    }
}
