//! An upstream that records what reaches it and answers as it is told.

use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::wire::Wire;
use crate::{Message, PATIENCE};

/// What an upstream does after it has read a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and goes on reading requests.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends nothing and keeps the connection open until the client is gone.
    Silence,
}

impl Reply {
    /// 200 with a body.
    pub fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    /// A status with a body.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    /// Exactly these bytes.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().to_vec())
    }
}

/// A scripted server on a port of its own; it stops with the value.
pub struct Upstream {
    at: At,
    shared: Arc<Shared>,
}

/// Where an upstream listens.
#[derive(Debug)]
enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

struct Shared {
    seen: Mutex<Vec<Message>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    stopped: AtomicBool,
    streams: Mutex<Vec<Wire>>,
    script: Box<dyn Fn(&Message) -> Reply + Send + Sync>,
}

impl Upstream {
    /// Answers every request by `script`.
    pub fn start(script: impl Fn(&Message) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// The same where somebody listens already.
    pub fn on(listener: TcpListener, script: impl Fn(&Message) -> Reply + Send + Sync + 'static) -> Self {
        let at = At::Tcp(listener.local_addr().unwrap());
        Self::accepting(at, script, move || listener.accept().ok().map(|(stream, _)| Wire::Tcp(stream)))
    }

    /// The same on a unix socket.
    pub fn unix(path: &Path, script: impl Fn(&Message) -> Reply + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let accept = move || listener.accept().ok().map(|(stream, _)| Wire::Unix(stream));
        Self::accepting(At::Unix(path.to_owned()), script, accept)
    }

    fn accepting(
        at: At,
        script: impl Fn(&Message) -> Reply + Send + Sync + 'static,
        mut accept: impl FnMut() -> Option<Wire> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            streams: Mutex::default(),
            script: Box::new(script),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Some(stream) = accept() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                accepting.open.fetch_add(1, Ordering::SeqCst);
                accepting.streams.lock().unwrap().push(stream.try_clone());
                let serving = Arc::clone(&accepting);
                thread::spawn(move || {
                    serving.serve(stream);
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { at, shared }
    }

    /// Answers everything with 200 and "ok".
    pub fn ok() -> Self {
        Self::start(|_| Reply::ok("ok"))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match &self.at {
            At::Tcp(address) => format!("http://{address}"),
            At::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        match &self.at {
            At::Tcp(address) => *address,
            At::Unix(path) => panic!("{} has no address", path.display()),
        }
    }

    /// The requests that reached it, in order.
    pub fn seen(&self) -> Vec<Message> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The one request that reached it.
    pub fn only(&self) -> Message {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request: {seen:#?}");
        seen[0].clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Closes every connection that is open, as a server does that is tired of idle ones.
    pub fn hang_up(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: Wire) {
        stream.prepare(PATIENCE * 6);
        let mut reader = BufReader::new(stream.try_clone());
        while let Some(request) = Message::read(&mut reader, false) {
            let reply = (self.script)(&request);
            self.seen.lock().unwrap().push(request);
            match reply {
                Reply::Bytes(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Reply::Close(bytes) => {
                    let _ = stream.write_all(&bytes);
                    stream.shutdown(Shutdown::Both);
                    return;
                }
                Reply::Silence => {
                    // Until the other side is gone.
                    let _ = Message::read(&mut reader, false);
                    return;
                }
            }
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.hang_up();
        // Wakes the accept loop, which then sees that it is over.
        let _ = match &self.at {
            At::Tcp(address) => Wire::tcp(*address),
            At::Unix(path) => Wire::unix(path),
        };
    }
}
