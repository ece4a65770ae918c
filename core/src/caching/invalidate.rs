//! What a request that changes something makes invalid (RFC 9111, section 4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::key::{Origin, Scheme};
use super::request::is_safe;
use crate::route::{canonical_host, canonicalise};

/// Whether what is stored for a request's target is invalid after it: an unsafe method, and no error.
pub fn invalidates(method: &Method, status: StatusCode) -> bool {
    !is_safe(method) && (status.is_success() || status.is_redirection())
}

/// Another resource that is invalid too, of the same origin as the request's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its canonical path.
    pub path: String,
    /// Its query.
    pub query: Option<String>,
}

/// The resources that `Location` and `Content-Location` name, as far as they are of the request's origin: those of
/// others are not ours to make invalid. `path` is the request's own, which what they say is relative to. At most two.
pub fn also_invalidated(headers: &HeaderMap, origin: Origin<'_>, path: &str) -> Vec<Named> {
    let lines = [LOCATION, CONTENT_LOCATION].into_iter().filter_map(|name| headers.get(name));
    lines.filter_map(|line| named(line.to_str().ok()?, origin, path)).collect()
}

/// A reference begins with a scheme where a colon comes before anything else that parts it (RFC 3986, section 4.2).
fn has_scheme(reference: &str) -> bool {
    reference.find([':', '/', '?']).is_some_and(|at| reference.get(at..=at) == Some(":"))
}

fn named(text: &str, origin: Origin<'_>, base: &str) -> Option<Named> {
    let text = text.split('#').next().unwrap_or_default();
    let resolved = match text.strip_prefix("//") {
        Some(_) => format!("{}:{text}", origin.scheme.as_str()),
        None if text.starts_with('/') || has_scheme(text) => text.to_owned(),
        None if text.is_empty() || text.starts_with('?') => format!("{base}{text}"),
        None => format!("{}/{text}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let uri: Uri = resolved.parse().ok()?;
    if has_scheme(&resolved) && uri.authority().is_none() {
        return None;
    }
    if let Some(authority) = uri.authority() {
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let port = authority.port_u16().unwrap_or_else(|| scheme.default_port());
        if (scheme, canonical_host(authority.as_str()).ok()?.as_ref(), port)
            != (origin.scheme, origin.host, origin.port)
        {
            return None;
        }
    }
    Some(Named { path: canonicalise(uri.path()).ok()?.as_str().to_owned(), query: uri.query().map(str::to_owned) })
}
