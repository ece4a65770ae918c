//! An origin that fails as it is told: a server on a real socket with a switchable [`Fault`], that counts exactly what
//! reached it. Where a test needs an answer of its own, [`Upstream`](crate::Upstream) is the simpler one.
//!
//! Reading order: [`fault`], [`arrival`], `state`, `door`, `serve`.

pub(crate) mod arrival;
mod door;
pub(crate) mod fault;
mod serve;
mod state;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::Socket;

use self::arrival::Arrival;
use self::fault::Fault;
use self::state::{Door, Shared};
use crate::eventually;

/// A server that can fail in many ways; it stops with the value.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Keeps the port while nobody listens.
    _port: Socket,
}

impl Origin {
    /// A healthy one, on a port of its own. Its answers say `name`.
    pub fn start(name: &str) -> Self {
        let port = door::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let shared = Arc::new(Shared::new(name));
        let keeping = Arc::clone(&shared);
        thread::spawn(move || keeping.keep_door(address));
        let origin = Self { address, shared, _port: port };
        origin.set(Fault::Healthy);
        origin
    }

    /// From now on this is wrong with it. Returns when it is so for whoever comes; requests that were read before go on as they began.
    pub fn set(&self, fault: Fault) {
        let cuts = fault.cuts_kept_connections();
        self.shared.change(|state| state.fault = fault);
        self.settle();
        if cuts {
            self.hang_up();
        }
    }

    /// Waits until the port is held as it should be. Whoever keeps it may be waiting for the next connection: there is one.
    fn settle(&self) {
        eventually("the port is held as it should be", || {
            let (door, wanted) = {
                let state = self.shared.lock();
                (state.door, state.wanted())
            };
            if door == Some(Door::Open) && wanted != door {
                drop(TcpStream::connect_timeout(&self.address, Duration::from_millis(20)));
            }
            self.shared.wait_while(Duration::from_millis(5), |state| state.door != state.wanted())
        });
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Fault {
        self.shared.lock().fault.clone()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that reached it, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.lock().arrivals.clone()
    }

    /// The requests with this marker.
    pub fn marked(&self, marker: &str) -> Vec<Arrival> {
        self.shared.lock().arrivals.iter().filter(|arrival| arrival.marker == marker).cloned().collect()
    }

    /// How many requests reached it.
    pub fn count(&self) -> usize {
        self.shared.lock().arrivals.len()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Lets [`Fault::Step`] send so many bytes more.
    pub fn step(&self, bytes: usize) {
        self.shared.change(|state| state.steps += bytes);
    }

    /// Closes every connection that is open.
    pub fn hang_up(&self) {
        self.shared.lock().hang_up();
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("name", &self.shared.name).field("at", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.change(|state| state.stopped = true);
        if !thread::panicking() {
            self.settle();
        }
        self.hang_up();
    }
}
