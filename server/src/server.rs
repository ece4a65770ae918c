//! The running server: workers, listeners, the admin door, and how they start and stop.
//!
//! One worker a core: a thread with a current-thread runtime, its own listening sockets and its own upstream connections.
//! The admin door has a thread of its own, so that a scrape never stalls a worker.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::config::{Config, ListenAddress, Settings};
use crate::gateway::{self, Brought, Gateway, GatewayError, State};
use crate::listen::bind::Neighbours;
use crate::listen::unix::SocketFile;
use crate::listeners::{Bound, Listeners, bind_one};
use crate::worker::{Command, Worker};
use portcullis_core::time::Clock;

/// A gateway with its threads and ports. Dropped, it stops at once; see [`Server::shutdown`] for the polite way.
#[derive(Debug)]
pub struct Server {
    gateway: Gateway,
    workers: Vec<Worker>,
    listeners: Listeners,
    admin: Option<Admin>,
    settings: Settings,
}

/// The open admin door.
#[derive(Debug)]
struct Admin {
    address: ListenAddress,
    // Kept for their drops: first the file goes, so that nobody comes any more; then the thread ends and the door closes.
    _file: Option<SocketFile>,
    _thread: Worker,
}

/// Why a server did not start, or did not take over a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is no gateway to serve with.
    Gateway(GatewayError),
    /// An address cannot be listened on.
    Listen {
        /// Which.
        address: ListenAddress,
        /// The key that names it.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(error) => error.fmt(f),
            Self::Listen { address, key, source } => {
                write!(f, "cannot listen on {address}: {source}")?;
                match (source.kind(), address) {
                    (io::ErrorKind::AddrInUse, ListenAddress::Tcp { .. }) => {
                        write!(f, "\n  another program has this port; stop it, or choose another address with `{key}`")
                    }
                    (io::ErrorKind::AddrInUse, ListenAddress::Unix(_)) => {
                        write!(f, "\n  another program listens there; stop it, or choose another path with `{key}`")
                    }
                    (io::ErrorKind::AlreadyExists, _) => {
                        write!(f, "\n  it is left alone; remove it, or choose another path with `{key}`")
                    }
                    _ => Ok(()),
                }
            }
            Self::Thread(source) => write!(f, "cannot start a thread: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gateway(error) => error.source(),
            Self::Listen { source, .. } | Self::Thread(source) => Some(source),
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
        let count = worker_count(settings.server.workers);
        let mut listeners = Listeners::default();
        let change = listeners.prepare(&settings, count)?;
        let admin = bind_admin(&settings, None)?;
        let gateway = Gateway::with(config, clock, Brought::default()).map_err(StartError::Gateway)?;
        let (settled, told) = mpsc::channel::<()>();
        gateway.0.when_store_settled(move || drop(settled));
        // Dropped soon in any case: that is the word.
        let _ = told.recv();
        let workers = (0..count).map(|number| Worker::start(&gateway.0, &format!("worker-{number}")));
        let workers = workers.collect::<Result<Vec<_>, _>>().map_err(StartError::Thread)?;
        let admin = admin.map(|bound| Admin::open(&gateway.0, bound)).transpose()?;
        listeners.apply(change, &workers);
        Ok(Self { gateway, workers, listeners, admin, settings })
    }

    /// The gateway.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Where clients arrive, in the configuration's order; a port 0 there is a real port here.
    pub fn listeners(&self) -> Vec<ListenAddress> {
        self.listeners.addresses().cloned().collect()
    }

    /// The TCP addresses among the [`listeners`](Self::listeners).
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses().filter_map(ListenAddress::tcp).collect()
    }

    /// Where the admin door is, if it is open.
    pub fn admin_listener(&self) -> Option<&ListenAddress> {
        self.admin.as_ref().map(|admin| &admin.address)
    }

    /// The same, if it is a TCP address.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_listener().and_then(ListenAddress::tcp)
    }

    /// Takes over another configuration: all of it, or nothing. A listener that stays is never closed; one that goes lets
    /// its connections finish.
    ///
    /// # Errors
    /// [`GatewayError::NeedsRestart`], or what a new address or log file says.
    pub fn reload(&mut self, config: Config) -> Result<(), StartError> {
        let settings = config.settings.clone();
        let fixed = self.settings.needs_restart(&settings);
        if !fixed.is_empty() {
            return Err(StartError::Gateway(GatewayError::NeedsRestart(fixed)));
        }
        let change = self.listeners.prepare(&settings, self.workers.len())?;
        let access = if settings.log == self.settings.log {
            None
        } else {
            Some(gateway::access_log(&settings.log, self.gateway.0.clock()).map_err(StartError::Gateway)?)
        };
        let door = |settings: &Settings| settings.admin.as_ref().map(|admin| admin.address.clone());
        let moves = door(&settings) != door(&self.settings);
        let admin = if moves { bind_admin(&settings, self.admin_address())? } else { None };
        let admin = admin.map(|bound| Admin::open(&self.gateway.0, bound)).transpose()?;
        if moves {
            // The old door closes before the new rules hold: it never stands open under a token that is not its own.
            self.admin = admin;
        }
        self.gateway.0.reload(config, access).map_err(StartError::Gateway)?;
        self.settings = settings;
        self.listeners.apply(change, &self.workers);
        Ok(())
    }

    /// Stops accepting, tells every connection to end after the request it is at, and waits for that, at most
    /// `server.shutdown_grace`. Returns whether all ended by themselves.
    pub async fn shutdown(mut self) -> bool {
        let grace = self.gateway.0.running().settings.server.shutdown_grace;
        self.gateway.drain();
        self.listeners.close();
        let drained = tokio::time::timeout(grace, async {
            // Who waited to be accepted is served too: each accept loop ends when nobody is left in its queue.
            self.listeners.closed().await;
            self.gateway.0.drained().await;
        });
        let drained = drained.await.is_ok();
        // What is left is cut here, with the worker that runs it; then the log has its last lines.
        let gateway = self.gateway.clone();
        drop(self);
        gateway.0.access().shutdown(LAST_LINES);
        drained
    }
}

