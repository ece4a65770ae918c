//! Where the lines go.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where an access log's lines go. It is written by one thread, and may take its time: requests do not wait for it.
///
/// A write is given whole lines, many at once. An error loses what was not written yet; the next batch is tried anew.
pub(crate) trait Sink: Write + Send + 'static {
    /// Opens what is written to anew, after it was renamed; does nothing by default.
    ///
    /// # Errors
    ///
    /// It cannot be opened; then the old one is still written to.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
}

impl File {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self { file: append_to(&path)?, path })
    }
}

/// The log holds addresses and identities: it is not for everybody on the machine.
fn append_to(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for File {
    fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        Ok(())
    }
}

/// The process's standard output.
#[derive(Debug)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl Sink for Stdout {}
