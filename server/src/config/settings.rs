//! What the process itself is told: where it listens, its bounds and deadlines, its logs. What requests are decided by is
//! the [`Plan`](portcullis_core::plan::Plan).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use portcullis_core::limit::HeaderFamilies;

use super::resolve::Secret;

/// Everything but the plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The operator's own door; none when it is turned off.
    pub admin: Option<AdminSettings>,
    /// Where clients arrive; at least one.
    pub listen: Vec<ListenAddress>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Bounds and deadlines towards clients.
    pub server: ServerSettings,
    /// Where limits are counted.
    pub store: StoreSettings,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A TCP address.
    Tcp {
        /// An IP address without brackets, or a name to resolve.
        host: String,
        /// The port; 0 is any free one.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// No byte of a body, either way, for so long: the stream ends.
    pub body_timeout: Duration,
    /// A head that is not complete by then: 408.
    pub header_timeout: Duration,
    /// A connection between two requests is kept for so long.
    pub idle_timeout: Duration,
    /// Client connections at one time.
    pub max_connections: usize,
    /// Bytes of a head; over it 431. 8 KiB to 1 MiB.
    pub max_header_size: usize,
    /// Fields of a head; over it 431. 1 to 1000.
    pub max_headers: usize,
    /// Which fields tell a client about its limits.
    pub rate_limit_headers: HeaderFamilies,
    /// Who is asked for names of servers.
    pub resolver: ResolverSettings,
    /// After SIGTERM, what runs may go on for so long.
    pub shutdown_grace: Duration,
    /// [`body_timeout`](Self::body_timeout) for upgraded connections and event streams.
    pub stream_idle_timeout: Duration,
    /// Event-loop threads; 0 is one for each core.
    pub workers: usize,
}

/// Who is asked for names of servers, and what is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverSettings {
    /// DNS servers; none: those of the system's configuration, and its hosts file first.
    pub servers: Option<Box<[SocketAddr]>>,
    /// Whether a name may stand for a loopback address.
    pub loopback: bool,
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminSettings {
    /// Where.
    pub address: ListenAddress,
    /// What everything but /livez and /readyz asks for; none: nothing.
    pub token: Option<Secret>,
    /// Whether the file says where. A default that is taken is worth a warning, one that was asked for is an error.
    pub written: bool,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSettings {
    /// Where the access log goes.
    pub access: AccessLog,
    /// What a line looks like.
    pub format: LogFormat,
    /// What is worth a line.
    pub level: tracing::Level,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLog {
    /// To a file, which is opened anew on SIGHUP.
    File(PathBuf),
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSettings {
    /// Where limits are counted.
    pub place: StorePlace,
    /// What the names of keys begin with, where several nodes count together.
    pub prefix: String,
    /// What a request may wait for the store at most.
    pub timeout: Duration,
}

/// Where limits are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorePlace {
    /// Where the embedding program says.
    InCode,
    /// In this process.
    Memory,
    /// In Redis, at this URL, which may hold a password.
    Redis(Secret),
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { place: StorePlace::Memory, prefix: "portcullis".to_owned(), timeout: Duration::from_millis(25) }
    }
}

impl Settings {
    /// What of `new` cannot be applied while the process runs, one sentence for each; empty when everything can.
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.server.workers != new.server.workers {
            let (old, new) = (self.server.workers, new.server.workers);
            reasons.push(format!("server.workers changed from {old} to {new}: the event loops are made at start"));
        }
        if self.store.place != new.store.place {
            // Not the URLs themselves: they may hold a password.
            reasons.push("store.url changed: what was counted so far would be lost".to_owned());
        } else if self.store != new.store {
            reasons.push("store.prefix or store.timeout changed: the store is opened at start".to_owned());
        }
        reasons.extend(self.kinds_changed(new));
        reasons
    }

    /// A listener that is kept cannot become another kind of listener: whoever waits in its queue came for the old one.
    fn kinds_changed(&self, new: &Self) -> impl Iterator<Item = String> {
        let admin = |settings: &Self| settings.admin.as_ref().map(|admin| admin.address.clone());
        let takes = |listen: &[ListenAddress], door: Option<ListenAddress>| {
            door.filter(|door| listen.iter().any(|address| address.collides(door)))
        };
        let to_admin = takes(&self.listen, admin(new)).map(|address| {
            format!(
                "the listener `{address}` changed its kind: it is a client listener and would be the admin listener"
            )
        });
        let to_clients = takes(&new.listen, admin(self)).map(|address| {
            format!(
                "the listener `{address}` changed its kind: it is the admin listener and would be a client listener"
            )
        });
        to_admin.into_iter().chain(to_clients)
    }
}

impl ListenAddress {
    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            }
            Self::Unix(_) => true,
        }
    }

    /// The socket's address, where it is an IP address and a port.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { host, port } => Some(SocketAddr::new(host.parse().ok()?, *port)),
            Self::Unix(_) => None,
        }
    }

    /// Whether two listeners would stand in each other's way. Any number of them may ask for any free port.
    pub(crate) fn collides(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp { port: 0, .. })
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Off => f.write_str("off"),
            Self::Stdout => f.write_str("stdout"),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
