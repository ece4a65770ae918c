//! Attempt after attempt, until one is answered well or nothing more may be tried.
//!
//! A request is sent again only when that is safe: when no byte of it was sent before, or when its method is idempotent (RFC
//! 9110, section 9.2.2) and all that was sent of it is still at hand. Where no connection could be made nobody was asked for anything, and
//! the request goes on to the next server at no cost. Everything else is a retry: there are only so many for one request, they
//! are only a share of all requests ([`RetryBudget`]), and each waits for a moment drawn at random. They go to servers that
//! were not tried, as long as there are any, and all of them together keep the request's one deadline.
//!
//! [`RetryBudget`]: portcullis_core::upstream::RetryBudget

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use portcullis_core::Rejection;
use portcullis_core::plan::RetryOn;
use portcullis_core::time::Moment;
use portcullis_core::upstream::{Ask, EndpointIndex, Lease, Pool, Tried, backoff};
use tokio::time::Instant;

use super::body::{Flow, RequestBody};
use super::bound::Place;
use super::connect::{self, Connection};
use super::h1::Outgoing;
use super::reply::Reply;
use super::send::{Deadlines, Failure, send};
use super::{Meters, Trail};
use crate::servers::Server;
use crate::upstream::Upstream;

/// One request on its way through its attempts.
pub(super) struct Attempts<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) meters: Meters<'a>,
    pub(super) outgoing: &'a mut Outgoing<RequestBody>,
    pub(super) flow: Option<&'a Flow>,
    pub(super) deadlines: Deadlines,
    /// What the picker may go by.
    pub(super) key: Option<u64>,
    pub(super) random: u64,
    pub(super) trail: &'a mut Trail,
    /// Those that could be asked when it began; what was tried are places in it.
    pool: Arc<Pool>,
    tried: Tried,
    /// Attempts so far, whoever was asked.
    count: u8,
    /// Retries that are left: none for a probe, which finds out and does not insist.
    left: u8,
    /// Before this none that was asked wants to be asked again.
    not_before: Instant,
    /// What time it is, read once an attempt.
    now: Moment,
    /// Retries so far.
    retries: u8,
    /// A part of the request's time was gone before the first attempt.
    came_late: bool,
    /// Its place at the upstream, which it has not while it waits for its next attempt.
    place: Place,
}

/// What all attempts came to.
pub(super) struct Ended {
    pub(super) outcome: Result<Reply, Rejection>,
    /// When that was known.
    pub(super) at: Moment,
    /// Whether it says anything of the upstream.
    pub(super) is_fair: bool,
}

/// What a request brings to its first attempt.
pub(super) struct Begin {
    /// It is to find out whether the upstream is well again.
    pub(super) is_probe: bool,
    /// A part of its time is gone already: it waited for its place, or another upstream was asked before.
    pub(super) came_late: bool,
    pub(super) now: Moment,
    pub(super) place: Place,
}

/// Why a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Connect,
    Reset,
    Status(StatusCode),
}

impl Reason {
    /// None where it was answered well, or where no other server would do better.
    fn of(outcome: &Result<Reply, Rejection>) -> Option<Self> {
        match outcome {
            Ok(reply) => Some(Self::Status(reply.status())),
            Err(
                Rejection::ConnectFailed | Rejection::ConnectTimeout | Rejection::NameNotFound | Rejection::NameTimeout,
            ) => Some(Self::Connect),
            Err(Rejection::UpstreamReset | Rejection::UpstreamInvalid) => Some(Self::Reset),
            Err(Rejection::UpstreamTimeout) => Some(Self::Status(StatusCode::GATEWAY_TIMEOUT)),
            Err(_) => None,
        }
    }

    fn is_in(self, on: &RetryOn) -> bool {
        match self {
            Self::Connect => on.connect,
            Self::Reset => on.reset,
            Self::Status(status) => on.statuses.contains(&status),
        }
    }
}

