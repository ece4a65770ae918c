//! The request to explain, as a command line says it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Method, Uri};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The method
    #[arg(value_parser = method)]
    pub(super) method: Method,
    /// A path, or a URL whose host counts too: /orders/7, http://shop.test/orders/7
    #[arg(value_parser = url)]
    pub(super) url: Uri,
    /// A header field of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Who connects: an address, or "unix"; who is a trusted proxy is believed as to whom it speaks for
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = peer)]
    pub(super) client: Peer,
    /// Print one JSON document, for programs
    #[arg(long)]
    pub(super) json: bool,
    /// The configuration; ./portcullis.toml where left out
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Methods are case-sensitive, but nobody means `get` when they write it.
fn method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"].contains(&&*upper);
    let text = if known { &upper } else { text };
    text.parse().map_err(|_| format!("`{text}` is not a method, like GET"))
}

/// Who connects; without an address over a unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

fn peer(text: &str) -> Result<Peer, String> {
    if text == "unix" {
        return Ok(Peer(None));
    }
    text.parse().map(|address| Peer(Some(address))).map_err(|_| "write an IP address, or unix".to_owned())
}

fn url(text: &str) -> Result<Uri, String> {
    let hint = || format!("write a path, /orders/7, or a whole URL: http://{}", text.trim_start_matches('/'));
    let uri: Uri = text.parse().map_err(|_| hint())?;
    if uri.path().starts_with('/') || text == "*" { Ok(uri) } else { Err(hint()) }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"name: value\"")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a header name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "the value has characters that no header can have".to_owned())?;
    Ok((name, value))
}
