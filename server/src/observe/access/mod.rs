//! The access log: one line a request, formatted where the request ends and written by a thread of its own.
//!
//! [`AccessLog::write`] formats into the calling thread's shard; its lock is taken by nobody else but, every
//! ten milliseconds while there is something to write, by the writer, who swaps the full buffer for an empty one
//! and writes it outside the lock. The writer sleeps while there is nothing to do; the first line into an empty shard
//! wakes it. Nothing here ever waits for the sink but [`AccessLog::flush`] and [`AccessLog::shutdown`], and those have a
//! deadline.

use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Sharded;
use portcullis_core::time::{Clock, Moment};

use super::format::Format;
use super::record::Record;
use sink::{File, Stdout};
use stamp::Stamp;
use writer::Shared;

mod json;
mod sink;
mod stamp;
mod text;
mod values;
mod writer;

pub(crate) use sink::Sink;

/// What a shard's buffer may hold. With what the writer has in hand at the time, a thread's lines take twice that at
/// most.
const SHARD_BYTES: usize = 1 << 20;

/// More than the longest line: about twenty fields of at most [`Clip::MAX`](super::Clip::MAX) bytes, of which escaping
/// can make six each in the dozen that are not numbers or our own words.
const LINE_BYTES: usize = 96 << 10;

/// One line a request, to stdout or a file, or none at all.
///
/// Dropping it lets the writer finish in the background; [`AccessLog::shutdown`] waits for that.
#[derive(Debug)]
pub(crate) struct AccessLog(Option<Running>);

#[derive(Debug)]
struct Running {
    format: Format,
    clock: Clock,
    shared: Arc<Shared>,
}

impl AccessLog {
    /// No log: a line costs one comparison.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// A log to standard output.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub(crate) fn stdout(format: Format, clock: Clock) -> io::Result<Self> {
        Self::start(Box::new(Stdout), format, clock)
    }

    /// A log to a file, which is made, readable by owner and group, where it is missing, and appended to where not.
    ///
    /// # Errors
    ///
    /// The file could not be opened, or no thread could be started.
    pub(crate) fn file(path: impl Into<PathBuf>, format: Format, clock: Clock) -> io::Result<Self> {
        Self::start(Box::new(File::open(path.into())?), format, clock)
    }

    /// A log to a sink of one's own.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub(crate) fn start(sink: Box<dyn Sink>, format: Format, clock: Clock) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(Sharded::new(Shard::default)));
        writer::spawn(Arc::clone(&shared), sink)?;
        Ok(Self(Some(Running { format, clock, shared })))
    }

    /// Leaves a line about a request that ended at `ended`. Never waits for the sink: a line that finds its buffer full
    /// is dropped, and counted.
    pub(crate) fn write(&self, record: &Record, ended: Moment) {
        let Some(log) = &self.0 else { return };
        let wake = log.shared.shards.mine().append(|out, stamp| match log.format {
            Format::Json => json::line(out, stamp, &log.clock, record, ended),
            Format::Text { colour } => text::line(out, stamp, &log.clock, record, ended, colour),
        });
        if wake {
            log.shared.wake();
        }
    }

    /// Asks the writer to open its file anew, after it was renamed. What was written before goes to the old file. Where
    /// the file cannot be opened, the old one is kept and a warning says so.
    pub(crate) fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.shared.reopen();
        }
    }

    /// Waits until every line left so far was written or lost, `within` at most; whether it was.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|log| log.shared.flush(within))
    }

    /// Writes what is left and ends the log, `within` at most; whether it was done by then. Later lines are dropped, and
    /// counted.
    pub(crate) fn shutdown(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|log| log.shared.shutdown(within))
    }

    /// How many lines were lost: no room, a sink that failed, or after the end.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |log| log.shared.dropped())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// The lines that one thread left since the writer last came by.
#[derive(Default)]
struct Shard {
    lines: Vec<u8>,
    stamp: Stamp,
    dropped: u64,
    closed: bool,
}

impl Shard {
    /// Appends what `format` makes, if there is room; whether the writer must be woken for it.
    fn append(&mut self, format: impl FnOnce(&mut Vec<u8>, &mut Stamp)) -> bool {
        if self.closed || self.lines.len() + LINE_BYTES > SHARD_BYTES {
            self.dropped += 1;
            return false;
        }
        let first = self.lines.is_empty();
        format(&mut self.lines, &mut self.stamp);
        first
    }

    /// The lines, if there are any; `spare` takes their place.
    fn take(&mut self, spare: &mut Vec<Vec<u8>>) -> Option<Vec<u8>> {
        (!self.lines.is_empty()).then(|| mem::replace(&mut self.lines, spare.pop().unwrap_or_default()))
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("bytes", &self.lines.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
