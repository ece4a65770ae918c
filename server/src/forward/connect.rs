//! A fresh connection to a server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use portcullis_core::Rejection;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::h1;

/// A connection to a server. Everything in [`h1`] is generic over the stream.
pub(crate) type Connection = h1::Connection<TcpStream>;

/// The body of a server's response.
pub(crate) type UpstreamBody = h1::UpstreamBody<TcpStream>;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An IP address, as configured.
    Ip(SocketAddr),
    /// A name, asked of the system's resolver for each new connection.
    Name(Box<str>, u16),
}

/// Connects within `limit`.
///
/// # Errors
/// [`Rejection::ConnectTimeout`], or [`Rejection::ConnectFailed`] for anything else.
pub(crate) async fn connect(address: &Address, limit: Duration) -> Result<Box<Connection>, Rejection> {
    match timeout(limit, dial(address)).await {
        Err(_) => Err(Rejection::ConnectTimeout),
        Ok(Err(error)) => {
            tracing::debug!(%error, ?address, "cannot connect to an upstream");
            Err(Rejection::ConnectFailed)
        }
        Ok(Ok(stream)) => Ok(Connection::new(stream)),
    }
}

async fn dial(address: &Address) -> io::Result<TcpStream> {
    let stream = match address {
        Address::Ip(address) => TcpStream::connect(address).await?,
        // Tries the name's addresses one after the other, within the one deadline.
        Address::Name(host, port) => TcpStream::connect((&**host, *port)).await?,
    };
    // A request must not wait for more bytes.
    stream.set_nodelay(true)?;
    Ok(stream)
}
