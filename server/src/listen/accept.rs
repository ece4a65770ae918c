//! Accept loops: one a worker on a TCP address, where the kernel spreads connections over them; one in all on a unix socket,
//! which hands its connections round; one on a listener that an embedding program brings.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::bind::BACKLOG;
use super::serve::serve;
use crate::gateway::{Place, State};
use crate::worker::{Command, Team};

/// How long a worker rests when the process is out of descriptors: long enough not to spin, short enough not to be noticed.
const REST: Duration = Duration::from_millis(50);

/// Where connections come from.
pub trait Accept: Send + 'static {
    /// What comes.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and whose it is.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<Self::Stream>>>;

    /// Asks the kernel itself for who was let into the queue, one after the other: what the runtime knows of the socket may be a
    /// moment old. `WouldBlock` when there is nobody.
    ///
    /// # Errors
    /// What the system says of the socket.
    fn into_queue(self) -> io::Result<impl FnMut() -> io::Result<Accepted<Self::Stream>> + Send>;
}

/// A connection, and the address of whoever made it.
pub(crate) type Accepted<S> = (S, Option<IpAddr>);

impl Accept for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<TcpStream>>> {
        let (stream, peer) = ready!(Self::poll_accept(self, cx))?;
        Poll::Ready(Ok((at_once(stream), Some(peer.ip()))))
    }

    fn into_queue(self) -> io::Result<impl FnMut() -> io::Result<Accepted<TcpStream>> + Send> {
        let queue = self.into_std()?;
        Ok(move || {
            let (stream, peer) = queue.accept()?;
            stream.set_nonblocking(true)?;
            Ok((at_once(TcpStream::from_std(stream)?), Some(peer.ip())))
        })
    }
}

/// Small answers must not wait for more bytes. A failure here is a connection that is gone already.
fn at_once(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    stream
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<UnixStream>>> {
        let (stream, _) = ready!(Self::poll_accept(self, cx))?;
        Poll::Ready(Ok((stream, None)))
    }

    fn into_queue(self) -> io::Result<impl FnMut() -> io::Result<Accepted<UnixStream>> + Send> {
        let queue = self.into_std()?;
        Ok(move || {
            let (stream, _) = queue.accept()?;
            stream.set_nonblocking(true)?;
            Ok((UnixStream::from_std(stream)?, None))
        })
    }
}

/// Accepts connections until `stop` resolves and nobody waits to be accepted.
pub(crate) async fn accept<L: Accept>(
    listener: L,
    stop: impl Future<Output = ()>,
    mut welcome: impl FnMut(L::Stream, Option<IpAddr>),
) {
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => welcome(stream, peer),
            Err(error) => rest_after(error).await,
        }
    }
    let emptied = listener.into_queue().and_then(|mut queue| empty_queue(&mut queue, &mut welcome));
    if let Err(error) = emptied {
        tracing::debug!(%error, "the queue of a closing listener was not emptied");
    }
}

/// Whoever was let into the queue before the stop is served.
fn empty_queue<S>(
    next: &mut impl FnMut() -> io::Result<Accepted<S>>,
    welcome: &mut impl FnMut(S, Option<IpAddr>),
) -> io::Result<()> {
    // As many as the queue holds: a flood cannot keep this going for ever.
    for _ in 0..BACKLOG {
        match next() {
            Ok((stream, peer)) => welcome(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if is_about_the_connection(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Serves a connection as a task of its own on this worker.
pub(crate) fn welcome<S>(gateway: &Arc<State>, stream: S, client: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Over server.max_connections: closing at once tells a client more than silence would.
    let Some(place) = gateway.admit_connection() else { return };
    take_in(Arc::clone(gateway), stream, client, place);
}

/// Hands a connection to the next worker.
pub(crate) fn hand_over(gateway: &Arc<State>, stream: UnixStream, team: &mut Team) {
    match stream.into_std() {
        Ok(stream) => {
            if let Some(place) = gateway.admit_connection() {
                team.tell_next(Command::Serve(stream, place));
            }
        }
        Err(error) => tracing::debug!(%error, "a connection went away before it was handed over"),
    }
}

/// Serves a connection that has its place.
pub(crate) fn take_in<S>(gateway: Arc<State>, stream: S, client: Option<IpAddr>, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        serve(gateway, stream, client).await;
        drop(place);
    });
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
