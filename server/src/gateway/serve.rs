//! A listener that the embedding program brings.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

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
    /// A gateway that drains goes on draining: connections that another call accepts later end after one request each. For
    /// requests that are handed in nothing changes. Dropped, it cuts its connections.
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
        let in_time = timeout(grace, ended).await.is_ok();
        let cut = connections.len();
        // Their records are told when they are dropped; then the log has its last lines.
        connections.shutdown().await;
        let log = self.clone();
        // Best effort: that a runtime has no thread left is no reason to call the serving failed.
        let _ = tokio::task::spawn_blocking(move || log.flush_log(LAST_LINES)).await;
        if in_time {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::TimedOut, format!("the grace was over: {cut} connections were cut")))
    }
}

/// How long the access log may take to write what it holds.
const LAST_LINES: Duration = Duration::from_secs(2);
