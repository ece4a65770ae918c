//! `Cache-Status` (RFC 9211): what the cache did with a request.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::headers::Line;

/// `cache-status`
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went to the upstream (RFC 9211, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The route or the request keeps out of the cache.
    Bypass,
    /// Its method.
    Method,
    /// What is stored is only a part.
    Partial,
    /// The client asked for what is confirmed.
    Request,
    /// What is stored is stale.
    Stale,
    /// Nothing is stored.
    UriMiss,
    /// Nothing is stored for such a request.
    VaryMiss,
}

impl Forward {
    /// The token of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::Partial => "partial",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
        }
    }
}

/// What the cache did with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// It waited for another's answer.
    pub collapsed: bool,
    /// A word of our own on why: [`Bypass::as_str`](super::Bypass::as_str),
    /// [`Unstorable::as_str`](super::Unstorable::as_str).
    pub detail: Option<&'static str>,
    /// Why it went to the upstream; none: it was answered from what is stored, a hit.
    pub forward: Option<Forward>,
    /// What the upstream said.
    pub forward_status: Option<StatusCode>,
    /// What the upstream said is stored.
    pub stored: bool,
    /// How long the answer is still fresh, in seconds; below zero, how long it has been stale.
    pub ttl: Option<i64>,
}

/// A member of `Cache-Status`, on the stack.
#[derive(Debug)]
pub struct StatusText(Line<192>);

impl StatusText {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A field's value.
    pub fn value(&self) -> Option<HeaderValue> {
        self.0.value()
    }
}

impl CacheStatus {
    /// A hit.
    pub fn hit(ttl: i64) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// The member, such as `Portcullis; hit; ttl=30`: a line of its own after those that came from upstream, whose
    /// caches are named first (RFC 9211, section 2). Allocates nothing.
    pub fn text(&self) -> StatusText {
        let mut line = Line::new();
        // None of it is longer than the line: a test writes the longest.
        let _ = self.write(&mut line);
        StatusText(line)
    }

    fn write(&self, line: &mut Line<192>) -> Option<()> {
        line.push(b"Portcullis")?;
        match self.forward {
            None => line.push(b"; hit")?,
            Some(forward) => {
                line.push(b"; fwd=")?;
                line.push(forward.as_str().as_bytes())?;
            }
        }
        if let Some(status) = self.forward_status {
            line.push(b"; fwd-status=")?;
            line.push(status.as_str().as_bytes())?;
        }
        if let Some(ttl) = self.ttl {
            line.push(b"; ttl=")?;
            line.push(itoa::Buffer::new().format(ttl).as_bytes())?;
        }
        if self.stored {
            line.push(b"; stored")?;
        }
        if self.collapsed {
            line.push(b"; collapsed")?;
        }
        // Words are shorter; what is not is left out, and cuts nothing off.
        if let Some(detail) = self.detail.filter(|detail| detail.len() <= 48) {
            line.push(b"; detail=")?;
            line.push(detail.as_bytes())?;
        }
        Some(())
    }
}
