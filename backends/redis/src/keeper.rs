//! The one task of a store: connects, asks now and then whether the server still answers, and says that this node is here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_core::subject::SubjectKey;
use redis::{Cmd, Value};
use rustls::ClientConfig;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::error::Undecided;
use crate::link::Link;
use crate::shared::Shared;
use crate::state::{State, count};

/// How often the server is asked while it answers.
const BEAT: Duration = Duration::from_millis(500);

/// How long an answer to that may take while all is well: longer than a request may wait, since one slow answer is no loss by itself.
const BEAT_ANSWERS: Duration = Duration::from_millis(500);

/// How long an attempt to connect may take, with everything that belongs to it.
const ATTEMPT: Duration = Duration::from_millis(500);

/// The rest after the first failure in a row; each further one rests twice as long, up to [`LONGEST_REST`]. With an attempt it is
/// less than the two seconds in which a server that is back has to be noticed.
const REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_millis(800);

/// After how many beats without a loss the next one is the first in a row: five seconds.
const CALM: u32 = 10;

/// How many beats in a row have to count fewer nodes before that is believed: five seconds. Where data was lost the list is new, and
/// the others have yet to say that they are here; meanwhile each would take too large a share.
const BELIEVED: u32 = 10;

/// How long leaving may take.
const LEAVING: Duration = Duration::from_millis(250);

/// Adopts what is there, else puts it there, and lets it live on: KEYS[1], ARGV the value and how long it lives in milliseconds.
const ADOPT: &str = "\
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  value = ARGV[1]
  redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
end
return value";

