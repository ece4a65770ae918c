//! One client connection: its exchanges, watched by one timer, drained when the gateway stops.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use portcullis_core::Rejection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::h1::exchanges;
use super::h1::wire::Wire;
use super::watch::{Overdue, Patience, Watch, Watched};
use crate::connection::{Connection, note_refusal};
use crate::gateway::State;

/// A head that was never completed gets its answer before the connection closes (RFC 9110, section 15.5.9).
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
content-length: 133\r\n\r\n{\"code\":\"request-timeout\",\"status\":408,\"title\":\"The request took too long to arrive\",\
\"type\":\"urn:portcullis:problem:request-timeout\"}";

/// Serves requests from `stream` until it ends. Generic over the stream, so that tests need no sockets.
pub(crate) async fn serve<S>(gateway: Arc<State>, stream: S, client: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new();
    let connection = Connection::new(Arc::clone(&gateway), client, Arc::clone(&watch));
    let (patience, bounds) = (connection.patience(), connection.bounds());
    let wire = Wire::new(Watched { stream, watch: Arc::clone(&watch) });
    let served = async {
        let tunnel = exchanges(&connection, &wire, bounds).await;
        // A tunnel may live for days: it keeps nothing of what requests need, and no old plan.
        drop(connection);
        if let Some(tunnel) = tunnel {
            tunnel.run().await;
        }
    };
    let overdue = drive(&gateway, &watch, patience, pin!(served)).await;
    let mut last: &[u8] = b"";
    if overdue == Some(Overdue::Head) && watch.is_mid_head() {
        note_refusal(&gateway, client, &Rejection::RequestTimeout);
        last = TIMED_OUT;
    }
    // Best effort, and bounded: the client may not read, or may go on sending what nobody wants.
    let _ = timeout(LINGER, wire.close(last, LINGER_BYTES)).await;
    wire.end();
}

/// How long, and for how many bytes, a closing connection is still read from. A socket that is closed while bytes of the
/// client are on their way resets the connection, and the client may lose the answer that was to explain it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// Polls the exchanges; after each poll, looks whether one waits for too long. Wakes them when the gateway is draining. None when
/// they ended by themselves.
pub(crate) async fn drive(
    gateway: &State,
    watch: &Watch,
    patience: Patience,
    mut exchanges: Pin<&mut impl Future<Output = ()>>,
) -> Option<Overdue> {
    let mut stopping = pin!(gateway.draining());
    let mut armed = watch.due(patience, false).map_or_else(Instant::now, |(at, _)| at);
    let mut timer: Pin<&mut Sleep> = pin!(sleep_until(armed));
    let (mut listening, mut ticking) = (false, false);
    poll_fn(|cx| {
        // Polled once, it stays registered with this task; from then on the flag is enough.
        if !listening {
            listening = true;
            let _ = stopping.as_mut().poll(cx);
        }
        if exchanges.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        loop {
            let due = watch.due(patience, gateway.is_draining());
            if let Some((at, _)) = due
                && at < armed
            {
                armed = at;
                timer.as_mut().reset(armed);
                ticking = false;
            }
            // The timer, too, stays registered with this task until it is moved or has rung.
            if ticking && !timer.is_elapsed() {
                return Poll::Pending;
            }
            ticking = true;
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match due {
                Some((at, what)) if at <= Instant::now() => {
                    watch.cut(what);
                    return Poll::Ready(Some(what));
                }
                Some((at, _)) => armed = at,
                // Nothing to wait for now; look again after a while. The next stall resets the timer anyway.
                None => armed = Instant::now() + patience.idle,
            }
            timer.as_mut().reset(armed);
            ticking = false;
        }
    })
    .await
}
