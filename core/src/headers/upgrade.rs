//! Leaving HTTP/1.1 for another protocol on the same connection (RFC 9110, section 7.8).

use std::fmt;
use std::str::FromStr;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};

use super::{in_list, is_token, members};

/// A protocol that a route lets clients change to: a name, or `name/version`, compared whole and without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol(HeaderValue);

/// Why a text is no [`Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It is not a name, or `name/version`.
    Malformed,
    /// What it leads to carries requests, which would pass unseen by every policy.
    Requests,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a protocol is a name, or a name and a version: `name/version`",
            Self::Requests => "requests in it would reach the upstream past every policy",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// What carries requests itself: HTTP in clear by any name, and TLS, within which it goes on (RFC 2817).
const CARRIES_REQUESTS: [&str; 6] = ["h2", "h2c", "h3", "http", "https", "tls"];

impl Protocol {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn is(&self, name: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(name)
    }

    /// A WebSocket begins with a GET and with nothing else (RFC 6455, section 4.1); what others begin with is theirs to say.
    fn begins_with(&self, method: &Method) -> bool {
        *method == Method::GET || !self.is(b"websocket")
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let (name, version) = text.split_once('/').map_or((text, None), |(name, version)| (name, Some(version)));
        if !is_token(name.as_bytes()) || version.is_some_and(|version| !is_token(version.as_bytes())) {
            return Err(ProtocolError::Malformed);
        }
        if CARRIES_REQUESTS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Err(ProtocolError::Requests);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| ProtocolError::Malformed)
    }
}

/// The protocols that a message says its connection may change to, or changes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade(HeaderValue);

impl Upgrade {
    /// What `Upgrade` lists, all lines of it together, if `Connection` names it: without that it belongs to another hop, and
    /// means nothing here. To be read before [`remove_hop_by_hop`](super::remove_hop_by_hop).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if !members(headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case(b"upgrade")) {
            return None;
        }
        let mut lines = headers.get_all(UPGRADE).iter();
        match (lines.next()?, lines.next()) {
            (only, None) => Some(Self(only.clone())),
            (..) => list(members(headers, &UPGRADE)),
        }
    }

    /// What of it is allowed to a request of this method, in its order and in the words of `allowed`; none if nothing is.
    pub fn among(&self, allowed: &[Protocol], method: &Method) -> Option<Self> {
        let find = |name: &[u8]| allowed.iter().find(|known| known.is(name) && known.begins_with(method));
        let mut found = self.names().filter_map(find);
        match (found.next()?, found.next()) {
            (only, None) => Some(Self(only.0.clone())),
            (..) => list(self.names().filter_map(find).map(|protocol| protocol.0.as_bytes())),
        }
    }

    /// Whether it changes to something, and to nothing but what was `asked` for.
    pub fn answers(&self, asked: &Self) -> bool {
        let was_asked = |name: &[u8]| asked.names().any(|known| known.eq_ignore_ascii_case(name));
        self.names().next().is_some() && self.names().all(was_asked)
    }

    /// As a field's value.
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        in_list(self.0.as_bytes())
    }
}

