//! An upstream that a test plays itself, one line after the other.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::{Message, PATIENCE};

/// Where the upstream's connections arrive.
#[derive(Debug)]
pub struct Stage(TcpListener);

/// One of them, as the upstream has it.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Default for Stage {
    fn default() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }
}

impl Stage {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// The next connection.
    pub fn accept(&self) -> Peer {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Peer { stream, reader }
    }

    /// Whether nobody has connected that was not accepted.
    pub fn is_empty(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let empty = self.0.accept().is_err();
        self.0.set_nonblocking(false).unwrap();
        empty
    }
}

impl Peer {
    /// The next request.
    pub fn request(&mut self) -> Message {
        Message::read(&mut self.reader, false).expect("a request")
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("somebody reads");
        self
    }

    /// Exactly these bytes come next.
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let mut seen = vec![0; bytes.as_ref().len()];
        self.reader.read_exact(&mut seen).expect("it comes in time");
        assert_eq!(seen.escape_ascii().to_string(), bytes.as_ref().escape_ascii().to_string());
        self
    }

    /// Sends no more, but still reads.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Whatever still comes until the connection ends, an abrupt end included.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut rest) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection did not end");
        }
        rest
    }

    /// The connection itself, with nothing of it read ahead.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.reader.buffer().is_empty(), "bytes are read already");
        self.stream
    }
}
