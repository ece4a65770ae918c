//! The one thread that writes the access log.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use portcullis_core::Sharded;

use super::Shard;
use super::sink::Sink;

/// How long lines gather before they are written: long enough that a busy gateway makes a hundred writes a second and not
/// ten thousand, short enough that whoever watches the log does not notice.
const BATCH: Duration = Duration::from_millis(10);

/// A buffer that grew larger in a burst is given back.
const KEEP_BYTES: usize = 256 << 10;

/// What the log's handle and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) shards: Sharded<Shard>,
    /// Lines that the sink did not take.
    lost: AtomicU64,
    asked: Mutex<Asked>,
    /// The writer waits here for something to do.
    work: Condvar,
    /// `flush` and `shutdown` wait here for the writer.
    done: Condvar,
}

/// What the writer is asked to do. Locked for a few instructions, and not once a line but once a batch.
#[derive(Debug, Default)]
struct Asked {
    lines: bool,
    reopen: bool,
    stop: bool,
    /// Flushes are numbered; those up to `flushed` are done.
    flush: u64,
    flushed: u64,
    ended: bool,
}

impl Asked {
    /// Whether somebody waits for the writer, so that it does not gather.
    const fn urgent(&self) -> bool {
        self.reopen || self.stop || self.flush > self.flushed
    }
}

impl Shared {
    pub(super) fn new(shards: Sharded<Shard>) -> Self {
        Self { shards, lost: AtomicU64::new(0), asked: Mutex::default(), work: Condvar::new(), done: Condvar::new() }
    }

    /// Says that there are lines in a shard that had none.
    pub(super) fn wake(&self) {
        let mut asked = self.asked();
        if !asked.lines {
            asked.lines = true;
            self.work.notify_one();
        }
    }

    pub(super) fn reopen(&self) {
        self.asked().reopen = true;
        self.work.notify_one();
    }

    pub(super) fn flush(&self, within: Duration) -> bool {
        let mut asked = self.asked();
        asked.flush += 1;
        let mine = asked.flush;
        self.work.notify_one();
        self.wait(asked, within, |asked| asked.flushed >= mine || asked.ended)
    }

    pub(super) fn stop(&self) {
        self.asked().stop = true;
        self.work.notify_one();
    }

    pub(super) fn shutdown(&self, within: Duration) -> bool {
        self.stop();
        self.wait(self.asked(), within, |asked| asked.ended)
    }

    pub(super) fn dropped(&self) -> u64 {
        let mut dropped = self.lost.load(Ordering::Relaxed);
        self.shards.for_each(|shard| dropped += shard.dropped);
        dropped
    }

    fn wait(&self, asked: MutexGuard<'_, Asked>, within: Duration, done: impl Fn(&Asked) -> bool) -> bool {
        let result = self.done.wait_timeout_while(asked, within, |asked| !done(asked));
        let (asked, _) = result.unwrap_or_else(PoisonError::into_inner);
        done(&asked)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread, which ends when it is asked to stop. A sink that blocks for ever keeps it, but nobody else.
pub(super) fn spawn(shared: Arc<Shared>, sink: Box<dyn Sink>) -> io::Result<()> {
    let mut writer = Writer { shared, sink, batches: Vec::new(), spare: Vec::new(), torn: false, failing: false };
    thread::Builder::new().name("access-log".into()).spawn(move || while writer.turn() {})?;
    Ok(())
}

struct Writer {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    /// Full buffers on their way to the sink, and empty ones on their way back to the shards.
    batches: Vec<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// A write failed in the middle of a line: the next one begins with the line break that is missing.
    torn: bool,
    /// The last write failed: said once, not with each batch.
    failing: bool,
}

impl Writer {
    /// Waits for something to do and does it; whether there will be more.
    fn turn(&mut self) -> bool {
        let asked = self.next();
        self.drain(asked.stop);
        if asked.reopen {
            self.reopen();
        }
        let mut state = self.shared.asked();
        state.flushed = asked.flush;
        state.ended = asked.stop;
        self.shared.done.notify_all();
        !asked.stop
    }

    /// Waits until there is something to do, lets lines gather, and takes the orders.
    ///
    /// `lines` is taken back before the shards are emptied: a line that comes between finds an empty shard and asks
    /// again, at worst for one turn that finds nothing.
    fn next(&self) -> Asked {
        let asked = self.shared.asked();
        let idle = self.shared.work.wait_while(asked, |asked| !asked.lines && !asked.urgent());
        let asked = idle.unwrap_or_else(PoisonError::into_inner);
        let gathered = self.shared.work.wait_timeout_while(asked, BATCH, |asked| !asked.urgent());
        let (mut asked, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let orders = Asked { reopen: asked.reopen, stop: asked.stop, flush: asked.flush, ..Asked::default() };
        asked.lines = false;
        asked.reopen = false;
        orders
    }

    /// Takes every shard's lines and writes them; with `close`, no shard takes lines any more.
    fn drain(&mut self, close: bool) {
        let (batches, spare) = (&mut self.batches, &mut self.spare);
        self.shared.shards.for_each(|shard| {
            shard.closed |= close;
            batches.extend(shard.take(spare));
        });
        for mut batch in mem::take(&mut self.batches) {
            self.write(&batch);
            batch.clear();
            if batch.capacity() <= KEEP_BYTES {
                self.spare.push(batch);
            }
        }
    }

    /// Writes whole lines. What the sink does not take is lost, and counted line by line.
    fn write(&mut self, lines: &[u8]) {
        let mut rest = lines;
        let result = self.mend().and_then(|()| {
            while !rest.is_empty() {
                match self.sink.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.sink.flush()
        });
        let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
        self.torn |= written.last().is_some_and(|byte| *byte != b'\n');
        let lost = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(%error, "the access log cannot be written; its lines are dropped until it can");
            }
            Err(_) => {}
        }
    }

    /// Ends a line that a failed write left half done.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.sink.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => self.torn = false,
            Err(error) => tracing::warn!(%error, "the access log cannot be opened again; the old file is kept"),
        }
    }
}
