//! What the examples' tests share: a server, a client and a token.

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use portcullis_core::auth::{Algorithm, mint};
use portcullis_core::time::Clock;
use tokio::net::{TcpListener, TcpStream};

/// The secret of the examples.
pub const SECRET: &[u8] = b"a-secret-of-at-least-32-bytes-here";

/// Claims that the examples accept for an hour.
pub fn claims(sub: &str) -> String {
    let exp = Clock::system().unix().as_secs() + 3600;
    serde_json::json!({ "iss": "https://login.shop.test", "aud": "shop", "sub": sub, "exp": exp }).to_string()
}

/// A token that the examples accept.
pub fn token(sub: &str) -> String {
    let claims: serde_json::Map<_, _> = serde_json::from_str(&claims(sub)).expect("claims are an object");
    mint(Algorithm::HS256, SECRET, &claims).expect("the secret is long enough")
}

/// A GET request, with a token or without.
pub fn get(target: &str, token: Option<&str>) -> Request<Empty<Bytes>> {
    let request = Request::get(target).header("host", "shop.test");
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.body(Empty::new()).expect("a good request")
}

/// The text of an answer.
pub async fn text<B>(response: Response<B>) -> String
where
    B: BodyExt,
    B::Error: std::fmt::Debug,
{
    let bytes = response.into_body().collect().await.expect("a whole answer").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Sends a request over a connection of its own.
///
/// # Errors
/// No connection, or no answer.
pub async fn try_fetch(to: SocketAddr, request: Request<Empty<Bytes>>) -> Result<(u16, String), Box<dyn Error>> {
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    tokio::spawn(connection);
    let response = client.send_request(request).await?;
    Ok((response.status().as_u16(), text(response).await))
}

/// The same, where an answer is sure.
pub async fn fetch(to: SocketAddr, request: Request<Empty<Bytes>>) -> (u16, String) {
    try_fetch(to, request).await.expect("an answer")
}

/// Serves a router on a port of its own.
pub async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A server that always says the same.
pub async fn server(status: u16, body: &str) -> SocketAddr {
    let status = http::StatusCode::from_u16(status).expect("a status");
    let body = body.to_owned();
    serve(Router::new().fallback(move || async move { (status, body) })).await
}
