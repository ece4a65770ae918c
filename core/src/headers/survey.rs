//! One look at a message's field names, so that what is not there is not searched for.

use http::HeaderMap;

/// Which fields that a proxy has something to do with may be in a message. Most messages have none of them, and a search
/// for each costs more than one look at all names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// One that [`erase_forwarding`](super::erase_forwarding) removes.
    pub forwarding: bool,
    /// One that [`remove_hop_by_hop`](super::remove_hop_by_hop) removes.
    pub hop_by_hop: bool,
    /// One of `Expect`, `Max-Forwards`, `Via`, `X-Request-Id`.
    pub asks: bool,
    /// One of `Traceparent`, `Tracestate`.
    pub trace: bool,
    /// `Upgrade`.
    pub upgrade: bool,
}

impl Survey {
    /// Looks at the names.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        for name in headers.keys() {
            let name = name.as_str();
            match name.as_bytes().first() {
                Some(b'c' | b'k' | b'p') => survey.hop_by_hop |= super::hop::is_hop_by_hop(name),
                Some(b'e' | b'm' | b'v') => survey.asks |= matches!(name, "expect" | "max-forwards" | "via"),
                Some(b't') => {
                    survey.hop_by_hop |= super::hop::is_hop_by_hop(name);
                    survey.trace |= name.starts_with("trace");
                }
                Some(b'u') if name == "upgrade" => (survey.hop_by_hop, survey.upgrade) = (true, true),
                Some(b'x') => survey.asks |= name == "x-request-id",
                _ => {}
            }
            survey.forwarding |= super::forwarded::is_forwarding(name);
        }
        survey
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn survey(name: &str) -> Survey {
        let name: HeaderName = name.parse().unwrap();
        Survey::of(&HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]))
    }

    #[test]
    fn finds_what_others_look_for() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "transfer-encoding",
        ] {
            assert_eq!(survey(name), Survey { hop_by_hop: true, ..Survey::default() }, "{name}");
        }
        assert_eq!(survey("upgrade"), Survey { hop_by_hop: true, upgrade: true, ..Survey::default() });
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x_forwarded_proto",
            "x-real-ip",
            "client-cert",
            "true-client-ip",
            "cf-connecting-ip",
        ] {
            assert_eq!(survey(name), Survey { forwarding: true, ..Survey::default() }, "{name}");
        }
        for name in ["expect", "max-forwards", "via", "x-request-id"] {
            assert_eq!(survey(name), Survey { asks: true, ..Survey::default() }, "{name}");
        }
        for name in ["traceparent", "tracestate"] {
            assert_eq!(survey(name), Survey { trace: true, ..Survey::default() }, "{name}");
        }
        for name in ["host", "user-agent", "accept", "content-length", "x-other", "cookie", "trailer", "priority"] {
            assert_eq!(survey(name), Survey::default(), "{name}");
        }
    }
}
