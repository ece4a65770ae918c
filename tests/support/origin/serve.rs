//! A connection's conversation.

use std::io::{BufRead, BufReader, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::arrival::End;
use super::fault::Fault;
use super::state::{Line, Shared};
use crate::{Message, PATIENCE};

/// What a healthy origin answers with `name`; nothing behind the head for a HEAD.
fn healthy(name: &str, request: &Message) -> Vec<u8> {
    answer(200, name, &[], request)
}

fn answer(status: u16, name: &str, fields: &[&str], request: &Message) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let body = if request.method() == "HEAD" { "" } else { name };
    let length = name.len();
    format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\nx-origin: {name}\r\n{fields}\r\n{body}")
        .into_bytes()
}

/// How a conversation goes on after a request.
enum Then {
    /// The connection ends.
    End(End),
    /// With the next request.
    Next,
}

impl Shared {
    /// Talks until either side has had enough. Every clone of `line` is gone afterwards but the caller's.
    pub(super) fn serve(&self, number: usize, line: &Arc<Line>) {
        let _ = line.stream.set_nodelay(true);
        let _ = line.stream.set_read_timeout(Some(PATIENCE * 6));
        let mut reader = BufReader::new(&line.stream);
        let mut served = false;
        // Looked at when the request is there, not before: a kept connection waits through many faults.
        while reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            let fault = self.lock().fault.clone();
            if served && matches!(fault, Fault::StaleConnections) {
                return line.reset();
            }
            let Some(mut request) = Message::read_head(&mut reader) else { return };
            let began = self.clock.now();
            let arrival = self.arrived(&request, number, &fault);
            if matches!(fault, Fault::ResetWithinRequest) {
                line.reset();
                return self.ended(arrival, End::Broken);
            }
            request.read_body(&mut reader);
            if !request.complete {
                return self.ended(arrival, self.whose(line, self.clock.now().since(began)));
            }
            self.completed(arrival, &request.body);
            let then = self.reply(&fault, &request, line, &mut reader);
            let Then::End(mut end) = then else {
                self.ended(arrival, End::Answered);
                served = true;
                continue;
            };
            if matches!(end, End::Cut(_)) {
                end = self.whose(line, self.clock.now().since(began));
            }
            return self.ended(arrival, end);
        }
    }

    /// A connection that ended before the answer did: by whom.
    fn whose(&self, line: &Line, after: Duration) -> End {
        if line.hung_up.load(Ordering::SeqCst) { End::Broken } else { End::Cut(after) }
    }

    fn reply(&self, fault: &Fault, request: &Message, line: &Line, reader: &mut impl Read) -> Then {
        let healthy = || healthy(&self.name, request);
        let half = format!("HTTP/1.1 200 OK\r\nx-origin: {}\r\ncontent-length: 100\r\n\r\nhalf", self.name);
        let chunk =
            format!("HTTP/1.1 200 OK\r\nx-origin: {}\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", self.name);
        // A body is nothing that an answer to a HEAD has.
        let only = |text: String| match text.find("\r\n\r\n") {
            Some(end) if request.method() == "HEAD" => text[..end + 4].to_owned(),
            _ => text,
        };
        match fault {
            Fault::CloseAfterRequest => close(line, b""),
            Fault::Garbage => starve(line, b"SSH-2.0-OpenSSH_9.6\r\n", reader),
            Fault::HalfHead => close(line, b"HTTP/1.1 200 OK\r\ncontent-le"),
            Fault::Hang => starve(line, b"", reader),
            Fault::HangAfterHead if request.method() == "HEAD" => send(line, only(half).as_bytes()),
            Fault::HangAfterHead => starve(line, half.as_bytes(), reader),
            Fault::ResetAfterRequest | Fault::ResetOnAccept | Fault::ResetWithinRequest => {
                line.reset();
                Then::End(End::Broken)
            }
            Fault::Status(status, fields) => send(line, &answer(*status, &self.name, fields, request)),
            Fault::SlowBy(delays) => {
                self.pause(delays.draw());
                send(line, &healthy())
            }
            Fault::Step => trickle(line, &healthy(), || self.step()),
            Fault::TooLargeHead => {
                let field = format!("x-fill: {}\r\n", "a".repeat(1000));
                starve(line, format!("HTTP/1.1 200 OK\r\n{}", field.repeat(200)).as_bytes(), reader)
            }
            Fault::Trickle(pause) => trickle(line, &healthy(), || {
                self.pause(*pause);
                true
            }),
            Fault::Truncate => close(line, only(half).as_bytes()),
            Fault::TruncateChunks => close(line, only(chunk).as_bytes()),
            // Who was taken before the port was closed is hung up on; until he notices, he is served.
            Fault::BlackHole | Fault::Healthy | Fault::Refuse | Fault::StaleConnections => send(line, &healthy()),
        }
    }
}

fn send(line: &Line, bytes: &[u8]) -> Then {
    if line.send(bytes) { Then::Next } else { Then::End(End::Cut(Duration::ZERO)) }
}

/// Sends these bytes and ends the connection in order.
fn close(line: &Line, bytes: &[u8]) -> Then {
    line.send(bytes);
    let _ = line.stream.shutdown(Shutdown::Both);
    Then::End(End::Broken)
}

/// Sends these bytes and no more, until the other side is gone.
fn starve(line: &Line, bytes: &[u8], reader: &mut impl Read) -> Then {
    line.send(bytes);
    let mut rest = [0; 4096];
    while reader.read(&mut rest).is_ok_and(|read| read > 0) {}
    Then::End(End::Cut(Duration::ZERO))
}

/// Sends a byte at a time, each after `leave` was given.
fn trickle(line: &Line, bytes: &[u8], mut leave: impl FnMut() -> bool) -> Then {
    let all = bytes.iter().all(|byte| leave() && line.send(&[*byte]));
    if all { Then::Next } else { Then::End(End::Cut(Duration::ZERO)) }
}
