//! The key that an answer is stored under: exact bytes, each part with its length before it, so that no two requests
//! that differ in a part share one.

use http::{HeaderMap, Uri};

use super::request::Bypass;
use crate::plan::CacheRule;
use crate::source::Facts;

/// What a client reached the gateway by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The port where none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As a URI has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a resource is (RFC 9110, section 4.3.1): scheme, host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The canonical host.
    pub host: &'a str,
    /// The port; the scheme's own where the request names none.
    pub port: u16,
}

impl<'a> Origin<'a> {
    /// The origin that a routed request is for: the canonical host, and the port of its target or its `Host`.
    pub fn of(scheme: Scheme, host: &'a str, uri: &Uri, headers: &HeaderMap) -> Self {
        let named = match uri.authority() {
            Some(authority) => authority.port_u16(),
            None => headers.get(http::header::HOST).and_then(|line| port(line.as_bytes())),
        };
        Self { scheme, host, port: named.unwrap_or_else(|| scheme.default_port()) }
    }
}

/// The port behind a host; a colon inside the brackets of an address begins none.
fn port(host: &[u8]) -> Option<u16> {
    let at = host.iter().rposition(|byte| *byte == b':')?;
    str::from_utf8(host.get(at + 1..)?).ok()?.parse().ok()
}

/// Which route an answer was stored for. A route that has changed is another: what was kept under the old one's rules
/// is not for the new one's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRoute<'a> {
    /// Its name.
    pub name: &'a str,
    /// A number that changes when what the route does with a request changes.
    pub generation: u64,
}

/// Puts the key of a request behind what is in `out`: the route, the scheme, then host, port, path and query (or the
/// sources that the rule names in their place, an absent one being a value of its own), then who it is kept apart for.
/// HEAD has GET's key. Allocates nothing where `out` has room.
///
/// # Errors
///
/// [`Bypass::PerAbsent`], and `out` as it was, where [`CacheRule::per`] is absent.
pub fn write_key(
    out: &mut Vec<u8>,
    rule: &CacheRule,
    route: KeyRoute<'_>,
    origin: Origin<'_>,
    facts: &Facts<'_>,
) -> Result<(), Bypass> {
    let start = out.len();
    part(out, route.name.as_bytes());
    out.extend_from_slice(&route.generation.to_be_bytes());
    match &rule.key {
        None => {
            out.push(b'u');
            write_target(out, origin, facts.path, facts.query);
        }
        Some(sources) => {
            out.push(b's');
            part(out, origin.scheme.as_str().as_bytes());
            for source in sources {
                source.write_key(facts, out);
            }
        }
    }
    match &rule.per {
        None => out.push(b'-'),
        Some(per) => {
            out.push(b'p');
            if !per.write_key(facts, out) {
                out.truncate(start);
                return Err(Bypass::PerAbsent);
            }
        }
    }
    Ok(())
}

/// Puts the name of a resource behind what is in `out`, whatever route and whoever it is stored for: what an unsafe
/// method invalidates by (RFC 9111, section 4.4), and what a purge names. Allocates nothing where `out` has room.
pub fn write_target(out: &mut Vec<u8>, origin: Origin<'_>, path: &str, query: Option<&str>) {
    part(out, origin.scheme.as_str().as_bytes());
    part(out, origin.host.as_bytes());
    out.extend_from_slice(&origin.port.to_be_bytes());
    part(out, path.as_bytes());
    optional(out, query.map(str::as_bytes));
}

/// A text with its length before it.
pub(crate) fn part(out: &mut Vec<u8>, text: &[u8]) {
    // No text of a request is longer than its head.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
}

/// A text that may be absent, which is another thing than empty.
pub(crate) fn optional(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            part(out, text);
        }
    }
}
