//! Ours against hyper's server: whatever comes, every request that we take, hyper takes too, and sees the same.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{Bounds, take};
use crate::forward::h1::differential::{Edit, edit};
use crate::h1::Decoder;

const BOUNDS: Bounds = Bounds { bytes: 32 * 1024, fields: 100 };

/// A request as one of the two saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seen {
    fn new(head: &Request<impl Sized>, body: Vec<u8>) -> Self {
        Self {
            method: head.method().to_string(),
            target: head.uri().to_string(),
            version: head.version(),
            fields: list(head.headers()),
            body,
        }
    }
}

/// The order of fields with different names means nothing.
fn list(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}

/// The whole requests that we take from `text`, up to the first that we refuse or that ends the connection.
fn ours(text: &[u8]) -> Vec<Seen> {
    let mut unread = BytesMut::from(text);
    let mut seen = Vec::new();
    let mut scanned = 0;
    while let Ok(Some(head)) = take(&mut unread, BOUNDS, &mut scanned, &mut HeaderMap::new()) {
        let mut decoder = Decoder::from(head.framing);
        let mut body = Vec::new();
        while !decoder.is_ended() {
            match decoder.next(&mut unread) {
                Ok(Some(frame)) => body.extend(frame.into_data().unwrap_or_default()),
                Ok(None) if decoder.is_ended() => {}
                Ok(None) | Err(_) => return seen,
            }
        }
        seen.push(Seen::new(&Request::from_parts(*head.parts, ()), body));
        if !head.reply.lasts() {
            break;
        }
    }
    seen
}

/// Reads `text` and then nothing; takes whatever is written.
struct Told(Vec<u8>);

impl AsyncRead for Told {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = self.0.len().min(buf.remaining());
        let rest = self.0.split_off(most);
        buf.put_slice(&self.0);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Told {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The whole requests that hyper takes.
fn theirs(text: &[u8]) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let head = Request::from_parts(parts, ());
                seen.lock().unwrap().push(Seen::new(&head, body.to_bytes().to_vec()));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stream = TokioIo::new(Told(text.to_vec()));
    let _ = runtime.block_on(http1::Builder::new().half_close(true).serve_connection(stream, service));
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn compare(text: &[u8]) -> Result<(), TestCaseError> {
    let (ours, theirs) = (ours(text), theirs(text));
    prop_assert!(
        ours.len() <= theirs.len(),
        "more than hyper takes: {:?} and {:?} in {}",
        ours,
        theirs,
        text.escape_ascii()
    );
    prop_assert_eq!(&ours[..], &theirs[..ours.len()], "in {}", text.escape_ascii());
    Ok(())
}

const SEEDS: [&str; 16] = [
    "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nConnection: close\r\n\r\nGET /no HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET /q HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /q HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0;x\r\na: b\r\n\r\n",
    "POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /p HTTP/1.0\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhiGET / HTTP/1.0\r\n\r\n",
    "POST /p HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET http://a.test:80/x HTTP/1.1\r\nhost: a.test\r\n\r\n",
    "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nx-folded: one\r\n two\r\nx-empty:\r\nx-blank:   \r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok",
    "GET /a#b HTTP/1.1\nhost: a\n\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

#[test]
fn the_seeds() {
    for seed in SEEDS {
        for cut in 0..=seed.len() {
            compare(&seed.as_bytes()[..cut]).unwrap_or_else(|error| panic!("{seed:?} cut at {cut}: {error}"));
        }
    }
}

/// Neither side is empty-handed: what is good is taken by both.
#[test]
fn good_requests_are_taken() {
    for (seed, requests) in [(0, 1), (1, 1), (2, 2), (5, 2), (6, 1), (8, 2), (10, 1), (11, 1), (14, 1)] {
        assert_eq!(ours(SEEDS[seed].as_bytes()).len(), requests, "{:?}", SEEDS[seed]);
    }
    for seed in [3, 4, 7, 9, 13, 15] {
        assert!(ours(SEEDS[seed].as_bytes()).is_empty(), "{:?}", SEEDS[seed]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn mutated_requests(seed in 0..SEEDS.len(), edits in prop::collection::vec(edit(SEEDS.len()), 0..5)) {
        let mut text = SEEDS[seed].as_bytes().to_vec();
        edits.iter().for_each(|edit: &Edit| edit.apply(&SEEDS, &mut text));
        compare(&text)?;
    }

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        compare(&text)?;
        let mut framed = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        framed.extend_from_slice(&text);
        compare(&framed)?;
    }

    /// The same head in one piece and in many.
    #[test]
    fn pieces_do_not_matter(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec(edit(SEEDS.len()), 0..3),
        size in 1_usize..12,
    ) {
        let mut text = SEEDS[seed].as_bytes().to_vec();
        edits.iter().for_each(|edit: &Edit| edit.apply(&SEEDS, &mut text));
        let whole = take(&mut BytesMut::from(&text[..]), BOUNDS, &mut 0, &mut HeaderMap::new()).map(|head| head.map(|head| Seen::new(&Request::from_parts(*head.parts, ()), Vec::new())));
        let mut unread = BytesMut::new();
        let mut scanned = 0;
        let mut split = Ok(None);
        for piece in text.chunks(size) {
            unread.extend_from_slice(piece);
            split = take(&mut unread, BOUNDS, &mut scanned, &mut HeaderMap::new()).map(|head| head.map(|head| Seen::new(&Request::from_parts(*head.parts, ()), Vec::new())));
            if !matches!(split, Ok(None)) {
                break;
            }
        }
        prop_assert_eq!(whole, split);
    }
}
