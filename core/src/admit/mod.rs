//! Steps 1 to 3 of the eight: route, authenticate, limit. What they let through is [`Admitted`], and nothing else can make
//! one, so that forwarding a request that was not admitted does not compile.
//!
//! The steps read nothing but the plan, the request's head and the [`Services`]; `explain` calls the same functions.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use crate::auth::{Auth, ForwardedClaims, Identity};
use crate::limit::{MemoryStore, RateLimitStore, Verdict};
use crate::plan::{Access, EncodedSeparators, Plan, Route};
use crate::rejection::Rejection;
use crate::route::{CanonicalPath, Found, Missed, RouteIndex, canonical_host, canonicalise};
use crate::source::Facts;
use crate::subject::SubjectKey;
use crate::time::Clock;
pub use authenticate::{Accepted, authenticate};
pub use limit::limit;

pub(crate) mod authenticate;
#[cfg(feature = "tower")]
pub(crate) mod begin;
mod hide;
pub(crate) mod limit;

/// The longest request target that is looked at, in bytes (RFC 9112, section 3: at least 8000 octets).
pub const MAX_TARGET: usize = 8 * 1024;

/// What the steps ask beside the plan.
#[derive(Clone, Copy)]
pub struct Services<'s> {
    /// Tells the time.
    pub clock: &'s Clock,
    /// What limits that say [`OnFailure::Share`](crate::limit::OnFailure::Share) are counted in when the store does not decide and
    /// has no memory for it ([`RateLimitStore::local`]): this node's own. None: such a request is refused, as it is where the
    /// store is itself a memory, which always decides.
    pub local: Option<&'s MemoryStore>,
    /// Counts.
    pub store: &'s dyn RateLimitStore,
    /// What subjects are hashed under while the store names no key ([`RateLimitStore::subjects`]).
    pub subjects: &'s SubjectKey,
}

impl Services<'_> {
    /// What the subjects of a request are hashed under.
    pub(crate) fn subject_key(&self) -> SubjectKey {
        self.store.subjects().unwrap_or_else(|| self.subjects.clone())
    }
}

impl std::fmt::Debug for Services<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("clock", self.clock).finish_non_exhaustive()
    }
}

/// The head of a request, identity headers already removed ([`Plan::identity_headers`]).
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The fields.
    pub headers: &'r HeaderMap,
    /// The method.
    pub method: &'r Method,
    /// The target.
    pub uri: &'r Uri,
    /// The protocol's version, which decides whether a host must be named.
    pub version: Version,
}

/// The outcome of step 1: the route, and the request's canonical form that every later step reads.
#[derive(Debug)]
pub struct Routed<'p, 'r> {
    plan: &'p Plan,
    head: Head<'r>,
    host: Cow<'r, str>,
    path: CanonicalPath<'r>,
    found: Found,
    route: &'p Route,
}

/// A request that passed steps 1 to 3. Small, and never the request itself.
#[derive(Debug)]
#[expect(clippy::manual_non_exhaustive, reason = "the attribute would let the rest of this crate make one")]
pub struct Admitted<'p> {
    /// Who it is from; none on a public route.
    pub identity: Option<Arc<Identity>>,
    /// Its route.
    pub route: &'p Route,
    /// The route's place in the plan.
    pub index: RouteIndex,
    /// What the store said; none when the route has no limits.
    pub verdict: Option<Verdict>,
    /// The verifier that accepted it.
    pub auth: Option<&'p Auth>,
    /// What the upstream is told of who it is from; none on a public route.
    pub claims: Option<ForwardedClaims>,
    /// Nobody else can write this field, so nobody else can make the struct.
    _admitted: (),
}

/// A refusal, and how far the request had come: what the log wants to know.
#[derive(Debug)]
pub struct Refused {
    /// Who it was from, when that was found out.
    pub identity: Option<Arc<Identity>>,
    /// Why.
    pub rejection: Rejection,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self { identity: None, rejection }
    }
}

/// Step 1: the request's canonical host and path, and the route they belong to.
///
/// # Errors
/// 400 for a host or path that is malformed or ambiguous, 414 for a target over [`MAX_TARGET`], 404, 405.
pub fn route<'p, 'r>(plan: &'p Plan, head: Head<'r>) -> Result<Routed<'p, 'r>, Rejection> {
    if head.uri.path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Err(Rejection::UriTooLong);
    }
    let host = request_host(head)?;
    let path = canonicalise(head.uri.path()).map_err(|error| Rejection::BadRequest(error.as_str()))?;
    let found = match plan.table.find(&host, path.as_str(), head.method) {
        Ok(found) => found,
        // Before anybody is told that there is nothing: a path that can be read in two ways is not looked up at all.
        Err(_) if path.has_encoded_separator() => return Err(AMBIGUOUS),
        Err(Missed::MethodNotAllowed { allow }) => {
            return Err(Rejection::MethodNotAllowed { allow: allow_value(allow) });
        }
        Err(Missed::NotFound) => return Err(Rejection::NotFound),
    };
    let route = plan.routes.get(found.route().as_usize()).ok_or(Rejection::Internal)?;
    if path.has_encoded_separator() && route.encoded_separators == EncodedSeparators::Reject {
        return Err(AMBIGUOUS);
    }
    Ok(Routed { plan, head, host, path, found, route })
}

