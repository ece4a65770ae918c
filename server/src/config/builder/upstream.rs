//! `[upstreams.*]`: what stands behind.

use super::Value;
use super::keys::keys;
use super::route::Respond;
use super::table::Table;
use crate::config::IN_CODE;

/// A named upstream. It needs a server.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Upstream(pub(super) Table);

/// When a request to an upstream is sent again.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Retries(pub(super) Table);

/// When one server of an upstream is left alone.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Eject(pub(super) Table);

/// How each server of an upstream is asked by itself. It needs a path.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Health(pub(super) Table);

/// When an upstream is left alone.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Breaker(pub(super) Table);

impl Upstream {
    keys! {
        /// "least-request", "round-robin", or "in-code": the program brings its picker.
        text balance;
        /// How long a connection may take.
        duration connect_timeout;
        /// Connections kept for each server.
        count idle_connections;
        /// Requests at a time, all servers together.
        count max_connections;
        /// Requests that may wait for one of these.
        count max_pending;
        /// Over how long a server that returns gets its share of the requests back.
        duration slow_start;
        /// For how long the upstream may take no bytes that we have.
        duration send_timeout;
        /// How long one attempt may take, to the complete response head.
        duration timeout;
    }

    /// `servers = "in-code"`: a service of the program, in place of servers.
    pub fn in_code(mut self) -> Self {
        self.0.set("servers", IN_CODE);
        self
    }

    /// One more server, by its URL.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.0.push("servers", url.into());
        self
    }

    /// One more server, with its share of the requests.
    pub fn weighted_server(mut self, url: impl Into<String>, weight: u32) -> Self {
        self.0.push("servers", Value::table([("url", Value::from(url.into())), ("weight", weight.into())]));
        self
    }

    /// Another upstream that answers when this one has failed.
    pub fn fallback(mut self, upstream: impl Into<String>) -> Self {
        self.0.set("fallback", upstream.into());
        self
    }

    /// A fixed answer when this one has failed.
    pub fn fallback_respond(mut self, status: u32, respond: impl FnOnce(Respond) -> Respond) -> Self {
        self.0.set("fallback", respond(Respond::of(status)).0);
        self
    }

    /// When a request is sent again.
    pub fn retries(mut self, retries: impl FnOnce(Retries) -> Retries) -> Self {
        self.0.set("retries", retries(Retries::default()).0);
        self
    }

    /// When one server is left alone.
    pub fn eject(mut self, eject: impl FnOnce(Eject) -> Eject) -> Self {
        self.0.set("eject", eject(Eject::default()).0);
        self
    }

    /// `eject = "off"`: no server is left alone for what it answers.
    pub fn no_eject(mut self) -> Self {
        self.0.set("eject", "off");
        self
    }

    /// How each server is asked by itself.
    pub fn health(mut self, health: impl FnOnce(Health) -> Health) -> Self {
        self.0.set("health", health(Health::default()).0);
        self
    }

    /// When it is left alone.
    pub fn breaker(mut self, breaker: impl FnOnce(Breaker) -> Breaker) -> Self {
        self.0.set("breaker", breaker(Breaker::default()).0);
        self
    }
}

impl Retries {
    keys! {
        /// How often at most; zero: never.
        count attempts;
        /// The longest wait before the first retry.
        duration backoff;
        /// How many requests may be retries, as a share of those that came.
        ratio budget;
        /// After what: "connect", "reset", or a status as text: "502".
        texts on;
        /// So many bytes of a body are kept to be sent again.
        size replay;
    }
}

impl Eject {
    keys! {
        /// So many failed attempts in a row.
        count failures;
        /// Never more than this share of the servers.
        ratio max;
    }

    /// `for`: it rests for so long.
    pub fn rest(mut self, rest: std::time::Duration) -> Self {
        self.0.set("for", rest);
        self
    }
}

impl Health {
    keys! {
        /// So many checks passed in a row make it healthy.
        count healthy;
        /// From one check to the next.
        duration interval;
        /// While a smaller share of the servers is healthy, health is ignored.
        ratio panic;
        /// What is asked for.
        text path;
        /// The statuses that say that it is well, as text: "200", "200-299".
        texts status;
        /// A check takes no longer.
        duration timeout;
        /// So many checks failed in a row make it unhealthy.
        count unhealthy;
    }
}

impl Breaker {
    keys! {
        /// The share of the last requests that opens it, in place of failures in a row.
        ratio failure_ratio;
        /// So many failures in a row open it.
        count failures;
        /// What the rests of a row grow up to.
        duration max_recovery;
        /// So many requests make a share.
        count minimum;
        /// The statuses that count as failures, as text: "502".
        texts on;
        /// So many requests try it again at one time.
        count probes;
        /// How long it stays open, the first time.
        duration recovery;
        /// How far back the share is counted.
        duration window;
    }
}
