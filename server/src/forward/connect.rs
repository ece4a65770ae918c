//! A fresh connection to a server.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Rejection;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::h1;
use crate::names::Name;
use crate::stream::Stream;

/// A connection to a server. Everything in [`h1`] is generic over the stream.
pub(crate) type Connection = h1::Connection<Stream>;

/// The body of a server's response.
pub(crate) type UpstreamBody = h1::UpstreamBody<Stream>;

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// A name that is looked up beside requests, and was not found yet.
    Awaited(Arc<Name>),
    /// An IP address.
    Ip(SocketAddr),
    /// A name that is not: asked of the system's resolver for each new connection.
    Name(Box<str>, u16),
    /// The path of a unix socket.
    Unix(Box<Path>),
}

/// Connects within `limit`.
///
/// # Errors
/// [`Rejection::NameTimeout`] and [`Rejection::NameNotFound`] while the name is not found; [`Rejection::ConnectTimeout`];
/// [`Rejection::Internal`] where it is this machine that has no descriptor, port or memory for a connection,
/// which says nothing of the server; [`Rejection::ConnectFailed`] for anything else.
pub(crate) async fn connect(address: &Address, limit: Duration) -> Result<Box<Connection>, Rejection> {
    match timeout(limit, dial(address)).await {
        Err(_) if is_awaited(address) => Err(Rejection::NameTimeout),
        Err(_) => Err(Rejection::ConnectTimeout),
        Ok(Err(error)) if is_ours(&error) => {
            tracing::warn!(%error, "no connection to an upstream can be made: this machine is short of something");
            Err(Rejection::Internal)
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, ?address, "cannot connect to an upstream");
            Err(if is_awaited(address) { Rejection::NameNotFound } else { Rejection::ConnectFailed })
        }
        Ok(Ok(stream)) => Ok(Connection::new(stream)),
    }
}

/// Whether nobody can be asked, because nothing is known of the name.
fn is_awaited(address: &Address) -> bool {
    matches!(address, Address::Awaited(name) if name.lookups().places.is_empty())
}

/// Whether it is this machine that cannot.
fn is_ours(error: &io::Error) -> bool {
    // EMFILE and ENFILE (too many descriptors) and ENOBUFS have no kind of their own; the numbers are Linux's.
    let too_many = matches!(error.raw_os_error(), Some(23 | 24 | 105));
    too_many || matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory)
}

/// Connects, for as long as it takes.
pub(crate) async fn dial(address: &Address) -> io::Result<Stream> {
    let stream = match address {
        Address::Awaited(name) => TcpStream::connect(name.addresses().await?.as_slice()).await?,
        Address::Ip(address) => TcpStream::connect(address).await?,
        // Tries the name's addresses one after the other, within the one deadline.
        Address::Name(host, port) => TcpStream::connect((&**host, *port)).await?,
        Address::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix),
    };
    // A request must not wait for more bytes.
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_is_short_of_is_no_servers_fault() {
        for ours in [12, 23, 24, 99, 105] {
            assert!(is_ours(&io::Error::from_raw_os_error(ours)), "{ours}");
        }
        for theirs in [104, 110, 111, 113] {
            assert!(!is_ours(&io::Error::from_raw_os_error(theirs)), "{theirs}");
        }
    }
}