const AMBIGUOUS: Rejection = Rejection::BadRequest("the path has an encoded slash or backslash");

/// The value of `Allow` (RFC 9110, section 10.2.1).
fn allow_value(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// The one host of a request (RFC 9112, section 3.2): the target's when it has one, and then `Host` must agree.
fn request_host<'r>(head: Head<'r>) -> Result<Cow<'r, str>, Rejection> {
    const BAD: Rejection = Rejection::BadRequest("the Host is not a host");
    let mut lines = head.headers.get_all(http::header::HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (Some(line), None) => Some(line.to_str().map_err(|_| BAD)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Rejection::BadRequest("there is more than one Host")),
    };
    let named = line.map(canonical_host).transpose().map_err(|_| BAD)?;
    match (head.uri.authority(), named) {
        (None, Some(named)) => Ok(named),
        (None, None) if head.version == Version::HTTP_11 => Err(Rejection::BadRequest("there is no Host")),
        (None, None) => Ok(Cow::Borrowed("")),
        (Some(authority), None) => canonical_host(authority.as_str()).map_err(|_| BAD),
        (Some(authority), Some(named)) => {
            let target = canonical_host(authority.as_str()).map_err(|_| BAD)?;
            let port = |port: Option<u16>| port.unwrap_or(80);
            let same_port = line.is_none_or(|line| port(authority.port_u16()) == port(port_of(line)));
            if target == named && same_port {
                Ok(target)
            } else {
                Err(Rejection::BadRequest("the target and the Host disagree"))
            }
        }
    }
}

/// The port behind a host that is known to be one.
fn port_of(host: &str) -> Option<u16> {
    host.rsplit_once(':')?.1.parse().ok()
}

impl<'p, 'r> Routed<'p, 'r> {
    /// The route.
    pub fn route(&self) -> &'p Route {
        self.route
    }

    /// The route's place in the plan.
    pub fn index(&self) -> RouteIndex {
        self.found.route()
    }

    /// The canonical path.
    pub fn path(&self) -> &CanonicalPath<'r> {
        &self.path
    }

    /// The canonical host; empty when the request names none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where the route's parameters stand in the canonical path.
    #[cfg(feature = "tower")]
    pub(crate) fn found(&self) -> Found {
        self.found
    }

    /// What sources may read, with or without an identity.
    pub fn facts<'a>(&'a self, identity: Option<&'a Identity>) -> Facts<'a> {
        Facts {
            client: self.head.client,
            headers: self.head.headers,
            host: &self.host,
            identity,
            method: self.head.method,
            params: self.plan.table.params(&self.found, self.path.as_str()),
            path: self.path.as_str(),
            query: self.head.uri.query(),
        }
    }

    /// Steps 2 and 3, with what the route requires between them: who is refused for that spends nothing.
    ///
    /// # Errors
    /// Whatever [`authenticate`] and [`limit`] refuse with, and 403 when what the route requires does not hold.
    pub async fn admit(&self, services: Services<'_>) -> Result<Admitted<'p>, Refused> {
        let accepted = match &self.route.access {
            Access::Public => None,
            Access::Verified(verifiers) => {
                let auths = verifiers.iter().filter_map(|index| self.plan.auths.get(index.0));
                Some(authenticate(auths, &self.facts(None), services).await?)
            }
        };
        let identity = accepted.as_ref().map(|accepted| &*accepted.identity);
        let limited = match self.required(identity) {
            Ok(()) => limit(&self.route.limits, &self.facts(identity), services).await,
            Err(rejection) => Err(rejection),
        };
        self.concluded(accepted, limited)
    }

    /// What the route requires. An expression that fails refuses, whatever it would have said.
    fn required(&self, identity: Option<&Identity>) -> Result<(), Rejection> {
        match self.route.require.as_ref().map(|require| require.holds(&self.facts(identity))) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Rejection::Forbidden),
            Some(Err(_)) => Err(Rejection::RequireFailed),
        }
    }

    /// What step 3 comes to, for whom step 2 accepted.
    fn concluded(
        &self,
        accepted: Option<Accepted<'p>>,
        limited: Result<Option<Verdict>, Rejection>,
    ) -> Result<Admitted<'p>, Refused> {
        match limited {
            Ok(verdict) => Ok(self.admitted(accepted, verdict)),
            Err(rejection) => Err(Refused { identity: accepted.map(|accepted| accepted.identity), rejection }),
        }
    }

    fn admitted(&self, accepted: Option<Accepted<'p>>, verdict: Option<Verdict>) -> Admitted<'p> {
        let (index, route) = (self.index(), self.route);
        let (auth, claims, identity) = match accepted {
            None => (None, None, None),
            Some(Accepted { auth, claims, identity }) => (Some(auth), Some(claims), Some(identity)),
        };
        Admitted { auth, claims, identity, index, route, verdict, _admitted: () }
    }
}
