//! Who a request is from and what it asked for, as a proxy tells its upstream (RFC 7239).

use std::fmt::Write;
use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::line::Line;
use super::{Arrival, HeaderError, SetField, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, is_token};

/// What is believed of a proxy beside the names that start with `x-forwarded`: addresses that frameworks take for the
/// client's, client certificates (RFC 9440 and its forerunners), and two that frameworks route by instead of the path
/// that we matched.
const OTHERS: [&str; 12] = [
    "cf-connecting-ip",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "forwarded",
    "true-client-ip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Names that start so are believed of a proxy, whatever follows.
const PREFIXES: [&str; 2] = ["x-forwarded", "x-ssl-"];

/// Removes everything by which a proxy tells who a client is and what it asked for: `Forwarded`, `X-Forwarded` and all
/// that starts so (`-For`, `-Host`, `-Prefix`, `-Client-Cert`, …), `X-Real-IP` and its like, `Client-Cert`,
/// `X-SSL-…`, `X-Original-URL` and `X-Rewrite-URL`; `_` counts as `-`, as it does for upstreams that speak CGI.
///
/// Nobody's word is passed on: what a trusted proxy said is read before, and then written anew by [`Forwarding::write`].
/// Allocates only where there is something to remove.
pub fn erase_forwarding(headers: &mut HeaderMap) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_forwarding(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

pub(super) fn is_forwarding(name: &str) -> bool {
    // Most names are told apart by their first byte.
    if !name.starts_with(['c', 'f', 't', 'x']) {
        return false;
    }
    PREFIXES.iter().any(|prefix| starts_with_folded(name, prefix))
        || OTHERS.iter().any(|other| other.len() == name.len() && starts_with_folded(name, other))
}

/// Names in a map are lower case already; `_` counts as `-`.
fn starts_with_folded(name: &str, start: &str) -> bool {
    let folded = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    name.len() >= start.len() && folded.zip(start.bytes()).all(|(a, b)| a == b)
}

/// The longest `Forwarded` that is written. The name of a host has at most 253 bytes, so everything real fits.
pub const MAX_FORWARDED: usize = 512;

/// How a request came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proto {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Proto {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// What a proxy calls it, in any case (RFC 3986, section 3.1); none for anything else.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|proto| text.eq_ignore_ascii_case(proto.as_str().as_bytes()))
    }
}

/// What upstreams are told of one client. Its values are made once for a connection and not for each request: only the
/// host may differ from one to the next, and rarely does.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use portcullis_core::headers::{Forwarding, Proto};
///
/// let mut forwarding = Forwarding::new(Some([192, 0, 2, 7].into()), Proto::Http);
/// let mut headers = HeaderMap::new();
/// forwarding.write(&mut headers, Some(&HeaderValue::from_static("shop.test")))?;
/// assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
/// assert_eq!(headers["forwarded"], "for=192.0.2.7;host=shop.test;proto=http");
/// # Ok::<(), portcullis_core::headers::HeaderError>(())
/// ```
///
/// The client is none where there is no address, as on a unix socket: `Forwarded` then says `for=unknown`, and
/// `X-Forwarded-For` is absent. An IPv4 address in IPv6 clothes is written as IPv4. `host` is what the client asked for,
/// port included; where it is none, or cannot stand in `Forwarded` (not visible ASCII, or over [`MAX_FORWARDED`]), that part is absent.
///
#[derive(Clone, Debug)]
pub struct Forwarding {
    client: Option<IpAddr>,
    proto: Proto,
    /// `X-Forwarded-For`.
    address: Option<HeaderValue>,
    /// The last host, and `Forwarded` for it.
    told: Option<(Option<HeaderValue>, HeaderValue)>,
}

impl Forwarding {
    /// For a client that came so.
    pub fn new(client: Option<IpAddr>, proto: Proto) -> Self {
        let client = client.map(|address| address.to_canonical());
        Self { client, proto, address: client.and_then(address), told: None }
    }

    /// For another client on the same connection, as a proxy has many; costs nothing where it is the same one.
    pub fn follow(&mut self, arrival: Arrival) {
        if (self.client, self.proto) != (arrival.client, arrival.proto) {
            *self = Self::new(arrival.client, arrival.proto);
        }
    }

    /// Whether this was written last for a client that came so and asked for `host`: whoever kept what was written then need not
    /// have it written again.
    pub fn is_for(&self, arrival: Arrival, host: Option<&HeaderValue>) -> bool {
        (self.client, self.proto) == (arrival.client, arrival.proto)
            && self.told.as_ref().is_some_and(|(known, _)| known.as_ref() == host)
    }

    /// Writes `X-Forwarded-For`, `-Host`, `-Proto` and `Forwarded`, each once. What a client said of itself under these names
    /// has to be gone before ([`erase_forwarding`]).
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room for more fields.
    pub fn write(&mut self, to: &mut impl SetField, host: Option<&HeaderValue>) -> Result<(), HeaderError> {
        if self.told.as_ref().is_none_or(|(known, _)| known.as_ref() != host) {
            self.told = forwarded(self.client, host, self.proto)
                .or_else(|| forwarded(self.client, None, self.proto))
                .map(|line| (host.and_then(copied), line));
        }
        self.repeat(to)
    }

    /// Writes once more what was written last.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Full`] when there is no room for more fields.
    pub fn repeat(&self, to: &mut impl SetField) -> Result<(), HeaderError> {
        let (host, line) = self.told.as_ref().map_or((None, None), |(host, line)| (host.as_ref(), Some(line)));
        set(to, &X_FORWARDED_FOR, self.address.as_ref())?;
        // The copy that is kept, not the request's: that one is a part of the buffer its connection reads into.
        set(to, &X_FORWARDED_HOST, host)?;
        set(to, &X_FORWARDED_PROTO, Some(&HeaderValue::from_static(self.proto.as_str())))?;
        set(to, &FORWARDED, line)
    }
}

/// A value of its own, so that keeping it keeps no connection's buffer.
fn copied(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

fn set(to: &mut impl SetField, name: &HeaderName, value: Option<&HeaderValue>) -> Result<(), HeaderError> {
    value.map_or(Ok(()), |value| to.set_field(name, value))
}

fn address(client: IpAddr) -> Option<HeaderValue> {
    // The longest IPv6 address has 39 digits and colons.
    let mut line = Line::<39>::new();
    write!(line, "{client}").ok()?;
    line.value()
}

fn forwarded(client: Option<IpAddr>, host: Option<&HeaderValue>, proto: Proto) -> Option<HeaderValue> {
    let mut line = Line::<MAX_FORWARDED>::new();
    match client {
        // Brackets and colons are no token, so an IPv6 address is quoted (RFC 7239, section 6).
        Some(IpAddr::V6(address)) => write!(line, "for=\"[{address}]\"").ok()?,
        Some(IpAddr::V4(address)) => write!(line, "for={address}").ok()?,
        None => line.push(b"for=unknown")?,
    }
    if let Some(host) = host {
        line.push(b";host=")?;
        push_token_or_quoted(&mut line, host.to_str().ok()?.as_bytes())?;
    }
    line.push(b";proto=")?;
    line.push(proto.as_str().as_bytes())?;
    line.value()
}

/// RFC 9110, section 5.6.4: what is no token stands in quotes, and a quote or backslash in there behind a backslash.
fn push_token_or_quoted(line: &mut Line<MAX_FORWARDED>, text: &[u8]) -> Option<()> {
    if is_token(text) {
        return line.push(text);
    }
    line.push(b"\"")?;
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            line.push(b"\\")?;
        }
        line.push(&[*byte])?;
    }
    line.push(b"\"")
}
