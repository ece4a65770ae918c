//! The beginning of a request: its line and its own fields.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;

use crate::h1::Lines;

/// A head that has begun: the request's line and its own fields. What we say comes behind them, in `lines`.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) lines: Lines,
    /// The request's fields say how long its body is. What they say of framing is left out.
    pub(super) says_length: bool,
    pub(super) has_host: bool,
}

impl Opening {
    pub(crate) fn new(parts: &Parts) -> Self {
        let mut lines = Lines::with_capacity(USUAL_HEAD);
        lines.push(parts.method.as_str().as_bytes());
        lines.push(b" ");
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        if !target.starts_with(['/', '*']) {
            lines.push(b"/");
        }
        lines.push(target.as_bytes());
        lines.push(b" HTTP/1.1\r\n");
        let (mut says_length, mut has_host) = (false, false);
        for (name, value) in &parts.headers {
            if *name == CONTENT_LENGTH {
                says_length = true;
            } else if *name != TRANSFER_ENCODING {
                has_host |= *name == HOST;
                lines.push_field(name, value.as_bytes());
            }
        }
        Self { lines, says_length, has_host }
    }
}

/// Most heads fit.
const USUAL_HEAD: usize = 1024;
