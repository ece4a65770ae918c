//! One element of `Forwarded` (RFC 7239, section 4): what one proxy says of the request that it was sent.

use super::node::Node;
use crate::headers::{Proto, is_token};

/// The longest value that is read, after its escapes are taken away: an IPv6 address with a zone and a port fits.
const MAX_VALUE: usize = 128;

/// What one proxy said, as far as we ask.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// `for`: who it was sent by; none when it does not say.
    pub(super) node: Option<Node>,
    /// `proto`: how; none when it does not say, or says what is neither.
    pub(super) proto: Option<Proto>,
}

impl Element {
    /// None when it is malformed: a parameter without a value, a value that is neither a token nor a quoted string, a node
    /// that is none, or one of the four parameters that are defined twice.
    pub(super) fn parse(element: &[u8]) -> Option<Self> {
        const DEFINED: [&str; 4] = ["by", "for", "host", "proto"];
        let mut parsed = Self::default();
        let mut seen = [false; DEFINED.len()];
        let mut rest = element;
        while !rest.is_empty() {
            let (pair, behind) = cut_first(rest);
            rest = behind;
            let pair = pair.trim_ascii();
            if pair.is_empty() {
                continue;
            }
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
            let mut buffer = [0; MAX_VALUE];
            let value = unquoted(value, &mut buffer)?;
            if !is_token(name) {
                return None;
            }
            if let Some(place) = DEFINED.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                let seen = seen.get_mut(place)?;
                if std::mem::replace(seen, true) {
                    return None;
                }
            }
            if name.eq_ignore_ascii_case(b"for") {
                parsed.node = Some(Node::bracketed(value)?);
            } else if name.eq_ignore_ascii_case(b"proto") {
                parsed.proto = Proto::parse(value);
            }
        }
        Some(parsed)
    }
}

/// Cuts the first pair off: a semicolon inside a quoted string divides nothing.
fn cut_first(element: &[u8]) -> (&[u8], &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in element.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                return (element.get(..at).unwrap_or_default(), element.get(at + 1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (element, &[])
}

/// A token as it is, or what a quoted string says (RFC 9110, section 5.6.4). A value that is longer than the buffer is one
/// that we do not read: it counts as empty, which is no node and no protocol.
fn unquoted<'a>(value: &'a [u8], buffer: &'a mut [u8; MAX_VALUE]) -> Option<&'a [u8]> {
    if is_token(value) {
        return Some(value);
    }
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let (mut length, mut escaped) = (0, false);
    for byte in inner {
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'"' if !escaped => return None,
            _ => escaped = false,
        }
        if let Some(place) = buffer.get_mut(length) {
            *place = *byte;
        }
        length += 1;
    }
    // The backslash before the last quote escaped it: the string never ended.
    if escaped { None } else { Some(buffer.get(..length).unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(element: &str) -> Option<Option<Node>> {
        Element::parse(element.as_bytes()).map(|element| element.node)
    }

    fn address(text: &str) -> Option<Option<Node>> {
        Some(Some(Node::Address(text.parse().unwrap())))
    }

    /// The examples of RFC 7239, sections 4 and 6.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(node(r#"for="_gazonk""#), Some(Some(Node::Hidden)));
        assert_eq!(node(r#"For="[2001:db8:cafe::17]:4711""#), address("2001:db8:cafe::17"));
        assert_eq!(node("for=192.0.2.60;proto=http;by=203.0.113.43"), address("192.0.2.60"));
        assert_eq!(node(r#"for="192.0.2.43:47011""#), address("192.0.2.43"));
        assert_eq!(node(r#"for="192.0.2.43:_ab""#), address("192.0.2.43"));
        assert_eq!(node("for=unknown"), Some(Some(Node::Hidden)));
        assert_eq!(node("for=_hidden;by=_SEVKISEK"), Some(Some(Node::Hidden)));
    }

    #[test]
    fn what_else_is_said_is_no_fault() {
        assert_eq!(node(r#"host="a;b,\"c\"";for=192.0.2.1;new=x;new=y;;"#), address("192.0.2.1"));
        assert_eq!(node("proto=https"), Some(None));
        assert_eq!(node("FOR=192.0.2.1 ; Proto=HTTPS"), address("192.0.2.1"));
        assert_eq!(Element::parse(b"for=192.0.2.1;PROTO=HTTPS").unwrap().proto, Some(Proto::Https));
        assert_eq!(Element::parse(b"for=192.0.2.1;proto=gopher").unwrap().proto, None);
        assert_eq!(node(r#"for="\1\9\2.0.2.1""#), address("192.0.2.1"));
        assert_eq!(node(r#"for="[::ffff:192.0.2.1]""#), address("192.0.2.1"));
    }

    #[test]
    fn malformed_elements() {
        let long = format!("for=\"{}\"", "1".repeat(MAX_VALUE + 1));
        for element in [
            "192.0.2.1",
            "for",
            "for=",
            "=192.0.2.1",
            "for =192.0.2.1",
            "for= 192.0.2.1",
            "for=192.0.2.1:80",
            "for=2001:db8::1",
            r#"for="2001:db8::1""#,
            r#"for="192.0.2.1"#,
            r#"for=192.0.2.1""#,
            r#"for="192.0.2.1\""#,
            r#"for="192.0.2.1"x"#,
            r#"for="a"b""#,
            r#"for="""#,
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1;proto=http;proto=https",
            "for=192.0.2.1 proto=http",
            r#"for="[192.0.2.1]""#,
            r#"for="[2001:db8::1""#,
            r#"for="[2001:db8::1]x""#,
            r#"for="[2001:db8::1]:""#,
            r#"for="192.0.2.1:65536""#,
            "for=192.0.2.256",
            "for=example.test",
            "for=_",
            "for=_a/b",
            &long,
        ] {
            assert_eq!(node(element), None, "{element}");
        }
    }
}
