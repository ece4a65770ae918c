//! What outlives a reload: endpoints with their connections and counts, breakers, metric series. Kept by name while the
//! settings that give it meaning are unchanged.

use std::collections::HashMap;
use std::iter::Sum;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use portcullis_core::Rejection;
use portcullis_core::auth::Auth;
use portcullis_core::plan::{self, BreakerSettings, Plan, Retries};
use portcullis_core::rejection::Fault;
use portcullis_core::time::{Clock, Moment};
use portcullis_core::upstream::{
    Breaker, BreakerChange, Change, Endpoint, EndpointUrl, OpenedBy, Place, RetryBudget, Roster, Scheme,
};

use crate::background::Background;
use crate::config::{Config, ResolverSettings, Settings};
use crate::forward::bound::Bound;
use crate::forward::connect::Address;
use crate::forward::idle::Idle;
use crate::forward::in_code::Service;
use crate::gateway::Brought;
use crate::names::{Name, Names};
use crate::observe::metrics::AttemptOutcome;
use crate::observe::{AccessLog, KeysReading, LimitSeries, Metrics, RouteSeries, UpstreamSeries};
use crate::parts::{self, KeyFetcher, VerifierSettings};
use crate::servers::Servers;

/// A plan with all that it runs on. Requests load it once and keep it to their end.
#[derive(Debug)]
pub(crate) struct Running {
    /// A number for the configuration's text, the same for the same text: two nodes, or two moments, compare by it.
    pub(crate) fingerprint: u64,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    /// Where lines about its requests go; the old plan's, unless `[log]` says otherwise.
    pub(crate) access: Arc<AccessLog>,
    /// By the plan's route index, then by the place of the rule.
    pub(crate) limits: Box<[Box<[LimitSeries]>]>,
    /// By the plan's route index.
    pub(crate) routes: Box<[Arc<RouteSeries>]>,
    /// By the plan's upstream index.
    pub(crate) upstreams: Box<[Upstream]>,
    /// By the plan's verifier index: what each was made from.
    verifiers: Vec<VerifierSettings>,
    /// By the plan's verifier index: what fetches its keys, where somebody does.
    fetchers: Vec<Option<KeyFetcher>>,
}

/// What a plan is put on, for as long as the process lives.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'g> {
    pub(crate) background: &'g Background,
    pub(crate) clock: &'g Clock,
    pub(crate) metrics: &'g Metrics,
    pub(crate) names: &'g Names,
    pub(crate) brought: &'g Brought,
}

/// An upstream with its pool, breaker and connections.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// How many requests it has at a time; none: as many as come.
    pub(crate) bound: Option<Arc<Bound>>,
    pub(crate) breaker: Breaker,
    breaker_settings: BreakerSettings,
    pub(crate) connect_timeout: Duration,
    pub(crate) name: Arc<str>,
    /// Statuses that the breaker counts as failures.
    pub(crate) on: Box<[StatusCode]>,
    /// Its servers, and which of them may be asked. The same one for as long as there is an upstream of this name.
    pub(crate) roster: Arc<Roster>,
    servers: Arc<Servers>,
    /// When a request is sent again.
    pub(crate) retries: Retries,
    /// How many of its requests may be retries.
    pub(crate) budget: RetryBudget,
    pub(crate) send_timeout: Duration,
    pub(crate) series: Arc<UpstreamSeries>,
    /// What is asked in place of servers, for one that is "in-code".
    pub(crate) service: Option<Service>,
    pub(crate) timeout: Duration,
}

/// By which share a breaker's rest may be longer, so that many gateways do not ask again at the same moment.
const JITTER: f64 = 0.1;

/// An endpoint as this process reaches it: what the endpoint keeps for us.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: Address,
    /// The `Host` of a request that came without one.
    pub(crate) authority: HeaderValue,
    /// The same for the log.
    pub(crate) name: Arc<str>,
    pub(crate) idle: Idle,
    /// Why the last check of it failed, if it did.
    pub(crate) ailment: Mutex<Option<String>>,
}

impl Running {
    /// Puts a new plan on what the old one ran on.
    pub(crate) fn new(config: Config, access: Arc<AccessLog>, old: Option<&Self>, ground: Ground<'_>) -> Self {
        let metrics = ground.metrics;
        let Config { fingerprint, mut plan, settings, verifiers, .. } = config;
        let fetchers = plan.auths.iter_mut().zip(&verifiers);
        let fetchers = fetchers.map(|(auth, made_from)| Self::attach(auth, made_from, old, ground)).collect();
        let known: HashMap<&str, &Upstream> =
            old.into_iter().flat_map(|old| &old.upstreams).map(|upstream| (&*upstream.name, upstream)).collect();
        let upstreams = plan
            .upstreams
            .iter()
            .map(|spec| Upstream::new(spec, known.get(&*spec.name).copied(), &settings.server.resolver, ground))
            .collect();
        // Connections that have the old plan may have it for long.
        let is_gone = |upstream: &&Upstream| plan.upstreams.iter().all(|spec| spec.name != upstream.name);
        old.into_iter().flat_map(|old| &old.upstreams).filter(is_gone).for_each(|upstream| upstream.servers.stop());
        let routes = plan.routes.iter().map(|route| metrics.route(&route.name)).collect();
        let of_route = |route: &plan::Route| route.limits.rules.iter().map(|rule| metrics.limit(rule.name())).collect();
        let limits = plan.routes.iter().map(of_route).collect();
        Self { access, fingerprint, limits, plan, settings, routes, upstreams, verifiers, fetchers }
    }
}

