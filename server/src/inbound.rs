//! What arrives, before anything reads it: hop-by-hop fields, forged identities; and what becomes of a body that nobody will
//! read.

use std::time::Duration;

use http::header::{EXPECT, MAX_FORWARDS};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use portcullis_core::Rejection;
use portcullis_core::auth::IdentityHeaders;
use portcullis_core::headers::{self, HeaderError, Proto, Survey, Upgrade, Via};
use tokio::time::timeout;

use crate::listen::h1::body::ClientBody;

/// What a request's head says to the gateway itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screened {
    /// The client waits for a 100 before it sends its body.
    pub(crate) expects_continue: bool,
    /// It is a question to us, and not to anybody behind: `OPTIONS *`, or one that may go no further.
    pub(crate) is_for_us: bool,
    /// What was seen of its fields.
    pub(crate) survey: Survey,
    /// What it would change its connection to. Boxed: hardly a request would.
    pub(crate) upgrade: Option<Box<Upgrade>>,
}

/// Refuses what is ambiguous, and removes what a client has no say in; the rest is what every later step reads.
/// `request_id` is set as soon as there is one, so that a refusal carries it too.
///
/// # Errors
/// 400, 405, 417, 431 and 508.
pub(crate) fn screen(
    parts: &mut Parts,
    identities: &IdentityHeaders,
    (via, proto): (&Via, Proto),
    random: u128,
    request_id: &mut Option<HeaderValue>,
) -> Result<Screened, Rejection> {
    let fields = &mut parts.headers;
    let survey = Survey::of(fields);
    // Read before it goes. HTTP/1.0 knows no upgrade (RFC 9110, section 7.8), and later versions none by this field.
    let asks_upgrade = survey.upgrade && parts.version == Version::HTTP_11;
    let upgrade = if asks_upgrade { Upgrade::of(fields).map(Box::new) } else { None };
    // First what the client names in Connection, then what looks like an identity: after this, every identity header
    // is one that we set (and is set after this, so that no Connection field can have it dropped).
    if survey.hop_by_hop {
        headers::remove_hop_by_hop(fields).map_err(refused)?;
    }
    if survey.forwarding {
        headers::erase_forwarding(fields);
    }
    identities.strip(fields);
    let id = if survey.asks { headers::kept_request_id(fields) } else { None };
    *request_id = Some(id.unwrap_or_else(|| headers::fresh_request_id(random)));
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Rejection::MethodNotAllowed { allow: HeaderValue::from_static("") });
    }
    if parts.uri.scheme_str().is_some_and(|scheme| scheme != proto.as_str()) {
        return Err(Rejection::BadRequest("the target has another scheme than this listener"));
    }
    let mut screened = Screened { survey, upgrade, ..Screened::default() };
    if survey.asks {
        via.check(&parts.headers).map_err(refused)?;
        screened.expects_continue = headers::expects_continue(&parts.headers, parts.version).map_err(refused)?;
        // The 100 is sent when the body is first asked for: after every step that may refuse.
        parts.headers.remove(EXPECT);
    }
    screened.is_for_us = parts.method == Method::OPTIONS && is_for_us(parts);
    Ok(screened)
}

/// RFC 9110, sections 7.1 and 7.6.2: `OPTIONS *` asks the server it reaches, and `Max-Forwards` counts those on the way.
fn is_for_us(parts: &mut Parts) -> bool {
    let forwards = parts.headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    match forwards {
        Some(0) => return true,
        Some(left) => drop(parts.headers.try_insert(MAX_FORWARDS, HeaderValue::from(left - 1))),
        None => {}
    }
    parts.uri.path() == "*"
}

/// What is wrong with a request's fields, as the client is told.
pub(crate) fn refused(error: HeaderError) -> Rejection {
    match error {
        HeaderError::Connection => Rejection::BadRequest("the Connection field is malformed"),
        HeaderError::Expectation => Rejection::ExpectationFailed,
        HeaderError::Full => Rejection::HeadersTooLarge,
        HeaderError::Loop => Rejection::LoopDetected,
        _ => Rejection::Internal,
    }
}

/// Whether a body of the declared length may come; one without a length is counted as it comes.
///
/// # Errors
/// 413, before a byte of it is read.
pub(crate) fn fits(body: &ClientBody, most: Option<u64>) -> Result<(), Rejection> {
    let declared = body.size_hint().lower();
    if most.is_some_and(|most| declared > most) { Err(Rejection::BodyTooLarge) } else { Ok(()) }
}

/// What is read of a body that nobody wants, so that its connection can go on: so many bytes, for so long.
const DISCARDED: u64 = 64 * 1024;
const DISCARDING: Duration = Duration::from_millis(100);

/// Reads what is left of a body after an answer that did not need it (RFC 9112, section 9.3). Returns whether it is all
/// gone; otherwise the connection has to end, and the answer says so.
pub(crate) async fn discard(mut body: ClientBody, expects_continue: bool) -> bool {
    // One that was handed in is somebody else's to read.
    if body.is_handed_in() || body.is_end_stream() {
        return true;
    }
    // Asking a client that waits for a 100 for its body would be telling it to send.
    if expects_continue || body.size_hint().lower() > DISCARDED {
        return false;
    }
    let all = async {
        let mut left = DISCARDED;
        while let Some(frame) = body.frame().await {
            let read = frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            left = left.checked_sub(read)?;
        }
        Some(())
    };
    matches!(timeout(DISCARDING, all).await, Ok(Some(())))
}
