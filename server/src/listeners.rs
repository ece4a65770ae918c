//! The addresses that are listened on: how they are bound, opened, changed by a reload and closed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use tokio::sync::watch;

use crate::config::{ListenAddress, Settings};
use crate::listen::bind::{Neighbours, bind};
use crate::listen::unix::{self, SocketFile};
use crate::server::StartError;
use crate::worker::{Command, Team, Worker};

/// The client listeners, in the configuration's order.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<Listener>);

/// An address that is being accepted from.
#[derive(Debug)]
struct Listener {
    /// As configured: a reload that still has it leaves it alone.
    wanted: ListenAddress,
    actual: ListenAddress,
    /// Gone before anything else when it closes: whoever connects then is told at once that nobody is there.
    file: Option<SocketFile>,
    stop: watch::Sender<bool>,
}

/// An address that is bound, and that nobody accepts from yet; dropped, it is free again.
#[derive(Debug)]
pub(crate) enum Bound {
    /// One socket for each worker.
    Tcp(SocketAddr, Vec<TcpListener>),
    /// One in all.
    Unix(SocketFile, UnixListener),
}

/// What becomes of the listeners, once everything else that could fail has not.
#[derive(Debug)]
pub(crate) struct Change(Vec<Next>);

#[derive(Debug)]
enum Next {
    /// The old listener at this place goes on.
    Kept(usize),
    /// This one is new.
    Opened(ListenAddress, Bound),
}

impl Listeners {
    /// Binds what `settings` wants and nobody listens on yet; changes nothing.
    ///
    /// # Errors
    /// The first address that cannot be bound; then none is.
    pub(crate) fn prepare(&self, settings: &Settings, workers: usize) -> Result<Change, StartError> {
        let mut free: Vec<bool> = self.0.iter().map(|_| true).collect();
        let mut next = Vec::new();
        for wanted in &settings.listen {
            let kept = self.0.iter().zip(&mut free).position(|(old, free)| *free && old.wanted == *wanted);
            next.push(match kept {
                Some(place) => {
                    // Each goes on once: two that ask for any free port are two.
                    free.iter_mut().skip(place).take(1).for_each(|free| *free = false);
                    Next::Kept(place)
                }
                None => Next::Opened(wanted.clone(), bind_one(wanted, workers, self.near(wanted, settings), "listen")?),
            });
        }
        Ok(Change(next))
    }

    /// Opens what is new and closes what is gone; what stays is not touched.
    pub(crate) fn apply(&mut self, change: Change, workers: &[Worker]) {
        let mut old: Vec<Option<Listener>> = std::mem::take(&mut self.0).into_iter().map(Some).collect();
        let listeners = change.0.into_iter().filter_map(|next| match next {
            Next::Kept(place) => old.get_mut(place).and_then(Option::take),
            Next::Opened(wanted, bound) => Some(Listener::open(wanted, bound, workers)),
        });
        self.0 = listeners.collect();
        old.into_iter().flatten().for_each(|mut listener| listener.close());
    }

    /// Stops accepting.
    pub(crate) fn close(&mut self) {
        self.0.iter_mut().for_each(Listener::close);
    }

    /// Resolves when every accept loop has ended: nobody is left in its queue.
    pub(crate) async fn closed(&self) {
        for listener in &self.0 {
            listener.stop.closed().await;
        }
    }

    /// Where they are; a port 0 in the configuration is a real port here.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.0.iter().map(|listener| &listener.actual)
    }

    fn near(&self, wanted: &ListenAddress, settings: &Settings) -> Neighbours {
        let ListenAddress::Tcp { port, .. } = wanted else { return Neighbours::default() };
        let is_ipv4 = |other: &ListenAddress| match other {
            ListenAddress::Tcp { host, port: others } => others == port && host.parse::<Ipv4Addr>().is_ok(),
            ListenAddress::Unix(_) => false,
        };
        let has_port =
            |other: &ListenAddress| matches!(other, ListenAddress::Tcp { port: others, .. } if others == port);
        Neighbours { ipv4: settings.listen.iter().any(is_ipv4), ours: *port != 0 && self.addresses().any(has_port) }
    }
}

impl Listener {
    fn open(wanted: ListenAddress, bound: Bound, workers: &[Worker]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let actual = bound.address(&wanted);
        let file = match bound {
            Bound::Tcp(_, sockets) => {
                for (worker, socket) in workers.iter().zip(sockets) {
                    worker.tell(Command::Accept(socket, stopped.clone()));
                }
                None
            }
            Bound::Unix(file, socket) => {
                if let Some(worker) = workers.first() {
                    worker.tell(Command::AcceptUnix(socket, Team::of(workers), stopped));
                }
                Some(file)
            }
        };
        Self { wanted, actual, file, stop }
    }

    fn close(&mut self) {
        self.file = None;
        self.stop.send_replace(true);
    }
}

impl Bound {
    /// Where it is.
    pub(crate) fn address(&self, wanted: &ListenAddress) -> ListenAddress {
        match self {
            Self::Tcp(actual, _) => ListenAddress::Tcp { host: actual.ip().to_string(), port: actual.port() },
            Self::Unix(..) => wanted.clone(),
        }
    }
}

/// Binds one address, for so many accept loops where it is a TCP one; `key` is what names it.
pub(crate) fn bind_one(
    wanted: &ListenAddress,
    workers: usize,
    near: Neighbours,
    key: &'static str,
) -> Result<Bound, StartError> {
    let bound = match wanted {
        ListenAddress::Tcp { .. } => {
            bind(&wanted.to_string(), workers, near).map(|(actual, sockets)| Bound::Tcp(actual, sockets))
        }
        ListenAddress::Unix(path) => unix::bind(path).map(|(file, socket)| Bound::Unix(file, socket)),
    };
    bound.map_err(|source| StartError::Listen { address: wanted.clone(), key, source })
}
