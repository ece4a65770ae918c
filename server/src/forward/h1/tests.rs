//! Exchanges over streams in memory.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::forward::send::{Deadlines, Failure, send};

/// A stream that answers with these pieces, one a read, once something was written; then it ends.
pub(super) struct Script {
    pieces: VecDeque<Vec<u8>>,
    written: Vec<u8>,
    reader: Option<Waker>,
    open: bool,
}

impl Script {
    pub(super) fn new(pieces: &[&[u8]]) -> Self {
        let pieces = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| piece.to_vec()).collect();
        Self { pieces, written: Vec::new(), reader: None, open: false }
    }

    /// Stays open after the last piece.
    fn open(pieces: &[&[u8]]) -> Self {
        Self { open: true, ..Self::new(pieces) }
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.written.is_empty() || self.open && self.pieces.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(mut piece) = self.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request's body that the test feeds; it ends when the sender is dropped.
pub(super) struct Fed(Option<mpsc::UnboundedReceiver<Result<Bytes, BodyFailure>>>, Option<u64>);

pub(super) fn none() -> Fed {
    Fed(None, Some(0))
}

fn fed(length: Option<u64>) -> (mpsc::UnboundedSender<Result<Bytes, BodyFailure>>, Fed) {
    let (to, from) = mpsc::unbounded_channel();
    (to, Fed(Some(from), length))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match &mut self.get_mut().0 {
            None => Poll::Ready(None),
            Some(from) => from.poll_recv(cx).map(|item| item.map(|item| item.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// As it is sent, with nothing that we say.
pub(super) fn outgoing<B>(request: Request<B>) -> Outgoing<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    let (mut parts, body) = request.into_parts();
    Outgoing::new(Opening::new(&parts), &mut parts, body, REPLAY)
}

pub(super) fn request<B>(method: Method, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = "/a?b".parse().unwrap();
    request.headers_mut().try_insert("host", HeaderValue::from_static("shop.test")).unwrap();
    request
}

/// So many bytes of a body are kept.
const REPLAY: usize = 1024;

const DEADLINES: fn() -> Deadlines = || Deadlines {
    began: Instant::now(),
    attempt: Duration::from_secs(10),
    send: Duration::from_secs(5),
    total: Instant::now() + Duration::from_secs(30),
};

/// What came back, in full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// One exchange with our client. Also says whether the connection could be used again.
pub(super) async fn exchange(stream: Script, method: Method) -> Result<(Seen, bool), Broken> {
    let mut connection = Connection::new(stream);
    let mut outgoing = outgoing(request(method, none()));
    let mut asking = Asking::new(&mut connection, &mut outgoing);
    let Head { response, framing, lasts } = std::future::poll_fn(|cx| asking.poll(cx)).await?;
    let mut body = connection.end_request(&outgoing, framing, lasts);
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(frame) => data.extend_from_slice(&frame),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    assert!(body.is_end_stream());
    let (parts, ()) = response.into_parts();
    let seen = Seen { status: parts.status, fields: parts.headers, body: data.into(), trailers };
    Ok((seen, body.finish().is_some_and(|mut connection| connection.is_quiet())))
}

pub(super) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

#[test]
fn a_connection_is_used_again_only_after_a_clean_end() {
    for (answer, again) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok!", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n", false),
    ] {
        let (seen, lasts) = run(exchange(Script::open(&[answer.as_bytes()]), Method::GET)).unwrap();
        assert_eq!((&*seen.body, lasts), (&b"ok"[..], again), "{answer:?}");
        assert!(!run(exchange(Script::new(&[answer.as_bytes()]), Method::GET)).unwrap().1, "closed: {answer:?}");
    }
    let (seen, lasts) = run(exchange(Script::new(&[b"HTTP/1.1 200 OK\r\n\r\nuntil the end"]), Method::GET)).unwrap();
    assert_eq!((&*seen.body, lasts), (&b"until the end"[..], false));
    for head in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"] {
        assert!(run(exchange(Script::open(&[head.as_bytes()]), Method::GET)).unwrap().1, "{head:?}");
    }
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let (seen, lasts) = run(exchange(Script::open(&[head]), Method::HEAD)).unwrap();
    assert!(lasts && seen.fields["content-length"] == "5");
}

#[test]
fn what_is_not_a_response() {
    let field = |length: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(length));
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(count));
    let interim = |count: usize| format!("{}HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\n".repeat(count));
    for (text, fine) in [
        (field(60_000), true),
        (field(70_000), false),
        (format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(200_000)), false),
        ("\r\n".repeat(100_000), false),
        (fields(99), true),
        (fields(100), false),
        (interim(32), true),
        (interim(33), false),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 600 Odd\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 099 Odd\r\n\r\n".to_owned(), false),
        ("HTTP/1.2 200 OK\r\n\r\n".to_owned(), false),
        ("HTTP/2.0 200 OK\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\na : b\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), false),
    ] {
        let answer = run(exchange(Script::new(&[text.as_bytes()]), Method::GET));
        let shown: String = text.chars().take(60).collect();
        assert_eq!(answer.is_ok(), fine, "{shown:?}: {answer:?}");
        assert!(fine || matches!(answer, Err(Broken::Invalid(_))), "{shown:?}: {answer:?}");
    }
}

