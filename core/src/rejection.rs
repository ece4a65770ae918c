//! Every way a request is refused: status, stable code, problem document, retry hint.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::auth::Challenge;
use crate::limit::Verdict;
pub use grpc::is_grpc;

mod grpc;

/// A refusal. Whose fault it was, whether to try again and what the client is told all follow from the variant; nothing
/// is ever downcast or matched by its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The request itself is malformed; the text says how, in words fit for the client.
    BadRequest(&'static str),
    /// The body is larger than the route takes.
    BodyTooLarge,
    /// The upstream's breaker is open.
    CircuitOpen {
        /// Until it asks again.
        retry_after: Duration,
    },
    /// No connection to the upstream could be made.
    ConnectFailed,
    /// The connection to the upstream took too long.
    ConnectTimeout,
    /// An `Expect` other than `100-continue`.
    ExpectationFailed,
    /// What the route requires does not hold for this request.
    Forbidden,
    /// More header fields than there is room for.
    HeadersTooLarge,
    /// A fault of the gateway's own.
    Internal,
    /// The token was not accepted. The reason is for logs and `explain`; the client is not told.
    InvalidToken {
        /// What would have been accepted.
        challenge: Challenge,
        /// A stable word, such as "expired".
        reason: &'static str,
    },
    /// A limit is used up.
    Limited {
        /// The rule that refused.
        rule: Arc<str>,
        /// What the store said.
        verdict: Verdict,
    },
    /// The request came through this gateway before.
    LoopDetected,
    /// The route exists, for other methods.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: HeaderValue,
    },
    /// The route needs a token and there was none.
    MissingToken {
        /// What would have been accepted.
        challenge: Challenge,
    },
    /// The name of the upstream's server was not found yet, so that nobody was asked for anything. It says nothing of the upstream.
    NameNotFound,
    /// The same, and nothing was known of the name in the time that a connection may take.
    NameTimeout,
    /// Every endpoint of the upstream was tried or none is left.
    NoEndpoint,
    /// No route.
    NotFound,
    /// A client asked for what is stored and nothing else, and nothing is (RFC 9111, section 5.2.1.7): 504.
    NotStored,
    /// The client was too slow.
    RequestTimeout,
    /// What the route requires could not be found out. The client is told what it is told when it does not hold.
    RequireFailed,
    /// The store of the limits did not decide, and the policy for that is to refuse.
    StoreUnavailable,
    /// The client failed to authenticate too often.
    TooManyFailures {
        /// Until the next try.
        retry_after: Duration,
    },
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// As many requests as may be are at the upstream, and as many wait as may.
    UpstreamFull,
    /// The upstream answered with something that is not HTTP.
    UpstreamInvalid,
    /// The upstream closed the connection before its answer was complete.
    UpstreamReset,
    /// The upstream took too long to answer.
    UpstreamTimeout,
    /// The request target is longer than 8 KiB.
    UriTooLong,
    /// The verifier has no keys to check with.
    VerifierUnavailable,
    /// A version of HTTP that is not spoken here.
    VersionNotSupported,
}

/// Who caused a rejection: the log's and the breaker's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client's request.
    Client,
    /// The gateway itself, or its own dependencies.
    Gateway,
    /// The upstream.
    Upstream,
}

/// How a rejection looks on the wire.
struct Shape {
    status: u16,
    code: &'static str,
    title: &'static str,
    /// RFC 9209 error type, for rejections that are about the upstream.
    proxy_error: Option<&'static str>,
}

