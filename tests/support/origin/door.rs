//! The port: open, closed without being given away, or open and never answered.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::fault::Fault;
use super::state::{Door, Shared};
use crate::PATIENCE;

/// How long a connection on this machine may take before its port counts as one that takes nobody.
const FULL: Duration = Duration::from_millis(50);

/// A socket on `address` that shares it with others of its kind. Bound and not listening it refuses, and keeps the port.
pub(super) fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn listen(address: SocketAddr, backlog: i32) -> TcpListener {
    let socket = bind(address);
    socket.listen(backlog).unwrap();
    socket.into()
}

impl Shared {
    /// Holds the port as it is wanted, until it is over.
    pub(super) fn keep_door(self: &Arc<Self>, address: SocketAddr) {
        loop {
            let wanted = self.lock().wanted();
            match wanted {
                None => return self.enter(None),
                Some(Door::Closed) => {
                    self.enter(wanted);
                    self.stay(Door::Closed);
                }
                Some(Door::Full) => {
                    let _listener = listen(address, 0);
                    let _crowd = crowd(address);
                    self.enter(wanted);
                    self.stay(Door::Full);
                }
                Some(Door::Open) => {
                    let listener = listen(address, 1024);
                    self.enter(wanted);
                    while let Ok((stream, _)) = listener.accept()
                        && self.take(stream)
                    {}
                }
            }
        }
    }

    fn enter(&self, door: Option<Door>) {
        self.change(|state| state.door = door);
    }

    fn stay(&self, door: Door) {
        while !self.wait_while(PATIENCE, |state| state.wanted() == Some(door)) {}
    }

    /// Talks to whoever came; false when the port is to be held otherwise.
    fn take(self: &Arc<Self>, stream: TcpStream) -> bool {
        let Some((number, line)) = self.open(stream) else { return false };
        if matches!(self.lock().fault, Fault::ResetOnAccept) {
            line.reset();
            drop(line);
            self.close(number);
            return true;
        }
        let shared = Arc::clone(self);
        thread::spawn(move || {
            shared.serve(number, &line);
            // First the socket, then the count: who sees that fall finds the connection closed.
            drop(line);
            shared.close(number);
        });
        true
    }
}

/// Connections that wait to be taken, so many that the next one is not even answered.
fn crowd(address: SocketAddr) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, FULL) {
        crowd.push(stream);
        assert!(crowd.len() < 100, "this kernel takes any number of connections for a backlog of none");
    }
    crowd
}