#[test]
fn folded_lines_become_one() {
    let text = b"HTTP/1.1 204 No\r\nx-folded: one\r\n two  \r\n\t three\r\n\r\n";
    assert_eq!(run(exchange(Script::new(&[text]), Method::GET)).unwrap().0.fields["x-folded"], "one two three");
}

#[test]
fn an_end_is_told_apart_from_silence() {
    let closed = run(exchange(Script::new(&[]), Method::GET));
    assert_eq!(closed.unwrap_err(), Broken::Closed(ErrorKind::UnexpectedEof));
    for cut in
        ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"]
    {
        let cut = run(exchange(Script::new(&[cut.as_bytes()]), Method::GET));
        assert_eq!(cut.unwrap_err(), Broken::Cut(ErrorKind::UnexpectedEof));
    }
}

/// What a request looks like on the wire.
async fn sent(request: Request<Fed>) -> String {
    let mut stream = Script::new(&[]);
    let mut outgoing = outgoing(request);
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(outgoing.poll(&mut stream, &mut cx), Poll::Ready(Ok(())));
    assert!(outgoing.is_sent());
    String::from_utf8(stream.written).unwrap()
}

/// F13
#[test]
fn a_request_is_framed_once_by_what_is_known_of_it() {
    let with = |fields: &[(&'static str, &'static str)], body: Fed| {
        let mut request = request(Method::POST, body);
        for (name, value) in fields {
            request.headers_mut().try_append(*name, HeaderValue::from_static(value)).unwrap();
        }
        run(sent(request))
    };
    let start = "POST /a?b HTTP/1.1\r\nhost: shop.test\r\n";
    assert_eq!(with(&[], none()), format!("{start}\r\n"));
    assert_eq!(with(&[("content-length", "0")], none()), format!("{start}content-length: 0\r\n\r\n"));
    assert_eq!(with(&[("transfer-encoding", "chunked")], none()), format!("{start}\r\n"));
    let (to, body) = fed(Some(5));
    to.send(Ok("hello".into())).unwrap();
    let lying = [("content-length", "7"), ("content-length", "8"), ("transfer-encoding", "gzip")];
    assert_eq!(with(&lying, body), format!("{start}content-length: 5\r\n\r\nhello"));
    let (to, body) = fed(None);
    for piece in ["hello", "", "!"] {
        to.send(Ok(piece.into())).unwrap();
    }
    drop(to);
    assert_eq!(
        with(&[("content-length", "7")], body),
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")
    );
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_an_error() {
    for piece in ["hell", "hello!"] {
        let (to, body) = fed(Some(5));
        to.send(Ok(piece.into())).unwrap();
        drop(to);
        let mut outgoing = outgoing(request(Method::POST, body));
        let polled = outgoing.poll(&mut Script::new(&[]), &mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Err(Broken::Client(BodyFailure::Broken))), "{piece}");
    }
}

async fn ask(stream: DuplexStream, body: Fed) -> Result<Head, Failure> {
    let mut connection = Connection::new(stream);
    let mut outgoing = outgoing(request(Method::POST, body));
    send(&mut connection, &mut outgoing, None, DEADLINES()).await
}

