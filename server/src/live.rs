//! What outlives a reload: endpoints with their connections and counts, breakers, metric series. Kept by name while the
//! settings that give it meaning are unchanged.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::auth::Auth;
use portcullis_core::plan::{self, Fallback, Plan, UpstreamIndex};
use portcullis_core::time::Clock;

use crate::background::Background;
use crate::cache::Cache;
use crate::cache::generation::Generation;
use crate::config::{Config, Settings};
use crate::gateway::Brought;
use crate::names::Names;
use crate::observe::{AccessLog, KeysReading, LimitSeries, Metrics, RouteSeries};
use crate::parts::{self, KeyFetcher, VerifierSettings};
use crate::upstream::Upstream;

/// A plan with all that it runs on. Requests load it once and keep it to their end.
#[derive(Debug)]
pub(crate) struct Running {
    /// A number for the configuration's text, the same for the same text: two nodes, or two moments, compare by it.
    pub(crate) fingerprint: u64,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    /// Where lines about its requests go; the old plan's, unless `[log]` says otherwise.
    pub(crate) access: Arc<AccessLog>,
    /// What answers are kept in; none where no route keeps any.
    pub(crate) cache: Option<Arc<Cache>>,
    /// By the plan's route index: which of the kept answers are its own.
    pub(crate) generations: Box<[Option<Generation>]>,
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
    pub(crate) metrics: &'g Arc<Metrics>,
    pub(crate) names: &'g Names,
    pub(crate) brought: &'g Brought,
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
        let (cache, generations) = Self::cache(&plan, &verifiers, old, ground);
        Self { access, cache, fetchers, fingerprint, generations, limits, plan, settings, routes, upstreams, verifiers }
    }

    /// The cache, if any route keeps answers: the old one while its size stays, with what its routes may still use of it.
    fn cache(
        plan: &Plan,
        verifiers: &[VerifierSettings],
        old: Option<&Self>,
        ground: Ground<'_>,
    ) -> (Option<Arc<Cache>>, Box<[Option<Generation>]>) {
        if plan.routes.iter().all(|route| route.cache.is_none()) {
            return (None, Box::default());
        }
        let known = old.and_then(|old| Some((old.cache.as_ref()?, &*old.generations)));
        let known = known.filter(|(cache, _)| cache.store.size() == plan.cache_size);
        let (cache, generations) = match known {
            Some((cache, generations)) => (Arc::clone(cache), generations),
            None => (Cache::new(plan.cache_size, ground.clock, ground.metrics), &[][..]),
        };
        let generations = Generation::of_all(plan, verifiers, &cache, generations);
        (Some(cache), generations)
    }

    /// What answers in place of an upstream that failed, as far as it is another one.
    pub(crate) fn fallback(&self, upstream: UpstreamIndex) -> Option<&Upstream> {
        match &self.plan.upstreams.get(upstream.0)?.fallback {
            Some(Fallback::Upstream(another)) => self.upstreams.get(another.0),
            _ => None,
        }
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
