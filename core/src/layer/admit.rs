//! Steps 1 to 3 as a layer: a whole plan in front of any service.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::Matched;
use super::answer::{Told, forward, refuse, report_shadow};
use super::asker::AddressOf;
use super::future::{Checked, Outcome};
use super::gated::gated;
use crate::admit::begin::{Begun, Known};
use crate::admit::limit::Taken;
use crate::admit::{Admitted, Head, Refused, Routed, Services, route};
use crate::auth::Identity;
use crate::headers::Proto;
use crate::limit::{HeaderFamilies, MemoryStore, RateLimitStore};
use crate::plan::Plan;
use crate::rejection::Rejection;
use crate::route::RouteIndex;
use crate::subject::SubjectKey;
use crate::time::Clock;

/// Puts a whole [`Plan`] in front of a service: each request is routed, authenticated and limited as the gateway does it, by the same
/// functions, and what is not admitted gets the gateway's answer.
///
/// An admitted request goes on with its method, path and body as they came, and in its extensions
///
/// - [`Matched`]: the route's name and its path parameters,
/// - [`Identity`]: who it is from; not there on a public route.
///
/// As towards an upstream of the gateway, identity headers that a client forged are gone, in every spelling; those that the plan forwards
/// claims in are set; and the token is gone from wherever it stood, but where its verifier says `forward_token`. What else a plan says of
/// a route (target, rewriting, header rules, deadlines, sizes) is for who forwards, and is not done here.
///
/// ```
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use portcullis_core::{layer::AdmitLayer, limit::MemoryStore, plan::Plan};
///
/// fn guard(plan: Plan, store: Arc<MemoryStore>) -> AdmitLayer {
///     AdmitLayer::new(plan, store).peer(|parts| parts.extensions.get::<SocketAddr>().map(SocketAddr::ip))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AdmitLayer {
    gate: Arc<Gate>,
}

/// A service behind an [`AdmitLayer`].
#[derive(Clone, Debug)]
pub struct Admit<S> {
    gate: Arc<Gate>,
    inner: S,
}

/// What decides.
#[derive(Clone)]
struct Gate {
    clock: Clock,
    families: HeaderFamilies,
    local: Arc<MemoryStore>,
    peer: Option<AddressOf>,
    plan: Arc<Plan>,
    store: Arc<dyn RateLimitStore>,
    /// For a store that names no key.
    subjects: SubjectKey,
}

/// A request that was admitted, and how it was matched; or why it was not, and by which route.
type Done<'p> = Result<(Admitted<'p>, Matched), (Rejection, Option<RouteIndex>)>;

/// How far a request came without waiting.
enum Step<'p> {
    Done(Done<'p>),
    /// What is awaited is the store's answer, for whom was accepted; none: nothing was asked yet.
    Later(Option<(Option<Known>, Taken)>),
}

impl AdmitLayer {
    /// Admits what `plan` admits, its limits counted in `store`.
    pub fn new(plan: impl Into<Arc<Plan>>, store: impl RateLimitStore) -> Self {
        Self {
            gate: Arc::new(Gate {
                clock: Clock::system(),
                families: HeaderFamilies::default(),
                local: Arc::new(MemoryStore::new()),
                peer: None,
                plan: plan.into(),
                store: Arc::new(store),
                subjects: SubjectKey::random(),
            }),
        }
    }

    /// Where the address of the peer is, as `|parts| -> Option<IpAddr>`. It is the client's, unless the plan trusts that peer to say
    /// whom it speaks for. Without it all clients are one.
    #[must_use]
    pub fn peer(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.gate).peer = Some(AddressOf::new(find));
        self
    }

    /// Which fields say what is left of limits; both families by default.
    #[must_use]
    pub fn headers(mut self, families: HeaderFamilies) -> Self {
        Arc::make_mut(&mut self.gate).families = families;
        self
    }

    /// The clock that a token's times are compared with, instead of the machine's: for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.gate).clock = clock;
        self
    }
}

