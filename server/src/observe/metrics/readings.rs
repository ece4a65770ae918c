//! States that are read when somebody scrapes.

use std::sync::Arc;
use std::time::Duration;

use crate::observe::record::BreakerState;

/// States that others keep, read when somebody scrapes. What is left as it began is nought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    /// [`AccessLog::dropped`](crate::observe::AccessLog::dropped).
    pub access_log_dropped: u64,
    /// The cache, where any route keeps answers.
    pub cache: Option<CacheReading>,
    /// Client connections that are open.
    pub connections_open: u64,
    /// Every verifier of the plan in force whose keys are fetched.
    pub keys: Vec<KeysReading>,
    /// Keys that the limit store holds.
    pub limit_keys: u64,
    /// Charges that found the limit store full.
    pub limit_overflowed: u64,
    /// Every name of servers that is looked up.
    pub names: Vec<NameReading>,
    /// The store of limits, where several nodes share it.
    pub store: Option<StoreReading>,
    /// Plans in memory: the one in force, and those that connections still have.
    pub plans: u64,
    /// Client connections that became tunnels and are open.
    pub tunnels_open: u64,
    /// Every upstream of the plan in force.
    pub upstreams: Vec<UpstreamReading>,
}

/// The state of the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheReading {
    /// Bytes of answers that are stored, on their way or still read.
    pub bytes: u64,
    /// Keys with answers.
    pub keys: u64,
    /// What it may hold.
    pub size: u64,
    /// Requests that wait for an answer on its way.
    pub waiting: u64,
}

/// The state of the keys of one verifier.
#[derive(Clone, Debug)]
pub(crate) struct KeysReading {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Fetches that failed.
    pub failed: u64,
    /// Fetches that brought keys.
    pub fetched: u64,
    /// Keys in force.
    pub keys: u64,
    /// When keys came last, in seconds since the epoch; none when they never did.
    pub last_fetched: Option<u64>,
}

impl KeysReading {
    /// A verifier that never had keys.
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), failed: 0, fetched: 0, keys: 0, last_fetched: None }
    }
}

/// The state of a name that is looked up.
#[derive(Clone, Debug)]
pub(crate) struct NameReading {
    /// Its URL in the configuration.
    pub server: String,
    /// Addresses that it stands for.
    pub addresses: u64,
    /// Look-ups that failed, or found nothing.
    pub failed: u64,
    /// Look-ups that found something.
    pub found: u64,
    /// Look-ups fail.
    pub stale: bool,
}

/// The state of a store of limits that several nodes share.
#[derive(Clone, Debug)]
pub(crate) struct StoreReading {
    /// How it is doing.
    pub state: StoreState,
    /// Nodes that count there, as last known.
    pub nodes: u64,
    /// Requests that it decided.
    pub decisions: u64,
    /// Requests that it did not.
    pub undecided: u64,
    /// Requests that this node decided from what it had taken ahead.
    pub leased: u64,
    /// What came of taking ahead, by name.
    pub leases: [(&'static str, u64); 5],
    /// Connections after the first.
    pub reconnects: u64,
    /// Requests that this node decided by its share, because the store had lost its data.
    pub shares: u64,
    /// Requests that waited for it as long as they may.
    pub timeouts: u64,
}

/// How a store is doing that several nodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "no store is lost that is not built"))]
pub(crate) enum StoreState {
    /// It was never there yet.
    Connecting,
    /// It does not answer, for so long already.
    Lost { lately: Duration },
    /// It has lost its data, and this node decides its share for so long still.
    Recovering { left: Duration },
    /// It decides.
    Shared,
}

impl StoreState {
    /// All codes.
    pub(crate) const CODES: [&str; 4] = ["connecting", "lost", "recovering", "shared"];

    /// A stable word for it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Lost { .. } => "lost",
            Self::Recovering { .. } => "recovering",
            Self::Shared => "shared",
        }
    }
}

/// The state of one upstream.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamReading {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its breaker's state, where it has one.
    pub breaker: Option<BreakerState>,
    /// How many times the breaker opened.
    pub breaker_opened: u64,
    /// How many of these were by a probe that failed.
    pub breaker_reopened: u64,
    /// Connections that are kept for later.
    pub connections_idle: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// Attempts that found an open connection.
    pub connections_reused: u64,
    /// Its servers, as many as have series of their own.
    pub endpoints: Vec<EndpointReading>,
    /// How many servers it has now, each address of a name one.
    pub endpoint_count: u64,
    /// Attempts that run now.
    pub in_flight: u64,
    /// Requests that wait for their turn.
    pub pending: u64,
    /// Health is ignored.
    pub panicking: bool,
}

/// The state of one server of an upstream.
#[derive(Clone, Debug)]
pub(crate) struct EndpointReading {
    /// It is asked.
    pub asked: bool,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Checks that passed.
    pub checks_passed: u64,
    /// It rests.
    pub ejected: bool,
    /// How many times it was ejected.
    pub ejections: u64,
    /// Its checks do not fail.
    pub healthy: bool,
    /// Attempts that run now.
    pub in_flight: u64,
    /// As the log calls it.
    pub name: Arc<str>,
}

impl UpstreamReading {
    /// An upstream that has done nothing yet, without a breaker.
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            breaker: None,
            breaker_opened: 0,
            breaker_reopened: 0,
            connections_idle: 0,
            connections_opened: 0,
            connections_reused: 0,
            endpoints: Vec::new(),
            endpoint_count: 0,
            in_flight: 0,
            pending: 0,
            panicking: false,
        }
    }
}