/// Says that a node is here and counts those that said so in the last seconds: KEYS[1], ARGV the node, how many seconds, and how
/// long the list lives in milliseconds. What the list says of a time to come is of a clock that was set back.
const HERE: &str = "\
local time = redis.call('TIME')
local now = tonumber(time[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('ZCARD', KEYS[1])";

/// How many seconds a node may be silent and still counts.
const SILENT_SECS: u32 = 4;
/// How long the list of nodes lives without any: milliseconds.
const NODES_LIVE_MS: u64 = 60_000;
/// How long names of data and keys of subjects live without anybody: 400 days, longer than any period.
const NAMES_LIVE_MS: u64 = 400 * 24 * 3600 * 1000;

/// What the task knows.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    tls: Option<Arc<ClientConfig>>,
    /// Who waits for the first attempt: for an error, if it fails.
    first: Option<oneshot::Sender<Option<String>>>,
    /// This node's name among those that count here.
    node: [u8; 16],
    /// Losses and failed attempts in a row.
    failures: u32,
    /// Beats since the server was found, or found again.
    beats: u32,
    /// Beats in a row that counted fewer nodes than are known.
    fewer: u32,
    /// What was last said about failing, so that it is said once.
    said: String,
    /// In a cluster: whose epoch is looked at next.
    tag: u8,
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        tls: Option<Arc<ClientConfig>>,
        first: oneshot::Sender<Option<String>>,
    ) -> Self {
        Self {
            shared,
            tls,
            first: Some(first),
            node: rand::random(),
            failures: 0,
            beats: 0,
            fewer: 0,
            said: String::new(),
            tag: 0,
        }
    }

    /// Keeps the connection until the store is dropped.
    pub(crate) async fn run(mut self, mut closed: oneshot::Receiver<()>) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            _ = &mut closed => {}
            () = self.keep() => {}
        }
        // Whoever was lost will be noticed in seconds; who leaves says so.
        let link = shared.link.swap(None);
        if let Some(link) = link.filter(|_| matches!(shared.state(), State::Shared | State::Recovering { .. })) {
            let mut leave = redis::cmd("ZREM");
            leave.arg(shared.keys.nodes()).arg(&self.node);
            drop(timeout(LEAVING, link.ask(&leave)).await);
        }
    }

    async fn keep(&mut self) {
        loop {
            sleep(rest(self.failures, rand::random())).await;
            match timeout(ATTEMPT + self.shared.timeout, self.connect()).await {
                Ok(Ok(link)) => {
                    self.found(&link);
                    self.stay(&link).await;
                    self.failures = if self.beats < CALM { self.failures.saturating_add(1) } else { 0 };
                }
                Ok(Err(why)) => self.fail(&why.to_string()),
                Err(_elapsed) => self.fail("no answer"),
            }
        }
    }

    /// A connection on which the server answers as fast as a request needs it.
    async fn connect(&mut self) -> Result<Arc<Link>, Undecided> {
        let link = Link::to(&self.shared.url.0, self.tls.as_ref()).await?;
        self.beat(&link).await?;
        let pong = timeout(self.shared.timeout, link.ask(&redis::cmd("PING"))).await;
        pong.map_err(|_| Undecided::Waited(self.shared.timeout))??;
        Ok(Arc::new(link))
    }

    fn found(&mut self, link: &Arc<Link>) {
        let is_first = self.shared.link.swap(Some(Arc::clone(link))).is_none();
        if !is_first {
            count(&self.shared.counts.reconnects);
        }
        self.beats = 0;
        self.said.clear();
        self.shared.regain();
        if let Some(first) = self.first.take() {
            // Nobody waits where the store was only opened.
            let _ = first.send(None);
        }
    }

    fn fail(&mut self, why: &str) {
        self.failures = self.failures.saturating_add(1);
        if self.said != why {
            tracing::warn!(store = %self.shared.url, error = %why, "Redis cannot be used, and is tried again");
            why.clone_into(&mut self.said);
        }
        if let Some(first) = self.first.take() {
            let _ = first.send(Some(why.to_owned()));
        }
    }

    /// Stays with a connection until it is lost.
    async fn stay(&mut self, link: &Arc<Link>) {
        loop {
            tokio::select! {
                () = sleep(BEAT) => {}
                () = self.shared.wake.notified() => {}
            }
            let is_lost = !matches!(self.shared.state(), State::Shared | State::Recovering { .. });
            // A request waited too long: the server is only back when it answers as fast as the next one needs it.
            let may_take = if is_lost { self.shared.timeout } else { BEAT_ANSWERS };
            let beaten = timeout(may_take, self.beat(link)).await;
            match beaten {
                Ok(Ok(())) if is_lost => {
                    // Again within moments: then it has to be found anew, after a rest.
                    if self.beats < CALM {
                        return;
                    }
                    self.beats = 0;
                    self.shared.regain();
                }
                Ok(Ok(())) => {
                    self.beats = self.beats.saturating_add(1);
                    self.said.clear();
                }
                Ok(Err(why)) if !why.is_loss() => {
                    // It answers, if only to refuse: a full memory. Requests hear the same.
                    let why = why.to_string();
                    if self.said != why {
                        tracing::warn!(store = %self.shared.url, error = %why, "Redis answers, but refuses to count");
                        self.said = why;
                    }
                }
                Ok(Err(why)) => return self.shared.lose(link, &why),
                Err(_elapsed) => return self.shared.lose(link, &Undecided::Waited(may_take)),
            }
        }
    }

    /// One sign of life: this node's, and the server's.
    async fn beat(&mut self, link: &Link) -> Result<(), Undecided> {
        let mut here = script(HERE, &self.shared.keys.nodes());
        here.arg(&self.node).arg(SILENT_SECS).arg(NODES_LIVE_MS);
        if let Value::Int(nodes) = link.ask(&here).await? {
            self.believe(u32::try_from(nodes).unwrap_or(1).max(1));
        }
        self.adopt_subjects(link).await?;
        self.adopt_epoch(link).await?;
        if link.is_cluster() {
            // Every server of it.
            link.ask(&redis::cmd("PING")).await?;
        }
        Ok(())
    }

    fn believe(&mut self, nodes: u32) {
        self.fewer = if nodes < self.shared.nodes.load(Ordering::Relaxed) { self.fewer + 1 } else { 0 };
        if self.fewer == 0 || self.fewer >= BELIEVED {
            self.fewer = 0;
            self.shared.nodes.store(nodes, Ordering::Relaxed);
        }
    }

    /// What subjects are hashed under is what is there; where nothing is, what this node hashes under.
    async fn adopt_subjects(&self, link: &Link) -> Result<(), Undecided> {
        let known = self.shared.subjects.load_full();
        let offered = known.as_deref().map_or_else(rand::random, |(bytes, _)| *bytes);
        let there: [u8; 16] = self.adopt(link, &self.shared.keys.subjects(), &offered).await?;
        if known.is_none_or(|known| known.0 != there) {
            self.shared.subjects.store(Some(Arc::new((there, SubjectKey::from_bytes(there)))));
        }
        Ok(())
    }

    /// Notices lost data though nobody asks. In a cluster each tag has data of its own, and each beat looks at one.
    async fn adopt_epoch(&mut self, link: &Link) -> Result<(), Undecided> {
        let (tag, key) = if link.is_cluster() {
            self.tag = self.tag.wrapping_add(1);
            (self.tag, self.shared.keys.epoch_of(self.tag))
        } else {
            (0, self.shared.keys.epoch())
        };
        let there = self.adopt(link, &key, &Shared::offered().to_be_bytes()).await?;
        self.shared.learn(tag, u64::from_be_bytes(there));
        Ok(())
    }

    async fn adopt<const N: usize>(&self, link: &Link, key: &[u8], offered: &[u8; N]) -> Result<[u8; N], Undecided> {
        let mut adopt = script(ADOPT, key);
        adopt.arg(&offered[..]).arg(NAMES_LIVE_MS);
        match link.ask(&adopt).await? {
            Value::BulkString(there) => there.try_into().map_err(|_| Undecided::Reply),
            _ => Err(Undecided::Reply),
        }
    }
}

/// A script over one key. The server remembers it by its text.
fn script(text: &str, key: &[u8]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

/// How long to rest after so many failures in a row: a quarter more or less, so that many gateways do not dial at one moment.
fn rest(failures: u32, random: u8) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let rest = REST.saturating_mul(1 << doublings.min(8)).min(LONGEST_REST);
    rest * 3 / 4 + rest * u32::from(random) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_bound() {
        assert_eq!(rest(0, 255), Duration::ZERO);
        let least: Vec<_> = (1..7).map(|failures| rest(failures, 0).as_millis()).collect();
        assert_eq!(least, [75, 150, 300, 600, 600, 600]);
        let most = (1..u32::MAX).step_by(1 << 20).map(|failures| rest(failures, 255)).max().unwrap();
        assert!(most <= LONGEST_REST * 5 / 4);
        // A server that is back is found in less than two seconds, the attempt that just began before included.
        assert!(most + ATTEMPT < Duration::from_secs(2));
    }
}
