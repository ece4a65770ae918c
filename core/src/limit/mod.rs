//! Rate limits: rules, charges, verdicts, and the store that decides.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Answer;
use crate::source::Source;
use crate::subject::{RuleId, Subject};

/// Where limits are counted.
pub trait RateLimitStore: Send + Sync + 'static {
    /// Charges of one request: all hold together, or none is spent (contract: see the architecture; fill in).
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>>;

    /// How many nodes share this store, as last known.
    fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }
}

/// How much in which period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many in a period.
    pub count: NonZeroU32,
    /// The period; at least a second... (say what is checked).
    pub period: Duration,
    /// Token bucket: what can be spent at once.
    pub burst: NonZeroU32,
    /// How it is counted.
    pub algorithm: Algorithm,
}

/// How a quota is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Aligned to the Unix epoch.
    FixedWindow,
    /// GCRA.
    TokenBucket,
}

/// "100/min"
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which period.
    pub period: Duration,
}

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError(String);

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RateError {}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(_text: &str) -> Result<Self, RateError> {
        Err(RateError("stub".into()))
    }
}

/// A named limit.
#[derive(Clone, Debug)]
pub struct Rule {
    name: Arc<str>,
    id: RuleId,
    quota: Quota,
    key: Source,
    cost: NonZeroU32,
}

impl Rule {
    /// A token bucket of `rate` whose burst is the rate's count, keyed by identity, else client; each request costs 1.
    pub fn new(name: impl Into<Arc<str>>, rate: Rate) -> Self {
        let name = name.into();
        Self {
            id: RuleId::of(&name),
            name,
            quota: Quota { count: rate.count, period: rate.period, burst: rate.count, algorithm: Algorithm::TokenBucket },
            key: Source::identity_or_client(),
            cost: NonZeroU32::MIN,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id.
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// The key.
    pub fn key(&self) -> &Source {
        &self.key
    }

    /// The cost of a request.
    pub fn cost(&self) -> NonZeroU32 {
        self.cost
    }
}

/// What one request costs one subject under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The rule, for the overflow bucket.
    pub rule: RuleId,
    /// Who pays.
    pub subject: Subject,
    /// The rule's quota, as it is now.
    pub quota: Quota,
    /// How much; 0 asks whether a charge of 1 would be admitted and spends nothing.
    pub cost: u32,
}

/// What the store says to all charges of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether all charges held, and were spent.
    pub admitted: bool,
    /// Which charge (index into what was asked) decided: the refused one with the longest wait, else the one with the
    /// smallest share left.
    pub decided: usize,
    /// That charge's limit as headers show it: burst of a token bucket, count of a window.
    pub limit: u64,
    /// What is left of it after this request.
    pub remaining: u64,
    /// Until the limit is whole again.
    pub reset: Duration,
    /// Until the request would be admitted; zero when it was.
    pub wait: Duration,
}

/// A store could not decide.
#[derive(Debug)]
pub struct StoreError(Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// From the store's own error.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rate-limit store did not decide: {}", self.0)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

#[allow(unused, reason = "stub")]
const _: Option<NonZeroU64> = None;
