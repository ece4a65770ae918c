//! The head of a response as the client gets it, and the body with all that rides on it.
//!
//! The fields that we say go to `said`, and belong behind those of the response: an HTTP/1 connection writes them as lines, which
//! cost no map.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use portcullis_core::Rejection;
use portcullis_core::caching::CACHE_STATUS;
use portcullis_core::headers::{self, HeaderError, SetField, Survey, Upgrade};
use portcullis_core::rejection::Fault;

use crate::body::{Body, Tail};
use crate::cache::strip_tags;
use crate::forward::Answered;
use crate::observe::{BreakerState, Clip, Ending, Origin};
use crate::pass::Pass;
use crate::target::Own;

/// That we are here (RFC 9110, section 9.3.7).
pub(crate) fn here(mut pass: Pass<'_>, said: &mut impl SetField) -> Response<Body> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::NO_CONTENT;
    announce(&mut pass, head.headers_mut(), said);
    pass.tail.record.ending = Ending::Complete;
    whole(pass, head, Bytes::new())
}

/// What the gateway says itself.
pub(crate) fn own(mut pass: Pass<'_>, answer: Own<'_>, said: &mut impl SetField) -> Response<Body> {
    let mut head = Response::new(());
    let body = match answer {
        Own::Redirect(status, location) => {
            *head.status_mut() = status;
            set(head.headers_mut(), LOCATION, location);
            Bytes::new()
        }
        Own::Respond(answer) => {
            *head.status_mut() = answer.status;
            *head.headers_mut() = answer.headers.clone();
            answer.body.clone()
        }
    };
    rule(&mut pass, head.headers_mut());
    announce(&mut pass, head.headers_mut(), said);
    pass.tail.record.ending = Ending::Complete;
    whole(pass, head, body)
}

/// An upstream's answer.
pub(crate) fn upstream(mut pass: Pass<'_>, answered: Answered, said: &mut impl SetField) -> Response<Body> {
    let (mut parts, incoming) = answered.response.into_parts();
    let survey = Survey::of(&parts.headers);
    // A 101 that comes this far was asked for.
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = if switches { Upgrade::of(&parts.headers) } else { None };
    if survey.hop_by_hop && headers::remove_hop_by_hop(&mut parts.headers).is_err() {
        return rejected(pass, &Rejection::UpstreamInvalid, said);
    }
    // Who a client is, is between us and the upstream, whatever it echoes.
    pass.running.plan.identity_headers.strip(&mut parts.headers);
    // Only a full map can refuse, and then the answer goes on without.
    let _ = pass.connection.via.append(said, parts.version);
    announce(&mut pass, &mut parts.headers, said);
    if parts.headers.get(CONTENT_TYPE).is_some_and(|kind| is_stream(kind.as_bytes())) {
        pass.connection.watch.answer_is_a_stream();
    }
    if let Some(upgrade) = upgrade {
        let _ = said.set_field(&CONNECTION, &HeaderValue::from_static("upgrade"));
        let _ = said.set_field(&UPGRADE, upgrade.value());
    }
    rule(&mut pass, &mut parts.headers);
    parts.version = Version::HTTP_11;
    pass.tail.exchange = Some(answered.exchange);
    finish(pass, Response::from_parts(parts, ()), |tail| Body::upstream(incoming, tail))
}

/// Whether an answer is a stream of events by its media type (RFC 9110, section 8.3.1): its silence says nothing.
pub(crate) fn is_stream(kind: &[u8]) -> bool {
    const STREAMS: [&[u8]; 4] =
        [b"text/event-stream", b"application/json-seq", b"application/ndjson", b"application/x-ndjson"];
    const GRPC: &[u8] = b"application/grpc";
    let name = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is_grpc = || {
        name.split_at_checked(GRPC.len()).is_some_and(|(begin, rest)| {
            begin.eq_ignore_ascii_case(GRPC) && rest.first().is_none_or(|next| matches!(next, b'+' | b'-'))
        })
    };
    STREAMS.iter().any(|stream| name.eq_ignore_ascii_case(stream)) || is_grpc()
}

/// A fault of ours: the request's future panicked.
pub(crate) fn panicked(pass: Pass<'_>, said: &mut impl SetField) -> Response<Body> {
    pass.connection.gateway.metrics().panicked();
    refusal(pass, &Rejection::Internal, Ending::Panicked, said)
}

/// A refusal.
pub(crate) fn rejected(pass: Pass<'_>, rejection: &Rejection, said: &mut impl SetField) -> Response<Body> {
    refusal(pass, rejection, Ending::Rejected(rejection.code()), said)
}

