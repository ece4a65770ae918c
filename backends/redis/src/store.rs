//! The store: asks Redis, within a deadline and behind a breaker.

use std::fmt;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;

use portcullis_core::Answer;
use portcullis_core::limit::{Charge, MemoryStore, Mode, RateLimitStore, StoreError, Verdict};
use portcullis_core::subject::SubjectKey;
use tokio::sync::oneshot;

use crate::builder::Builder;
use crate::error::{OpenError, Undecided};
use crate::link::Link;
use crate::near;
use crate::script;
use crate::shared::{Shared, Turn};
use crate::state::{Counters, State, count};
use crate::take::{self, Purpose, Taken};
use crate::url::UrlError;

/// Limits counted in Redis, the same for every node that counts there. Clones are the same store; with the last one its task ends.
///
/// See [the crate](crate) for what is promised when.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    /// Ends the keeper when it is dropped.
    _open: oneshot::Sender<()>,
}

/// The charges of a request, for a future that borrows nothing. One is the rule, and takes no box of its own.
enum Charges {
    One([Charge; 1]),
    Several(Box<[Charge]>),
}

impl RedisStore {
    /// The store at `url`, once it is connected.
    ///
    /// # Errors
    /// A URL that is none, no runtime, no TLS to be had, or nobody there who counts.
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        Self::builder(url)?.connect().await
    }

    /// Begins a store that is not like every other.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn builder(url: &str) -> Result<Builder, UrlError> {
        Ok(Builder::new(url.parse()?))
    }

    pub(crate) fn kept_by(open: oneshot::Sender<()>, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { shared, _open: open }))
    }

    /// How it is doing.
    pub fn state(&self) -> State {
        self.0.shared.state()
    }

    /// What it has done since it began.
    pub fn counters(&self) -> Counters {
        self.0.shared.counts.read()
    }

    fn ask(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        let shared = &self.0.shared;
        let Some(link) = near::link(shared) else { return undecided(shared, Undecided::Lost) };
        let Some(turn) = shared.turn() else { return undecided(shared, Undecided::Busy) };
        shared.see(charges);
        let (shared, charges) = (Arc::clone(shared), Charges::of(charges));
        Answer::later(async move { decide(&shared, &link, &charges, turn).await })
    }
}

impl Charges {
    fn of(charges: &[Charge]) -> Self {
        match charges {
            [only] => Self::One([*only]),
            several => Self::Several(several.into()),
        }
    }

    fn all(&self) -> &[Charge] {
        match self {
            Self::One(one) => one,
            Self::Several(several) => several,
        }
    }
}

fn undecided<T: 'static>(shared: &Shared, why: Undecided) -> Answer<Result<T, StoreError>> {
    Answer::Now(Err(error(shared, why)))
}

fn error(shared: &Shared, why: Undecided) -> StoreError {
    count(&shared.counts.errors);
    StoreError::new(why)
}

/// What the server says, within the time that a request may wait.
async fn decide(shared: &Arc<Shared>, link: &Arc<Link>, charges: &Charges, turn: Turn) -> Result<Verdict, StoreError> {
    let charges = charges.all();
    let taken = within(shared, link, charges, Purpose::Decide).await;
    drop(turn);
    match taken {
        Ok(Taken::Decided(verdict)) => {
            count(&shared.counts.decisions);
            if verdict.admitted {
                shared.remember(charges, &verdict);
            }
            Ok(verdict)
        }
        Ok(Taken::OtherData) => Ok(decide_alone(shared, charges)),
        Err(why) => Err(error(shared, why)),
    }
}

/// Asks within the time that a request may wait, and notices a loss.
async fn within(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    charges: &[Charge],
    purpose: Purpose,
) -> Result<Taken, Undecided> {
    let asking = pin!(take::take(shared, link, charges, purpose));
    let taken = match tokio::time::timeout(shared.timeout, asking).await {
        Ok(taken) => taken,
        Err(_elapsed) => {
            count(&shared.counts.timeouts);
            Err(Undecided::Waited(shared.timeout))
        }
    };
    if let Err(why) = &taken
        && why.is_loss()
    {
        shared.lose(link, why);
    }
    taken
}

/// This node's share, from its own memory; what it admits is counted in the new data, where the next ones find it.
fn decide_alone(shared: &Arc<Shared>, charges: &[Charge]) -> Verdict {
    count(&shared.counts.shares);
    let nodes = shared.nodes();
    let shares: Vec<Charge> = charges.iter().map(|charge| charge.share(nodes)).collect();
    let verdict = match shared.local.take(&shares) {
        Answer::Now(Ok(verdict)) => verdict,
        // Memory always decides, and at once.
        _ => return portcullis_core::limit::Tally::default().verdict(),
    };
    if verdict.admitted {
        let is_spent = |(index, charge): &(usize, &Charge)| charge.cost > 0 && !verdict.would_refuse.contains(*index);
        let spent = charges.iter().enumerate().filter(is_spent);
        count_behind(shared, spent.map(|(_, charge)| Charge { mode: Mode::Shadow, ..*charge }).collect());
    }
    Verdict { alone: true, ..verdict }
}

/// Counts in the data what was decided without it. Bounded as requests are; what finds no turn is not counted.
fn count_behind(shared: &Arc<Shared>, charges: Vec<Charge>) {
    if charges.is_empty() {
        return;
    }
    if let (Some(link), Some(turn)) = (shared.link.load_full(), shared.turn()) {
        let shared = Arc::clone(shared);
        shared.runtime.clone().spawn(async move {
            drop(within(&shared, &link, &charges, Purpose::Count).await);
            drop(turn);
        });
    }
}

impl RateLimitStore for RedisStore {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        let shared = &self.0.shared;
        if charges.is_empty() {
            return Answer::Now(Ok(portcullis_core::limit::Tally::default().verdict()));
        }
        if charges.iter().any(|charge| !script::counts(charge.quota.algorithm)) {
            return undecided(shared, Undecided::Unknown);
        }
        match shared.state() {
            State::Shared => self.ask(charges),
            State::Recovering { .. } => {
                shared.see(charges);
                Answer::Now(Ok(decide_alone(shared, charges)))
            }
            State::Connecting | State::Lost { .. } => undecided(shared, Undecided::Lost),
        }
    }

    /// As last known, by who counted here in the last seconds.
    fn nodes(&self) -> NonZeroU32 {
        self.0.shared.nodes()
    }

    /// Once it was connected.
    fn subjects(&self) -> Option<SubjectKey> {
        self.0.shared.subjects.load().as_deref().map(|(_, key)| key.clone())
    }

    fn local(&self) -> Option<&MemoryStore> {
        Some(&self.0.shared.local)
    }

    /// Counted in Redis when it is back. Before it was ever there nobody knows what it hashes subjects under.
    fn admitted_without(&self, charges: &[Charge]) {
        if self.0.shared.subjects.load().is_some() {
            self.0.shared.absence.note(charges);
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("url", &self.0.shared.url)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
