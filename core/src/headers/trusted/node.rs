//! A node as proxies write it: an address, with or without a port, or a word in its place (RFC 7239, section 6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who a proxy says that it was sent something by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// An address; an IPv4 address inside IPv6 is IPv4.
    Address(IpAddr),
    /// `unknown`, or a name that only the proxy understands.
    Hidden,
}

impl Node {
    /// As `X-Forwarded-For` has it: brackets and port may stand or not.
    pub(super) fn bare(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        match ipv6(text) {
            Some(address) => Some(Self::Address(address.to_canonical())),
            None => Self::bracketed(text.as_bytes()),
        }
    }

    /// As `Forwarded` has it: an IPv6 address stands in brackets.
    pub(super) fn bracketed(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        if text.starts_with('[') {
            return ipv6(name).map(|address| Self::Address(address.to_canonical()));
        }
        if name.eq_ignore_ascii_case("unknown") || name.strip_prefix('_').is_some_and(is_obfuscated) {
            return Some(Self::Hidden);
        }
        Some(Self::Address(name.parse::<Ipv4Addr>().ok()?.into()))
    }
}

/// A zone says something to the machine that wrote it, and to nobody else.
fn ipv6(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        Some((_, "")) => return None,
        Some((address, _)) => address,
        None => text,
    };
    Some(address.parse::<Ipv6Addr>().ok()?.into())
}

fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => is_obfuscated(name),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

/// What stands behind the underscore of a name that only its proxy understands.
fn is_obfuscated(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_nodes() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(Node::bare(text.as_bytes()), Some(Node::Address(address.parse().unwrap())), "{text}");
        }
        assert_eq!(Node::bare(b"Unknown"), Some(Node::Hidden));
        assert_eq!(Node::bare(b"_secret:1"), Some(Node::Hidden));
        for text in
            ["", "192.0.2", "192.0.2.1:", "192.0.2.1:x", "192.0.2.01", "2001:db8::1%", "\"192.0.2.1\"", "a.test"]
        {
            assert_eq!(Node::bare(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Node::bare(b"\xff\xfe"), None);
    }
}
