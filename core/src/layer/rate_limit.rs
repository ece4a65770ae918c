//! Step 3 as a layer: how much a client may do.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use super::answer::{Told, refuse, report_shadow};
use super::asker::{AddressOf, Target, facts};
use super::future::{Checked, Outcome};
use super::gated::gated;
use crate::admit::Services;
use crate::admit::limit::{Taken, ask, decide};
use crate::answer::Answer;
use crate::auth::Identity;
use crate::limit::{HeaderFamilies, MemoryStore, Mode, OnFailure, RateLimitStore, Rule, Verdict};
use crate::plan::Limits;
use crate::rejection::Rejection;
use crate::source::{Facts, Source};
use crate::subject::SubjectKey;
use crate::time::Clock;

/// Lets through what a limit has room for, and says in each answer how much is left.
///
/// Refuses with 429 and `Retry-After`. Whom a rule counts is its [key](Rule::keyed_by): the
/// [`Identity`] that an [`AuthenticateLayer`](super::AuthenticateLayer) outside this one found, else the
/// [`client`](Self::client)'s address, unless the rule says otherwise. All requests without either share one bucket, and one warning is
/// logged. There are no path parameters here, so a key "param:NAME" counts by client.
///
/// The same store handed to several layers, as an `Arc`, is one store: rules of one name in it are one budget. Two rules of different
/// numbers want two names.
///
/// ```
/// use std::net::SocketAddr;
/// use portcullis_core::layer::RateLimitLayer;
/// use portcullis_core::limit::{MemoryStore, OnFailure, Rule};
///
/// let layer = RateLimitLayer::new(MemoryStore::new(), Rule::new("per-user", "100/min".parse()?).burst(20))
///     .and(Rule::new("everyone", "1000/s".parse()?).keyed_by("everyone".parse()?))
///     .client(|parts| parts.extensions.get::<SocketAddr>().map(SocketAddr::ip))
///     .on_failure(OnFailure::Deny);
/// assert_eq!(layer.problem(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    gate: Arc<Gate>,
}

/// A service behind a [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    gate: Arc<Gate>,
    inner: S,
}

/// What decides.
#[derive(Clone)]
struct Gate {
    client: AddressOf,
    clock: Clock,
    families: HeaderFamilies,
    limits: Arc<Limits>,
    /// For when the store does not decide.
    local: Arc<MemoryStore>,
    reads: Reads,
    store: Arc<dyn RateLimitStore>,
    /// For a store that names no key.
    subjects: SubjectKey,
}

/// What the rules' keys read, so that what none of them reads is not worked out.
#[derive(Clone, Copy)]
struct Reads {
    /// Something beside the identity, else the client.
    more: bool,
    /// The host or the path.
    target: bool,
}

/// What came of asking the store.
enum Asked {
    /// It answered.
    Decided(Option<Verdict>),
    /// It will.
    Later(Taken),
}

impl RateLimitLayer {
    /// Limits requests by `rule`, counted in `store`.
    pub fn new(store: impl RateLimitStore, rule: Rule) -> Self {
        let rules: Box<[_]> = Box::new([Arc::new(rule)]);
        Self {
            gate: Arc::new(Gate {
                client: AddressOf::default(),
                clock: Clock::system(),
                families: HeaderFamilies::default(),
                reads: Reads::of(&rules),
                limits: Arc::new(Limits::new(rules)),
                local: Arc::new(MemoryStore::new()),
                store: Arc::new(store),
                subjects: SubjectKey::random(),
            }),
        }
    }

    /// Also limits them by `rule`: all rules of a layer hold together, or nothing is spent. At most [`Limits::MOST`]; a layer with more
    /// refuses everything (500), and [`problem`](Self::problem) says so.
    #[must_use]
    pub fn and(self, rule: Rule) -> Self {
        let rules = self.gate.limits.rules.iter().cloned().chain([Arc::new(rule)]).collect();
        self.with(rules)
    }

