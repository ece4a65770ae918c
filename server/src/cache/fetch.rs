//! A fetch: a task that asks the upstream for whoever waits, and stores what comes. It owns all that it needs, so that no client's
//! leaving ends it; and it ends by itself, since every wait in it has a deadline.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use portcullis_core::Rejection;
use portcullis_core::caching::{self, Ask, confirms, is_failure, storable, storable_again};
use portcullis_core::plan::{Route, UpstreamIndex};
use portcullis_core::route::RouteIndex;
use portcullis_core::time::Moment;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::flight::{Given, Pushed};
use super::flights::Landing;
use super::head::{Source, is_ours};
use super::stored::{Head, Stored};
use crate::connection::Current;
use crate::forward::{AnswerBody, Answered, Meters, Outbound, Trail, forward};
use crate::gateway::State;
use crate::observe::RouteSeries;
use crate::proxy::catch;
use crate::respond::is_stream;

/// A fetch, and all that it needs.
pub(super) struct Job {
    pub(super) ask: Ask,
    pub(super) current: Arc<Current>,
    /// What the client said that it is for first of all.
    pub(super) fields: Arc<HeaderMap>,
    pub(super) gateway: Arc<State>,
    /// Its key among those that nobody shares.
    pub(super) hash: u64,
    pub(super) landing: Landing,
    pub(super) outbound: Outbound,
    pub(super) route: RouteIndex,
    pub(super) slot: usize,
    /// What is stored, and asked about.
    pub(super) stale: Option<Arc<Stored>>,
    /// Who waits for it first of all.
    pub(super) tell: Option<oneshot::Sender<Landed>>,
    pub(super) upstream: UpstreamIndex,
    pub(super) url: Box<str>,
}

/// What came of a fetch, for who led.
pub(super) struct Landed {
    pub(super) trail: Trail,
    pub(super) what: Result<What, Rejection>,
}

pub(super) enum What {
    /// What is stored is not what the upstream spoke of: it has to be asked again.
    Again,
    /// An answer that nobody shares, and why.
    Given(Box<Answered>, &'static str),
    /// An answer that comes to all that wait.
    Shared(Arc<Head>, Duration),
    /// What is stored holds.
    Stored(Arc<Stored>, Duration),
}

/// Why an answer is not shared that says nothing of the next.
const PASSING: [&str; 2] = ["fallback", NO_ROOM];

const NO_ROOM: &str = "no-room";

/// How long those who read slowly may hold up the others, once there is no room left between them.
const HELD_UP: Duration = Duration::from_secs(5);

impl Job {
    pub(super) fn spawn(self) {
        let gateway = Arc::clone(&self.gateway);
        tokio::spawn(async move {
            // Whoever waits for it is told by its end, this one too.
            if catch(pin!(self.run())).await.is_err() {
                gateway.metrics().panicked();
            }
        });
    }

    async fn run(self) {
        let Self { ask, current, fields, gateway, hash, landing, outbound, route, slot, stale, tell, upstream, url } =
            self;
        let running = &current.running;
        let place = route.as_usize();
        let (Some(asked), Some(route), Some(series)) =
            (running.upstreams.get(upstream.0), running.plan.routes.get(place), running.routes.get(place).cloned())
        else {
            return;
        };
        let mut trail = Trail::default();
        let meters = Meters { clock: gateway.clock(), metrics: gateway.metrics() };
        let began = gateway.clock().now();
        let outcome = forward((asked, running.fallback(upstream)), outbound, meters, &mut trail).await;
        let desk = Desk {
            ask,
            current: &current,
            fields: &fields,
            gateway: &gateway,
            hash,
            landing: &landing,
            route,
            series,
            slot,
            began,
            url,
        };
        match outcome {
            Err(rejection) => {
                landing.fetch.give_up(Given::Failed);
                tell_of(tell, Landed { trail, what: Err(rejection) });
            }
            Ok(answered) => desk.land(answered, stale, trail, tell).await,
        }
    }
}

fn tell_of(tell: Option<oneshot::Sender<Landed>>, landed: Landed) {
    let landed = match tell {
        Some(tell) => tell.send(landed).err(),
        None => Some(landed),
    };
    // Nobody is there for it any more: its connection may still be good for others.
    if let Some(Landed { what: Ok(What::Given(answered, _)), .. }) = landed {
        answered.dismiss();
    }
}

/// What is needed to decide about an answer.
struct Desk<'j> {
    ask: Ask,
    began: Moment,
    current: &'j Current,
    fields: &'j HeaderMap,
    gateway: &'j State,
    hash: u64,
    landing: &'j Landing,
    route: &'j Route,
    series: Arc<RouteSeries>,
    slot: usize,
    url: Box<str>,
}

