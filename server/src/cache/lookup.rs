//! Step 4, look up: whether what is stored answers a request that was admitted.

use std::sync::Arc;

use http::uri::Uri;
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::caching::{Ask, Bypass, CacheStatus, Forward, KeyRoute, Origin, Reuse, is_safe, reuse, write_key};
use portcullis_core::plan::{CacheRule, Target, UpstreamIndex};
use portcullis_core::source::Facts;
use portcullis_core::time::Moment;

use super::changed::{Changed, scheme, write_url};
use super::flights::Company;
use super::serve::Hit;
use super::{Cache, Room, plain};
use crate::observe::CacheOutcome;
use crate::pass::Pass;

/// What step 4 comes to.
#[derive(Debug)]
pub(crate) enum LookedUp {
    /// What is stored answers.
    Hit(Hit),
    /// It does not, and what the upstream says may.
    Miss(Box<Miss>),
    /// The cache has nothing to do with it.
    Past,
}

/// A request that what is stored does not answer.
#[derive(Debug)]
pub(crate) struct Miss {
    pub(super) ask: Ask,
    pub(super) cache: Arc<Cache>,
    pub(super) forward: Forward,
    pub(super) key: Box<[u8]>,
    /// What is sent meanwhile, stale as it is.
    pub(super) meanwhile: Option<Hit>,
    pub(super) slot: usize,
    /// What is stored and could be confirmed, or stand in for a failure.
    pub(super) stale: Option<Hit>,
    pub(super) url: Box<str>,
}

impl Miss {
    /// With whom it may share an answer.
    pub(super) fn company(&self) -> Company {
        let control = &self.ask.control;
        if self.ask.identified && !self.ask.apart {
            // Whether others may have its answer, nobody knows before.
            Company::Nobody
        } else if control.no_cache || control.max_age.is_some() {
            Company::Later
        } else {
            Company::Anybody
        }
    }

    /// Whether an answer to it could be stored at all.
    pub(super) fn may_fill(&self) -> bool {
        let Ask { control, head, range, .. } = &self.ask;
        // A part is never stored as a whole; where something is stored, all of it is asked for.
        !head && !control.no_store && (!range || self.stale.is_some())
    }

    /// Whether answers to such requests are for one client only, as far as was found out lately.
    pub(super) fn is_unshared(&self, now: Moment) -> bool {
        self.stale.is_none() && self.cache.unshared.has(self.hash(), now)
    }

    /// What tells it from others, among those that nobody shares.
    pub(super) fn hash(&self) -> u64 {
        self.cache.store.hash(&self.key) ^ u64::from(self.ask.identified)
    }
}