    /// Where the client's address is, as `|parts| -> Option<IpAddr>`. A server puts it into an extension; axum, for one, as
    /// `ConnectInfo<SocketAddr>`. An address out of a header is the client's own choice unless a trusted proxy wrote it; see
    /// [`TrustedProxies::arrival`](crate::headers::TrustedProxies::arrival).
    #[must_use]
    pub fn client(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.gate).client = AddressOf::new(find);
        self
    }

    /// Which fields say what is left; both families by default.
    #[must_use]
    pub fn headers(mut self, families: HeaderFamilies) -> Self {
        Arc::make_mut(&mut self.gate).families = families;
        self
    }

    /// What becomes of the rules so far when the store does not decide; each rule's own word by default, which is
    /// [`OnFailure::Share`] unless it was told.
    #[must_use]
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        self.each(|rule| rule.on_failure(on_failure))
    }

    /// Makes the rules so far count and report, and refuse nothing: what they would have refused is logged (`tracing`, level `INFO`),
    /// and answers say nothing of them.
    #[must_use]
    pub fn shadow(self) -> Self {
        self.each(|rule| rule.mode(Mode::Shadow))
    }

    /// What is wrong with the rules, if anything is: a sentence for the operator.
    pub fn problem(&self) -> Option<String> {
        let rules = &self.gate.limits.rules;
        if rules.len() > Limits::MOST {
            return Some(format!("a layer has at most {} limits, and this one has {}", Limits::MOST, rules.len()));
        }
        rules.iter().find_map(|rule| rule.problem())
    }

    fn each(self, change: impl Fn(Rule) -> Rule) -> Self {
        let rules = self.gate.limits.rules.iter().map(|rule| Arc::new(change((**rule).clone()))).collect();
        self.with(rules)
    }

    fn with(mut self, rules: Box<[Arc<Rule>]>) -> Self {
        let gate = Arc::make_mut(&mut self.gate);
        gate.reads = Reads::of(&rules);
        gate.limits = Arc::new(Limits::new(rules));
        self
    }
}

impl Reads {
    fn of(rules: &[Arc<Rule>]) -> Self {
        let default = Source::identity_or_client();
        Self {
            more: rules.iter().any(|rule| *rule.key() != default),
            target: rules.iter().any(|rule| rule.key().reads_host() || rule.key().reads_path()),
        }
    }
}

impl Gate {
    fn services(&self) -> Services<'_> {
        Services { clock: &self.clock, local: Some(&self.local), store: &self.store, subjects: &self.subjects }
    }

    fn check(self: &Arc<Self>, parts: Parts) -> Checked {
        let asked = self.with_facts(&parts, |facts| match self.ask(facts)? {
            Some(Answer::Now(taken)) => Ok(Asked::Decided(decide(&self.limits, facts, self.services(), taken)?)),
            Some(later) => Ok(Asked::Later(later)),
            None => Ok(Asked::Decided(None)),
        });
        let decided = match asked {
            Ok(Asked::Decided(verdict)) => Ok(verdict),
            Err(rejection) => Err(rejection),
            Ok(Asked::Later(later)) => {
                let gate = Arc::clone(self);
                return Checked::Later(Box::pin(async move {
                    let taken = later.await;
                    let decided = gate.with_facts(&parts, |facts| decide(&gate.limits, facts, gate.services(), taken));
                    let outcome = gate.outcome(&parts, decided);
                    (parts, outcome)
                }));
            }
        };
        let outcome = self.outcome(&parts, decided);
        Checked::Now(parts, outcome)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Taken>, Rejection> {
        if facts.client.is_none() && self.client.may_warn() && (facts.identity.is_none() || self.reads.more) {
            let lost = |rule: &&Arc<Rule>| rule.key().present(&self.subjects, rule.id(), facts).is_none();
            if let Some(rule) = self.limits.rules.iter().find(lost) {
                self.client.warn(&format!("the limit \"{}\"", rule.name()));
            }
        }
        ask(&self.limits, facts, self.services())
    }

    fn outcome(&self, parts: &Parts, decided: Result<Option<Verdict>, Rejection>) -> Outcome {
        match decided {
            Ok(Some(verdict)) => {
                report_shadow(&self.limits, &verdict);
                Ok(Told::Limits(Arc::clone(&self.limits), self.families, verdict))
            }
            Ok(None) => Ok(Told::Nothing),
            Err(rejection) => Err(refuse(parts, rejection, Some((&self.limits, self.families)))),
        }
    }

    /// What the rules' keys may read of a request.
    fn with_facts<T>(&self, parts: &Parts, read: impl FnOnce(&Facts<'_>) -> T) -> T {
        let target = if self.reads.target { Target::of(parts) } else { Target::unread(parts) };
        read(&facts(parts, &target, self.client.find(parts), parts.extensions.get::<Identity>()))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("limits", &self.limits).field("client", &self.client).finish_non_exhaustive()
    }
}

gated!(RateLimitLayer, RateLimit);
