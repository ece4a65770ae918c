//! A worker: a thread with a current-thread runtime, told what to do by its server.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use crate::gateway::Gateway;
use crate::listen::accept::accept;

/// A thread with a runtime of its own.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Closing it ends the thread, and with it every task that it runs.
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// What a worker can be told.
#[derive(Debug)]
pub(crate) enum Command {
    Accept(TcpListener, watch::Receiver<bool>),
    Administer(TcpListener),
}

impl Worker {
    pub(crate) fn start(gateway: &Arc<Gateway>, name: &str) -> io::Result<Self> {
        let (commands, mut told) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let gateway = Arc::clone(gateway);
        let thread = thread::Builder::new().name(format!("portcullis-{name}")).spawn(move || {
            runtime.block_on(async {
                while let Some(command) = told.recv().await {
                    obey(&gateway, command);
                }
            });
            // Dropping the runtime drops its tasks: connections that outlived the grace end here.
        })?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    pub(crate) fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // It fails only when the thread is gone, which only a panic of ours can do; then others go on.
            let _ = commands.send(command);
        }
    }
}

fn obey(gateway: &Arc<Gateway>, command: Command) {
    let gateway = Arc::clone(gateway);
    match command {
        Command::Accept(socket, stop) => match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => drop(tokio::spawn(accept(gateway, listener, stop))),
            Err(error) => tracing::error!(%error, "a worker cannot use its listening socket"),
        },
        Command::Administer(socket) => match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => drop(tokio::spawn(crate::admin::serve(gateway, listener))),
            Err(error) => tracing::error!(%error, "the admin listener cannot be used"),
        },
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands.take();
        if let Some(thread) = self.thread.take() {
            // It only fails when the thread panicked, and then it has ended all the same.
            let _ = thread.join();
        }
    }
}
