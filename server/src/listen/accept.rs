//! Accept loops: one a worker on a TCP address, where the kernel spreads connections over them; one in all on a unix socket,
//! which hands its connections round.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use super::bind::BACKLOG;
use super::serve::serve;
use crate::gateway::{Gateway, Place};
use crate::worker::{Command, Team};

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
            Err(error) => rest_after(error).await,
        }
    }
    let queue = listener.into_std();
    let emptied = queue.and_then(|queue| {
        let each = |(stream, peer): (std::net::TcpStream, SocketAddr)| {
            stream.set_nonblocking(true)?;
            welcome(&gateway, TcpStream::from_std(stream)?, peer.ip());
            Ok(())
        };
        empty_queue(|| queue.accept(), each)
    });
    note_emptied(emptied);
}

/// The same on a unix socket. There is one of these in all, so the connections are handed round the workers.
pub(crate) async fn accept_unix(
    gateway: Arc<Gateway>,
    listener: UnixListener,
    mut team: Team,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted.map(|(stream, _)| stream.into_std()) {
            Ok(Ok(stream)) => hand_over(&gateway, stream, &mut team),
            Ok(Err(error)) => tracing::debug!(%error, "a connection went away before it was handed over"),
            Err(error) => rest_after(error).await,
        }
    }
    let queue = listener.into_std();
    let emptied = queue.and_then(|queue| {
        let each = |(stream, _): (std::os::unix::net::UnixStream, _)| {
            stream.set_nonblocking(true)?;
            hand_over(&gateway, stream, &mut team);
            Ok(())
        };
        empty_queue(|| queue.accept(), each)
    });
    note_emptied(emptied);
}

/// Whoever was let into the queue before the stop is served. Asked of the kernel itself: what the runtime knows of the
/// socket may be a moment old.
fn empty_queue<C>(
    mut next: impl FnMut() -> io::Result<C>,
    mut welcome: impl FnMut(C) -> io::Result<()>,
) -> io::Result<()> {
    // As many as the queue holds: a flood cannot keep this going for ever.
    for _ in 0..BACKLOG {
        match next() {
            Ok(accepted) => welcome(accepted)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {}
        }
    }
    Ok(())
}

fn note_emptied(emptied: io::Result<()>) {
    if let Err(error) = emptied {
        tracing::debug!(%error, "the queue of a closing listener was not emptied");
    }
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

fn hand_over(gateway: &Arc<Gateway>, stream: std::os::unix::net::UnixStream, team: &mut Team) {
    if let Some(place) = gateway.admit_connection() {
        team.tell_next(Command::Serve(stream, place));
    }
}

/// Serves a connection that another worker has accepted.
pub(crate) fn take_in(gateway: Arc<Gateway>, stream: std::os::unix::net::UnixStream, place: Place) -> io::Result<()> {
    let stream = UnixStream::from_std(stream)?;
    tokio::spawn(async move {
        serve(gateway, stream, None).await;
        drop(place);
    });
    Ok(())
}

async fn rest_after(error: io::Error) {
    if is_about_the_connection(&error) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections; trying again");
    tokio::time::sleep(REST).await;
}

/// Errors that say only that this one client has gone.
fn is_about_the_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
