//! The one task of a store: connects, asks now and then whether the server still answers, and says that this node is here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::absence::make_up;
use crate::error::Undecided;
use crate::link::Link;
use crate::shared::Shared;
use crate::state::{State, count};

/// How often the server is asked while it answers.
const BEAT: Duration = Duration::from_millis(500);

/// How long an answer to that may take while all is well: longer than a request may wait, since one slow answer is no loss by itself.
const BEAT_ANSWERS: Duration = Duration::from_millis(500);

/// How long an attempt to connect may take, with everything that belongs to it.
pub(crate) const ATTEMPT: Duration = Duration::from_millis(500);

/// The rest after the first failure in a row; each further one rests twice as long, up to [`LONGEST_REST`]. With an attempt it is
/// less than the two seconds in which a server that is back has to be noticed.
const REST: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_REST: Duration = Duration::from_millis(800);

/// After how many beats without a loss the next one is the first in a row: five seconds.
const CALM: u32 = 10;

/// How long leaving may take.
const LEAVING: Duration = Duration::from_millis(250);

/// What the task knows.
pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
    /// Who waits for the first attempt: for an error, if it fails.
    first: Option<oneshot::Sender<Option<String>>>,
    /// This node's name among those that count here.
    pub(crate) node: [u8; 16],
    /// Losses and failed attempts in a row.
    failures: u32,
    /// Beats since the server was found, or found again.
    beats: u32,
    /// Beats in a row that counted fewer nodes than are known.
    pub(crate) fewer: u32,
    /// What was last said about failing, so that it is said once.
    said: String,
    /// In a cluster: whose epoch is looked at next.
    pub(crate) tag: u8,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, first: oneshot::Sender<Option<String>>) -> Self {
        Self {
            shared,
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
                    self.found(&link).await;
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
        let link = Link::to(&self.shared.url.0, self.shared.tls.as_ref()).await?;
        self.beat(&link).await?;
        let pong = timeout(self.shared.timeout, link.ask(&redis::cmd("PING"))).await;
        pong.map_err(|_| Undecided::Waited(self.shared.timeout))??;
        Ok(Arc::new(link))
    }

    async fn found(&mut self, link: &Arc<Link>) {
        let is_first = self.shared.link.swap(Some(Arc::clone(link))).is_none();
        if !is_first {
            count(&self.shared.counts.reconnects);
        }
        self.beats = 0;
        self.said.clear();
        self.regain(link).await;
        if let Some(first) = self.first.take() {
            // Nobody waits where the store was only opened.
            let _ = first.send(None);
        }
    }

    /// The server decides again. First it hears what was admitted without it, and then what was meanwhile.
    async fn regain(&self, link: &Arc<Link>) {
        make_up(&self.shared, link).await;
        self.shared.regain();
        make_up(&self.shared, link).await;
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
                    self.regain(link).await;
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
