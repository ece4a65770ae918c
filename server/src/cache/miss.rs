//! What is not stored: who asks for it, and who waits for whom.

use std::future::poll_fn;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::caching::{CacheStatus, ask_again, ask_for_all, head_agrees, is_failure, stands_in};
use portcullis_core::plan::UpstreamIndex;
use portcullis_core::rejection::Fault;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::fetch::{Job, Landed, What};
use super::flight::{Given, Told};
use super::flights::{Boarding, Company, Follower, Landing, Wanted};
use super::lookup::Miss;
use super::serve::Hit;
use super::stored::{Head, Stored};
use crate::forward::Answered;
use crate::inbound::refused;
use crate::listen::h1::body::ClientBody;
use crate::observe::CacheOutcome;
use crate::outbound::Change;
use crate::pass::Pass;
use crate::proxy::Passed;

/// What a miss comes to.
pub(crate) enum Missed<'p> {
    /// It asks for itself.
    Alone(Box<Miss>, Box<Parts>, Change),
    /// Its upstream was asked, and this came back for nobody else.
    Asked(Box<Miss>, Result<Answered, Rejection>),
    /// Somebody asked, and this answers it.
    Passed(Passed<'p>),
}

/// How often a request waits for others before it asks for itself: a second time where the first answer was for others.
const ROUNDS: usize = 2;