impl Gate {
    fn services(&self) -> Services<'_> {
        Services { clock: &self.clock, local: Some(&self.local), store: &self.store, subjects: &self.subjects }
    }

    fn check(self: &Arc<Self>, mut parts: Parts) -> Checked {
        // Whom a trusted peer speaks for is read before anything is removed. Where nobody says who the peer is, nobody is trusted.
        let arrival = |peer: &AddressOf| self.plan.trusted.arrival(peer.find(&parts), Proto::Http, &parts.headers);
        let client = self.peer.as_ref().and_then(|peer| arrival(peer).client);
        self.plan.identity_headers.strip(&mut parts.headers);
        match self.begin(client, &parts) {
            Step::Done(done) => {
                let outcome = self.pass(done, &mut parts);
                Checked::Now(parts, outcome)
            }
            Step::Later(asked) => {
                let gate = Arc::clone(self);
                Checked::Later(Box::pin(async move {
                    let done = gate.finish(client, &parts, asked).await;
                    let outcome = gate.pass(done, &mut parts);
                    (parts, outcome)
                }))
            }
        }
    }

    fn begin(&self, client: Option<IpAddr>, parts: &Parts) -> Step<'_> {
        match route(&self.plan, head(client, parts)) {
            Err(rejection) => Step::Done(Err((rejection, None))),
            Ok(routed) => match routed.begin(self.services()) {
                Begun::Asked(known, taken) => Step::Later(Some((known, taken))),
                Begun::Done(done) => Step::Done(self.matched(&routed, done)),
                Begun::Unknown => Step::Later(None),
            },
        }
    }

    async fn finish(&self, client: Option<IpAddr>, parts: &Parts, asked: Option<(Option<Known>, Taken)>) -> Done<'_> {
        let routed = route(&self.plan, head(client, parts)).map_err(|rejection| (rejection, None))?;
        let done = match asked {
            Some((known, taken)) => routed.conclude(known, taken.await, self.services()),
            None => routed.admit(self.services()).await,
        };
        self.matched(&routed, done)
    }

    fn matched<'p>(&self, routed: &Routed<'p, '_>, done: Result<Admitted<'p>, Refused>) -> Done<'p> {
        match done {
            Ok(admitted) => Ok((admitted, Matched::new(&self.plan, routed))),
            Err(refused) => Err((refused.rejection, Some(routed.index()))),
        }
    }

    /// Makes of an admitted request what the service gets, and an answer of a refusal.
    fn pass(&self, done: Done<'_>, parts: &mut Parts) -> Outcome {
        let (admitted, matched) = match done {
            Ok(passed) => passed,
            Err((rejection, route)) => {
                let route = route.and_then(|route| self.plan.routes.get(route.as_usize()));
                return Err(refuse(parts, rejection, route.map(|route| (&route.limits, self.families))));
            }
        };
        if let Err(rejection) = self.rewrite(&admitted, parts) {
            return Err(refuse(parts, rejection, None));
        }
        parts.extensions.insert(matched);
        match &admitted.identity {
            Some(identity) => drop(parts.extensions.insert(Identity::clone(identity))),
            None => drop(parts.extensions.remove::<Identity>()),
        }
        Ok(admitted.verdict.map_or(Told::Nothing, |verdict| {
            report_shadow(&admitted.route.limits, &verdict);
            Told::Route(Arc::clone(&self.plan), admitted.index, self.families, verdict)
        }))
    }

    /// Takes the tokens out that the plan hides, and says who it is as the plan forwards it.
    fn rewrite(&self, admitted: &Admitted<'_>, parts: &mut Parts) -> Result<(), Rejection> {
        admitted.hide_tokens(&self.plan, &mut parts.headers);
        if let Some(query) = parts.uri.query() {
            let kept = admitted.query(&self.plan, query);
            if kept.as_deref() != Some(query) {
                parts.uri = with_query(&parts.uri, kept.as_deref())?;
            }
        }
        admitted.claims.as_ref().map_or(Ok(()), |claims| forward(claims, &mut parts.headers))
    }
}

fn head(client: Option<IpAddr>, parts: &Parts) -> Head<'_> {
    Head { client, headers: &parts.headers, method: &parts.method, uri: &parts.uri, version: parts.version }
}

/// The same target with another query, or none.
fn with_query(uri: &Uri, query: Option<&str>) -> Result<Uri, Rejection> {
    let path = uri.path();
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| Rejection::Internal)?);
    Uri::from_parts(parts).map_err(|_| Rejection::Internal)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("plan", &self.plan).finish_non_exhaustive()
    }
}

gated!(AdmitLayer, Admit);
