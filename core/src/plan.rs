//! The validated run-time description: what every request is decided by. Immutable; a reload makes another.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::auth::{Auth, IdentityHeaders};
use crate::expr::Expr;
use crate::headers::{HeaderRules, Protocol, TrustedProxies};
use crate::limit::{Policies, Rule};
use crate::route::{Pattern, Table};
use crate::source::{Facts, Source};
use crate::subject::{RuleId, SubjectKey};
use crate::template::RedirectTemplate;
use crate::upstream::{EndpointUrl, RosterSettings, Snapshot, UpstreamPicker};

mod breaker;
mod cache;
mod retries;
mod rewrite;
mod split;

pub use breaker::{BreakerSettings, Opens};
pub use cache::CacheRule;
pub use retries::{Retries, RetryOn};
pub use rewrite::{Rewrite, Rewritten};
pub use split::{Share, Split};

/// Everything a request is decided by. After it is made nothing is looked up by a string and nothing is validated again.
#[derive(Debug)]
pub struct Plan {
    /// The verifiers, by [`AuthIndex`].
    pub auths: Box<[Auth]>,
    /// What the cache may hold at most, in bytes: bodies, heads and keys of all routes together.
    pub cache_size: u64,
    /// The headers that some verifier sets, removed from every request that arrives.
    pub identity_headers: IdentityHeaders,
    /// The routes, by the table's [`RouteIndex`](crate::route::RouteIndex).
    pub routes: Box<[Route]>,
    /// Which route a request belongs to.
    pub table: Table,
    /// Which peers are believed when they say whom they speak for.
    pub trusted: TrustedProxies,
    /// The upstreams, by [`UpstreamIndex`].
    pub upstreams: Box<[Upstream]>,
}

impl Plan {
    /// The name of an upstream; empty where there is none of that number.
    pub fn upstream_name(&self, upstream: UpstreamIndex) -> &str {
        self.upstreams.get(upstream.0).map_or("", |upstream| &upstream.name)
    }
}

/// A verifier's place in [`Plan::auths`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthIndex(pub usize);

/// An upstream's place in [`Plan::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamIndex(pub usize);

/// What happens to the requests of one route.
#[derive(Debug)]
pub struct Route {
    /// Who may pass.
    pub access: Access,
    /// How its answers are kept; none: not at all.
    pub cache: Option<CacheRule>,
    /// What becomes of `%2F` and `%5C` in the path.
    pub encoded_separators: EncodedSeparators,
    /// All of these hold, together or not at all.
    pub limits: Limits,
    /// The largest body it takes, in bytes; none is no bound.
    pub max_body_size: Option<u64>,
    /// Its name in logs, metrics and reports.
    pub name: Arc<str>,
    /// The pattern that its path was given as.
    pub pattern: Pattern,
    /// Which fields of the request the upstream gets.
    pub request: HeaderRules,
    /// What must hold for a request; none: nothing.
    pub require: Option<Expr>,
    /// Which fields of the response the client gets.
    pub response: HeaderRules,
    /// What answers.
    pub target: Target,
    /// The whole request to the response's head, less what was spent waiting for the client's own bytes.
    pub timeout: Duration,
    /// What its clients may change their connections to; none for nothing.
    pub upgrade: Box<[Protocol]>,
}

/// Who may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody is identified.
    Public,
    /// Who one of these verifiers accepts, asked in this order; from one to [`Access::MOST`].
    Verified(Box<[AuthIndex]>),
}

impl Access {
    /// How many verifiers one route may name: a bad token can cost a check by each.
    pub const MOST: usize = 8;
}

/// What becomes of `%2F` and `%5C` in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSeparators {
    /// Forwarded as they came, never taken as separators.
    Keep,
    /// 400.
    #[default]
    Reject,
}

/// The rules of a route, with the header that announces them made once.
#[derive(Debug)]
pub struct Limits {
    /// The value of `RateLimit-Policy`.
    pub policies: Policies,
    /// The rules, at most [`Limits::MOST`].
    pub rules: Box<[Arc<Rule>]>,
}

impl Limits {
    /// How many rules one route may name: their charges live on the stack.
    pub const MOST: usize = 8;

