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

/// Fields that no rule touches in either message: they frame it, or belong to one connection (RFC 9110, section 7.6.1),
/// or the gateway writes them itself.
const NOT_FOR_RULES: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

/// Fields of a request that the gateway writes itself, or that end at it.
const NOT_FOR_REQUESTS: [&str; 7] = [
    "forwarded",
    "max-forwards",
    "proxy-authorization",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Fields of a response that tell of its limits, which the gateway does, or of the moment, which the server does.
const NOT_FOR_ANSWERS: [&str; 6] =
    ["date", "ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// Fields that decide where somebody goes, what is asked for, whom a browser trusts or how the rest is read: a value in them
/// would let whoever chose it decide.
const TEXT_ONLY: [&str; 17] = [
    "access-control-allow-origin",
    "alt-svc",
    "content-location",
    "content-security-policy",
    "content-type",
    "cookie",
    "host",
    "location",
    "refresh",
    "set-cookie",
    "x-accel-redirect",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-sendfile",
];

/// Fields that a message has once.
const SINGLE: [&str; 12] = [
    "age",
    "authorization",
    "content-location",
    "content-type",
    "cookie",
    "etag",
    "expires",
    "host",
    "last-modified",
    "location",
    "range",
    "retry-after",
];

/// Which message a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Response,
}

/// Why no rule may touch a field of that name, in any spelling that an upstream could take for it.
pub(super) fn untouchable(name: &HeaderName, message: Message) -> Option<&'static str> {
    let name = &*folded(name);
    let ours = match message {
        Message::Request => NOT_FOR_REQUESTS.contains(&name),
        Message::Response => NOT_FOR_ANSWERS.contains(&name),
    };
    (ours || NOT_FOR_RULES.contains(&name))
        .then_some("this field frames the message or belongs to one connection, or the gateway writes it itself")
}

/// Whether no value of a request may be in the field.
pub(super) fn is_text_only(name: &HeaderName) -> bool {
    TEXT_ONLY.contains(&&*folded(name))
}

/// Whether a message has the field at most once.
pub(super) fn is_single(name: &HeaderName) -> bool {
    SINGLE.contains(&&*folded(name))
}

/// The name as those read it who take `_` and `.` for `-`.
fn folded(name: &HeaderName) -> String {
    name.as_str().replace(|char: char| !char.is_ascii_alphanumeric(), "-")
}

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

/// A name that a header can have.
pub(super) fn parse(name: &At<String>, problems: &mut Problems) -> Option<HeaderName> {
    let header = HeaderName::from_bytes(name.value.as_bytes()).ok();
    if header.is_none() {
        let shown = crate::config::span::shown(&name.value);
        let problem = Problem::error(&name.span, format!("`{shown}` is not the name of a header"));
        problems.note(problem.accepted("letters, digits and `-`, such as \"x-user-id\""));
    }
    header
}
