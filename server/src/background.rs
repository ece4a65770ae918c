//! A thread for what goes on beside requests, so that it never stalls a worker.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread of its own, made when it is first needed. It ends with this, and its tasks with it.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    handle: Handle,
    /// Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Where to put a task.
    ///
    /// # Errors
    /// No thread, or no sockets and timers to be had from the system.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let thread = thread::Builder::new().name("portcullis-back".to_owned()).spawn(move || {
            // Either way it is over: the sender is never used, only dropped.
            let _ = runtime.block_on(stopped);
            // A look-up of a name that hangs is not waited for.
            runtime.shutdown_background();
        })?;
        *running = Some(Running { handle: handle.clone(), stop: Some(stop), thread: Some(thread) });
        Ok(handle)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It only fails when the thread panicked, and then it has ended all the same.
            let _ = thread.join();
        }
    }
}
