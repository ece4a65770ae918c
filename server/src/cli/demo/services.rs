//! The demo's sample services: a few lines of HTTP each, on loopback ports of their own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_core::auth::mint;
use portcullis_core::time::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How long a token of the demo lasts.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// A login is a name; more is not read.
const LARGEST_LOGIN: usize = 4096;

/// The sample services, on ports of their own.
pub(super) struct Services {
    runtime: Runtime,
    bound: Vec<Bound>,
}

/// A service that has a port and does not answer yet.
struct Bound {
    listener: TcpListener,
    name: &'static str,
    url: String,
    /// What stands for it in `examples/shop.toml`.
    variable: &'static str,
}

/// One service: its name in answers, and what it signs tokens with.
#[derive(Clone)]
struct Service {
    name: &'static str,
    secret: Arc<str>,
    clock: Clock,
}

impl Services {
    /// Takes a free port for each.
    pub(super) fn bind() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let services = [
            ("USERS_URL", "users"),
            ("ORDERS_URL_1", "orders-1"),
            ("ORDERS_URL_2", "orders-2"),
            ("NOTIFICATIONS_URL", "notifications"),
        ];
        let bind = |(variable, name)| {
            let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))?;
            let url = format!("http://{}", listener.local_addr()?);
            Ok(Bound { listener, name, url, variable })
        };
        let bound = services.into_iter().map(bind).collect::<io::Result<_>>()?;
        Ok(Self { runtime, bound })
    }

    /// Answers, on a thread of their own, until the process ends.
    pub(super) fn serve(self, secret: String) -> io::Result<()> {
        let secret: Arc<str> = secret.into();
        thread::Builder::new().name("demo-services".into()).spawn(move || {
            self.runtime.block_on(async {
                for Bound { listener, name, .. } in self.bound {
                    let service = Service { name, secret: Arc::clone(&secret), clock: Clock::system() };
                    tokio::spawn(serve(listener, service));
                }
                std::future::pending::<()>().await;
            });
        })?;
        Ok(())
    }

    /// The URL that stands for a variable of `examples/shop.toml`.
    pub(super) fn url(&self, variable: &str) -> Option<String> {
        self.bound.iter().find(|service| service.variable == variable).map(|service| service.url.clone())
    }
}

async fn serve(listener: TcpListener, service: Service) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let answers = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            });
            // A client that breaks off is nothing that a sample has to tell.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answers).await;
        });
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if path.ends_with("/down") {
            return respond(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"from": self.name, "error": "this service is down"}),
            );
        }
        if parts.method == Method::POST && (path == "/auth/login" || path == "/auth/register") {
            return self.login(body).await;
        }
        respond(StatusCode::OK, &self.record(path, &parts.headers))
    }

    /// Any name is somebody here.
    async fn login(&self, body: Incoming) -> Response<Full<Bytes>> {
        let body = Limited::new(body, LARGEST_LOGIN).collect().await.map(http_body_util::Collected::to_bytes);
        let user = body.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match user.as_ref().and_then(|login| login.get("user")).and_then(Value::as_str) {
            Some(user) if !user.is_empty() => {
                let token = token(&self.secret, user, "customer", &self.clock);
                respond(StatusCode::OK, &json!({"token": token, "expires_in": LIFE.as_secs()}))
            }
            _ => respond(StatusCode::BAD_REQUEST, &json!({"error": "send {\"user\": \"a name\"}"})),
        }
    }

    /// What this service knows, with what the gateway told it about the caller.
    fn record(&self, path: &str, headers: &HeaderMap) -> Value {
        let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        json!({
            "from": self.name,
            "path": path,
            "caller": {"x-user-id": told("x-user-id"), "x-user-role": told("x-user-role")},
        })
    }
}

/// A token as the users service signs it.
pub(super) fn token(secret: &str, user: &str, role: &str, clock: &Clock) -> String {
    let expires = clock.unix().as_secs() + LIFE.as_secs();
    let claims = json!({
        "iss": "https://login.shop.test", "aud": "shop", "sub": user, "role": role, "exp": expires,
    });
    claims.as_object().and_then(|claims| mint(super::ALGORITHM, secret.as_bytes(), claims).ok()).unwrap_or_default()
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *response.status_mut() = status;
    let _ = response.headers_mut().try_insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
