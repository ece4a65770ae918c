//! The running server: workers, listeners, the admin door, and how they start and stop.
//!
//! One worker a core: a thread with a current-thread runtime, its own listening sockets and its own upstream connections.
//! The admin door has a thread of its own, so that a scrape never stalls a worker.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portcullis_core::time::Clock;
use tokio::sync::watch;

use crate::config::{Config, ListenAddress, LogSettings, Settings};
use crate::gateway::Gateway;
use crate::listen::bind::{Neighbours, bind};
use crate::observe::AccessLog;
use crate::worker::{Command, Worker};

/// A gateway with its threads and ports. Dropped, it stops at once; see [`Server::shutdown`] for the polite way.
#[derive(Debug)]
pub struct Server {
    gateway: Arc<Gateway>,
    workers: Vec<Worker>,
    listeners: Vec<Listener>,
    admin: Option<Admin>,
    settings: Settings,
}

/// The open admin door.
#[derive(Debug)]
struct Admin {
    address: SocketAddr,
    // Kept for its drop, which ends the thread and closes the door.
    _thread: Worker,
}

/// A bound address that is being accepted from.
#[derive(Debug)]
struct Listener {
    /// As configured: a reload that still has it leaves it alone.
    wanted: String,
    actual: SocketAddr,
    stop: watch::Sender<bool>,
}

/// Why a server did not start, or did not take over a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The access log cannot be written.
    AccessLog {
        /// Where it was to go.
        to: String,
        /// What the system says.
        source: io::Error,
    },
    /// An address cannot be listened on.
    Listen {
        /// Which.
        address: String,
        /// The key that names it.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Something in the new configuration takes a restart.
    NeedsRestart(Vec<String>),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessLog { to, source } => write!(f, "cannot write the access log to {to}: {source}"),
            Self::Listen { address, key, source } => {
                write!(f, "cannot listen on {address}: {source}")?;
                if source.kind() == io::ErrorKind::AddrInUse {
                    write!(f, "\n  another program has this port; stop it, or choose another address with `{key}`")?;
                }
                Ok(())
            }
            Self::NeedsRestart(what) => {
                write!(f, "nothing was changed, because a restart is needed for: {}", what.join("; "))
            }
            Self::Thread(source) => write!(f, "cannot start a thread: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AccessLog { source, .. } | Self::Listen { source, .. } | Self::Thread(source) => Some(source),
            Self::NeedsRestart(_) => None,
        }
    }
}