impl Desk<'_> {
    async fn land(
        &self,
        answered: Answered,
        stale: Option<Arc<Stored>>,
        trail: Trail,
        tell: Option<oneshot::Sender<Landed>>,
    ) {
        if answered.response.status() == StatusCode::NOT_MODIFIED
            && let Some(stale) = stale
        {
            let what = self.confirmed(&stale, answered);
            return tell_of(tell, Landed { trail, what });
        }
        let decided = if trail.fell_back { Err("fallback") } else { self.decide(&answered) };
        match decided {
            Err(why) => {
                let failed = is_failure(answered.response.status());
                if !failed && !PASSING.contains(&why) {
                    self.landing.cache.unshared.note(self.hash, self.gateway.clock().now());
                }
                self.landing.fetch.give_up(if failed { Given::Failed } else { Given::NotShared });
                tell_of(tell, Landed { trail, what: Ok(What::Given(Box::new(answered), why)) });
            }
            Ok(head) => {
                let head = Arc::new(head);
                self.landing.fetch.head(Arc::clone(&head));
                tell_of(tell, Landed { trail, what: Ok(What::Shared(Arc::clone(&head), answered.took)) });
                self.fill(answered, head).await;
            }
        }
    }

    /// The head of an answer that others may have, or why they may not.
    fn decide(&self, answered: &Answered) -> Result<Head, &'static str> {
        let Answered { response, .. } = answered;
        let body = response.body();
        // One that goes on for ever is never whole.
        if response.headers().get(CONTENT_TYPE).is_some_and(|kind| is_stream(kind.as_bytes())) {
            return Err("stream");
        }
        let length = body.size_hint().exact();
        let rule = self.route.cache.as_ref().ok_or("off")?;
        let is_ours = |name: &_| is_ours(name, self.route, &self.current.running.plan);
        let may_be = storable(rule, &self.ask, &self.came(response.status(), response.headers()), &is_ours);
        let may_be = may_be.map_err(caching::Unstorable::as_str)?;
        // Nobody can tell whether all of it came (RFC 9112, section 8).
        if body.is_until_close() {
            return Err("close-delimited");
        }
        if length.is_some_and(|length| length > rule.max_size) {
            return Err("too-large");
        }
        self.landing.cache.store.relieve();
        let reserved = usize::try_from(length.unwrap_or(0)).is_ok_and(|length| self.landing.fetch.reserve(length));
        if !reserved {
            return Err(NO_ROOM);
        }
        let headers = caching::kept(response.headers(), self.gateway.clock().unix()).map_err(|_| "full")?;
        let source = Source { status: response.status(), version: response.version(), length };
        Ok(self.head(headers, may_be, source))
    }

    fn head(&self, headers: HeaderMap, may_be: caching::Storable, source: Source) -> Head {
        let running = &self.current.running;
        let route = Arc::clone(&self.series);
        let mut selected = Vec::new();
        may_be.vary.write(self.fields, &mut selected);
        let origin = self.landing.origin(&self.url, self.slot);
        Head::new(headers, &running.plan.identity_headers, may_be, (selected.into(), origin, route), source)
    }

    fn came<'a>(&self, status: StatusCode, headers: &'a HeaderMap) -> caching::Answered<'a> {
        let clock = self.gateway.clock();
        caching::Answered { status, headers, asked: self.began, received: clock.now(), wall: clock.unix() }
    }

    /// What a 304 makes of what is stored.
    fn confirmed(&self, stale: &Arc<Stored>, answered: Answered) -> Result<What, Rejection> {
        let (cache, key, took) = (&self.landing.cache, &self.landing.key, answered.took);
        let (reply, body) = answered.response.into_parts();
        Answered { response: Response::new(body), exchange: answered.exchange, took }.dismiss();
        let old = &stale.head;
        if !confirms(&old.headers, &reply.headers) {
            cache.store.remove(key, stale);
            self.landing.fetch.give_up(Given::NotShared);
            return Ok(What::Again);
        }
        let clock = self.gateway.clock();
        let merged = caching::updated(&old.headers, &reply.headers, clock.unix());
        let rule = self.route.cache.as_ref();
        let is_ours = |name: &_| is_ours(name, self.route, &self.current.running.plan);
        let fresh = merged.ok().zip(rule).and_then(|(merged, rule)| {
            let came = self.came(reply.status, &reply.headers);
            let may_be = storable_again(rule, &self.ask, old.status, &merged, &came, &is_ours).ok()?;
            let source = Source { status: old.status, version: old.version, length: old.length };
            let mut head = self.head(merged, may_be, source);
            if head.origin.tags.is_empty() {
                // A 304 need not say again what its answer is called.
                head.origin.tags.clone_from(&old.origin.tags);
            }
            let claim = cache.store.budget().claim((head.weight() + stale.body.len()) as u64)?;
            let body = stale.body.clone();
            Some(Arc::new(Stored { body, _claim: claim, head: Arc::new(head), is_softened: AtomicBool::new(false) }))
        });
        let Some(fresh) = fresh else {
            // It holds for who asked, and is not kept.
            cache.store.remove(key, stale);
            self.landing.fetch.give_up(Given::NotShared);
            return Ok(What::Stored(Arc::clone(stale), took));
        };
        cache.store.put(key, &fresh);
        self.landing.fetch.answered(Arc::clone(&fresh));
        Ok(What::Stored(fresh, took))
    }

    /// Hands the body to all that wait, and stores it if it is complete and was kept.
    async fn fill(&self, answered: Answered, head: Arc<Head>) {
        let (_, mut body) = answered.response.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let Some(total) = self.pump(&mut body).await else { return };
        answered.exchange.complete(body);
        let (cache, fetch) = (&self.landing.cache, &self.landing.fetch);
        // A service of this program may say another length than it sends.
        if declared.is_none_or(|declared| declared == total)
            && let Some((body, mut claim)) = fetch.whole()
            && claim.reach((body.len() + head.weight()) as u64)
        {
            let stored = Stored { body, _claim: claim, head, is_softened: AtomicBool::new(false) };
            cache.store.put(&self.landing.key, &Arc::new(stored));
        }
        fetch.complete();
    }

    /// All of the body, piece by piece: how many bytes it had. None where it broke off, or nobody wants it.
    async fn pump(&self, body: &mut AnswerBody) -> Option<u64> {
        let fetch = &self.landing.fetch;
        let pause = self.current.running.settings.server.body_timeout;
        let mut total = 0;
        while !body.is_end_stream() {
            let frame = timeout(pause, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await.ok()?;
            let Some(frame) = frame else { break };
            let piece: Bytes = frame.ok()?.into_data().unwrap_or_default();
            if piece.is_empty() {
                continue;
            }
            total += piece.len() as u64;
            match fetch.push(&piece) {
                Pushed::Kept => {}
                Pushed::Full => {
                    if timeout(HELD_UP, poll_fn(|cx| fetch.poll_room(cx))).await.is_err() {
                        fetch.cut_slowest();
                    }
                }
                Pushed::Unwanted => return None,
            }
        }
        Some(total)
    }
}