impl Shape {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

const fn own(status: u16, code: &'static str, title: &'static str) -> Shape {
    Shape { status, code, title, proxy_error: None }
}

const fn about(status: u16, code: &'static str, title: &'static str, error: &'static str) -> Shape {
    Shape { status, code, title, proxy_error: Some(error) }
}

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// How long a client should stay away when nothing better is known.
const SHORT_REST: Duration = Duration::from_secs(1);

impl Rejection {
    /// The one exhaustive match: status, code, title, and for what is about the upstream the error type of RFC 9209.
    const fn shape(&self) -> Shape {
        match self {
            Self::BadRequest(_) => own(400, "bad-request", "The request is malformed"),
            Self::BodyTooLarge => own(413, "body-too-large", "The body is too large"),
            Self::CircuitOpen { .. } => {
                about(503, "circuit-open", "The service is resting after failures", "destination_unavailable")
            }
            Self::ConnectFailed => about(502, "connect-failed", "The service cannot be reached", "connection_refused"),
            Self::ConnectTimeout => {
                about(504, "connect-timeout", "The service cannot be reached in time", "connection_timeout")
            }
            Self::ExpectationFailed => own(417, "expectation-failed", "Only 100-continue can be expected"),
            Self::Forbidden => own(403, "forbidden", "This request is not allowed here"),
            Self::HeadersTooLarge => own(431, "headers-too-large", "There are too many header fields"),
            Self::Internal => about(500, "internal", "The gateway failed", "proxy_internal_error"),
            Self::InvalidToken { .. } => own(401, "invalid-token", "The token is not accepted"),
            Self::Limited { .. } => own(429, "limited", "Too many requests"),
            Self::LoopDetected => {
                about(508, "loop-detected", "The request came through here before", "proxy_loop_detected")
            }
            Self::MethodNotAllowed { .. } => own(405, "method-not-allowed", "The method is not allowed here"),
            Self::MissingToken { .. } => own(401, "missing-token", "A token is required"),
            Self::NameNotFound => about(502, "name-not-found", "The service's name is not found", "dns_error"),
            Self::NameTimeout => about(504, "name-timeout", "The service's name is not found in time", "dns_timeout"),
            Self::NoEndpoint => {
                about(503, "no-endpoint", "No instance of the service is left", "destination_unavailable")
            }
            Self::NotFound => own(404, "no-route", "There is nothing here"),
            Self::NotStored => own(504, "not-stored", "Nothing is stored that answers this"),
            Self::RequestTimeout => own(408, "request-timeout", "The request took too long to arrive"),
            Self::RequireFailed => own(403, "require-failed", "This request is not allowed here"),
            Self::StoreUnavailable => own(503, "store-unavailable", "Limits cannot be checked now"),
            Self::TooManyFailures { .. } => own(429, "too-many-failures", "Too many tokens were not accepted"),
            Self::UnknownCoding => own(501, "unknown-coding", "Only the chunked transfer coding is known here"),
            Self::UpstreamFull => {
                about(503, "upstream-full", "The service has as many requests as it takes", "connection_limit_reached")
            }
            Self::UpstreamInvalid => {
                about(502, "upstream-invalid", "The service's answer is not HTTP", "http_protocol_error")
            }
            Self::UpstreamReset => {
                about(502, "upstream-reset", "The service hung up without an answer", "connection_terminated")
            }
            Self::UpstreamTimeout => {
                about(504, "upstream-timeout", "The service took too long", "http_response_timeout")
            }
            Self::UriTooLong => own(414, "uri-too-long", "The request target is too long"),
            Self::VerifierUnavailable => own(503, "verifier-unavailable", "Tokens cannot be checked now"),
            Self::VersionNotSupported => {
                own(505, "version-not-supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here")
            }
        }
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.shape().status()
    }

    /// A stable word for logs, metrics and the problem document.
    pub const fn code(&self) -> &'static str {
        self.shape().code
    }

    /// Who caused it.
    pub fn fault(&self) -> Fault {
        match self.shape() {
            _ if matches!(self, Self::RequireFailed) => Fault::Gateway,
            _ if matches!(self, Self::NotStored | Self::UnknownCoding | Self::VersionNotSupported) => Fault::Client,
            Shape { status: ..500, .. } => Fault::Client,
            Shape { proxy_error: Some(_), .. } if !matches!(self, Self::Internal | Self::LoopDetected) => {
                Fault::Upstream
            }
            _ => Fault::Gateway,
        }
    }