impl Server {
    /// Binds every address, then starts the workers: a server that returns is listening.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let settings = config.settings.clone();
        let access = access_log(&settings.log, &clock)?;
        let count = worker_count(settings.server.workers);
        let mut bound = Vec::new();
        for address in &settings.listen {
            bound.push((address.to_string(), listen(address, count, neighbours(address, &settings, &[]))?));
        }
        let admin = bind_admin(&settings)?;
        let gateway = Gateway::new(config, clock, access);
        let workers = (0..count).map(|number| Worker::start(&gateway, &format!("worker-{number}")));
        let workers = workers.collect::<Result<Vec<_>, _>>().map_err(StartError::Thread)?;
        let admin = admin.map(|bound| Admin::open(&gateway, bound)).transpose()?;
        let mut server = Self { gateway, workers, listeners: Vec::new(), admin, settings };
        for (wanted, (actual, sockets)) in bound {
            server.open(wanted, actual, sockets);
        }
        Ok(server)
    }

    /// The gateway.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Where clients arrive, in the configuration's order; a port 0 there is a real port here.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listener| listener.actual).collect()
    }

    /// Where the admin door is, if it is open.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Takes over another configuration: all of it, or nothing. A listener that stays is never closed; one that goes lets
    /// its connections finish.
    ///
    /// # Errors
    /// [`StartError::NeedsRestart`], or what a new address or log file says.
    pub fn reload(&mut self, config: Config) -> Result<(), StartError> {
        let settings = config.settings.clone();
        let fixed = self.settings.needs_restart(&settings);
        if !fixed.is_empty() {
            return Err(StartError::NeedsRestart(fixed));
        }
        let wanted: Vec<String> = config.settings.listen.iter().map(ToString::to_string).collect();
        let mut bound = Vec::new();
        for address in &config.settings.listen {
            if !self.listeners.iter().any(|listener| listener.wanted == address.to_string()) {
                let near = neighbours(address, &settings, &self.listeners);
                bound.push((address.to_string(), listen(address, self.workers.len(), near)?));
            }
        }
        let access = if settings.log == self.settings.log {
            None
        } else {
            Some(access_log(&settings.log, self.gateway.clock())?)
        };
        let door = |settings: &Settings| settings.admin.as_ref().map(|admin| admin.address.clone());
        let moves = door(&settings) != door(&self.settings);
        let admin = if moves { bind_admin(&settings)? } else { None };
        let admin = admin.map(|bound| Admin::open(&self.gateway, bound)).transpose()?;
        if moves {
            // The old door closes before the new rules hold: it never stands open under a token that is not its own.
            self.admin = admin;
        }
        self.gateway.reload(config, access).map_err(StartError::NeedsRestart)?;
        self.settings = settings;
        for (address, (actual, sockets)) in bound {
            self.open(address, actual, sockets);
        }
        self.listeners.retain(|listener| {
            let stays = wanted.contains(&listener.wanted);
            if !stays {
                listener.stop.send_replace(true);
            }
            stays
        });
        Ok(())
    }

    /// Stops accepting, tells every connection to end after the request it is at, and waits for that, at most
    /// `server.shutdown_grace`. Returns whether all ended by themselves.
    pub async fn shutdown(self) -> bool {
        let grace = self.gateway.running().settings.server.shutdown_grace;
        self.gateway.drain();
        for listener in &self.listeners {
            listener.stop.send_replace(true);
        }
        let drained = tokio::time::timeout(grace, async {
            // Who waited to be accepted is served too: each accept loop ends when nobody is left in its queue.
            for listener in &self.listeners {
                listener.stop.closed().await;
            }
            self.gateway.drained().await;
        });
        let drained = drained.await.is_ok();
        // What is left is cut here, with the worker that runs it; then the log has its last lines.
        let gateway = Arc::clone(&self.gateway);
        drop(self);
        gateway.access().shutdown(LAST_LINES);
        drained
    }

    fn open(&mut self, wanted: String, actual: SocketAddr, sockets: Vec<TcpListener>) {
        let (stop, stopped) = watch::channel(false);
        for (worker, socket) in self.workers.iter().zip(sockets) {
            worker.tell(Command::Accept(socket, stopped.clone()));
        }
        self.listeners.push(Listener { wanted, actual, stop });
    }
}

/// How long the access log may take to write what it holds when the process ends.
const LAST_LINES: Duration = Duration::from_secs(2);

fn worker_count(wanted: usize) -> usize {
    if wanted == 0 { thread::available_parallelism().map_or(1, NonZeroUsize::get) } else { wanted }
}

fn listen(
    address: &ListenAddress,
    count: usize,
    near: Neighbours,
) -> Result<(SocketAddr, Vec<TcpListener>), StartError> {
    let address = address.to_string();
    bind(&address, count, near).map_err(|source| StartError::Listen { address, key: "listen", source })
}

fn neighbours(address: &ListenAddress, settings: &Settings, open: &[Listener]) -> Neighbours {
    let is_ipv4 = |other: &ListenAddress| other.host.parse::<Ipv4Addr>().is_ok();
    Neighbours {
        ipv4: settings.listen.iter().any(|other| other.port == address.port && is_ipv4(other)),
        ours: address.port != 0 && open.iter().any(|listener| listener.actual.port() == address.port),
    }
}

/// The admin door. An address that was written and is taken is an error; the default one is done without.
fn bind_admin(settings: &Settings) -> Result<Option<(SocketAddr, Vec<TcpListener>)>, StartError> {
    let Some(admin) = &settings.admin else { return Ok(None) };
    let address = admin.address.to_string();
    match bind(&address, 1, Neighbours::default()) {
        Ok(bound) => Ok(Some(bound)),
        Err(source) if admin.written => Err(StartError::Listen { address, key: "admin.listen", source }),
        Err(error) => {
            tracing::warn!("going on without the admin listener: {error}");
            Ok(None)
        }
    }
}

fn access_log(settings: &LogSettings, clock: &Clock) -> Result<AccessLog, StartError> {
    crate::parts::access_log(settings, clock)
        .map_err(|source| StartError::AccessLog { to: settings.access.to_string(), source })
}

impl Admin {
    fn open(gateway: &Arc<Gateway>, (address, sockets): (SocketAddr, Vec<TcpListener>)) -> Result<Self, StartError> {
        let thread = Worker::start(gateway, "admin").map_err(StartError::Thread)?;
        sockets.into_iter().for_each(|socket| thread.tell(Command::Administer(socket)));
        Ok(Self { address, _thread: thread })
    }
}
