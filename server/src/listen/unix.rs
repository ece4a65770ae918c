//! Listening on a unix socket, and the file that it is found by.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::bind::BACKLOG;

/// Owner and group may connect, whatever the umask says; who else may is for the folder's permissions.
const MODE: u32 = 0o660;

/// The file of a socket that we listen on. Dropped, it takes the file away, if that is still the one it made: whoever
/// connects after that finds nobody, and another process finds the path free.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    made: Identity,
}

/// Tells a file from another one at the same path.
type Identity = (u64, u64);

/// Binds `path` and listens. The file of a process that is gone is replaced.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] when somebody listens there, [`ErrorKind::AlreadyExists`] when what is there is no socket (it is
/// never removed), and whatever the system says.
pub(crate) fn bind(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let file = SocketFile { path: path.to_owned(), made: identity(&fs::symlink_metadata(path)?) };
    // Before it listens: until then nobody can connect, whatever the umask made of the file.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok((file, socket.into()))
}

fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file, and it is not a socket"));
    }
    if is_listened_on(address)? {
        return Err(ErrorKind::AddrInUse.into());
    }
    // Another process may have replaced it in the meantime; then it is for `bind` to say that it is in use.
    if fs::symlink_metadata(path).is_ok_and(|now| identity(&now) == identity(&found)) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether somebody answers. Without waiting: a full queue has somebody behind it, too.
fn is_listened_on(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Ok(false),
            ErrorKind::WouldBlock => Ok(true),
            _ => Err(error),
        },
    }
}

fn identity(facts: &fs::Metadata) -> Identity {
    (facts.dev(), facts.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.made)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the file of a socket was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        (folder, path)
    }

    #[test]
    fn the_file_comes_and_goes_with_the_listener() {
        let (_folder, path) = place();
        let (file, _listener) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_a_living_one_is_not() {
        let (_folder, path) = place();
        // Dropped without its file being removed, as when a process is killed.
        drop(UnixListener::bind(&path).unwrap());
        let (_file, _listener) = bind(&path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok(), "and goes on being listened on");
    }

    #[test]
    fn what_is_not_a_socket_is_never_removed() {
        let (folder, path) = place();
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = folder.path().join("link.sock");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(bind(&link).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(bind(folder.path()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(link.is_symlink() && path.exists());
    }

    #[test]
    fn the_file_of_a_successor_is_left_alone() {
        let (_folder, path) = place();
        let (file, _listener) = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let (_kept, _successor) = bind(&path).unwrap();
        drop(file);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error() {
        let (folder, _) = place();
        assert!(bind(&folder.path().join("a".repeat(120))).is_err());
    }
}
