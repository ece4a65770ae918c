//! The URL a server is written as.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

/// What every [`EndpointUrlError`] ends with.
pub const ACCEPTED_URLS: &str =
    "\"http://HOST:PORT\", \"https://HOST:PORT\", \"h2c://HOST:PORT\" (a port may be left out) or \"unix:/PATH\"";

/// A DNS name has at most so many bytes (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// The longest path of a unix socket, in bytes: the system has 108 for it, the last of which ends it (unix(7)).
pub const MAX_SOCKET_PATH: usize = 107;

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// HTTP/2 in the clear, known to be spoken beforehand (RFC 9113, section 3.3). Port 80 unless written.
    H2c,
    /// HTTP/1.1 in the clear. Port 80 unless written.
    Http,
    /// HTTP over TLS. Port 443 unless written.
    Https,
    /// HTTP/1.1 over a unix socket.
    Unix,
}

impl Scheme {
    /// As it is written in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H2c => "h2c",
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a server is: a scheme, and a host with a port or a socket's path. Nothing else: a path belongs to a route, a
/// secret to no URL.
///
/// One spelling for each server: lower case, the port always written, so that equal URLs are equal texts.
///
/// ```
/// use portcullis_core::upstream::{EndpointUrl, Scheme};
/// let url: EndpointUrl = "http://Users.internal/".parse()?;
/// assert_eq!((url.scheme(), url.authority(), url.to_string()),
///            (Scheme::Http, "users.internal:80", "http://users.internal:80".to_owned()));
/// assert!("127.0.0.1:7001".parse::<EndpointUrl>().is_err());
/// # Ok::<(), portcullis_core::upstream::EndpointUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    scheme: Scheme,
    authority: Box<str>,
}

impl EndpointUrl {
    /// How the server is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host:port`, an IPv6 address in brackets, the port always written; for a unix socket, its path.
    pub const fn authority(&self) -> &str {
        &self.authority
    }

    /// The host's name and the port, where the host is a name: what has to be looked up. None for an IP address or a unix socket.
    ///
    /// ```
    /// use portcullis_core::upstream::EndpointUrl;
    /// let name = |url: &str| url.parse::<EndpointUrl>().ok()?.name().map(|(host, port)| (host.to_owned(), port));
    /// assert_eq!(name("http://users.internal"), Some(("users.internal".to_owned(), 80)));
    /// assert_eq!((name("http://[::1]:7001"), name("unix:/run/app.sock")), (None, None));
    /// ```
    pub fn name(&self) -> Option<(&str, u16)> {
        if self.scheme == Scheme::Unix || self.authority.parse::<SocketAddr>().is_ok() {
            return None;
        }
        let (host, port) = self.authority.rsplit_once(':')?;
        Some((host, port.parse().ok()?))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Unix => write!(f, "unix:{}", self.authority),
            scheme => write!(f, "{scheme}://{}", self.authority),
        }
    }
}

/// Why a text is not the URL of a server. Never repeats what stands before an `@`, which may be a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrlError(String);

impl EndpointUrlError {
    /// What is wrong, without [`ACCEPTED_URLS`].
    pub fn problem(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; accepted: {ACCEPTED_URLS}", self.0)
    }
}

impl std::error::Error for EndpointUrlError {}

fn wrong<T>(problem: impl Into<String>) -> Result<T, EndpointUrlError> {
    Err(EndpointUrlError(problem.into()))
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, EndpointUrlError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("a server's URL starts with its scheme, such as \"http://\"");
        };
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "h2c" => (Scheme::H2c, 80),
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return wrong("not a scheme that servers are spoken to with"),
        };
        // A lone "/" is the empty path by another name (RFC 3986, section 6.2.3).
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return wrong("a server's URL holds no user and no password");
        }
        if let Some((_, tail)) = authority.find(['/', '\\', '?', '#']).and_then(|at| authority.split_at_checked(at)) {
            return wrong(format!(
                "a server's URL has no path and no query, found `{tail}`: a route's `rewrite` says the path"
            ));
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => default_port,
            Some(digits) => match digits.parse::<NonZeroU16>() {
                Ok(port) if digits.bytes().all(|byte| byte.is_ascii_digit()) => port.get(),
                _ => return wrong(format!("`{digits}` is not a port from 1 to 65535")),
            },
        };
        Ok(Self { scheme, authority: format!("{}:{port}", checked_host(host)?).into() })
    }
}

fn unix(path: &str) -> Result<EndpointUrl, EndpointUrlError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return wrong("a unix socket is named by its absolute path, as in \"unix:/run/app.sock\"");
    }
    if path.len() > MAX_SOCKET_PATH {
        return wrong(format!("the path of a unix socket has at most {MAX_SOCKET_PATH} bytes"));
    }
    Ok(EndpointUrl { scheme: Scheme::Unix, authority: path.into() })
}

/// The host, and the digits after its colon if there is one. A bracketed host keeps its brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), EndpointUrlError> {
    if authority.starts_with('[') {
        return match authority.split_once(']') {
            Some((_, "")) => Ok((authority, None)),
            Some((inner, tail)) if tail.starts_with(':') => {
                let host = authority.get(..=inner.len()).unwrap_or_default();
                Ok((host, tail.get(1..)))
            }
            _ => wrong("an IPv6 address is written as `[::1]:7001`"),
        };
    }
    match authority.split_once(':') {
        None => Ok((authority, None)),
        Some((_, port)) if port.contains(':') => wrong("an IPv6 address stands in brackets, as in `[::1]:7001`"),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

/// The host in its one spelling.
fn checked_host(host: &str) -> Result<String, EndpointUrlError> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) => wrong(format!("`{inner}` is not an IPv6 address")),
        };
    }
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // A name may end in a dot: it is complete, and no search domain is put behind it (RFC 1034, section 3.1).
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
    if host.len() > MAX_HOST || !host.bytes().all(named) || labels.clone().any(str::is_empty) {
        return wrong(format!("`{host}` is not a host"));
    }
    // What ends in a number is an IPv4 address or a mistake: resolvers differ on "127.1" and "127.0.0.256".
    let ends_in_number = labels.next_back().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number && host.parse::<Ipv4Addr>().is_err() {
        return wrong(format!("`{host}` is not an IPv4 address"));
    }
    Ok(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
