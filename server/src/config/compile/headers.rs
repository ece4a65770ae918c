//! Header names and values that an operator writes.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_core::headers::erase_forwarding;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::span::{At, Text};

/// Fields that frame a message, belong to one connection, or say where a request goes and who sends it: setting one from a
/// claim would let a client steer the gateway or the upstream.
const NOT_FOR_CLAIMS: [&str; 23] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-request-id",
];

/// Fields of a response that the server writes itself.
const NOT_FOR_RESPONSES: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a header that carries a claim.
pub(super) fn for_claim(name: &At<String>, problems: &mut Problems) -> Option<HeaderName> {
    let header = parse(name, problems)?;
    if NOT_FOR_CLAIMS.contains(&header.as_str()) || header.as_str().starts_with("x-forwarded-") {
        let problem = Problem::error(&name.span, format!("a claim cannot be forwarded as `{header}`"));
        problems.note(
            problem
                .label("this field frames the message, or the gateway sets it itself")
                .hint("use a name of your own, such as \"x-user-id\""),
        );
        return None;
    }
    Some(header)
}

/// Whether no token can stand in this field: it is gone before anybody looks, or means something else.
pub(super) fn is_no_token(header: &HeaderName) -> bool {
    let mut fields = HeaderMap::from_iter([(header.clone(), HeaderValue::from_static("token"))]);
    erase_forwarding(&mut fields);
    fields.is_empty() || header != AUTHORIZATION && NOT_FOR_CLAIMS.contains(&header.as_str())
}

/// A field of a fixed response.
pub(super) fn for_response(
    name: &At<String>,
    value: &Text,
    problems: &mut Problems,
) -> Option<(HeaderName, HeaderValue)> {
    let header = parse(name, problems)?;
    if NOT_FOR_RESPONSES.contains(&header.as_str()) {
        let problem = Problem::error(&name.span, format!("`{header}` cannot be set"));
        problems.note(problem.label("the gateway writes this field itself"));
        return None;
    }
    match HeaderValue::from_str(&value.value) {
        Ok(value) => Some((header, value)),
        Err(_) => {
            let problem = Problem::error(&value.span, "this is not the value of a header");
            problems.note(problem.accepted("one line of text without control characters"));
            None
        }
    }
}

fn parse(name: &At<String>, problems: &mut Problems) -> Option<HeaderName> {
    let header = HeaderName::from_bytes(name.value.as_bytes()).ok();
    if header.is_none() {
        let shown = crate::config::span::shown(&name.value);
        let problem = Problem::error(&name.span, format!("`{shown}` is not the name of a header"));
        problems.note(problem.accepted("letters, digits and `-`, such as \"x-user-id\""));
    }
    header
}
