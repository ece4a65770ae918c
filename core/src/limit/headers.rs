//! What an answer says about limits: `RateLimit`, `RateLimit-Policy`, `X-RateLimit-*` and `Retry-After`.
//!
//! The first two are the list form of the IETF draft (draft-ietf-httpapi-ratelimit-headers, 08 and later), whose items are
//! structured fields (RFC 9651); the `X-` fields are what many clients read. All times are whole seconds from now.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use super::Verdict;
use super::rule::{MAX_NAME, Rule};
use crate::headers::SetField;

/// `RateLimit`: what is left of the limit that decided.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// `RateLimit-Policy`: the limits that hold here.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `X-RateLimit-Limit`.
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// `X-RateLimit-Remaining`.
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// `X-RateLimit-Reset`, in seconds from now.
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which families of fields are sent. Both, unless said otherwise. `Retry-After` goes with each refusal whatever is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFamilies {
    /// `RateLimit` and `RateLimit-Policy`.
    pub ratelimit: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub x_ratelimit: bool,
}

impl Default for HeaderFamilies {
    fn default() -> Self {
        Self { ratelimit: true, x_ratelimit: true }
    }
}

/// The rules of a route as headers tell them, worked out once when the plan is made.
///
/// ```
/// use http::HeaderMap;
/// use portcullis_core::limit::{ChargeSet, HeaderFamilies, Policies, Rule, Verdict};
/// use std::{sync::Arc, time::Duration};
///
/// let policies = Policies::new(&[Arc::new(Rule::new("per-user", "100/min".parse()?))]);
/// let verdict = Verdict {
///     admitted: true,
///     decided: 0,
///     limit: 100,
///     remaining: 50,
///     reset: Duration::from_secs(30),
///     wait: Duration::ZERO,
///     alone: false,
///     would_refuse: ChargeSet::EMPTY,
/// };
/// let mut headers = HeaderMap::new();
/// policies.write(&verdict, HeaderFamilies::default(), &mut headers);
/// assert_eq!(headers["ratelimit-policy"], r#""per-user";q=100;w=60"#);
/// assert_eq!(headers["ratelimit"], r#""per-user";r=50;t=30"#);
/// assert_eq!(headers["x-ratelimit-remaining"], "50");
/// # Ok::<(), portcullis_core::limit::RateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policies {
    policy: HeaderValue,
    /// What the `RateLimit` of each rule begins with: its name as a structured string, `"per-user";r=`. Empty for a shadow
    /// rule, which nobody is told of.
    beginnings: Box<[Box<[u8]>]>,
}

impl Policies {
    /// For the rules whose charges a verdict will be about, in that order.
    ///
    /// A policy is `"name";q=LIMIT;w=SECONDS`: the most that can be spent at once and the time in which that comes back,
    /// rounded up. For a token bucket of 100/min with burst 20 that is 20 in 12 seconds. Shadow rules are left out.
    pub fn new(rules: &[Arc<Rule>]) -> Self {
        let mut policy = String::new();
        let mut beginnings = Vec::with_capacity(rules.len());
        for rule in rules {
            if rule.is_shadow() {
                beginnings.push(Box::default());
                continue;
            }
            let (name, quota) = (quoted(rule.name()), rule.quota());
            let separator = if policy.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(policy, "{separator}{name};q={};w={}", quota.limit(), seconds_up(quota.window()));
            beginnings.push(format!("{name};r=").into_bytes().into());
        }
        // Names are quoted down to visible ASCII, so this is a header value always; an empty one is never sent.
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(""));
        Self { policy, beginnings: beginnings.into() }
    }

    /// Writes what `verdict` says into the head of an answer, replacing fields of the same names.
    ///
    /// For an admitted request the times say when the limit is whole; for a refused one when it would be admitted, which
    /// is then the same as `Retry-After`. A head that can take no more fields is left as it is.
    pub fn write(&self, verdict: &Verdict, families: HeaderFamilies, head: &mut impl SetField) {
        if !verdict.admitted {
            set_number(head, &RETRY_AFTER, verdict.retry_after());
        }
        let Some(beginning) = self.beginnings.get(verdict.decided).filter(|text| !text.is_empty()) else { return };
        let reset = if verdict.admitted { seconds_up(verdict.reset) } else { verdict.retry_after() };
        // A head that is full goes out without our fields rather than not at all.
        if families.ratelimit {
            let _ = head.set_field(&RATELIMIT_POLICY, &self.policy);
            let _ = head.set_text(&RATELIMIT, standing(beginning, verdict.remaining, reset).as_bytes());
        }
        if families.x_ratelimit {
            set_number(head, &X_RATELIMIT_LIMIT, verdict.limit);
            set_number(head, &X_RATELIMIT_REMAINING, verdict.remaining);
            set_number(head, &X_RATELIMIT_RESET, reset);
        }
    }
}

/// Whole seconds, rounded up: a client that comes back then does not come too early.
pub(super) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// A structured string (RFC 9651, section 3.3.3): printable ASCII in quotes, quote and backslash escaped. Of a name that is
/// none (a [`problem`](Rule::problem) of its rule) what does not fit becomes `_`, and what is too long is cut.
fn quoted(name: &str) -> Box<str> {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for c in name.chars().take(MAX_NAME) {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => text.push('_'),
        }
    }
    text.push('"');
    text.into()
}

/// `"per-user";r=50;t=30`.
fn standing(beginning: &[u8], remaining: u64, reset: u64) -> Text {
    let mut text = Text::new();
    text.add(beginning).add_number(remaining).add(b";t=").add_number(reset);
    text
}

fn set_number(head: &mut impl SetField, name: &HeaderName, number: u64) {
    let _ = match small(number) {
        Some(text) => head.set_field(name, &HeaderValue::from_static(text)),
        None => head.set_text(name, itoa::Buffer::new().format(number).as_bytes()),
    };
}

/// The numbers from 0 to 999, three digits each: most of what is told is below a thousand, and need not be written anew.
const DIGITS: &str = match std::str::from_utf8(&DIGIT_BYTES) {
    Ok(digits) => digits,
    Err(_) => "",
};

#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "digits, in an array of their number, worked out by the compiler"
)]
static DIGIT_BYTES: [u8; 3 * 1_000] = {
    let mut digits = [0; 3 * 1_000];
    let mut number = 0;
    while number < 1_000 {
        digits[3 * number] = b'0' + (number / 100) as u8;
        digits[3 * number + 1] = b'0' + (number / 10 % 10) as u8;
        digits[3 * number + 2] = b'0' + (number % 10) as u8;
        number += 1;
    }
    digits
};

/// A number below a thousand, without leading zeros.
fn small(number: u64) -> Option<&'static str> {
    let end = 3 * usize::try_from(number).ok().filter(|number| *number < 1_000)? + 3;
    let digits = match number {
        0..10 => 1,
        10..100 => 2,
        _ => 3,
    };
    DIGITS.get(end - digits..end)
}

/// The longest name, all of it escaped, and two numbers.
const LONGEST: usize = 2 * MAX_NAME + 64;

/// A header value in the making, on the stack.
struct Text {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }

    fn add(&mut self, text: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..text.len())) {
            place.copy_from_slice(text);
            self.len += text.len();
        }
        self
    }

    fn add_number(&mut self, number: u64) -> &mut Self {
        self.add(itoa::Buffer::new().format(number).as_bytes())
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