impl<'a> Attempts<'a> {
    /// For a request to this upstream.
    pub(super) fn new(
        upstream: &'a Upstream,
        meters: Meters<'a>,
        (outgoing, flow): (&'a mut Outgoing<RequestBody>, Option<&'a Flow>),
        deadlines: Deadlines,
        (key, random): (Option<u64>, u64),
        trail: &'a mut Trail,
        Begin { is_probe, came_late, now, place }: Begin,
    ) -> Self {
        let left = if is_probe { 0 } else { upstream.retries.attempts };
        let (pool, tried, not_before) = (upstream.roster.pool(now), Tried::new(), deadlines.began);
        let (count, retries) = (0, 0);
        Self {
            upstream,
            meters,
            outgoing,
            flow,
            deadlines,
            key,
            random,
            trail,
            pool,
            tried,
            count,
            left,
            not_before,
            now,
            retries,
            came_late,
            place,
        }
    }

    /// The head that the client gets, or what the last attempt failed with.
    pub(super) async fn run(mut self) -> Ended {
        self.upstream.budget.count(self.now);
        loop {
            let (began, waited) = (self.now, self.waited());
            let mut outcome = self.once().await;
            self.now = self.meters.clock.now();
            if let Ok(reply) = &mut outcome {
                reply.took = self.now.since(began);
            }
            let is_fair = self.is_fair(&outcome);
            if is_fair {
                // What the client kept it waiting for is not the server's time.
                let its_own = self.now.since(began).saturating_sub(self.waited() - waited);
                self.settle(&outcome, its_own);
            }
            self.upstream.count(outcome.as_ref().map(Reply::status), self.meters.metrics);
            let Some(wait) = self.again(&outcome) else { return self.ended(outcome, is_fair) };
            if let Ok(reply) = outcome {
                reply.dismiss(self.outgoing);
            }
            self.outgoing.rewind();
            if !wait.is_zero() {
                // Boxed: hardly a request waits, and need not carry the room for it.
                if let Err(full) = Box::pin(self.rest(wait)).await {
                    return self.ended(Err(full), false);
                }
                self.now = self.meters.clock.now();
            }
            self.deadlines.began = Instant::now();
        }
    }

    fn ended(self, outcome: Result<Reply, Rejection>, is_fair: bool) -> Ended {
        let place = self.place;
        Ended { outcome: outcome.map(|reply| Reply { place, ..reply }), at: self.now, is_fair }
    }

    /// Waits for the next attempt. Meanwhile others may have its place.
    async fn rest(&mut self, wait: Duration) -> Result<(), Rejection> {
        self.place = Place::default();
        tokio::time::sleep(wait).await;
        if let Some(bound) = &self.upstream.bound {
            self.place = bound.enter(self.deadlines.total).await?;
        }
        Ok(())
    }

    /// How long the client itself has kept the request waiting.
    fn waited(&self) -> Duration {
        self.flow.map_or(Duration::ZERO, |flow| flow.progress().waited(Instant::now()))
    }

    /// Whether an attempt that came to this had the time that it may take. Who comes when most of the request's time is gone has not;
    /// the first that comes at once has all there is. Where the server's name is not found, nobody was asked.
    fn is_fair(&self, outcome: &Result<Reply, Rejection>) -> bool {
        let is_late = matches!(outcome, Err(Rejection::UpstreamTimeout | Rejection::ConnectTimeout));
        let is_short = self.came_late || self.count > 1;
        let is_named = !matches!(outcome, Err(Rejection::NameNotFound | Rejection::NameTimeout));
        is_named && !(is_late && is_short && self.deadlines.total_left(self.flow).is_zero())
    }

    /// Tells what one attempt came to.
    fn settle(&self, outcome: &Result<Reply, Rejection>, took: Duration) {
        if let Some(endpoint) = &self.trail.endpoint {
            self.upstream.settle(endpoint, outcome.as_ref().map(Reply::status), took, self.now);
        }
    }