/// How long the access log may take to write what it holds when the process ends.
const LAST_LINES: Duration = Duration::from_secs(2);

fn worker_count(wanted: usize) -> usize {
    if wanted == 0 { thread::available_parallelism().map_or(1, NonZeroUsize::get) } else { wanted }
}

/// The admin door. An address that was written and is taken is an error; the default one is done without.
///
/// `old` is where it has been: the same port on another address is in use, and by nobody else.
fn bind_admin(settings: &Settings, old: Option<SocketAddr>) -> Result<Option<(ListenAddress, Bound)>, StartError> {
    let Some(admin) = &settings.admin else { return Ok(None) };
    let ours = matches!((&admin.address, old), (ListenAddress::Tcp { port, .. }, Some(old)) if *port == old.port());
    match bind_one(&admin.address, 1, Neighbours { ours, ..Neighbours::default() }, "admin.listen") {
        Ok(bound) => Ok(Some((bound.address(&admin.address), bound))),
        Err(error) if admin.written => Err(error),
        Err(error) => {
            tracing::warn!("going on without the admin listener: {error}");
            Ok(None)
        }
    }
}

impl Admin {
    fn open(gateway: &Arc<State>, (address, bound): (ListenAddress, Bound)) -> Result<Self, StartError> {
        let thread = Worker::start(gateway, "admin").map_err(StartError::Thread)?;
        let file = match bound {
            Bound::Tcp(_, sockets) => {
                sockets.into_iter().for_each(|socket| thread.tell(Command::Administer(socket)));
                None
            }
            Bound::Unix(file, socket) => {
                thread.tell(Command::AdministerUnix(socket));
                Some(file)
            }
        };
        Ok(Self { address, _file: file, _thread: thread })
    }
}
