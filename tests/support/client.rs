//! A client that sends exactly the bytes it is given.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::Path;

use crate::wire::Wire;
use crate::{Message, PATIENCE};

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: Wire,
    reader: BufReader<Wire>,
}

impl Client {
    /// Connects.
    pub fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).expect("the gateway listens")
    }

    /// Connects, unless nobody listens or the connection is reset at once.
    pub fn try_connect(to: SocketAddr) -> Option<Self> {
        Wire::tcp(to).ok().map(Self::over)
    }

    /// Connects to a unix socket, unless nobody listens there.
    pub fn try_unix(to: &Path) -> Option<Self> {
        Wire::unix(to).ok().map(Self::over)
    }

    fn over(stream: Wire) -> Self {
        stream.prepare(PATIENCE);
        let reader = BufReader::new(stream.try_clone());
        Self { stream, reader }
    }

    /// Sends bytes. That the other side may have closed already is for the next read to find out.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// The next response; none when the connection ended before one.
    pub fn response(&mut self) -> Option<Message> {
        Message::read(&mut self.reader, false)
    }

    /// The next response, which has no body whatever it says.
    pub fn response_to_head(&mut self) -> Option<Message> {
        Message::read(&mut self.reader, true)
    }

    /// Some bytes, as soon as there are any; none at the end.
    pub fn some(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        let read = self.reader.read(&mut buffer).ok()?;
        (read > 0).then(|| buffer[..read].to_vec())
    }

    /// Whatever still comes until the connection ends, an abrupt end included.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut rest) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection did not end");
        }
        rest
    }

    /// Whether the connection ends without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Sends no more, but still reads.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write);
    }

    /// One request with these fields (each "name: value"), on a connection of its own.
    pub fn ask(to: SocketAddr, method: &str, target: &str, fields: &[&str]) -> Message {
        let mut client = Self::connect(to);
        client.request(method, target, fields).unwrap_or_else(|| panic!("no answer to {method} {target}"))
    }

    /// GET over a unix socket, on a connection of its own.
    pub fn get_unix(to: &Path, target: &str, fields: &[&str]) -> Message {
        let mut client = Self::try_unix(to).expect("the gateway listens");
        client.request("GET", target, fields).unwrap_or_else(|| panic!("no answer to GET {target}"))
    }

    /// GET on a connection of its own.
    pub fn get(to: SocketAddr, target: &str, fields: &[&str]) -> Message {
        Self::ask(to, "GET", target, fields)
    }

    /// One request without a body on this connection. A `host` of shop.test is added when no field names one.
    pub fn request(&mut self, method: &str, target: &str, fields: &[&str]) -> Option<Message> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|field| field.to_ascii_lowercase().starts_with("host:")) {
            head.push_str("host: shop.test\r\n");
        }
        for field in fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.send(head);
        if method == "HEAD" { self.response_to_head() } else { self.response() }
    }
}