impl<'p> Pass<'p> {
    /// Step 4.
    ///
    /// # Errors
    /// 504 for a client that wants nothing but what is stored.
    pub(crate) fn look_up(
        &mut self,
        facts: &Facts<'_>,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        uri: &Uri,
    ) -> Result<LookedUp, Rejection> {
        let Some(cache) = &self.running.cache else { return Ok(LookedUp::Past) };
        let origin = Origin::of(scheme(self.arrival.proto), facts.host, uri, facts.headers);
        if !is_safe(facts.method) {
            self.changed = Some(Box::new(Changed::new(origin, facts)));
        }
        let Some(rule) = &admitted.route.cache else { return Ok(LookedUp::Past) };
        let has_body = self.body.as_ref().is_some_and(|body| !http_body::Body::is_end_stream(body));
        let plain = plain::ask(rule, facts, has_body).filter(|_| self.screened.upgrade.is_none());
        let asked = plain.map_or_else(|| self.ask(rule, facts, admitted, has_body), Ok);
        let ask = match asked {
            Ok(ask) => ask,
            Err((forward, detail)) => return Ok(self.past(forward, detail)),
        };
        let mut room = cache.room();
        let Room { key, selected } = &mut *room;
        if let Err(bypass) = self.write_key(key, rule, (admitted, upstream), origin, facts) {
            drop(room);
            return Ok(self.past(Forward::Bypass, bypass.as_str()));
        }
        let (stored, is_known) = cache.store.find(key, facts.headers, selected);
        let now = self.now();
        let found = stored.map(|stored| (reuse(&stored.freshness(now), &ask.control, now), stored));
        if let Some((Reuse::Fresh | Reuse::Stale, stored)) = found {
            drop(room);
            let mut hit = match plain {
                Some(_) => Hit::whole(stored, now),
                None => self.hit(stored, now, facts.headers),
            };
            self.says_hit(&mut hit, now);
            return Ok(LookedUp::Hit(hit));
        }
        let is_sent = matches!(found, Some((Reuse::WhileRevalidating, _)));
        let key = key.as_slice().into();
        drop(room);
        if ask.control.only_if_cached && !is_sent {
            let said = CacheStatus { forward: None, detail: Some("only-if-cached"), ..CacheStatus::default() };
            self.cache_says(CacheOutcome::Miss, said);
            return Err(Rejection::NotStored);
        }
        let forward = match &found {
            Some(_) if ask.control.no_cache || ask.control.max_age.is_some() => Forward::Request,
            Some(_) => Forward::Stale,
            None if is_known => Forward::VaryMiss,
            None => Forward::UriMiss,
        };
        let mut url = String::new();
        write_url(&mut url, origin, facts.path, facts.query);
        let slot = cache.store.slot(url.as_bytes());
        let stale = found.map(|(_, stored)| self.hit(stored, now, facts.headers));
        let mut meanwhile = stale.clone().filter(|_| is_sent);
        meanwhile.iter_mut().for_each(|hit| self.says_hit(hit, now));
        let cache = Arc::clone(cache);
        Ok(LookedUp::Miss(Box::new(Miss { ask, cache, forward, key, meanwhile, slot, stale, url: url.into() })))
    }

    fn write_key(
        &self,
        key: &mut Vec<u8>,
        rule: &CacheRule,
        (admitted, upstream): (&Admitted<'p>, UpstreamIndex),
        origin: Origin<'_>,
        facts: &Facts<'_>,
    ) -> Result<(), Bypass> {
        let generation = self.running.generations.get(admitted.index.as_usize()).and_then(Option::as_ref);
        let generation = generation.map_or(u64::MAX, |known| known.number);
        write_key(key, rule, KeyRoute { name: &admitted.route.name, generation }, origin, facts)?;
        if let Target::Split { .. } = admitted.route.target {
            // Each of several upstreams has its own.
            key.extend_from_slice(self.running.plan.upstream_name(upstream).as_bytes());
        }
        Ok(())
    }

    /// What the cache goes by of a request, or why it goes past it.
    fn ask(
        &self,
        rule: &CacheRule,
        facts: &Facts<'_>,
        admitted: &Admitted<'p>,
        has_body: bool,
    ) -> Result<Ask, (Forward, &'static str)> {
        if self.screened.upgrade.is_some() && !admitted.route.upgrade.is_empty() {
            return Err((Forward::Bypass, "upgrade"));
        }
        Ask::of(rule, facts, has_body).map_err(|bypass| {
            let by_method = matches!(bypass, Bypass::Method | Bypass::Unsafe);
            (if by_method { Forward::Method } else { Forward::Bypass }, bypass.as_str())
        })
    }

    fn past(&mut self, forward: Forward, detail: &'static str) -> LookedUp {
        let said = CacheStatus { forward: Some(forward), detail: Some(detail), ..CacheStatus::default() };
        self.cache_says(CacheOutcome::Bypass, said);
        LookedUp::Past
    }

    /// What the client is told of what the cache did, and the record.
    pub(crate) fn cache_says(&mut self, outcome: CacheOutcome, status: CacheStatus) {
        self.cache_status = Some(status);
        self.tail.record.cache = Some(outcome);
    }
}
