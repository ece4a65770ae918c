//! A DNS server that answers as it is told (RFC 1035), over UDP and TCP.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::PATIENCE;

/// What a server says of a name.
#[derive(Clone, Debug)]
pub enum Record {
    /// These addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// An error: SERVFAIL.
    Fails,
    /// Nothing, ever.
    Hangs,
    /// There is no such name: NXDOMAIN.
    NoName,
    /// There is, but it has no address.
    Nothing,
    /// These addresses, of IPv6, for so many seconds; an error where it is asked for those of IPv4: SERVFAIL.
    OnlyV6(Vec<IpAddr>, u32),
    /// Another error, of one that does not answer everybody: REFUSED.
    Refuses,
}

impl Record {
    /// These addresses, for so many seconds.
    pub fn of<const N: usize>(addresses: [&str; N], ttl: u32) -> Self {
        Self::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect(), ttl)
    }
}

/// A DNS server on a port of its own; it stops with the value. Names that it was not told of do not exist.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<HashMap<String, usize>>,
    records: Mutex<HashMap<String, Record>>,
    stopped: AtomicBool,
}

/// Over UDP an answer is cut to so many bytes (RFC 1035, section 4.2.1).
const MOST_UDP: usize = 512;

/// The type of a record with an IPv4 address (RFC 1035, section 3.2.2).
const A: u16 = 1;

/// The response codes (RFC 1035, section 4.1.1).
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

impl NameServer {
    /// Knows no name yet.
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        // The same port for both.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free twice");
        let address = udp.local_addr().unwrap();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let mut question = [0; 2048];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(answer) = serving.answer(&question[..length], MOST_UDP) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                if stream.read_exact(&mut question).is_ok()
                    && let Some(answer) = serving.answer(&question, usize::from(u16::MAX))
                {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length, answer.as_slice()].concat());
                }
            }
        });
        Self { address, shared }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says this of `name` from now on.
    pub fn set(&self, name: &str, record: Record) {
        self.shared.records.lock().unwrap().insert(name.to_owned(), record);
    }

    /// How often it was asked for `name`.
    pub fn asked(&self, name: &str) -> usize {
        self.shared.asked.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Whoever waits there looks up.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = std::net::TcpStream::connect(self.address);
    }
}

impl Shared {
    /// The answer to a question, cut to `most` bytes.
    fn answer(&self, question: &[u8], most: usize) -> Option<Vec<u8>> {
        let (name, end) = name(question)?;
        let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
        *self.asked.lock().unwrap().entry(name.clone()).or_default() += 1;
        let record = self.records.lock().unwrap().get(&name).cloned().unwrap_or(Record::NoName);
        let (code, addresses, ttl) = match record {
            Record::Addresses(addresses, ttl) => (0, addresses, ttl),
            Record::Fails => (SERVFAIL, Vec::new(), 0),
            Record::Hangs => return None,
            Record::NoName => (NXDOMAIN, Vec::new(), 0),
            Record::Nothing => (0, Vec::new(), 0),
            Record::OnlyV6(_, _) if kind == A => (SERVFAIL, Vec::new(), 0),
            Record::OnlyV6(addresses, ttl) => (0, addresses, ttl),
            Record::Refuses => (REFUSED, Vec::new(), 0),
        };
        let mut records: Vec<_> = addresses.iter().filter_map(|address| encoded(*address, kind, ttl)).collect();
        let head = 12 + (end + 4 - 12);
        let fits = records.iter().map(Vec::len).sum::<usize>() + head <= most;
        if !fits {
            records.clear();
        }
        let mut answer = question[..2].to_vec();
        // A response; truncated; recursion desired and available.
        answer.extend([0x81 | if fits { 0 } else { 2 }, 0x80 | code, 0, 1]);
        answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(question.get(12..end + 4)?);
        answer.extend(records.concat());
        Some(answer)
    }
}

/// The name in a question, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

/// A record of the kind that was asked for: its name is that of the question.
fn encoded(address: IpAddr, kind: u16, ttl: u32) -> Option<Vec<u8>> {
    let bytes = match (address, kind) {
        (IpAddr::V4(address), A) => address.octets().to_vec(),
        (IpAddr::V6(address), 28) => address.octets().to_vec(),
        _ => return None,
    };
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    Some([&[0xc0, 12], &kind.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes(), &length, &bytes].concat())
}