/// What is joined of values is one.
fn list<'a>(names: impl Iterator<Item = &'a [u8]>) -> Option<Upgrade> {
    let names: Vec<&[u8]> = names.collect();
    HeaderValue::from_bytes(&names.join(&b", "[..])).ok().map(Upgrade)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.try_append(*name, HeaderValue::from_str(value).unwrap()).unwrap();
        }
        headers
    }

    fn allowed(names: &[&str]) -> Vec<Protocol> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_protocol_is_a_name_with_a_version_or_without() {
        for good in ["websocket", "WebSocket", "tcp", "SPDY/3.1", "connect-udp", "x/1", "HTTPS2"] {
            assert_eq!(good.parse::<Protocol>().unwrap().as_str(), good);
        }
        for bad in ["", "/", "web socket", "websocket/", "/13", "a/b/c", "a,b", "wébsocket", "a\r\nb", "a;b"] {
            assert_eq!(bad.parse::<Protocol>(), Err(ProtocolError::Malformed), "{bad}");
        }
        for request in ["h2c", "H2C", "h2c/1", "HTTP/2.0", "http/1.1", "https", "TLS/1.0", "h2", "h3"] {
            assert_eq!(request.parse::<Protocol>(), Err(ProtocolError::Requests), "{request}");
        }
    }

    #[test]
    fn only_what_connection_names_is_an_upgrade() {
        let connection = ("connection", "keep-alive, Upgrade");
        assert_eq!(Upgrade::of(&fields(&[("upgrade", "websocket")])), None);
        assert_eq!(Upgrade::of(&fields(&[connection])), None);
        assert_eq!(Upgrade::of(&fields(&[("connection", "upgrades"), ("upgrade", "websocket")])), None);
        let of = |lines: &[(&'static str, &str)]| Upgrade::of(&fields(lines)).unwrap();
        assert_eq!(of(&[connection, ("upgrade", "websocket, x")]).value(), "websocket, x");
        assert_eq!(of(&[connection, ("upgrade", "a"), ("upgrade", ",, b ,c")]).value(), "a, b, c");
        assert_eq!(of(&[("connection", "x"), ("connection", "upgrade"), ("upgrade", "a")]).value(), "a");
    }

    #[test]
    fn what_is_allowed_goes_on_in_our_words() {
        let among = |offered: &str, names: &[&str], method: Method| {
            let offer = Upgrade::of(&fields(&[("connection", "upgrade"), ("upgrade", offered)])).unwrap();
            offer.among(&allowed(names), &method).map(|left| left.value().to_str().unwrap().to_owned())
        };
        let get = Method::GET;
        assert_eq!(among("WebSocket", &["websocket"], get.clone()).as_deref(), Some("websocket"));
        assert_eq!(among("h2c, websocket", &["websocket"], get.clone()).as_deref(), Some("websocket"));
        assert_eq!(among("b, x, A", &["a", "b"], get.clone()).as_deref(), Some("b, a"));
        for (offered, names) in
            [("h2c", &["websocket"][..]), ("websocket", &[]), ("websocket/13", &["websocket"]), ("", &["a"])]
        {
            assert_eq!(among(offered, names, get.clone()), None, "{offered}");
        }
        assert_eq!(among("websocket, tcp", &["websocket", "tcp"], Method::POST).as_deref(), Some("tcp"));
    }

    #[test]
    fn an_answer_is_to_what_was_asked() {
        let upgrade = |text: &'static str| Upgrade(HeaderValue::from_static(text));
        let asked = upgrade("websocket, tcp");
        for (answer, is_one) in [
            ("websocket", true),
            ("WEBSOCKET", true),
            ("tcp, websocket", true),
            ("h2c", false),
            ("websocket, h2c", false),
            ("", false),
            (",", false),
            ("web", false),
        ] {
            assert_eq!(upgrade(answer).answers(&asked), is_one, "{answer}");
        }
    }

    proptest! {
        /// Whatever is offered, nothing goes on but what is allowed.
        #[test]
        fn nothing_else_goes_on(
            offered in prop::collection::vec("[ -~]{0,12}|websocket|h2c|WebSocket ", 0..5),
            get: bool,
        ) {
            let mut headers = fields(&[("connection", "upgrade")]);
            for line in &offered {
                headers.try_append(UPGRADE, HeaderValue::from_str(line).unwrap()).unwrap();
            }
            let method = if get { Method::GET } else { Method::POST };
            let left = Upgrade::of(&headers).and_then(|offer| offer.among(&allowed(&["websocket", "tcp"]), &method));
            for name in left.iter().flat_map(Upgrade::names) {
                prop_assert!(name == b"tcp" || (get && name == b"websocket"));
            }
        }
    }
}
