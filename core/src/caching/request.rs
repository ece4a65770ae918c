//! What a cache goes by of a request, or why it has nothing to do with it.

use http::header::{AUTHORIZATION, COOKIE, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, Method};

use super::control::RequestControl;
use crate::plan::CacheRule;
use crate::source::Facts;

/// What a cache goes by of a request that it may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What the client takes.
    pub control: RequestControl,
    /// HEAD: answered with what GET has stored, and stores nothing itself (RFC 9111, section 4).
    pub head: bool,
    /// It says who it is from: by `Authorization`, or by a token that a verifier accepted, wherever that stood.
    pub identified: bool,
    /// Answers are kept apart by who they are for ([`CacheRule::per`]), so that `private` and
    /// [`identified`](Self::identified) do not forbid it.
    pub apart: bool,
    /// It asks for a part (`Range`).
    pub range: bool,
}

/// Why a request goes past the cache: nothing is looked up, stored or collapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bypass {
    /// It has content, which is in no key.
    Body,
    /// It has a cookie that the route says nothing of.
    Cookie,
    /// Neither GET nor HEAD, and safe: OPTIONS and its like.
    Method,
    /// It says that it means another method or path than it has.
    Override,
    /// What answers are kept apart by is absent.
    PerAbsent,
    /// It has a precondition that is the origin's to judge (RFC 9111, section 4.3.2): `If-Match`,
    /// `If-Unmodified-Since`.
    Precondition,
    /// A method that may change something: what is stored may have to go
    /// ([`invalidates`](super::invalidates)).
    Unsafe,
}

impl Bypass {
    /// A word for `Cache-Status`, logs and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "request-body",
            Self::Cookie => "cookie",
            Self::Method => "method",
            Self::Override => "method-override",
            Self::PerAbsent => "per-absent",
            Self::Precondition => "precondition",
            Self::Unsafe => "unsafe-method",
        }
    }
}

/// Fields that some origins take for another method or path than the request's; in no key, so never answered from one
/// (a stored answer to a disguised request would be everybody's).
static OVERRIDES: [HeaderName; 5] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

impl Ask {
    /// What a cache goes by of a request. `has_body`: content follows the head. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`Bypass`] where the cache has nothing to do with it. Whether [`CacheRule::per`] is present shows when the key
    /// is written.
    pub fn of(rule: &CacheRule, facts: &Facts<'_>, has_body: bool) -> Result<Self, Bypass> {
        let headers = facts.headers;
        let head = match *facts.method {
            Method::GET => false,
            Method::HEAD => true,
            ref method if is_safe(method) => return Err(Bypass::Method),
            _ => return Err(Bypass::Unsafe),
        };
        if has_body {
            return Err(Bypass::Body);
        }
        if OVERRIDES.iter().any(|name| headers.contains_key(name)) {
            return Err(Bypass::Override);
        }
        if headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE) {
            return Err(Bypass::Precondition);
        }
        if !rule.takes_cookies() && has_other_cookies(headers, &rule.token_cookies) {
            return Err(Bypass::Cookie);
        }
        Ok(Self {
            control: RequestControl::of(headers),
            head,
            identified: facts.identity.is_some() || headers.contains_key(AUTHORIZATION),
            apart: rule.keeps_apart(facts.identity.is_some()),
            range: !head && headers.contains_key(RANGE),
        })
    }
}

/// RFC 9110, section 9.2.1: what a client may ask for without answering for what comes of it. Of a method that is not
/// known the worst is assumed.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) || method.as_str() == "QUERY"
}

/// Whether there is a cookie that is not one of those named.
fn has_other_cookies(headers: &HeaderMap, known: &[Box<str>]) -> bool {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    pairs.any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        !pair.is_empty() && !known.iter().any(|known| known.as_bytes() == name)
    })
}
