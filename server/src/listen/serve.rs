//! One client connection: hyper's HTTP/1 server, watched by one timer, drained when the gateway stops.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::watch::{Overdue, Patience, Watch, Watched};
use crate::gateway::{Connection, Gateway};

/// Why a connection ended.
enum Ended {
    /// Something on it was not HTTP, or it broke.
    Broken(hyper::Error),
    /// By itself: closed by either side, or drained.
    Done,
    /// It made us wait too long.
    Overdue(Overdue),
}

/// A head that was never completed gets its answer before the connection closes (RFC 9110, section 15.5.9).
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
content-length: 133\r\n\r\n{\"code\":\"request-timeout\",\"status\":408,\"title\":\"The request took too long to arrive\",\
\"type\":\"urn:portcullis:problem:request-timeout\"}";

/// The largest piece of a body that is read or written at once; also what one connection may buffer in either direction.
const BUFFER: usize = 64 * 1024;

/// Serves requests from `stream` until it ends. Generic over the stream, so that tests need no sockets.
pub(crate) async fn serve<S>(gateway: Arc<Gateway>, mut stream: S, client: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let watch = Watch::new();
    let connection = Arc::new(Connection::new(Arc::clone(&gateway), client, Arc::clone(&watch)));
    let settings = connection.settings();
    let patience = Patience {
        header: settings.header_timeout,
        body: settings.body_timeout,
        stream: settings.stream_idle_timeout,
        idle: settings.idle_timeout,
    };
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .keep_alive(true)
        .max_buf_size(BUFFER.max(settings.max_header_size.saturating_mul(2)))
        .max_header_size(settings.max_header_size)
        // The answers of most requests are small: one buffer, one write.
        .writev(false)
        // Our own watch takes its place, at no cost for a request that arrives whole.
        .header_read_timeout(None);
    if settings.max_headers != DEFAULT_MAX_HEADERS {
        builder.max_headers(settings.max_headers);
    }
    let ended = {
        let io = TokioIo::new(Watched { stream: &mut stream, watch: Arc::clone(&watch) });
        let service = service_fn(|request| {
            let connection = Arc::clone(&connection);
            async move { Ok::<_, std::convert::Infallible>(crate::proxy::handle(&connection, request).await) }
        });
        let http = pin!(builder.serve_connection(io, service));
        drive(&gateway, &watch, patience, http).await
    };
    let overdue = matches!(ended, Ended::Overdue(Overdue::Head)) && watch.is_mid_head();
    if let Some(refusal) = refusal_without_request(&ended, overdue) {
        connection.note_refusal(&refusal);
    }
    // Best effort, and bounded: the client may not read, or may go on sending what nobody wants.
    let _ = timeout(LINGER, async {
        if overdue {
            stream.write_all(TIMED_OUT).await?;
        }
        stream.shutdown().await?;
        linger(&mut stream).await
    })
    .await;
}

/// How long, and for how many bytes, a closing connection is still read from. A socket that is closed while bytes of the
/// client are on their way resets the connection, and the client may lose the answer that was to explain it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

async fn linger(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut sink = [0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut sink).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// What was refused before there was a request: hyper answered a head that it could not read, or we one that never ended.
fn refusal_without_request(ended: &Ended, overdue: bool) -> Option<Rejection> {
    match ended {
        Ended::Broken(error) if error.is_parse_too_large() => Some(Rejection::HeadersTooLarge),
        Ended::Broken(error) if error.is_parse() => Some(Rejection::BadRequest("the head is not HTTP/1.1")),
        Ended::Overdue(Overdue::Head) if overdue => Some(Rejection::RequestTimeout),
        Ended::Broken(error) => {
            tracing::debug!(%error, "a client connection broke");
            None
        }
        _ => None,
    }
}

/// hyper's own; other values make it allocate for each head.
const DEFAULT_MAX_HEADERS: usize = 100;

/// A connection that can be told to end after the request it is at.
trait Drain: Future<Output = hyper::Result<()>> {
    fn drain(self: Pin<&mut Self>);
}

impl<I, B, S> Drain for http1::Connection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls the connection; after each poll, looks whether it waits for too long and whether the gateway is draining.
async fn drive(gateway: &Gateway, watch: &Watch, patience: Patience, mut http: Pin<&mut impl Drain>) -> Ended {
    let mut stopping = pin!(gateway.draining());
    let mut armed = watch.due(patience, false).map_or_else(Instant::now, |(at, _)| at);
    let mut timer: Pin<&mut Sleep> = pin!(sleep_until(armed));
    let mut told = false;
    let mut listening = false;
    poll_fn(|cx| {
        // Polled once, it stays registered with this task; from then on the flag is enough.
        if !listening {
            listening = true;
            let _ = stopping.as_mut().poll(cx);
        }
        loop {
            if let Poll::Ready(result) = http.as_mut().poll(cx) {
                return Poll::Ready(result.map_or_else(Ended::Broken, |()| Ended::Done));
            }
            let draining = gateway.is_draining();
            // hyper, told before it has read a whole head, would not read it: a request that is on its way comes first.
            if draining && !told && !watch.expects_head() {
                told = true;
                http.as_mut().drain();
                continue;
            }
            let due = watch.due(patience, draining);
            if let Some((at, _)) = due
                && at < armed
            {
                armed = at;
                timer.as_mut().reset(armed);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match due {
                Some((at, what)) if at <= Instant::now() => {
                    watch.cut(what);
                    return Poll::Ready(Ended::Overdue(what));
                }
                Some((at, _)) => armed = at,
                // Nothing to wait for now; look again after a while. The next stall resets the timer anyway.
                None => armed = Instant::now() + patience.idle,
            }
            timer.as_mut().reset(armed);
        }
    })
    .await
}
