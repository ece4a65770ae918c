//! Where a set of keys is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// The URL of a key set: HTTPS, or HTTP to a loopback address (`localhost`, `127.0.0.0/8`, `::1`). It has no user name or
/// password, and no fragment.
///
/// ```
/// use portcullis_jwks::JwksUrl;
/// let url: JwksUrl = "https://login.shop.test/jwks.json?v=2".parse()?;
/// assert_eq!(url.to_string(), "https://login.shop.test/jwks.json", "a query may hold a secret and is not shown");
/// assert!("http://login.shop.test/jwks.json".parse::<JwksUrl>().is_err());
/// assert!("http://127.0.0.1:8000/jwks.json".parse::<JwksUrl>().is_ok());
/// # Ok::<(), portcullis_jwks::JwksUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JwksUrl {
    tls: bool,
    /// A name or an address, the latter without brackets.
    host: Box<str>,
    port: u16,
    /// As `Host` has it.
    authority: Box<str>,
    target: PathAndQuery,
}

/// Why a text is not such a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksUrlError {
    /// A user name or password in it.
    Credentials,
    /// Plain HTTP to what is not a loopback address: whoever is on the way could name the keys.
    Insecure,
    /// Not the URL of anything.
    Malformed,
    /// Another scheme than "https" and "http".
    Scheme,
}

impl JwksUrl {
    /// Whether it is HTTPS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn target(&self) -> &PathAndQuery {
        &self.target
    }
}

impl FromStr for JwksUrl {
    type Err = JwksUrlError;

    fn from_str(text: &str) -> Result<Self, JwksUrlError> {
        if text.contains('#') {
            return Err(JwksUrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| JwksUrlError::Malformed)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) => return Err(JwksUrlError::Scheme),
            None => return Err(JwksUrlError::Malformed),
        };
        let authority = uri.authority().ok_or(JwksUrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(JwksUrlError::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // What is left after the host is a port that is a number, or nothing.
        let port = match authority.as_str().get(authority.host().len()..) {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            _ => authority.port_u16().filter(|port| *port != 0).ok_or(JwksUrlError::Malformed)?,
        };
        if host.is_empty() {
            return Err(JwksUrlError::Malformed);
        }
        if !tls && !is_loopback(host) {
            return Err(JwksUrlError::Insecure);
        }
        let target = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self { tls, host: host.into(), port, authority: authority.as_str().into(), target })
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.target.path())
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwksUrl({self})")
    }
}

impl fmt::Display for JwksUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "a user name or password does not belong into the URL of public keys",
            Self::Insecure => "plain HTTP only goes to a loopback address: whoever is on the way could name the keys",
            Self::Malformed => "this is not a URL",
            Self::Scheme => "the keys are fetched over https (or http from a loopback address)",
        })
    }
}

impl std::error::Error for JwksUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_at_home() {
        for (text, host, port, target) in [
            ("https://login.shop.test/jwks.json", "login.shop.test", 443, "/jwks.json"),
            ("HTTPS://login.shop.test", "login.shop.test", 443, "/"),
            ("https://login.shop.test:8443/a?b=c", "login.shop.test", 8443, "/a?b=c"),
            ("https://[2001:db8::1]:8443/", "2001:db8::1", 8443, "/"),
            ("http://[::1]/", "::1", 80, "/"),
            ("http://127.8.9.1:81/x", "127.8.9.1", 81, "/x"),
            ("http://localhost/x", "localhost", 80, "/x"),
        ] {
            let url: JwksUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.target().as_str()), (host, port, target), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, why) in [
            ("", JwksUrlError::Malformed),
            ("jwks.json", JwksUrlError::Malformed),
            ("/jwks.json", JwksUrlError::Malformed),
            ("https://", JwksUrlError::Malformed),
            ("https://a b/", JwksUrlError::Malformed),
            ("https://shop.test/#a", JwksUrlError::Malformed),
            ("https://shop.test:/", JwksUrlError::Malformed),
            ("https://shop.test:0/", JwksUrlError::Malformed),
            ("https://shop.test:99999/", JwksUrlError::Malformed),
            ("ftp://shop.test/", JwksUrlError::Scheme),
            ("file:///etc/passwd", JwksUrlError::Malformed),
            ("https://me:secret@shop.test/", JwksUrlError::Credentials),
            ("http://login.shop.test/", JwksUrlError::Insecure),
            ("http://10.0.0.1/", JwksUrlError::Insecure),
            ("http://localhost.shop.test/", JwksUrlError::Insecure),
            ("http://127.0.0.1.shop.test/", JwksUrlError::Insecure),
            ("http://0.0.0.0/", JwksUrlError::Insecure),
        ] {
            assert_eq!(text.parse::<JwksUrl>().unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let url: JwksUrl = "https://shop.test/jwks?code=canary".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("canary"));
    }
}
