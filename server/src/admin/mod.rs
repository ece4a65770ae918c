//! The operator's own door: /livez, /readyz, /metrics, /api/upstreams, /api/cache/purge. Never on a client listener.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_core::time::Moment;
use portcullis_core::upstream::{self, EndpointStanding, EndpointState};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::gateway::State;
use crate::observe::metrics::{
    CONTENT_TYPE as METRICS_TYPE, CacheReading, EndpointReading, Metrics, Readings, UpstreamReading,
};
use crate::observe::{BreakerState, StoreReading, StoreState};
use crate::servers::{Server, in_seconds};
use crate::stream::Stream;
use crate::upstream::Upstream;

mod cache;
mod upstreams;

/// Where answers are taken out of the cache.
const PURGE: &str = "/api/cache/purge";

/// Connections at a time: an operator and a few scrapers.
const CONNECTIONS: usize = 64;
/// A head must be there by then; also how long a connection may idle.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection lives no longer than this, whatever it does.
const LIFE: Duration = Duration::from_secs(300);

/// Where the operator arrives.
#[derive(Debug)]
pub(crate) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Answers at `door` until the runtime ends.
pub(crate) async fn serve(gateway: Arc<State>, door: Door) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(stream) = door.accept().await else {
            // Out of descriptors: rest, or this loop spins until one is free.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                let _ = timeout(LIFE, connection(gateway, stream)).await;
                drop(place);
            });
        }
    }
}

async fn connection(gateway: Arc<State>, stream: Stream) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&gateway, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = http.await {
        tracing::debug!(%error, "an admin connection broke");
    }
}

