//! Who a request comes from, as far as its head and the server say: what a layer reads of it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::HOST;
use http::request::Parts;

use crate::auth::Identity;
use crate::route::{CanonicalPath, Params, canonical_host, canonicalise};
use crate::source::Facts;

type Find = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// Says where an address is in the head of a request: in an extension that the server put there, as a rule.
#[derive(Clone, Default)]
pub(super) struct AddressOf {
    find: Option<Arc<Find>>,
    /// Whether it was said that there is none where one is needed. Shared by all clones: it is said once.
    warned: Arc<AtomicBool>,
}

impl AddressOf {
    pub(super) fn new(find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { find: Some(Arc::new(find)), warned: Arc::default() }
    }

    pub(super) fn find(&self, parts: &Parts) -> Option<IpAddr> {
        self.find.as_ref().and_then(|find| find(parts))
    }

    /// Whether it is still to be said that there is no address.
    pub(super) fn may_warn(&self) -> bool {
        !self.warned.load(Ordering::Relaxed)
    }

    /// Says once that requests without an address are counted together.
    pub(super) fn warn(&self, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{what} counts a request that has no identity and no client address: all such requests share one bucket; \
                 tell the layer where the address is, with `.client(..)`"
            );
        }
    }
}

impl fmt::Debug for AddressOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.find.is_some() { "AddressOf(..)" } else { "AddressOf(none)" })
    }
}

/// The host and the path of a request, each in its one form where it has one; a host that is none is absent, a path that is none
/// is taken as it stands. What is malformed or ambiguous is refused by routing, which is not a single layer's business.
pub(super) struct Target<'r> {
    host: Cow<'r, str>,
    path: Cow<'r, str>,
}

impl<'r> Target<'r> {
    pub(super) fn of(parts: &'r Parts) -> Self {
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let named = authority.or_else(|| parts.headers.get(HOST)?.to_str().ok());
        let path = parts.uri.path();
        Self {
            host: named.and_then(|host| canonical_host(host).ok()).unwrap_or_default(),
            path: canonicalise(path).map_or(Cow::Borrowed(path), CanonicalPath::into_text),
        }
    }

    /// As they stand: for who reads neither.
    pub(super) fn unread(parts: &'r Parts) -> Self {
        Self { host: Cow::Borrowed(""), path: Cow::Borrowed(parts.uri.path()) }
    }
}

/// What sources may read of a request that has no route: there are no path parameters.
pub(super) fn facts<'a>(
    parts: &'a Parts,
    target: &'a Target<'_>,
    client: Option<IpAddr>,
    identity: Option<&'a Identity>,
) -> Facts<'a> {
    Facts {
        client,
        headers: &parts.headers,
        host: &target.host,
        identity,
        method: &parts.method,
        params: Params::EMPTY,
        path: &target.path,
        query: parts.uri.query(),
    }
}
