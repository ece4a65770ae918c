//! One fetch: one connection, one request, one bounded answer.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::schedule;
use crate::url::JwksUrl;

/// Name, connection and TLS take no longer.
const CONNECT: Duration = Duration::from_secs(3);

/// A whole fetch takes no longer; tokens that wait for it wait no longer either.
pub(crate) const WHOLE: Duration = Duration::from_secs(5);

/// The largest set that is read: 64 keys of RSA with certificates take less.
const LARGEST: usize = 256 * 1024;

/// The largest head.
const LARGEST_HEAD: usize = 16 * 1024;

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Bytes,
    /// How long the issuer says that it is fresh.
    pub(crate) freshness: Option<Duration>,
}

/// Why nothing was fetched, for the log.
#[derive(Debug)]
pub(crate) enum FetchError {
    Connect(std::io::Error),
    ContentEncoding,
    Deadline,
    Http(hyper::Error),
    Name,
    Redirect,
    Status(StatusCode),
    TooLarge,
}

/// Gets a key set from somewhere.
pub(crate) trait Fetch: Send + Sync + 'static {
    /// Once, within [`WHOLE`].
    fn fetch(&self) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}

/// Gets it from its URL.
#[derive(Debug)]
pub(crate) struct Fetcher {
    pub(crate) url: JwksUrl,
    /// Where the URL is HTTPS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Fetch for Fetcher {
    async fn fetch(&self) -> Result<Fetched, FetchError> {
        timeout(WHOLE, self.within()).await.unwrap_or(Err(FetchError::Deadline))
    }
}

impl Fetcher {
    async fn within(&self) -> Result<Fetched, FetchError> {
        let connect = async {
            let stream = TcpStream::connect((self.url.host(), self.url.port())).await.map_err(FetchError::Connect)?;
            let Some(config) = &self.tls else { return Ok((stream, None)) };
            let name = ServerName::try_from(self.url.host().to_owned()).map_err(|_| FetchError::Name)?;
            Ok((stream, Some((name, TlsConnector::from(Arc::clone(config))))))
        };
        let secure = async {
            match connect.await? {
                (stream, None) => Ok(Stream::Plain(stream)),
                (stream, Some((name, connector))) => {
                    let stream = connector.connect(name, stream).await.map_err(FetchError::Connect)?;
                    Ok(Stream::Tls(Box::new(stream)))
                }
            }
        };
        match timeout(CONNECT, secure).await.unwrap_or(Err(FetchError::Deadline))? {
            Stream::Plain(stream) => self.exchange(stream).await,
            Stream::Tls(stream) => self.exchange(stream).await,
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Fetched, FetchError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(LARGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(FetchError::Http)?;
        // Dropped with this future, and the connection with it.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(self.request()?).await.map_err(FetchError::Http)?;
        if response.status().is_redirection() {
            return Err(FetchError::Redirect);
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        if response.headers().contains_key(CONTENT_ENCODING) {
            return Err(FetchError::ContentEncoding);
        }
        let freshness = schedule::freshness(response.headers());
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => FetchError::Http(*error),
            Err(_) => FetchError::TooLarge,
        })?;
        Ok(Fetched { body: body.to_bytes(), freshness })
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, FetchError> {
        Request::get(self.url.target().as_str())
            .header(HOST, self.url.authority())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            // A parsed URL's authority and target are what these fields take.
            .map_err(|_| FetchError::Name)
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::ContentEncoding => f.write_str("the answer is compressed, which was not asked for"),
            Self::Deadline => {
                write!(f, "no whole answer within {} s (connected within {} s)", WHOLE.as_secs(), CONNECT.as_secs())
            }
            Self::Http(error) => write!(f, "not HTTP as it should be: {error}"),
            Self::Name => f.write_str("the host is not a name that a certificate could have"),
            Self::Redirect => {
                f.write_str("the answer is a redirect, which is not followed: name the URL that it leads to")
            }
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::TooLarge => write!(f, "the answer has more than {} KiB", LARGEST / 1024),
        }
    }
}

#[cfg(test)]
mod tests;
