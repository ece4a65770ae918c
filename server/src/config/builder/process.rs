//! `[server]`, `[admin]`, `[log]`, `[store]` and `[defaults]`: what concerns the process, and what routes get unasked.

use super::Limit;
use super::keys::keys;
use super::table::Table;

/// `[server]`: bounds and deadlines towards clients. Defaults are those of the file.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Server(pub(super) Table);

impl Server {
    keys! {
        /// No byte of a body, either way, for so long: the stream ends.
        duration body_timeout;
        /// A head that is not complete by then: 408.
        duration header_timeout;
        /// How long a connection may rest between requests.
        duration idle_timeout;
        /// The largest body, in bytes; over it: 413. A route may set its own.
        size max_body_size;
        /// How many connections there may be, over all listeners.
        count max_connections;
        /// The largest head, in bytes; over it: 431.
        size max_header_size;
        /// How many header fields a request may have; over it: 431.
        count max_headers;
        /// Which fields tell clients of their limits: "ratelimit", "x-ratelimit".
        texts rate_limit_headers;
        /// Who is asked for names of servers: "system", or the addresses of DNS servers.
        texts resolver;
        /// Whether DNS may say that a server is on this machine.
        flag resolver_loopback;
        /// How long what runs may go on after the signal to stop.
        duration shutdown_grace;
        /// As `body_timeout`, for upgraded connections and event streams.
        duration stream_idle_timeout;
        /// The one header that trusted proxies are believed: "x-forwarded-for" or "forwarded".
        text trusted_header;
        /// Whom forwarding headers are believed: networks, addresses, "unix".
        texts trusted_proxies;
        /// Event-loop threads; 0 means one a core.
        count workers;
    }

    /// `max_body_size = "off"`: no bound.
    pub fn no_max_body_size(mut self) -> Self {
        self.0.set("max_body_size", "off");
        self
    }
}

/// `[admin]`: the operator's own door.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Admin(pub(super) Table);

impl Admin {
    keys! {
        /// Its address, or "unix:PATH"; "" turns it off.
        text listen;
        /// For everything but `/livez` and `/readyz`.
        secret token;
    }
}

/// `[log]`.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Log(pub(super) Table);

impl Log {
    keys! {
        /// Where requests are logged: "stdout", "off" or the path of a file.
        text access;
        /// "auto", "json" or "text".
        text format;
        /// "error", "warn", "info", "debug" or "trace".
        text level;
    }
}

/// `[cache]`: the response cache as a whole.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Cache(pub(super) Table);

impl Cache {
    keys! {
        /// What it may hold, all routes together, in bytes.
        size size;
    }
}

/// `[store]`: where limits live.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Store(pub(super) Table);

impl Store {
    keys! {
        /// "memory"; "redis://…", "rediss://…", "unix:/PATH" or "redis+cluster://…"; or "in-code": the program brings it.
        secret url;
        /// What every key in Redis begins with.
        text prefix;
        /// What a request may wait for the store at most.
        duration timeout;
        /// What becomes of a limit that it does not decide: "share", "allow" or "deny".
        text on_failure;
    }
}

/// `[defaults]`: what a route gets when it does not say.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Defaults(pub(super) Table);

impl Defaults {
    keys! {
        /// The verifiers, any of which will do; or "none".
        texts auth;
        /// The limits, by name or as rates; all of them hold.
        texts limits;
    }

    /// One more limit, which is each such route's own.
    pub fn own_limit(mut self, limit: impl FnOnce(Limit) -> Limit) -> Self {
        self.0.push("limits", limit(Limit::default()).0);
        self
    }
}