#[tokio::test(start_paused = true)]
async fn deadlines_pass() {
    let (ours, _theirs) = duplex(1024);
    let began = Instant::now();
    assert!(matches!(ask(ours, none()).await, Err(Failure::Final(Rejection::UpstreamTimeout))));
    assert_eq!(began.elapsed().as_secs(), 10, "without a body it is the attempt's");
}

/// The alarm is moved only when it would fire too late: it still fires for the second exchange on a connection.
#[tokio::test(start_paused = true)]
async fn deadlines_pass_on_a_kept_connection_too() {
    let (ours, mut theirs) = duplex(1024);
    let mut connection = Connection::new(ours);
    theirs.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.unwrap();
    for wait in [0, 7, 100] {
        // Time is paused: nobody waits.
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let began = Instant::now();
        let mut outgoing = outgoing(request(Method::GET, none()));
        let answer = send(&mut connection, &mut outgoing, None, DEADLINES()).await;
        assert_eq!(answer.is_ok(), wait == 0);
        assert_eq!(began.elapsed().as_secs(), if wait == 0 { 0 } else { 10 });
        connection.rest();
        assert!(connection.is_quiet());
    }
}

#[tokio::test]
async fn a_waiting_connection_is_looked_at() {
    let (ours, mut theirs) = duplex(1024);
    let mut connection = Connection::new(ours);
    assert!(connection.is_quiet());
    theirs.write_all(b"x").await.unwrap();
    assert!(!connection.is_quiet(), "bytes that nobody asked for");
    let (ours, theirs) = duplex(1024);
    let mut connection = Connection::new(ours);
    drop(theirs);
    assert!(!connection.is_quiet(), "closed");
}

