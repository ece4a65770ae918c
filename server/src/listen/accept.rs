//! Accept loops.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::bind::BACKLOG;
use super::serve::serve;
use crate::gateway::Gateway;

/// How long a worker rests when the process is out of descriptors: long enough not to spin, short enough not to be noticed.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` says so and nobody waits to be accepted; each runs as a task of its own on this worker.
pub(crate) async fn accept(gateway: Arc<Gateway>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => welcome(&gateway, stream, peer.ip()),
            Err(error) if is_about_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(REST).await;
            }
        }
    }
    if let Err(error) = empty_queue(&gateway, listener) {
        tracing::debug!(%error, "the queue of a closing listener was not emptied");
    }
}

/// Whoever was let into the queue before the stop is served. Asked of the kernel itself: what the runtime knows of the
/// socket may be a moment old.
fn empty_queue(gateway: &Arc<Gateway>, listener: TcpListener) -> std::io::Result<()> {
    let listener = listener.into_std()?;
    // As many as the queue holds: a flood cannot keep this going for ever.
    for _ in 0..BACKLOG {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => continue,
        };
        stream.set_nonblocking(true)?;
        welcome(gateway, TcpStream::from_std(stream)?, peer.ip());
    }
    Ok(())
}

fn welcome(gateway: &Arc<Gateway>, stream: TcpStream, client: IpAddr) {
    // Over server.max_connections: closing at once tells a client more than silence would.
    let Some(place) = gateway.admit_connection() else { return };
    // Small answers must not wait for more bytes. A failure here is a connection that is gone already.
    let _ = stream.set_nodelay(true);
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move {
        serve(gateway, stream, Some(client)).await;
        drop(place);
    });
}

/// Errors that say only that this one client has gone.
fn is_about_the_connection(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
