//! Step 2 as a layer: who a request is from.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use http::request::Parts;

use super::answer::{Told, forward, refuse};
use super::asker::{AddressOf, Target, facts};
use super::future::{Checked, Outcome};
use super::gated::gated;
use crate::admit::authenticate::recall;
use crate::admit::{Accepted, Services, authenticate};
use crate::auth::{Auth, Forward, IdentityHeaders, Scheme, TokenSources, TokenVerifier};
use crate::limit::{MemoryStore, RateLimitStore, Rule};
use crate::subject::SubjectKey;
use crate::time::Clock;

/// Lets through who has a good token, and puts the [`Identity`](crate::auth::Identity) into the request's extensions.
///
/// Refuses with 401 (`WWW-Authenticate`, a problem document) who has none or a bad one, 503 while there are no keys to check with, and
/// 429 who failed too often, if [`failures`](Self::failures) says so. A token stands in `Authorization` unless [`token`](Self::token)
/// says otherwise.
///
/// ```
/// use portcullis_core::auth::{ApiKeyVerifier, Scheme, TokenSource};
/// use portcullis_core::layer::AuthenticateLayer;
///
/// let partners = ApiKeyVerifier::new("partners", [])?;
/// let layer = AuthenticateLayer::new(partners)
///     .token("header:x-api-key".parse::<TokenSource>()?)
///     .scheme(Scheme::ApiKey);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthenticateLayer {
    gate: Arc<Gate>,
}

/// A service behind an [`AuthenticateLayer`].
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    gate: Arc<Gate>,
    inner: S,
}

/// What decides.
#[derive(Clone)]
struct Gate {
    auths: Vec<Auth>,
    client: AddressOf,
    clock: Clock,
    /// What the verifiers forward claims in, taken out of each request.
    headers: IdentityHeaders,
    store: Arc<dyn RateLimitStore>,
    /// For a store that names no key.
    subjects: SubjectKey,
}

impl AuthenticateLayer {
    /// Bearer tokens in `Authorization` that `verifier` accepts.
    pub fn new(verifier: impl TokenVerifier) -> Self {
        Self::any_of([Auth::bearer("tokens", Arc::new(verifier))])
    }

    /// Tokens that one of these accepts, asked in this order, each for the token in its own places: how a plan's route that names
    /// several verifiers does it. Without any, every request is refused.
    pub fn any_of(auths: impl IntoIterator<Item = Auth>) -> Self {
        let auths: Vec<_> = auths.into_iter().collect();
        let gate = Gate {
            headers: forwarded_headers(&auths),
            auths,
            client: AddressOf::default(),
            clock: Clock::system(),
            subjects: SubjectKey::random(),
            store: Arc::new(MemoryStore::new()),
        };
        Self { gate: Arc::new(gate) }
    }

    /// Where tokens stand, instead of `Authorization`.
    #[must_use]
    pub fn token(self, sources: impl Into<TokenSources>) -> Self {
        let sources = sources.into();
        self.each(|auth| auth.token.clone_from(&sources))
    }

    /// What a 401 asks for, instead of bearer tokens.
    #[must_use]
    pub fn scheme(self, scheme: Scheme) -> Self {
        self.each(|auth| auth.scheme = scheme)
    }

    /// Bounds how often a client may fail, as `rule` says, counted in `store`: over it its tokens are no longer looked at (429), but
    /// for one that was accepted before. Only failed verifications count. The rule is keyed by "client" as a rule, so say where the
    /// [`client`](Self::client)'s address is; without it all clients share one bucket, and one can keep all others out. Not
    /// bounded by default.
    #[must_use]
    pub fn failures(mut self, store: impl RateLimitStore, rule: Rule) -> Self {
        let gate = Arc::make_mut(&mut self.gate);
        gate.store = Arc::new(store);
        let rule = Arc::new(rule);
        self.each(|auth| auth.failures = Some(Arc::clone(&rule)))
    }

    /// Tells the inner service what the token says of its owner in the field `header`: `claim`, as
    /// [`Identity::claim`](crate::auth::Identity::claim) finds it. For services that read headers instead of extensions, and for proxies.
    /// The field, in every spelling, is then taken out of each request that arrives; see [`Auth::claims`] for claims that refuse a
    /// token.
    #[must_use]
    pub fn forward(mut self, header: HeaderName, claim: impl Into<Box<str>>) -> Self {
        let forward = Forward { header, claim: claim.into() };
        self = self.each(|auth| auth.forward = auth.forward.iter().chain([&forward]).cloned().collect());
        let gate = Arc::make_mut(&mut self.gate);
        gate.headers = forwarded_headers(&gate.auths);
        self
    }

    /// Where the client's address is, as `|parts| -> Option<IpAddr>`: for [`failures`](Self::failures) only.
    #[must_use]
    pub fn client(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.gate).client = AddressOf::new(find);
        self
    }

    /// The clock that a token's times are compared with, instead of the machine's: for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.gate).clock = clock;
        self
    }

    fn each(mut self, change: impl Fn(&mut Auth)) -> Self {
        Arc::make_mut(&mut self.gate).auths.iter_mut().for_each(change);
        self
    }
}

/// Every header that a verifier forwards a claim in.
fn forwarded_headers(auths: &[Auth]) -> IdentityHeaders {
    IdentityHeaders::new(auths.iter().flat_map(|auth| auth.forward.iter()).map(|forward| &forward.header))
}

impl Gate {
    fn services(&self) -> Services<'_> {
        Services { clock: &self.clock, local: None, store: &self.store, subjects: &self.subjects }
    }

    fn check(self: &Arc<Self>, mut parts: Parts) -> Checked {
        self.headers.strip(&mut parts.headers);
        let remembered = {
            let target = Target::unread(&parts);
            recall(self.auths.iter(), &facts(&parts, &target, None, None), self.services())
        };
        match remembered {
            Some(accepted) => {
                let outcome = accept(&accepted, &mut parts);
                Checked::Now(parts, outcome)
            }
            None => {
                let gate = Arc::clone(self);
                Checked::Later(Box::pin(async move {
                    let outcome = gate.verify(&mut parts).await;
                    (parts, outcome)
                }))
            }
        }
    }

    async fn verify(&self, parts: &mut Parts) -> Outcome {
        let client = self.client.find(parts);
        if client.is_none() && self.auths.iter().any(|auth| auth.failures.is_some()) && self.client.may_warn() {
            self.client.warn("the bound of failures");
        }
        let accepted = {
            let target = Target::of(parts);
            authenticate(self.auths.iter(), &facts(parts, &target, client, None), self.services()).await
        };
        match accepted {
            Ok(accepted) => accept(&accepted, parts),
            Err(rejection) => Err(refuse(parts, rejection, None)),
        }
    }
}

/// Tells the inner service who it is.
fn accept(accepted: &Accepted<'_>, parts: &mut Parts) -> Outcome {
    parts.extensions.insert((*accepted.identity).clone());
    match forward(&accepted.claims, &mut parts.headers) {
        Ok(()) => Ok(Told::Nothing),
        Err(rejection) => Err(refuse(parts, rejection, None)),
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("auths", &self.auths).field("client", &self.client).finish_non_exhaustive()
    }
}

gated!(AuthenticateLayer, Authenticate);