    /// When a client may try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { retry_after } | Self::TooManyFailures { retry_after } => Some(*retry_after),
            Self::Limited { verdict, .. } => Some(verdict.wait),
            Self::NoEndpoint | Self::StoreUnavailable | Self::UpstreamFull | Self::VerifierUnavailable => {
                Some(SHORT_REST)
            }
            _ => None,
        }
    }

    /// What the problem document says beyond its title. Nothing internal: no address, no reason of a verifier.
    fn detail(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::BadRequest(how) => Some(Cow::Borrowed(how)),
            Self::Limited { rule, .. } => Some(Cow::Owned(format!("the limit \"{rule}\" is used up"))),
            _ => None,
        }
    }

    /// The response: `application/problem+json` (RFC 9457), with `Retry-After`, `WWW-Authenticate` (RFC 6750, section 3),
    /// `Allow` and `Proxy-Status` (RFC 9209) where they belong. `instance` is the request's id.
    pub fn response(&self, instance: Option<&str>) -> Response<Bytes> {
        // That an expression failed, and so perhaps how to make it fail, is the operator's business.
        let shape = if matches!(self, Self::RequireFailed) { Self::Forbidden.shape() } else { self.shape() };
        let mut response = Response::new(Bytes::from(self.problem(&shape, instance)));
        *response.status_mut() = shape.status();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| {
            // A fresh map of a handful of fields cannot be full.
            let _ = headers.try_insert(name, value);
        };
        set(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after() {
            set(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let Some(error) = shape.proxy_error
            && let Ok(value) = HeaderValue::try_from(format!("portcullis; error={error}"))
        {
            set(PROXY_STATUS, value);
        }
        match self {
            Self::InvalidToken { challenge, .. } | Self::MissingToken { challenge } => {
                set(WWW_AUTHENTICATE, challenge.value());
            }
            Self::MethodNotAllowed { allow } => set(ALLOW, allow.clone()),
            _ => {}
        }
        response
    }

    fn problem(&self, shape: &Shape, instance: Option<&str>) -> String {
        let mut problem = serde_json::Map::new();
        let mut say = |name: &str, value: Value| drop(problem.insert(name.to_owned(), value));
        say("type", self.problem_type(shape).into());
        say("title", shape.title.into());
        say("status", shape.status.into());
        say("code", shape.code.into());
        if let Some(detail) = self.detail() {
            say("detail", detail.into());
        }
        if let Some(instance) = instance {
            say("instance", instance.into());
        }
        if let Self::Limited { rule, .. } = self {
            say("violated-policies", vec![&**rule].into());
        }
        Value::Object(problem).to_string()
    }

    /// The registered type where there is one (IANA's HTTP problem types), else one of our own.
    fn problem_type(&self, shape: &Shape) -> String {
        match self {
            Self::Limited { .. } => "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned(),
            _ => format!("urn:portcullis:problem:{}", shape.code),
        }
    }
}

/// Whole seconds, rounded up, at least one: the form of `Retry-After` (RFC 9110, section 10.2.3).
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_and_never_too_early() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }

    #[test]
    fn a_client_learns_nothing_about_why_its_token_failed() {
        let challenge = Challenge::default().refusing(crate::auth::Scheme::Bearer);
        let expired = Rejection::InvalidToken { challenge, reason: "expired" }.response(Some("id"));
        let forged = Rejection::InvalidToken { challenge, reason: "signature" }.response(Some("id"));
        assert_eq!(expired.body(), forged.body());
        assert_eq!(expired.headers(), forged.headers());
        assert_eq!(expired.headers()[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }

    #[test]
    fn a_client_does_not_learn_that_an_expression_failed() {
        let (refused, failed) = (Rejection::Forbidden, Rejection::RequireFailed);
        assert_ne!(refused.code(), failed.code());
        assert_eq!((refused.fault(), failed.fault()), (Fault::Client, Fault::Gateway));
        let (refused, failed) = (refused.response(Some("id")), failed.response(Some("id")));
        assert_eq!(
            (refused.status(), refused.headers(), refused.body()),
            (failed.status(), failed.headers(), failed.body())
        );
    }

    #[test]
    fn upstream_faults_carry_proxy_status() {
        let response = Rejection::UpstreamTimeout.response(None);
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.headers()["proxy-status"], "portcullis; error=http_response_timeout");
        assert_eq!(Rejection::UpstreamTimeout.fault(), Fault::Upstream);
        assert_eq!(Rejection::Internal.fault(), Fault::Gateway);
        assert_eq!(Rejection::NotFound.fault(), Fault::Client);
    }
}
