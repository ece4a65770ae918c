//! A named limit.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::rate::{MAX_COUNT, Rate, written};
use super::{Algorithm, Charge, MAX_LOG, OnFailure, Quota};
use crate::source::{Facts, Source};
use crate::subject::{RuleId, SubjectKey};

/// The longest name of a rule, in bytes: it goes out in a header with each answer.
pub const MAX_NAME: usize = 128;

const MILLION: u32 = 1_000_000;

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It counts and reports, and refuses nothing.
    Shadow,
}

impl Mode {
    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// A named limit: how much whom may do, and what a request costs.
///
/// A builder that cannot fail: what is wrong with the whole is what [`problem`](Self::problem) says, and a store counts
/// even a wrong rule without harm.
///
/// ```
/// use portcullis_core::limit::Rule;
///
/// let rule = Rule::new("per-user", "100/min".parse()?).burst(20);
/// assert_eq!(rule.problem(), None);
/// assert_eq!(rule.worst_case(), "at most 120 in any minute: burst 20 + refill 100");
/// # Ok::<(), portcullis_core::limit::RateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    name: Arc<str>,
    id: RuleId,
    rate: Rate,
    burst: Option<u32>,
    algorithm: Algorithm,
    key: Source,
    cost: u32,
    mode: Mode,
    on_failure: OnFailure,
    /// Millionths of the limit.
    overshoot: u32,
}

impl Rule {
    /// A token bucket of `rate` whose burst is the rate's count, keyed by identity, else client; each request costs 1.
    pub fn new(name: impl Into<Arc<str>>, rate: Rate) -> Self {
        let name = name.into();
        Self {
            id: RuleId::of(&name),
            name,
            rate,
            burst: None,
            algorithm: Algorithm::default(),
            key: Source::identity_or_client(),
            cost: 1,
            mode: Mode::default(),
            on_failure: OnFailure::default(),
            overshoot: 0,
        }
    }

    /// Counted so instead of as a token bucket.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// What can be spent at once, instead of the rate's count. For token buckets.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// What one request costs, instead of 1.
    #[must_use]
    pub fn costing(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Whom the limit counts, instead of the identity, else the client.
    #[must_use]
    pub fn keyed_by(mut self, key: Source) -> Self {
        self.key = key;
        self
    }

    /// Whether it refuses, instead of always.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What becomes of it when the store does not decide, instead of this node's share.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// How much more than the limit may be admitted, as a share of it from 0 to 1, where several nodes count: a store may then let each
    /// of them decide ahead ([`Charge::overshoot`]). 0, the default: every decision is exact. Counted in millionths.
    #[must_use]
    pub fn max_overshoot(mut self, share: f64) -> Self {
        // What is no number is 0.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 0 to a million"
        )]
        let millionths = (share.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32;
        self.overshoot = millionths;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, to be kept.
    pub fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The number that the name stands for in subjects and stores.
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// The rate as it was given.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether it only counts and reports.
    pub fn is_shadow(&self) -> bool {
        self.mode == Mode::Shadow
    }

    /// What becomes of it when the store does not decide.
    pub fn without_store(&self) -> OnFailure {
        self.on_failure
    }

    /// How much in which period.
    pub fn quota(&self) -> Quota {
        Quota {
            count: self.rate.count,
            period: self.rate.period,
            burst: self.burst.map_or(self.rate.count, at_least_one),
            algorithm: self.algorithm,
        }
    }

    /// How much more than the limit may be admitted where several nodes count: what [`max_overshoot`](Self::max_overshoot) comes to,
    /// rounded down.
    pub fn overshoot(&self) -> u32 {
        let more = u64::from(self.quota().limit()) * u64::from(self.overshoot) / u64::from(MILLION);
        u32::try_from(more).unwrap_or(u32::MAX)
    }

    /// Whom the limit counts.
    pub fn key(&self) -> &Source {
        &self.key
    }

    /// What one request costs.
    pub fn cost(&self) -> NonZeroU32 {
        at_least_one(self.cost)
    }

    /// What a request with these facts costs, and whom.
    pub fn charge(&self, key: &SubjectKey, facts: &Facts<'_>) -> Charge {
        let subject = self.key.subject(key, self.id, facts);
        Charge {
            rule: self.id,
            subject,
            quota: self.quota(),
            cost: self.cost().get(),
            mode: self.mode,
            overshoot: self.overshoot(),
        }
    }

    /// The most that can pass in any one period, as a sentence: what the algorithm promises, not what one hopes.
    pub fn worst_case(&self) -> String {
        let quota = self.quota();
        let count = u64::from(quota.count.get());
        let limit = u64::from(quota.limit());
        let period = spoken(quota.period);
        match quota.algorithm {
            Algorithm::FixedWindow => format!(
                "at most {} in any {period}: {count} at the end of one window + {count} at the start of the next",
                2 * count
            ),
            Algorithm::SlidingLog => format!("at most {limit} in any {period}, exactly"),
            // What weighs anything weighs one at least: in a period the second half is one less.
            Algorithm::SlidingWindow => format!(
                "at most {} in any {period}: {count} at the end of one window + {} spread over the next; {count} in each window",
                2 * count - 1,
                count - 1
            ),
            Algorithm::TokenBucket => {
                format!("at most {} in any {period}: burst {limit} + refill {count}", limit + count)
            }
        }
    }

    /// How many bytes one key can take beside its cell: eight for each that a sliding log remembers.
    pub fn bytes_per_key(&self) -> u64 {
        match self.algorithm {
            Algorithm::SlidingLog => u64::from(self.quota().limit()) * 8,
            Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::TokenBucket => 0,
        }
    }

    /// What is wrong with the rule, if anything is: a sentence for the operator.
    ///
    /// A name is 1 to [`MAX_NAME`] bytes of printable ASCII (it stands in headers, RFC 9651, section 3.3.3); burst and
    /// cost are 1 to [`MAX_COUNT`]; a burst belongs to a token bucket and refills within 36 years; a sliding log counts at most
    /// [`MAX_LOG`]; a cost above the limit could never be paid.
    pub fn problem(&self) -> Option<String> {
        let (quota, counts) = (self.quota(), 1..=MAX_COUNT);
        if !(1..=MAX_NAME).contains(&self.name.len()) || !self.name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Some(format!("the name of a limit is 1 to {MAX_NAME} printable ASCII characters"));
        }
        if self.burst.is_some() && self.algorithm != Algorithm::TokenBucket {
            return Some("a burst belongs to algorithm = \"token-bucket\"".to_owned());
        }
        if self.burst.is_some_and(|burst| !counts.contains(&burst)) || !counts.contains(&self.cost) {
            return Some(format!("burst and cost are counts from 1 to {MAX_COUNT}"));
        }
        if self.algorithm == Algorithm::SlidingLog && self.rate.count.get() > MAX_LOG {
            return Some(format!("a sliding log remembers each request, and at most {MAX_LOG} in a period"));
        }
        if self.algorithm == Algorithm::TokenBucket && quota.limit() < quota.burst.get() {
            return Some(format!("a burst of {} at {} takes more than 36 years to refill", quota.burst, self.rate));
        }
        (self.cost > quota.limit()).then(|| {
            format!("a cost of {} can never be paid: at most {} can be spent at once", self.cost, quota.limit())
        })
    }
}

