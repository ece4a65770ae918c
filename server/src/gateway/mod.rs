//! The gateway inside a program: answers requests that the program hands it, or serves a listener that it is given.
//!
//! It opens no port of its own, installs nothing and spawns nothing but the connections of [`Gateway::serve`]; see
//! [`Server`](crate::Server) for one with ports and threads.

mod brought;
mod builder;
mod call;
mod chance;
mod purge;
mod serve;
mod service;
mod state;
mod store;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Clock;

pub(crate) use self::brought::{Brought, Watcher, in_code};
pub use self::builder::GatewayBuilder;
pub use self::call::{ResponseBody, ResponseBodyError};
pub(crate) use self::chance::Chance;
pub use self::serve::Listener;
pub use self::service::{Admin, ResponseFuture};
pub(crate) use self::state::{OpenTunnel, Place, State};
use crate::config::{Config, LogSettings};
pub use crate::forward::body::BodyFailure as RequestBodyError;
pub use crate::forward::in_code::RequestBody;
use crate::observe::AccessLog;

/// A gateway: a configuration that runs. Clones are the same gateway, and cheap.
///
/// Three ways to use one: [`serve`](Self::serve) a listener, [`handle`](Self::handle) one request, or as the tower service that
/// it is.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt as _, Empty};
/// use portcullis::Gateway;
/// use portcullis::config;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let plan = config::from_text("example", r#"
///     [log]
///     access = "off"
///     [[routes]]
///     path = "/hello"
///     respond = { status = 200, body = "hello" }
/// "#)?;
/// let gateway = Gateway::new(plan).await?;
///
/// let request = http::Request::get("/hello").header("host", "shop.test").body(Empty::<Bytes>::new())?;
/// let response = gateway.handle(request).await;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gateway(pub(crate) Arc<State>);

/// Why there is no gateway.
#[derive(Debug)]
#[non_exhaustive]
pub enum GatewayError {
    /// The access log cannot be written.
    AccessLog {
        /// Where it was to go.
        to: String,
        /// What the system says.
        source: io::Error,
    },
    /// What the configuration calls "in-code" and what the program brings do not go together: one sentence for each.
    InCode(Vec<String>),
    /// What of a new configuration cannot change while a gateway runs: one sentence for each.
    NeedsRestart(Vec<String>),
    /// The store of limits cannot be opened. That nobody answers there is no such case: it is tried until somebody does.
    Store(String),
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessLog { to, source } => write!(f, "cannot write the access log to {to}: {source}"),
            Self::InCode(problems) => f.write_str(&problems.join("\n")),
            Self::NeedsRestart(what) => {
                write!(f, "nothing was changed, because a restart is needed for: {}", what.join("; "))
            }
            Self::Store(why) => write!(f, "[store] cannot be opened: {why}"),
        }
    }
}

impl std::error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AccessLog { source, .. } => Some(source),
            Self::InCode(_) | Self::NeedsRestart(_) | Self::Store(_) => None,
        }
    }
}

impl Gateway {
    /// A gateway that runs `config`. What the configuration says of ports, workers and the admin listener concerns whoever opens
    /// them, and is not looked at.
    ///
    /// # Errors
    /// [`GatewayError`]
    pub async fn new(config: Config) -> Result<Self, GatewayError> {
        Self::builder(config).build().await
    }

    /// The same, with parts of the program's own.
    pub fn builder(config: Config) -> GatewayBuilder {
        GatewayBuilder::new(config)
    }

    pub(crate) fn with(mut config: Config, clock: Clock, brought: Brought) -> Result<Self, GatewayError> {
        brought.put_into(&mut config).map_err(GatewayError::InCode)?;
        let access = access_log(&config.settings.log, &clock)?;
        State::new(config, clock, access, brought).map(Self)
    }

    /// Its metrics, readiness and liveness as a service, to be mounted where the program likes.
    pub fn admin(&self) -> Admin {
        Admin(Arc::clone(&self.0))
    }

    /// Swaps in another configuration in one step: each request is decided by the one it began with. Counters, breakers,
    /// connections and series go on where their names stay, and so does the access log.
    ///
    /// # Errors
    /// [`GatewayError`]; then nothing has changed.
    pub fn reload(&self, config: Config) -> Result<(), GatewayError> {
        self.0.reload(config, None)
    }

    /// Notes that a configuration was not taken over, and why: `/readyz` and the metrics say so until one is.
    pub fn reload_failed(&self, problem: String) {
        self.0.reload_failed(problem);
    }

    /// Why the last configuration was not taken over, if it was not.
    pub fn last_reload_problem(&self) -> Option<String> {
        self.0.last_reload_problem()
    }

    /// How many plans are in memory: the one in force, and older ones of requests and connections that began under them and
    /// have had no request since. A connection takes the newest with its next request, and goes after `server.idle_timeout`.
    pub fn plans(&self) -> usize {
        self.0.plans()
    }

    /// Opens the access log's file anew: after somebody moved it away.
    pub fn reopen_log(&self) {
        self.0.access().reopen();
    }

    /// Waits until every line that the access log has so far is written or lost, `within` at most; whether it was. Blocks: for
    /// the end of a program, and not for an asynchronous task.
    pub fn flush_log(&self, within: Duration) -> bool {
        self.0.access().flush(within)
    }

    /// Tells every connection to end after the request it is at; `/readyz` says no from now on. Requests that are handed in are
    /// still answered.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Whether it is on its way out: `/readyz` says no.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }
}

/// The access log that `[log]` asks for.
pub(crate) fn access_log(settings: &LogSettings, clock: &Clock) -> Result<AccessLog, GatewayError> {
    crate::parts::access_log(settings, clock)
        .map_err(|source| GatewayError::AccessLog { to: settings.access.to_string(), source })
}
