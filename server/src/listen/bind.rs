//! Binding an address for several workers.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted; the kernel's own cap (net.core.somaxconn, 4096 by default) holds as well.
pub(super) const BACKLOG: i32 = 4096;

/// What is known about an address before it is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbours {
    /// An IPv4 listener of ours wants the same port: an IPv6 one must then leave IPv4 alone.
    pub(crate) ipv4: bool,
    /// A listener of ours has the port already, on another address: it is in use, and by nobody else.
    pub(crate) ours: bool,
}

/// One listening socket for each worker, all on one address: the kernel spreads connections over them.
///
/// The address is bound once without `SO_REUSEPORT` first, so that a port that another process uses is an error and never
/// shared by accident.
///
/// # Errors
/// What the operating system says: the address is in use, not ours, or not permitted.
pub(crate) fn bind(address: &str, workers: usize, near: Neighbours) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let wanted = resolve(address)?;
    let actual = if near.ours {
        wanted
    } else {
        let probe = socket(wanted, near)?;
        probe.bind(&wanted.into())?;
        probe
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("bound to something that is not an IP address"))?
        // The probe never listened, so closing it leaves nothing behind, and the port is ours to bind again.
    };
    let listeners = (0..workers).map(|_| listen(actual, near)).collect::<io::Result<Vec<_>>>()?;
    Ok((actual, listeners))
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    address.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn socket(address: SocketAddr, near: Neighbours) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && near.ipv4 {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old process's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(address: SocketAddr, near: Neighbours) -> io::Result<TcpListener> {
    let socket = socket(address, near)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error_even_when_its_user_would_share_it() {
        let (address, _held) = bind("127.0.0.1:0", 2, Neighbours::default()).unwrap();
        let error = bind(&address.to_string(), 1, Neighbours::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn ipv4_and_ipv6_can_have_the_same_port() {
        let (four, _held) = bind("0.0.0.0:0", 1, Neighbours::default()).unwrap();
        let near = Neighbours { ipv4: true, ours: false };
        assert!(bind(&format!("[::]:{}", four.port()), 1, near).is_ok());
    }

    #[test]
    fn every_worker_has_a_socket_on_the_same_port() {
        let (address, listeners) = bind("127.0.0.1:0", 3, Neighbours::default()).unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
    }
}