/// A zero is a [`problem`](Rule::problem) of the rule; counted as 1 where nobody asked about it.
fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// "minute", or "1m30s".
fn spoken(period: Duration) -> String {
    match period.as_millis() {
        1_000 => "second".to_owned(),
        60_000 => "minute".to_owned(),
        3_600_000 => "hour".to_owned(),
        86_400_000 => "day".to_owned(),
        _ => written(period),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(rate: &str) -> Rule {
        Rule::new("r", rate.parse().expect(rate))
    }

    #[test]
    fn the_worst_case_is_said_for_each_algorithm() {
        assert_eq!(rule("100/min").worst_case(), "at most 200 in any minute: burst 100 + refill 100");
        assert_eq!(rule("5/90s").burst(1).worst_case(), "at most 6 in any 1m30s: burst 1 + refill 5");
        assert_eq!(
            rule("100/min").algorithm(Algorithm::FixedWindow).worst_case(),
            "at most 200 in any minute: 100 at the end of one window + 100 at the start of the next"
        );
        assert_eq!(
            rule("100/min").algorithm(Algorithm::SlidingWindow).worst_case(),
            "at most 199 in any minute: 100 at the end of one window + 99 spread over the next; 100 in each window"
        );
        assert_eq!(rule("100/min").algorithm(Algorithm::SlidingLog).worst_case(), "at most 100 in any minute, exactly");
    }

    #[test]
    fn an_overshoot_is_a_share_of_the_limit_rounded_down() {
        let overshoot = |rate: &str, share| rule(rate).max_overshoot(share).overshoot();
        // 0.29 * 100 is less than 29 in binary.
        assert_eq!([overshoot("100/min", 0.05), overshoot("100/min", 0.29), overshoot("19/min", 0.05)], [5, 29, 0]);
        assert_eq!([overshoot("100/min", 0.0), overshoot("100/min", f64::NAN), overshoot("100/min", -1.0)], [0; 3]);
        assert_eq!([overshoot("100/min", 1.0), overshoot("1000000000/s", 7.0)], [100, 1_000_000_000]);
        assert_eq!(rule("100/min").burst(20).max_overshoot(0.1).overshoot(), 2, "of the burst");
    }

    #[test]
    fn a_rule_that_could_never_work_has_a_problem() {
        assert_eq!(rule("100/min").burst(20).costing(20).problem(), None);
        for (wrong, says) in [
            (rule("100/min").burst(20).costing(21), "can never be paid"),
            (rule("100/min").algorithm(Algorithm::FixedWindow).costing(101), "can never be paid"),
            (rule("100/min").algorithm(Algorithm::FixedWindow).burst(100), "token-bucket"),
            (rule("1001/min").algorithm(Algorithm::SlidingLog), "at most 1000"),
            (rule("100/min").algorithm(Algorithm::SlidingLog).burst(100), "token-bucket"),
            (rule("100/min").algorithm(Algorithm::SlidingWindow).costing(101), "can never be paid"),
            (rule("100/min").burst(0), "counts from 1"),
            (rule("100/min").costing(0), "counts from 1"),
            (rule("1/366d").burst(40), "36 years"),
            (Rule::new("", "1/s".parse().unwrap()), "printable"),
            (Rule::new("größe", "1/s".parse().unwrap()), "printable"),
            (Rule::new("x".repeat(129), "1/s".parse().unwrap()), "printable"),
        ] {
            let problem = wrong.problem().expect(says);
            assert!(problem.contains(says), "{problem}");
        }
    }
}
