//! One name for every spelling of a host, and the host patterns of routes.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The longest host name in bytes, without port and trailing dot (RFC 1035, section 2.3.4).
pub const MAX_HOST: usize = 253;

/// Why an authority (a `Host` field, `:authority`) or a configured host is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// A character that no host name has: a space, comma, slash, percent sign or anything outside ASCII.
    BadCharacter(char),
    /// What stands in brackets is not an IPv6 address, or something but a port follows it.
    BadIpv6,
    /// A label that claims to be international (`xn--`) and holds nothing international: it can only disguise a name.
    BadLabel,
    /// What follows the colon is not a port.
    BadPort,
    /// No host at all.
    Empty,
    /// Two dots in a row, or a dot at the beginning.
    EmptyLabel,
    /// A pattern names a port; routes are matched without.
    Port,
    /// Longer than [`MAX_HOST`].
    TooLong,
    /// A user name before an `@`.
    Userinfo,
    /// A pattern has a `*` that is not the whole first label before a name.
    Wildcard,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadCharacter(bad) => return write!(f, "a host name has no {bad:?}"),
            Self::BadIpv6 => "what stands in brackets is not an IPv6 address",
            Self::BadLabel => "a label begins with `xn--` and holds nothing international",
            Self::BadPort => "what follows the colon is not a port",
            Self::Empty => "the host is empty",
            Self::EmptyLabel => "the host has two dots in a row or begins with one",
            Self::Port => "a route's host has no port: it is matched without",
            Self::TooLong => "the host is longer than 253 bytes",
            Self::Userinfo => "the host has a user name",
            Self::Wildcard => {
                "a `*` stands for whole labels at the beginning, as in \"*.shop.test\"; for any host, leave it out"
            }
        })
    }
}

impl std::error::Error for HostError {}

/// The host that routes are matched by: lower case, without port and trailing dot; borrowed when it already is.
///
/// An IPv6 address keeps its brackets and is written as RFC 5952 says. Letters outside ASCII are refused: on the wire
/// they are `xn--` labels. Empty ports (`shop.test:`) are allowed (RFC 3986, section 3.2.3).
///
/// ```
/// use portcullis_core::route::{HostError, canonical_host};
/// assert_eq!(canonical_host("Shop.TEST.:443")?, "shop.test");
/// assert_eq!(canonical_host("[::1]:8080")?, "[::1]");
/// assert_eq!(canonical_host("shop.test@evil.test"), Err(HostError::Userinfo));
/// # Ok::<(), HostError>(())
/// ```
///
/// # Errors
/// One [`HostError`] for the first rule that it breaks.
pub fn canonical_host(authority: &str) -> Result<Cow<'_, str>, HostError> {
    if let Some(name) = plain(authority) {
        return Ok(Cow::Borrowed(name));
    }
    if authority.contains('@') {
        return Err(HostError::Userinfo);
    }
    if authority.starts_with('[') {
        return canonical_ipv6(authority);
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    check_port(port)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > MAX_HOST {
        return Err(HostError::TooLong);
    }
    name.split('.').try_for_each(check_label)?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// The name of an authority that is canonical beyond doubt, in one pass: what nearly every request has. Anything that
/// takes a second thought is none.
fn plain(authority: &str) -> Option<&str> {
    // As if a dot stood before the first label: an empty one is found where two dots meet.
    let mut before = b'.';
    let mut end = authority.len();
    for (index, byte) in authority.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => {}
            b'.' if before != b'.' => {}
            // Two hyphens may be the begin of a disguise (`xn--`).
            b'-' if before != b'-' => {}
            b':' => {
                end = index;
                break;
            }
            _ => return None,
        }
        before = byte;
    }
    let (name, port) = authority.split_at_checked(end)?;
    let digits = port.strip_prefix(':').unwrap_or_default().as_bytes();
    // Five digits below 60000 are a port as well; the few above take the second look.
    let is_short = digits.len() <= 4 || (digits.len() == 5 && digits.first() < Some(&b'6'));
    let is_good_port = is_short && digits.iter().all(u8::is_ascii_digit);
    (before != b'.' && name.len() <= MAX_HOST && is_good_port).then_some(name)
}

fn canonical_ipv6(authority: &str) -> Result<Cow<'_, str>, HostError> {
    let (inside, behind) =
        authority.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or(HostError::BadIpv6)?;
    if !behind.is_empty() {
        check_port(behind.strip_prefix(':').ok_or(HostError::BadIpv6)?)?;
    }
    let address: Ipv6Addr = inside.parse().map_err(|_| HostError::BadIpv6)?;
    let canonical = format!("[{address}]");
    let kept = authority.get(..canonical.len()).filter(|kept| *kept == canonical);
    Ok(kept.map_or(Cow::Owned(canonical), Cow::Borrowed))
}

fn check_port(port: &str) -> Result<(), HostError> {
    // `parse` alone would accept "+80".
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if port.is_empty() || is_port { Ok(()) } else { Err(HostError::BadPort) }
}

fn check_label(label: &str) -> Result<(), HostError> {
    if label.is_empty() {
        return Err(HostError::EmptyLabel);
    }
    // The underscore is no host name's by the book, but container networks are full of it.
    if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        return Err(HostError::BadCharacter(bad));
    }
    // Punycode that ends in its delimiter adds no character to the ASCII before it (RFC 3492, section 3.1).
    if label.ends_with('-') && label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--")) {
        return Err(HostError::BadLabel);
    }
    Ok(())
}

/// A host that a route names: itself (`shop.test`), or all below it (`*.shop.test`).
///
/// A wildcard covers one or more labels: `*.shop.test` covers `eu.shop.test` and `a.eu.shop.test`, not `shop.test`.
///
/// ```
/// use portcullis_core::route::{HostError, HostPattern};
/// let pattern: HostPattern = "*.Shop.test".parse()?;
/// assert!(pattern.covers("eu.shop.test") && !pattern.covers("shop.test"));
/// assert_eq!(pattern.to_string(), "*.shop.test");
/// assert_eq!("shop.test:80".parse::<HostPattern>(), Err(HostError::Port));
/// # Ok::<(), HostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    is_wildcard: bool,
    name: Box<str>,
}

impl HostPattern {
    /// Whether the canonical `host` is one that the pattern stands for.
    pub fn covers(&self, host: &str) -> bool {
        if self.is_wildcard {
            host.strip_suffix(&*self.name).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        } else {
            host == &*self.name
        }
    }

    /// Whether it is a wildcard.
    pub const fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }

    /// The canonical name, without the `*.` of a wildcard.
    pub const fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (name, is_wildcard) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if name.contains('*') || (is_wildcard && name.starts_with('[')) {
            return Err(HostError::Wildcard);
        }
        let canonical = canonical_host(name)?;
        if name.rsplit(']').next().is_some_and(|behind| behind.contains(':')) {
            return Err(HostError::Port);
        }
        Ok(Self { is_wildcard, name: canonical.into() })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests;