impl Running {
    /// Gives `auth` its verifier: one that was made from the same settings goes on, with the tokens that it remembers and the keys
    /// that it has; a new one begins to fetch, where its keys are fetched.
    fn attach(
        auth: &mut Auth,
        made_from: &VerifierSettings,
        old: Option<&Self>,
        ground: Ground<'_>,
    ) -> Option<KeyFetcher> {
        let known = old.and_then(|old| {
            let place = old.verifiers.iter().position(|known| known == made_from)?;
            Some((old.plan.auths.get(place)?, old.fetchers.get(place)?))
        });
        let Some((known, fetcher)) = known else {
            let (verifier, fetcher) = parts::fetching_verifier(made_from, ground.clock, ground.background)?;
            auth.verifier = verifier;
            return Some(fetcher);
        };
        auth.verifier = Arc::clone(&known.verifier);
        if auth.forward == known.forward {
            // The same ones, which identities that are remembered know at a glance.
            auth.forward = Arc::clone(&known.forward);
        }
        fetcher.clone()
    }

    /// How those are doing that fetch keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeysReading> {
        let fetchers = self.plan.auths.iter().zip(&self.fetchers);
        fetchers.filter_map(|(auth, fetcher)| Some(fetcher.as_ref()?.reading(&auth.name)))
    }
}

impl Upstream {
    fn new(spec: &plan::Upstream, old: Option<&Self>, resolver: &ResolverSettings, ground: Ground<'_>) -> Self {
        let servers = Servers::new(spec, old.map(|old| &old.servers), resolver, ground);
        // A breaker counts what its settings say; under other settings its count means nothing.
        let breaker = match old {
            Some(old) if old.breaker_settings == spec.breaker => old.breaker.clone(),
            _ => spec.breaker.breaker().jitter(JITTER).build(),
        };
        // What was counted holds under any share.
        let budget = match old {
            Some(old) => old.budget.clone().with_share(spec.retries.budget),
            None => RetryBudget::new(spec.retries.budget),
        };
        let bound = spec.max_connections.map(|most| match old.and_then(|old| old.bound.as_ref()) {
            Some(bound) => {
                bound.change(most, spec.max_pending);
                Arc::clone(bound)
            }
            None => Arc::new(Bound::new(most, spec.max_pending)),
        });
        Self {
            bound,
            breaker,
            budget,
            breaker_settings: spec.breaker.clone(),
            connect_timeout: spec.connect_timeout,
            name: Arc::clone(&spec.name),
            on: spec.breaker.on.clone(),
            retries: spec.retries.clone(),
            roster: Arc::clone(&servers.roster),
            servers,
            send_timeout: spec.send_timeout,
            series: ground.metrics.upstream(&spec.name),
            service: ground.brought.service(&spec.name),
            timeout: spec.timeout,
        }
    }

    /// Whether it has failed a request that came to this: no answer, or one with a status in `on`. What the client did is no failure.
    pub(crate) fn has_failed(&self, outcome: Result<StatusCode, &Rejection>) -> bool {
        match outcome {
            Ok(status) => self.on.contains(&status),
            Err(rejection) => rejection.fault() == Fault::Upstream,
        }
    }

    /// Counts an attempt that came to this.
    pub(crate) fn count(&self, outcome: Result<StatusCode, &Rejection>, metrics: &Metrics) {
        let outcome = match outcome {
            Ok(status) if self.on.contains(&status) => Some(AttemptOutcome::Status),
            Ok(_) => Some(AttemptOutcome::Answered),
            Err(rejection) => AttemptOutcome::of(rejection),
        };
        if let Some(outcome) = outcome {
            metrics.attempted(&self.series, outcome);
        }
    }

    /// Says in the log what its breaker has come to.
    pub(crate) fn tell(&self, change: BreakerChange) {
        let upstream = &*self.name;
        match change {
            BreakerChange::Closed => tracing::info!(upstream, "the upstream answers again: its breaker is closed"),
            BreakerChange::Opened { by, rest } => {
                let by = match by {
                    OpenedBy::Consecutive => "failures in a row",
                    OpenedBy::Probe => "a probe that failed",
                    OpenedBy::Ratio => "too many failures among the last requests",
                };
                tracing::warn!(upstream, by, ?rest, "the upstream is left alone: its breaker is open");
            }
        }
    }