/// U06
#[tokio::test]
async fn what_goes_again_on_another_connection() {
    let closed = |method: Method, body: Fed| async {
        let (ours, mut theirs) = duplex(1024);
        let mut connection = Connection::new(ours);
        let mut outgoing = outgoing(request(method, body));
        let mut asking = Asking::new(&mut connection, &mut outgoing);
        let mut answer = pin!(std::future::poll_fn(|cx| asking.poll(cx)));
        assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut some = [0; 10];
        theirs.read_exact(&mut some).await.unwrap();
        drop(theirs);
        assert!(matches!(answer.await, Err(Broken::Closed(_))));
        outgoing
    };
    let mut again = closed(Method::GET, none()).await;
    assert!(again.rewind());
    let mut stream = Script::new(&[]);
    assert!(again.poll(&mut stream, &mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(stream.written, b"GET /a?b HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    for method in [Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        assert!(closed(method, none()).await.rewind());
    }
    for method in [Method::POST, Method::PATCH, Method::from_bytes(b"PURGE").unwrap()] {
        assert!(!closed(method, none()).await.rewind());
    }

    // Nothing was sent: whatever it is, with the frame that was taken from its body.
    let (ours, theirs) = duplex(1024);
    drop(theirs);
    let (to, body) = fed(Some(5));
    to.send(Ok("hello".into())).unwrap();
    let mut outgoing = outgoing(request(Method::POST, body));
    let mut connection = Connection::new(ours);
    let unsent = outgoing.poll(&mut connection.stream, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(unsent, Poll::Ready(Err(Broken::Closed(_)))), "{unsent:?}");
    assert!(outgoing.rewind());
    let mut stream = Script::new(&[]);
    assert!(outgoing.poll(&mut stream, &mut Context::from_waker(Waker::noop())).is_ready());
    assert!(stream.written.ends_with(b"content-length: 5\r\n\r\nhello") && outgoing.is_sent());
}

/// A body goes again from its beginning, as far as it was kept, and then goes on as it comes.
#[tokio::test]
async fn a_body_that_was_kept_goes_again() {
    let mut cx = Context::from_waker(Waker::noop());
    for length in [Some(10), None] {
        let (to, body) = fed(length);
        to.send(Ok("hello".into())).unwrap();
        let mut outgoing = outgoing(request(Method::PUT, body));
        let mut first = Script::new(&[]);
        assert!(outgoing.poll(&mut first, &mut cx).is_pending());
        assert!(outgoing.rewind());
        to.send(Ok("world".into())).unwrap();
        drop(to);
        let mut second = Script::new(&[]);
        assert!(outgoing.poll(&mut second, &mut cx).is_ready());
        assert!(second.written.starts_with(&first.written) && outgoing.is_sent());
        let end: &[u8] =
            if length.is_some() { b"\r\n\r\nhelloworld" } else { b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n" };
        assert!(second.written.ends_with(end), "{}", second.written.escape_ascii());
        let mut third = Script::new(&[]);
        assert!(outgoing.rewind() && outgoing.poll(&mut third, &mut cx).is_ready());
        assert_eq!(third.written, second.written);
        outgoing.is_answered();
        assert!(!outgoing.rewind(), "it has its answer");
    }
}

/// What is longer than may be kept is forgotten as it is sent, whether its length was known or not.
#[tokio::test]
async fn a_body_that_is_too_long_goes_once() {
    let mut cx = Context::from_waker(Waker::noop());
    for length in [Some(3 * REPLAY as u64), None] {
        let (to, body) = fed(length);
        let mut outgoing = outgoing(request(Method::PUT, body));
        let mut sent = Script::new(&[]);
        for _ in 0..3 {
            to.send(Ok(vec![b'a'; REPLAY].into())).unwrap();
            let _ = outgoing.poll(&mut sent, &mut cx);
        }
        assert!(!outgoing.can_repeat());
        assert!(outgoing.held() <= 2 * REPLAY, "{}", outgoing.held());
        assert!(sent.written.len() > 3 * REPLAY);
    }
}

async fn early(
    body: Fed,
) -> (DuplexStream, Option<UpstreamBody<DuplexStream>>, tokio::task::JoinHandle<Option<Box<Connection<DuplexStream>>>>)
{
    let (ours, mut theirs) = duplex(1024);
    let mut connection = Connection::new(ours);
    let mut outgoing = outgoing(request(Method::POST, body));
    theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
    let head = send(&mut connection, &mut outgoing, None, DEADLINES()).await.unwrap();
    assert!(!outgoing.is_over());
    let (relay, relayed) = Relay::new(connection, outgoing, (head.framing, head.lasts), None, DEADLINES().send);
    (theirs, Some(UpstreamBody::relayed(relayed)), tokio::spawn(relay.run()))
}

async fn data(body: &mut UpstreamBody<DuplexStream>) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_and_the_rest_of_its_request_do_not_wait_for_each_other() {
    let (to, body) = fed(None);
    let (mut theirs, response, task) = early(body).await;
    let mut response = response.unwrap();
    // Nobody reads the answer, and the request goes on.
    to.send(Ok("more".into())).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"4\r\nmore\r\n") {
        theirs.read_buf(&mut seen).await.unwrap();
    }
    assert_eq!(response.size_hint().exact(), Some(4));
    assert_eq!(data(&mut response).await, "ab");
    theirs.write_all(b"cd").await.unwrap();
    assert_eq!(data(&mut response).await, "cd");
    assert!(response.is_end_stream() && response.frame().await.is_none());
    drop(response);
    // The answer is over, and the request goes on.
    to.send(Ok("last".into())).unwrap();
    drop(to);
    while !seen.ends_with(b"4\r\nlast\r\n0\r\n\r\n") {
        theirs.read_buf(&mut seen).await.unwrap();
    }
    assert!(task.await.unwrap().unwrap().is_quiet(), "both ended cleanly");
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_ends_with_its_client() {
    let (_to, body) = fed(None);
    let (mut theirs, response, task) = early(body).await;
    drop(response);
    assert!(task.await.unwrap().is_none());
    theirs.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_is_cut_with_its_upstream_or_its_request() {
    let (_to, body) = fed(None);
    let (theirs, response, _) = early(body).await;
    drop(theirs);
    assert!(matches!(response.unwrap().collect().await, Err(Broken::Cut(_))));

    let (to, body) = fed(None);
    let (_theirs, response, _) = early(body).await;
    to.send(Err(BodyFailure::TooLarge)).unwrap();
    assert!(matches!(response.unwrap().collect().await, Err(Broken::Client(BodyFailure::TooLarge))));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_takes_no_more_after_an_early_answer_is_given_up() {
    let (to, body) = fed(None);
    let (mut theirs, response, task) = early(body).await;
    to.send(Ok(vec![0; 10_000].into())).unwrap();
    theirs.write_all(b"cd").await.unwrap();
    let answer = response.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "abcd");
    assert!(task.await.unwrap().is_none(), "the request was not sent to its end");
    assert!(to.is_closed());
}