    /// One attempt.
    async fn once(&mut self) -> Result<Reply, Rejection> {
        let lease = self.pick().ok_or(Rejection::NoEndpoint)?;
        let server = Server::of(lease.endpoint()).ok_or(Rejection::Internal)?;
        self.tried.insert(lease.index());
        self.count += 1;
        self.trail.attempts = self.trail.attempts.saturating_add(1);
        self.trail.endpoint = Some(Arc::clone(lease.endpoint()));
        let kept = server.idle.check_out(self.deadlines.began);
        let fresh = kept.is_none();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.dial(server).await?,
        };
        self.outgoing.add_host(&server.authority);
        let mut outcome = send(&mut connection, self.outgoing, self.flow, self.deadlines).await;
        // A kept connection that its server has closed meanwhile: silently once more, on a fresh one.
        if !fresh && matches!(outcome, Err(Failure::Closed)) && self.outgoing.rewind() {
            connection = self.dial(server).await?;
            outcome = send(&mut connection, self.outgoing, self.flow, self.deadlines).await;
        }
        let head = outcome.map_err(Failure::rejection)?;
        Ok(Reply { head, connection, lease, place: Place::default(), took: Duration::ZERO })
    }

    /// An endpoint that was not tried, while there is one, if need be one that rests; then any but the last, and then that one.
    fn pick(&self) -> Option<Lease> {
        let lease = |tried: &[EndpointIndex]| self.pool.lease(&Ask { key: self.key, tried, random: self.random });
        let tried = self.tried.as_slice();
        lease(tried).or_else(|| self.pool.last_resort(tried, self.random)).or_else(|| match tried {
            [] => None,
            [.., last] => lease(std::slice::from_ref(last)).or_else(|| lease(&[])),
        })
    }

    async fn dial(&mut self, server: &Server) -> Result<Box<Connection>, Rejection> {
        let left = self.deadlines.total_left(self.flow);
        let limit = self.upstream.connect_timeout.min(left);
        // Boxed: most requests find a connection, and need not carry the room for making one.
        let connection = Box::pin(connect::connect(&server.address, limit)).await?;
        server.idle.note_opened();
        self.deadlines.began = Instant::now();
        Ok(connection)
    }

    /// Whether there is to be another attempt after one that came to this, and after what wait.
    fn again(&mut self, outcome: &Result<Reply, Rejection>) -> Option<Duration> {
        let retries = &self.upstream.retries;
        let reason = Reason::of(outcome)?;
        if retries.attempts == 0 || !reason.is_in(&retries.on) || !self.outgoing.can_repeat() {
            return None;
        }
        let left = self.deadlines.total_left(self.flow);
        let others = usize::from(self.count) < Tried::MAX && self.tried.as_slice().len() < self.pool.reachable();
        if reason == Reason::Connect && others {
            return (!left.is_zero()).then_some(Duration::ZERO);
        }
        self.random = redrawn(self.random);
        let mut wait = backoff(retries.backoff, self.retries.into(), self.random);
        let now = Instant::now();
        if let Ok(reply) = outcome {
            self.not_before = self.not_before.max(now + retry_after(reply.head.response.headers()));
        }
        if !others {
            // One that was asked may be asked again.
            wait = wait.max(self.not_before.saturating_duration_since(now));
        }
        if self.left == 0 || wait >= left {
            return None;
        }
        if !self.upstream.budget.try_spend(self.meters.clock.now()) {
            self.meters.metrics.retry_refused(&self.upstream.series);
            return None;
        }
        self.left -= 1;
        self.retries += 1;
        self.meters.metrics.retried(&self.upstream.series);
        Some(wait)
    }
}

/// How long a server asks to be left alone: nothing if it does not. A date is not read: it is taken for farther off than a retry
/// could wait.
fn retry_after(fields: &HeaderMap) -> Duration {
    const FAR: Duration = Duration::from_secs(24 * 60 * 60);
    let Some(value) = fields.get(RETRY_AFTER) else { return Duration::ZERO };
    let seconds = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    seconds.map_or(FAR, |seconds| Duration::from_secs(seconds).min(FAR))
}

/// The next of the numbers that follow from one (`SplitMix64`: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators").
const fn redrawn(random: u64) -> u64 {
    let mut mixed = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
