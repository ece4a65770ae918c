//! A worker: a thread with a current-thread runtime, told what to do by its server.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use crate::admin::{self, Door};
use crate::gateway::{Place, State};
use crate::listen::accept::{accept, hand_over, take_in, welcome};

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
    /// Accept connections here and serve them.
    Accept(TcpListener, watch::Receiver<bool>),
    /// Accept connections here and hand them round.
    AcceptUnix(UnixListener, Team, watch::Receiver<bool>),
    /// Answer the operator here.
    Administer(TcpListener),
    /// The same.
    AdministerUnix(UnixListener),
    /// Serve this connection.
    Serve(UnixStream, Place),
}

/// The workers, for one that hands work round. It keeps none of them alive.
#[derive(Debug)]
pub(crate) struct Team {
    members: Box<[mpsc::WeakUnboundedSender<Command>]>,
    next: usize,
}

impl Team {
    pub(crate) fn of(workers: &[Worker]) -> Self {
        let members =
            workers.iter().filter_map(|worker| worker.commands.as_ref().map(mpsc::UnboundedSender::downgrade));
        Self { members: members.collect(), next: 0 }
    }

    /// Tells the next one, in turn. What is told to nobody is dropped: they are all about to end.
    pub(crate) fn tell_next(&mut self, command: Command) {
        let member = self.members.get(self.next).and_then(mpsc::WeakUnboundedSender::upgrade);
        self.next = (self.next + 1) % self.members.len().max(1);
        if let Some(member) = member {
            let _ = member.send(command);
        }
    }
}

impl Worker {
    pub(crate) fn start(gateway: &Arc<State>, name: &str) -> io::Result<Self> {
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

fn obey(gateway: &Arc<State>, command: Command) {
    if let Err(error) = begin(Arc::clone(gateway), command) {
        tracing::error!(%error, "a worker cannot use a socket");
    }
}

fn begin(gateway: Arc<State>, command: Command) -> io::Result<()> {
    use tokio::net::{TcpListener, UnixListener, UnixStream};
    match command {
        Command::Accept(socket, mut stop) => {
            let listener = TcpListener::from_std(socket)?;
            let welcome = move |stream, peer| welcome(&gateway, stream, peer);
            // That the receiver goes says that nobody is left in the queue.
            tokio::spawn(async move { accept(listener, stopped(&mut stop), welcome).await });
        }
        Command::AcceptUnix(socket, mut team, mut stop) => {
            let listener = UnixListener::from_std(socket)?;
            let hand_over = move |stream, _| hand_over(&gateway, stream, &mut team);
            tokio::spawn(async move { accept(listener, stopped(&mut stop), hand_over).await });
        }
        Command::Administer(socket) => {
            drop(tokio::spawn(admin::serve(gateway, Door::Tcp(TcpListener::from_std(socket)?))));
        }
        Command::AdministerUnix(socket) => {
            drop(tokio::spawn(admin::serve(gateway, Door::Unix(UnixListener::from_std(socket)?))));
        }
        Command::Serve(stream, place) => take_in(gateway, UnixStream::from_std(stream)?, None, place),
    }
    Ok(())
}

/// Resolves when the listener is to be closed, by word or because nobody is left to give it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
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