    /// The limits of a route.
    pub fn new(rules: Box<[Arc<Rule>]>) -> Self {
        Self { policies: Policies::new(&rules), rules }
    }
}

/// What answers a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Target {
    /// The gateway, by sending the client elsewhere.
    Redirect(Redirect),
    /// The gateway, with a fixed response.
    Respond(Respond),
    /// One of several named upstreams.
    Split {
        /// Which path it is asked for.
        rewrite: Rewrite,
        /// Which ones, and how one is chosen.
        split: Split,
    },
    /// A named upstream.
    Upstream {
        /// Which path it is asked for.
        rewrite: Rewrite,
        /// Which one.
        upstream: UpstreamIndex,
    },
}

/// Where clients are sent instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Where to.
    pub to: RedirectTemplate,
}

/// A fixed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// Its body.
    pub body: Bytes,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its status.
    pub status: StatusCode,
}

/// What answers in place of an upstream that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// The gateway, with a fixed response.
    Respond(Respond),
    /// Another upstream, where the request can still be sent. Whatever stands in for that one stands in for nobody else.
    Upstream(UpstreamIndex),
}

/// A named upstream as configured; its pool, breaker and connections live elsewhere and outlive the plan.
#[derive(Debug)]
pub struct Upstream {
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// When it is left alone.
    pub breaker: BreakerSettings,
    /// How long a connection may take; over it 504.
    pub connect_timeout: Duration,
    /// What answers when this one has failed, as its breaker counts, or is not asked.
    pub fallback: Option<Fallback>,
    /// How each server is asked by itself; none: nobody is.
    pub health: Option<HealthCheck>,
    /// Idle connections kept for each server, all workers together.
    pub idle_connections: usize,
    /// How many requests it has at a time, all servers and workers together; none: as many as come.
    pub max_connections: Option<usize>,
    /// How many requests may wait for one of these.
    pub max_pending: usize,
    /// Its name.
    pub name: Arc<str>,
    /// When a request is sent again.
    pub retries: Retries,
    /// Which of its servers may be asked.
    pub roster: RosterSettings,
    /// How long the upstream may take no bytes that are there to be sent; over it 504.
    pub send_timeout: Duration,
    /// Its servers; none for one that the embedding program answers for itself.
    pub servers: Box<[Server]>,
    /// One attempt: from the last byte of the request sent to the complete head of the response; over it 504.
    pub timeout: Duration,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: EndpointUrl,
    /// Its share of the requests, relative to its siblings'.
    pub weight: NonZeroU32,
}

/// How a server is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// From the end of a check to the next, give or take a tenth.
    pub interval: Duration,
    /// What is asked for, with GET.
    pub path: Box<str>,
    /// The statuses that say that it is.
    pub status: Box<[RangeInclusive<u16>]>,
    /// A check takes no longer, connection and answer.
    pub timeout: Duration,
}

impl HealthCheck {
    /// Whether this status says that a server is well.
    pub fn accepts(&self, status: u16) -> bool {
        self.status.iter().any(|range| range.contains(&status))
    }
}

/// How an endpoint is chosen: a name, and what makes the picker for a pool's snapshot.
#[derive(Clone)]
pub struct Balance {
    /// What a picker that keeps equal keys on one endpoint goes by; none: nothing.
    pub key: Option<Source>,
    /// As configured, such as "round-robin"; two of one name are the same.
    pub name: Arc<str>,
    /// Makes the picker; called anew whenever the pool changes.
    pub picker: Arc<MakePicker>,
}

/// Makes the picker for a pool's snapshot.
pub type MakePicker = dyn Fn(&Snapshot) -> Arc<dyn UpstreamPicker> + Send + Sync;

/// Not a secret: who can choose the value can choose a server, which is what choosing a cookie is.
const KEY: SubjectKey = SubjectKey::from_bytes(*b"portcullis hash:");

impl Balance {
    /// The key of a request, the same on every node; none where its source is absent. Allocates nothing unless a claim is not a
    /// string or a query value is percent-coded.
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one")]
    pub fn key(&self, facts: &Facts<'_>) -> Option<u64> {
        let subject = self.key.as_ref()?.present(&KEY, RuleId::of("balance"), facts)?;
        Some(subject.as_u128() as u64)
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Balance").field(&self.name).finish()
    }
}