pub(crate) fn answer<B>(gateway: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    let changes = request.uri().path() == PURGE;
    let fits = if changes {
        *request.method() == Method::POST
    } else {
        matches!(*request.method(), Method::GET | Method::HEAD)
    };
    if !fits {
        return text(StatusCode::METHOD_NOT_ALLOWED, if changes { "only POST\n" } else { "only GET and HEAD\n" });
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" => ready(gateway, may_enter(gateway, request)),
        _ if !may_enter(gateway, request) => {
            let mut response =
                text(StatusCode::UNAUTHORIZED, "the admin token is needed: Authorization: Bearer TOKEN\n");
            let _ = response.headers_mut().try_insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, gateway.metrics().encode(readings(gateway)));
            let _ = response.headers_mut().try_insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
            response
        }
        "/api/upstreams" => {
            let mut response = text(StatusCode::OK, upstreams::json(gateway));
            let _ = response.headers_mut().try_insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        PURGE => match cache::purge(gateway, request.uri(), request.headers()) {
            Ok(json) => {
                let mut response = text(StatusCode::OK, json);
                let _ = response.headers_mut().try_insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err((status, why)) => text(status, why),
        },
        _ => text(StatusCode::NOT_FOUND, "here are /livez, /readyz, /metrics, /api/upstreams and /api/cache/purge\n"),
    }
}

/// Ready means: takes requests. What is wrong without being in their way is said in the text; the lines of the
/// configuration that a report quotes are for whoever may enter.
fn ready(gateway: &State, may_enter: bool) -> Response<Full<Bytes>> {
    if gateway.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    let (missing, unready) = gateway.missing_keys();
    let mut lines = String::new();
    for name in missing {
        lines.push_str(&format!("[auth.{name}] has no keys: its tokens cannot be checked\n"));
    }
    lines.extend(gateway.store_reading().and_then(|store| degraded(&store)));
    if unready {
        return text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{lines}"));
    }
    match gateway.last_reload_problem() {
        Some(problem) if may_enter => {
            text(StatusCode::OK, format!("ready, on the last good configuration\n{lines}\n{problem}\n"))
        }
        Some(_) => text(StatusCode::OK, format!("ready, on the last good configuration\n{lines}")),
        None => text(StatusCode::OK, format!("ready\n{lines}")),
    }
}

/// What becomes of limits while their store does not decide: the gateway is degraded by that, and not down.
fn degraded(store: &StoreReading) -> Option<String> {
    let nodes = store.nodes;
    Some(match store.state {
        StoreState::Shared => return None,
        StoreState::Connecting => {
            "degraded: the store of limits was never reached; each limit's on_failure decides\n".to_owned()
        }
        StoreState::Lost { lately } => format!(
            "degraded: the store of limits has been lost for {}; each limit's on_failure decides, a share being one of {nodes}\n",
            in_seconds(lately)
        ),
        StoreState::Recovering { left } => format!(
            "degraded: the store of limits has lost its data; this node decides its share, one of {nodes}, for {} at most\n",
            in_seconds(left)
        ),
    })
}

fn may_enter<B>(gateway: &State, request: &Request<B>) -> bool {
    let running = gateway.running();
    let Some(token) = running.settings.admin.as_ref().and_then(|admin| admin.token.as_ref()) else { return true };
    let mut lines = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    line.as_bytes().strip_prefix(b"Bearer ").is_some_and(|given| same(given, token.reveal().as_bytes()))
}

/// Compares in time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

fn readings(gateway: &State) -> Readings {
    let running = gateway.running();
    let now = gateway.clock().now();
    let store = gateway.store_stats();
    let upstreams = running.upstreams.iter().map(|upstream| {
        let mut reading = UpstreamReading::new(Arc::clone(&upstream.name));
        reading.in_flight = upstream.in_flight();
        reading.pending = upstream.pending();
        reading.connections_idle = upstream.idle() as u64;
        (reading.connections_opened, reading.connections_reused) = upstream.used();
        reading.breaker = Some(breaker(upstream.breaker.state(now)));
        reading.endpoint_count = upstream.roster.endpoints().len() as u64;
        (reading.panicking, reading.endpoints) = endpoints(upstream, now);
        reading.breaker_opened = upstream.breaker.times_opened();
        reading.breaker_reopened = upstream.breaker.times_reopened();
        reading
    });
    Readings {
        access_log_dropped: gateway.access().dropped(),
        connections_open: gateway.connections() as u64,
        tunnels_open: gateway.tunnels() as u64,
        keys: running.keys().collect(),
        limit_keys: store.map_or(0, |store| store.keys as u64),
        limit_overflowed: store.map_or(0, |store| store.overflowed),
        names: gateway.names().readings(),
        plans: gateway.plans() as u64,
        store: gateway.store_reading(),
        upstreams: upstreams.collect(),
        cache: running.cache.as_ref().map(|cache| CacheReading {
            bytes: cache.store.budget().used(),
            keys: cache.store.keys(),
            size: cache.store.size(),
            waiting: cache.waiting(),
        }),
    }
}

fn endpoints(upstream: &Upstream, now: Moment) -> (bool, Vec<EndpointReading>) {
    let state = upstream.roster.state_at(now);
    let reading = |of: &EndpointState| {
        Some(EndpointReading {
            asked: of.asked,
            checks_failed: of.checks_failed,
            checks_passed: of.checks_passed,
            ejected: matches!(of.standing, EndpointStanding::Ejected { .. }),
            ejections: of.ejections,
            healthy: of.standing != EndpointStanding::Unhealthy,
            in_flight: of.endpoint.in_flight().into(),
            name: Arc::clone(&Server::of(&of.endpoint)?.name),
        })
    };
    (state.panicking, state.endpoints.iter().take(Metrics::MAX_SERVERS).filter_map(reading).collect())
}

fn breaker(state: upstream::BreakerState) -> BreakerState {
    match state {
        upstream::BreakerState::Closed => BreakerState::Closed,
        upstream::BreakerState::HalfOpen => BreakerState::HalfOpen,
        upstream::BreakerState::Open { .. } => BreakerState::Open,
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let _ = headers.try_insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let _ = headers.try_insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