impl<'p> Pass<'p> {
    /// Steps 5 to 7 for what may be stored: one asks, and others wait for its answer.
    ///
    /// # Errors
    /// 504 when others took too long, and whatever refuses the request before anybody is asked.
    pub(crate) async fn miss(
        &mut self,
        mut miss: Box<Miss>,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        parts: Box<Parts>,
        change: Change,
    ) -> Result<Missed<'p>, Rejection> {
        if let Some(hit) = miss.meanwhile.take() {
            self.refresh(&mut miss, admitted, upstream, parts, change);
            return Ok(Missed::Passed(Passed::Stored(hit)));
        }
        self.cache_says(CacheOutcome::Miss, CacheStatus { forward: Some(miss.forward), ..CacheStatus::default() });
        if !miss.may_fill() || miss.is_unshared(self.now()) {
            return Ok(Missed::Alone(miss, parts, change));
        }
        let deadline = Instant::now() + admitted.route.timeout;
        for _ in 0..ROUNDS {
            match miss.cache.board(&miss.wanted(admitted, &parts.headers)) {
                Boarding::Alone => break,
                Boarding::Lead(landing, reader) => {
                    return self.lead(miss, (landing, reader), admitted, upstream, parts, change).await;
                }
                Boarding::Stored(stored) => {
                    let now = self.now();
                    let mut hit = self.hit(stored, now, &parts.headers);
                    self.says_hit(&mut hit, now);
                    return Ok(Missed::Passed(Passed::Stored(hit)));
                }
                Boarding::Follow(reader) => {
                    let waiting = miss.cache.wait();
                    let told = timeout_at(deadline, poll_fn(|cx| reader.poll_head(cx))).await;
                    drop(waiting);
                    let told = told.map_err(|_| Rejection::UpstreamTimeout)?;
                    let goes_alone = matches!(told, Told::Alone(_));
                    if let Some(passed) = self.follow(&miss, reader, told, &parts.headers) {
                        return Ok(Missed::Passed(passed));
                    }
                    // All at the same moment, and not one after the other.
                    if goes_alone {
                        break;
                    }
                }
            }
        }
        Ok(Missed::Alone(miss, parts, change))
    }

    /// What others were told, where it answers this request too.
    fn follow(
        &mut self,
        miss: &Miss,
        reader: Follower,
        told: Told<Head, Arc<Stored>>,
        fields: &HeaderMap,
    ) -> Option<Passed<'p>> {
        let now = self.now();
        let (passed, freshness) = match told {
            Told::Head(head) if miss.cache.is_for(&head, fields) => {
                let freshness = head.freshness;
                (Passed::Shared(self.shared(head, reader, fields)), freshness)
            }
            Told::Answer(stored) if miss.cache.is_for(&stored.head, fields) => {
                let freshness = stored.freshness(now);
                (Passed::Stored(self.hit(stored, now, fields)), freshness)
            }
            Told::Alone(Given::Failed) => {
                let said = CacheStatus { forward: Some(miss.forward), collapsed: true, ..CacheStatus::default() };
                return self.stand_in(miss, said).map(Passed::Stored);
            }
            Told::Alone(Given::NotShared) | Told::Answer(_) | Told::Head(_) => return None,
        };
        let said = CacheStatus { forward: Some(miss.forward), ..CacheStatus::hit(freshness.ttl(now)) };
        self.cache_says(CacheOutcome::Collapsed, CacheStatus { collapsed: true, ..said });
        Some(passed)
    }

    /// Asks for all that wait, and for whoever comes meanwhile.
    async fn lead(
        &mut self,
        mut miss: Box<Miss>,
        (landing, reader): (Landing, Follower),
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        parts: Box<Parts>,
        change: Change,
    ) -> Result<Missed<'p>, Rejection> {
        // In case that what is stored turns out to be something else than was asked about.
        let again = miss.stale.is_some().then(|| (parts.clone(), change.clone()));
        let (tell, told) = oneshot::channel();
        let (job, fields) = self.job(&miss, landing, admitted, upstream, (parts, change), Some(tell))?;
        let (asked, _) = self.upstreams(upstream)?;
        self.tail.record.upstream = Some(Arc::clone(&asked.series));
        // It had none, and nor has one that is asked again.
        self.body = Some(ClientBody::none());
        job.spawn();
        // A fetch that fell over tells nobody.
        let waiting = miss.cache.wait();
        let told = told.await;
        drop(waiting);
        let Landed { trail, what } = told.map_err(|_| Rejection::Internal)?;
        self.tail.trail = trail;
        let now = self.now();
        Ok(match what {
            Ok(What::Again) => {
                miss.stale = None;
                match again {
                    Some((parts, change)) => Missed::Alone(miss, parts, change),
                    None => Missed::Asked(miss, Err(Rejection::UpstreamInvalid)),
                }
            }
            Ok(What::Given(answered, why)) => {
                let said = CacheStatus { forward: Some(miss.forward), detail: Some(why), ..CacheStatus::default() };
                self.cache_says(CacheOutcome::Miss, said);
                Missed::Asked(miss, Ok(*answered))
            }
            Ok(What::Shared(head, took)) => {
                self.tail.record.until_head = Some(took);
                let said = CacheStatus { forward: Some(miss.forward), ..CacheStatus::hit(head.freshness.ttl(now)) };
                self.cache_says(CacheOutcome::Miss, CacheStatus { stored: true, ..said });
                Missed::Passed(Passed::Shared(self.shared(head, reader, &fields)))
            }
            Ok(What::Stored(stored, took)) => {
                self.tail.record.until_head = Some(took);
                let ttl = stored.freshness(now).ttl(now);
                let said = CacheStatus { forward: Some(miss.forward), ..CacheStatus::hit(ttl) };
                let hit = self.hit(stored, now, &fields);
                let forward_status = Some(http::StatusCode::NOT_MODIFIED);
                self.cache_says(CacheOutcome::Revalidated, CacheStatus { forward_status, ..said });
                Missed::Passed(Passed::Stored(hit))
            }
            Err(rejection) => Missed::Asked(miss, Err(rejection)),
        })
    }

    /// Asks again for what is sent meanwhile, unless somebody does. Nobody waits for it, and whatever is in its way is found out by the next.
    /// It is asked for as a whole and to be kept, whatever this client wants of it.
    fn refresh(
        &mut self,
        miss: &mut Miss,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        mut parts: Box<Parts>,
        change: Change,
    ) {
        (miss.ask.head, miss.ask.control.no_store, parts.method) = (false, false, Method::GET);
        let miss = &*miss;
        let wanted = Wanted { with: Company::IfNobody, ..miss.wanted(admitted, &parts.headers) };
        if let Boarding::Lead(landing, _) = miss.cache.board(&wanted)
            && let Ok((job, _)) = self.job(miss, landing, admitted, upstream, (parts, change), None)
        {
            job.spawn();
        }
    }

    fn job(
        &mut self,
        miss: &Miss,
        landing: Landing,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        (mut parts, change): (Box<Parts>, Change),
        tell: Option<oneshot::Sender<Landed>>,
    ) -> Result<(Job, Arc<HeaderMap>), Rejection> {
        let fields = Arc::new(parts.headers.clone());
        let stale = miss.stale.as_ref().map(|hit| Arc::clone(&hit.stored));
        match &stale {
            Some(stale) => ask_again(&mut parts.headers, &stale.head.headers).map_err(refused)?,
            None => ask_for_all(&mut parts.headers),
        }
        let outbound = self.prepare(admitted, upstream, parts, change)?;
        let job = Job {
            ask: miss.ask,
            current: Arc::clone(self.current),
            fields: Arc::clone(&fields),
            gateway: Arc::clone(&self.connection.gateway),
            landing,
            outbound,
            route: admitted.index,
            slot: miss.slot,
            stale,
            tell,
            hash: miss.hash(),
            upstream,
            url: miss.url.clone(),
        };
        Ok((job, fields))
    }

    /// What came back for one that asked for itself, or for nobody else: what is stored, where it may stand in for it.
    pub(crate) fn after_miss(&mut self, miss: &Miss, outcome: &Result<Answered, Rejection>) -> Option<Hit> {
        let status = match outcome {
            Ok(answered) => answered.response.status(),
            Err(rejection) => rejection.status(),
        };
        let is_ours = matches!(outcome, Err(rejection) if rejection.fault() == Fault::Client);
        if is_failure(status) && !is_ours {
            // Behind an open breaker nobody was asked, and what is stored answers by itself (RFC 9211, section 2.1).
            let is_asked = self.tail.trail.attempts > 0;
            let forward_status = outcome.as_ref().ok().map(|answered| answered.response.status());
            let forward = Some(miss.forward).filter(|_| is_asked);
            return self.stand_in(miss, CacheStatus { forward, forward_status, ..CacheStatus::default() });
        }
        if let (Ok(answered), Some(stale)) = (outcome, &miss.stale)
            && miss.ask.head
            && !head_agrees(&stale.stored.head.headers, answered.response.headers())
        {
            miss.cache.store.remove(&miss.key, &stale.stored);
        }
        if let Some(said) = &mut self.cache_status {
            said.forward_status = outcome.as_ref().ok().map(|answered| answered.response.status());
        }
        None
    }

    /// What an answer tells of what its request has changed.
    pub(crate) fn note_change(&mut self, answered: &Answered) {
        if let (Some(cache), Some(changed)) = (&self.running.cache, self.changed.take()) {
            cache.note_change(&changed, answered.response.status(), answered.response.headers());
        }
    }

    /// What is stored, where it may stand in for an upstream that failed; `said` is what was tried before.
    fn stand_in(&mut self, miss: &Miss, said: CacheStatus) -> Option<Hit> {
        let (hit, now) = (miss.stale.as_ref()?, self.now());
        if !stands_in(&hit.stored.freshness(now), &miss.ask.control, now) {
            return None;
        }
        let mut hit = hit.clone();
        self.says_hit(&mut hit, now);
        if let Some(status) = self.cache_status.as_mut().filter(|_| said.forward.is_some()) {
            *status = CacheStatus { ttl: status.ttl, detail: Some("stale-if-error"), ..said };
        }
        Some(hit)
    }
}

impl Miss {
    fn wanted<'r>(&'r self, admitted: &Admitted<'_>, fields: &'r HeaderMap) -> Wanted<'r> {
        let most = admitted.route.cache.as_ref().map_or(0, |rule| usize::try_from(rule.max_size).unwrap_or(usize::MAX));
        Wanted { key: &self.key, control: &self.ask.control, fields, most, slot: self.slot, with: self.company() }
    }
}
