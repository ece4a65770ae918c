//! Refusals as a gRPC client understands them: in the fields of a gRPC answer that has nothing but its end ("trailers-only" in gRPC
//! over HTTP/2). Such a client takes a body for a message, and a status of HTTP for a broken connection.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Rejection;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request with these fields is a gRPC call: of `application/grpc`, in whatever encoding its messages are.
pub fn is_grpc(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.get(..16).filter(|kind| kind.eq_ignore_ascii_case(b"application/grpc")).and(kind.get(16..));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

impl Rejection {
    /// The response to whoever sent a request with these fields: [`grpc_response`](Self::grpc_response) to a gRPC call,
    /// [`response`](Self::response) to everything else.
    pub fn response_to(&self, fields: &HeaderMap, instance: Option<&str>) -> Response<Bytes> {
        if is_grpc(fields) { self.grpc_response() } else { self.response(instance) }
    }

    /// The response to a gRPC call: 200 with `grpc-status` and `grpc-message`, no body, and beside them the fields of every
    /// refusal, `Retry-After` and `WWW-Authenticate` among them.
    pub fn grpc_response(&self) -> Response<Bytes> {
        let mut response = self.response(None).map(|_| Bytes::new());
        *response.status_mut() = StatusCode::OK;
        let fields = response.headers_mut();
        // Titles are plain ASCII without a percent sign: nothing in them has to be encoded.
        let message = HeaderValue::from_static(self.shape().title);
        for (name, value) in [
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (GRPC_STATUS, HeaderValue::from(self.grpc_status())),
            (GRPC_MESSAGE, message),
        ] {
            // A map of a handful of fields cannot be full.
            let _ = fields.try_insert(name, value);
        }
        response
    }

    /// The code of a gRPC status: what gRPC makes of the status of HTTP, and where that is vague what we know.
    fn grpc_status(&self) -> u16 {
        const DEADLINE_EXCEEDED: u16 = 4;
        const INTERNAL: u16 = 13;
        const PERMISSION_DENIED: u16 = 7;
        const RESOURCE_EXHAUSTED: u16 = 8;
        const UNAUTHENTICATED: u16 = 16;
        const UNAVAILABLE: u16 = 14;
        const UNIMPLEMENTED: u16 = 12;
        match self.status().as_u16() {
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 | 405 | 501 | 505 => UNIMPLEMENTED,
            408 | 504 => DEADLINE_EXCEEDED,
            413 | 414 | 429 | 431 => RESOURCE_EXHAUSTED,
            502 | 503 => UNAVAILABLE,
            _ => INTERNAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    #[test]
    fn a_grpc_call_is_known_by_its_content_type() {
        for kind in ["application/grpc", "application/grpc+proto", "Application/GRPC; x=y"] {
            assert!(is_grpc(&of(kind)), "{kind}");
        }
        for kind in ["application/grpc-web", "application/json", "application/grp", ""] {
            assert!(!is_grpc(&of(kind)), "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_refusal_is_the_end_of_the_call_and_says_when_to_come_back() {
        let response = Rejection::StoreUnavailable.response_to(&of("application/grpc"), Some("id"));
        assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
        let field = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(
            (field("content-type"), field("grpc-status"), field("retry-after")),
            ("application/grpc", "14", "1")
        );
        assert_eq!(field("grpc-message"), "Limits cannot be checked now");
        let plain = Rejection::StoreUnavailable.response_to(&of("application/json"), Some("id"));
        assert_eq!(plain.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn each_status_has_its_code() {
        let code = |rejection: Rejection| rejection.grpc_status();
        assert_eq!(code(Rejection::NotFound), 12);
        assert_eq!(code(Rejection::UpstreamTimeout), 4);
        assert_eq!(code(Rejection::UpstreamReset), 14);
        assert_eq!(code(Rejection::BodyTooLarge), 8);
        assert_eq!(code(Rejection::BadRequest("no")), 13);
    }
}
