//! A listener that the embedding program brings.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Gateway;
use crate::listen::accept::{Accept, accept};
use crate::listen::serve;

/// What [`Gateway::serve`] accepts connections from: tokio's `TcpListener` and `UnixListener`.
pub trait Listener: Accept {}

impl Listener for TcpListener {}
impl Listener for UnixListener {}

impl Gateway {
    /// Serves HTTP/1 on `listener` until `shutdown` resolves, all on the caller's runtime: one accept loop, and a task for each
    /// connection. Then whoever waits to be accepted is served still, every connection ends after the request it is at, and so
    /// do those of other listeners of this gateway ([`drain`](Self::drain)); at most for `server.shutdown_grace`.
    ///
    /// Dropped, it cuts its connections.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut) when the grace was over and connections had to be cut.
    pub async fn serve<L: Listener>(&self, listener: L, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let mut connections = JoinSet::new();
        accept(listener, shutdown, |stream, client| {
            // Those that have ended; so there are never more than were open at the same time.
            while connections.try_join_next().is_some() {}
            let Some(place) = self.0.admit_connection() else { return };
            let state = Arc::clone(&self.0);
            connections.spawn(async move {
                serve::serve(state, stream, client).await;
                drop(place);
            });
        })
        .await;
        self.drain();
        let grace = self.0.running().settings.server.shutdown_grace;
        let ended = async { while connections.join_next().await.is_some() {} };
        match timeout(grace, ended).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let error = format!("the grace was over: {} connections are cut", connections.len());
                Err(io::Error::new(ErrorKind::TimedOut, error))
            }
        }
    }
}