    /// Takes note of an attempt at `endpoint` that came to this and `took` so long: who fails too often is left alone for a while.
    pub(crate) fn settle(
        &self,
        endpoint: &Endpoint,
        outcome: Result<StatusCode, &Rejection>,
        took: Duration,
        now: Moment,
    ) {
        let ok = match outcome {
            Ok(status) => !self.on.contains(&status),
            Err(rejection) if AttemptOutcome::of(rejection).is_some() => false,
            // What the client did says nothing of a server.
            Err(_) => return,
        };
        // Of one that did not answer in time it is the least that it takes.
        if matches!(outcome, Ok(_) | Err(Rejection::UpstreamTimeout)) {
            endpoint.observe(took, now);
        }
        self.roster.settle(endpoint, ok, now);
    }

    /// Idle connections of all its servers.
    pub(crate) fn idle(&self) -> usize {
        self.sum(|server, _| server.idle.len())
    }

    /// Connections opened, and how often one was used again.
    pub(crate) fn used(&self) -> (u64, u64) {
        self.servers.used()
    }

    /// Requests that wait until they may be sent.
    pub(crate) fn pending(&self) -> u64 {
        self.bound.as_ref().map_or(0, |bound| bound.used().1 as u64)
    }

    /// Requests in flight at all its servers.
    pub(crate) fn in_flight(&self) -> u64 {
        let in_code = self.service.as_ref().map_or(0, |service| u64::from(service.in_flight()));
        in_code + self.sum(|_, endpoint| u64::from(endpoint.in_flight()))
    }

    fn sum<T: Sum>(&self, of: impl Fn(&Server, &Endpoint) -> T) -> T {
        let endpoints = self.roster.endpoints();
        endpoints.iter().filter_map(|endpoint| Some(of(Server::of(endpoint)?, endpoint))).sum()
    }
}

/// One line for each change.
pub(crate) fn tell(upstream: &str, change: &Change<'_>) {
    match change {
        Change::Ejected { endpoint, rest } => {
            tracing::warn!(upstream, server = %endpoint.url(), ?rest, "a server is ejected: it failed too often in a row");
        }
        Change::Returned(endpoint) => {
            tracing::info!(upstream, server = %endpoint.url(), "a server is asked again after its rest");
        }
        Change::Unhealthy(endpoint) => {
            let ailment = Server::of(endpoint).and_then(Server::ailment).unwrap_or_default();
            tracing::warn!(upstream, server = %endpoint.url(), ailment, "a server is unhealthy: its checks fail");
        }
        Change::Healthy(endpoint) => {
            tracing::info!(upstream, server = %endpoint.url(), "a server is healthy again");
        }
        Change::Panicking => {
            tracing::error!(upstream, "too few servers are healthy: health is ignored, and all of them are asked");
        }
        Change::PanicOver => tracing::info!(upstream, "enough servers are healthy: health is heeded again"),
        _ => {}
    }
}

impl Server {
    /// The server behind an endpoint of ours; none behind one of another make, which no pool of ours has.
    pub(crate) fn of(endpoint: &Endpoint) -> Option<&Self> {
        endpoint.kept()
    }

    /// Why the last check of it failed, if it did.
    pub(crate) fn ailment(&self) -> Option<String> {
        self.ailment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The endpoint of this URL, at this place where its host is a name that was found: the one that was there before, with its
    /// connections, where there was one.
    pub(crate) fn endpoint(
        url: &EndpointUrl,
        (place, name): (Option<&Place>, Option<&Arc<Name>>),
        most_idle: usize,
        known: &[Arc<Endpoint>],
    ) -> Arc<Endpoint> {
        let at = place.map(|place| place.address);
        let mut known = known.iter().filter(|endpoint| endpoint.url() == url && endpoint.address() == at);
        if let Some((endpoint, server)) = known.find_map(|endpoint| Some((endpoint, Self::of(endpoint)?))) {
            server.idle.set_most(most_idle);
            return Arc::clone(endpoint);
        }
        let endpoint = |address| Endpoint::keeping(url.clone(), Self::new(url, address, most_idle));
        Arc::new(match (at, name) {
            (Some(at), _) => endpoint(Address::Ip(at)).at(at),
            (None, Some(name)) => endpoint(Address::Awaited(Arc::clone(name))),
            (None, None) => endpoint(address(url)),
        })
    }

    fn new(url: &EndpointUrl, address: Address, most_idle: usize) -> Self {
        let authority = match address {
            // A path is no host; what applications call the machine that they are on is.
            Address::Unix(_) => HeaderValue::from_static("localhost"),
            // A parsed endpoint's authority is a host and a port; were it ever not a header value, an empty Host is right
            // (RFC 9112, section 3.2).
            _ => HeaderValue::from_str(url.authority()).unwrap_or(HeaderValue::from_static("")),
        };
        let name = match address {
            Address::Unix(_) => url.to_string().into(),
            // One of several that the name stands for.
            Address::Ip(address) if url.name().is_some() => format!("{} ({address})", url.authority()).into(),
            _ => url.authority().into(),
        };
        Self { address, authority, name, idle: Idle::new(most_idle), ailment: Mutex::default() }
    }
}

fn address(url: &EndpointUrl) -> Address {
    let authority = url.authority();
    if url.scheme() == Scheme::Unix {
        return Address::Unix(Path::new(authority).into());
    }
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Address::Ip(address);
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    Address::Name(host.into(), port.parse().unwrap_or(80))
}