fn refusal(mut pass: Pass<'_>, rejection: &Rejection, ending: Ending, said: &mut impl SetField) -> Response<Body> {
    // A request that was refused before it had an id gets one: its answer and its log line are told by it.
    let id = pass.request_id.get_or_insert_with(|| headers::fresh_request_id(pass.chance.request_id));
    pass.tail.record.request_id.get_or_insert_with(|| Clip::new(&*id));
    let instance = id.to_str().ok();
    let response = if pass.is_grpc { rejection.grpc_response() } else { rejection.response(instance) };
    let (mut parts, body) = response.into_parts();
    // What others are answered with: the status of a gRPC answer says nothing.
    pass.tail.record.status = Some(rejection.status());
    announce(&mut pass, &mut parts.headers, said);
    pass.is_last |= ends_connection(rejection);
    pass.tail.record.ending = ending;
    pass.tail.record.origin = Some(match rejection.fault() {
        Fault::Client => Origin::Client,
        Fault::Gateway => Origin::Gateway,
        Fault::Upstream => Origin::Upstream,
    });
    if matches!(rejection, Rejection::CircuitOpen { .. }) {
        pass.tail.record.breaker = Some(BreakerState::Open);
    }
    whole(pass, Response::from_parts(parts, ()), body)
}

/// Nobody: the connection will find that out when it sends this.
pub(crate) fn to_nobody() -> Response<Body> {
    let mut answer = Response::new(Body::for_nobody());
    // Who sends no more may still read: it must not take this for a good answer.
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    set(answer.headers_mut(), CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A body of our own. What has none to send (HEAD, 204, 304) says its length, where it may, and is complete as it is.
fn whole(pass: Pass<'_>, mut head: Response<()>, body: Bytes) -> Response<Body> {
    let is_head = pass.tail.record.method == Method::HEAD;
    if is_head {
        set(head.headers_mut(), CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let none = is_head || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    finish(pass, head, |tail| Body::whole(if none { Bytes::new() } else { body }, tail))
}

pub(crate) fn finish(
    mut pass: Pass<'_>,
    mut head: Response<()>,
    body: impl FnOnce(Box<Tail>) -> Body,
) -> Response<Body> {
    pass.tail.record.status.get_or_insert(head.status());
    if pass.is_last {
        set(head.headers_mut(), CONNECTION, HeaderValue::from_static("close"));
    }
    head.map(|()| body(pass.tail))
}

/// The route's own rules for an answer that is not a refusal. They name none of the fields that we say ourselves.
pub(crate) fn rule(pass: &mut Pass<'_>, fields: &mut HeaderMap) {
    if let Some((rules, ruled)) = pass.ruled.take() {
        rules.strip(fields);
        // Only a full map can refuse, and then the answer goes on without.
        let _ = ruled.write(fields);
    }
}

/// What every answer says: the request's id, what the cache did, and how much is left of its limits.
pub(crate) fn announce(pass: &mut Pass<'_>, fields: &mut HeaderMap, said: &mut impl SetField) {
    if let Some(status) = pass.cache_status.take() {
        // Behind those of caches before us (RFC 9211, section 2).
        let _ = said.set_text(&CACHE_STATUS, status.text().as_bytes());
        strip_tags(fields);
    }
    let mut said = Instead::of(fields, said);
    if let Some(id) = pass.request_id.take() {
        let _ = said.set_field(&headers::X_REQUEST_ID, &id);
    }
    if let Some((route, verdict)) = &pass.verdict {
        route.limits.policies.write(verdict, pass.running.settings.server.rate_limit_headers, &mut said);
    }
}

/// What we say behind an answer's own fields, and in the place of those.
struct Instead<'a, F> {
    fields: &'a mut HeaderMap,
    said: &'a mut F,
    /// Whether the answer may have a field that we say.
    replaces: bool,
}

impl<'a, F: SetField> Instead<'a, F> {
    fn of(fields: &'a mut HeaderMap, said: &'a mut F) -> Self {
        // One look at all names instead of a search for each of ours: hardly an answer has any of them.
        let replaces = fields.keys().any(|name| may_be_said(name.as_str()));
        Self { fields, said, replaces }
    }
}

/// The names that [`announce`] says, and few others.
fn may_be_said(name: &str) -> bool {
    name.starts_with('r') || name.starts_with("x-r")
}

impl<F: SetField> SetField for Instead<'_, F> {
    fn set_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        if self.replaces {
            self.fields.remove(name);
        }
        self.said.set_field(name, value)
    }

    fn add_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        self.said.add_field(name, value)
    }

    fn set_text(&mut self, name: &HeaderName, text: &[u8]) -> Result<(), HeaderError> {
        if self.replaces {
            self.fields.remove(name);
        }
        self.said.set_text(name, text)
    }
}

/// An answer is worth sending even when its map is too full for what we add.
fn set(fields: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = fields.try_insert(name, value);
}

/// After these, what the client sends next cannot be trusted to be a request, or is not worth reading.
fn ends_connection(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::MethodNotAllowed { allow } if allow.is_empty())
        || matches!(
            rejection.status(),
            StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::URI_TOO_LONG
                | StatusCode::NOT_IMPLEMENTED
                | StatusCode::HTTP_VERSION_NOT_SUPPORTED
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_their_media_type() {
        for stream in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "application/x-ndjson",
            "application/ndjson ;x",
            "application/json-seq",
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web-text",
        ] {
            assert!(is_stream(stream.as_bytes()), "{stream}");
        }
        for other in
            ["", ";", "text/event-streams", "text/plain; text/event-stream", "application/json", "application/grpcs"]
        {
            assert!(!is_stream(other.as_bytes()), "{other}");
        }
    }
}
