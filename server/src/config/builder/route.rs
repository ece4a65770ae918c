//! `[[routes]]`: what is asked for.

use super::keys::keys;
use super::table::Table;
use super::{Limit, Value};

/// A route. It needs a path, and one way to answer: an upstream, a split, a response or a redirect.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Route(pub(super) Table);

/// How a route's answers are kept.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RouteCache(pub(super) Table);

/// Rules for header fields: what is removed, set and added.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct HeaderRules(pub(super) Table);

/// An answer of the gateway's own.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Respond(pub(super) Table);

/// Several upstreams in place of one.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Split(pub(super) Table);

impl Route {
    keys! {
        /// The verifiers, any of which will do; or "none".
        texts auth;
        /// What becomes of `%2F` and `%5C` in the path: "reject" or "keep".
        text encoded_slashes;
        /// The hosts, all of them where none is named.
        texts hosts;
        /// The limits, by name or as rates: all of them hold. Says it for good, defaults included.
        texts limits;
        /// The largest body, in bytes; over it: 413.
        size max_body_size;
        /// The methods, all of them where none is named.
        texts methods;
        /// The path: exact, with `{parameters}`, or a subtree, `/orders/**`.
        text path;
        /// What must hold, an expression; else 403.
        text require;
        /// The upstream's path: a template.
        text rewrite;
        /// What is taken off the path.
        text strip_prefix;
        /// The whole request, retries included, to the response head.
        duration timeout;
        /// What clients may change their connections to: "websocket" unless said otherwise.
        texts upgrade;
        /// The upstream, by name.
        text upstream;
    }

    /// Keeps answers: as their origin says, and as `cache` does.
    pub fn cache(mut self, cache: impl FnOnce(RouteCache) -> RouteCache) -> Self {
        self.0.set("cache", cache(RouteCache::default()).0);
        self
    }

    /// `cache = "off"`: keeps nothing.
    pub fn no_cache(mut self) -> Self {
        self.0.set("cache", "off");
        self
    }

    /// `max_body_size = "off"`: no bound.
    pub fn no_max_body_size(mut self) -> Self {
        self.0.set("max_body_size", "off");
        self
    }

    /// `upgrade = []`: a connection stays HTTP.
    pub fn no_upgrade(self) -> Self {
        self.upgrade::<String>([])
    }

    /// `limits = []`: none, whatever the defaults are.
    pub fn no_limits(self) -> Self {
        self.limits::<String>([])
    }

    /// One more limit, which is this route's own.
    pub fn own_limit(mut self, limit: impl FnOnce(Limit) -> Limit) -> Self {
        self.0.push("limits", limit(Limit::default()).0);
        self
    }

    /// What becomes of the header fields of requests.
    pub fn request(mut self, rules: impl FnOnce(HeaderRules) -> HeaderRules) -> Self {
        self.0.set("request", rules(HeaderRules::default()).0);
        self
    }

    /// What becomes of the header fields of responses.
    pub fn response(mut self, rules: impl FnOnce(HeaderRules) -> HeaderRules) -> Self {
        self.0.set("response", rules(HeaderRules::default()).0);
        self
    }

    /// Answers by itself.
    pub fn respond(mut self, status: u32, respond: impl FnOnce(Respond) -> Respond) -> Self {
        self.0.set("respond", respond(Respond::of(status)).0);
        self
    }

    /// Sends clients elsewhere: a status, and a template of a URL.
    pub fn redirect(mut self, status: u32, to: impl Into<String>) -> Self {
        self.0.set("redirect", Value::table([("to", Value::from(to.into())), ("status", status.into())]));
        self
    }

    /// Shares its requests among several upstreams.
    pub fn split(mut self, split: impl FnOnce(Split) -> Split) -> Self {
        self.0.set("split", split(Split::default()).0);
        self
    }
}

impl RouteCache {
    keys! {
        /// What tells requests apart in place of host, port, path and query: sources, all of them together.
        texts key;
        /// The largest body that is kept, in bytes.
        size max_size;
        /// Whom answers are kept apart for: sources, the first present.
        texts per;
        /// How long a stale answer may stand in for a failure, where the origin does not say.
        duration stale_if_error;
        /// How long a stale answer may be given while it is asked for again, where the origin does not say.
        duration stale_while_revalidate;
        /// How long an answer is fresh, where the origin does not say.
        duration ttl;
    }
}

impl HeaderRules {
    /// Sets a field to a template, in place of what was there.
    pub fn set(mut self, field: impl Into<String>, template: impl Into<String>) -> Self {
        self.0.pair("set", field.into(), template.into());
        self
    }

    /// Adds a field beside what is there.
    pub fn add(mut self, field: impl Into<String>, template: impl Into<String>) -> Self {
        self.0.pair("add", field.into(), template.into());
        self
    }

    keys! {
        /// Removes these fields.
        texts remove;
    }
}

impl Respond {
    pub(super) fn of(status: u32) -> Self {
        let mut table = Table::default();
        table.set("status", status);
        Self(table)
    }

    keys! {
        /// The body.
        text body;
    }

    /// A header field.
    pub fn header(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.pair("headers", field.into(), value.into());
        self
    }
}

impl Split {
    keys! {
        /// What a choice sticks to: sources, the first present.
        texts by;
    }

    /// One more upstream, with its share.
    pub fn to(mut self, upstream: impl Into<String>, weight: u32) -> Self {
        self.0.push("to", Value::table([("upstream", Value::from(upstream.into())), ("weight", weight.into())]));
        self
    }
}
