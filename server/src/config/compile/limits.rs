//! `[limits.*]`, and the limits that stand inside a route.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use portcullis_core::limit::{Algorithm, MAX_LOG, Mode, OnFailure, Rate, Rule};

use super::{Problems, limit_keys};
use crate::config::problem::Problem;
use crate::config::schema::limits::{Limit, Named, Use};
use crate::config::schema::store::Store;
use crate::config::span::{At, Given, Span, Text};
use crate::config::suggest::did_you_mean;

/// As many gateways as make a cluster.
const FEWEST_GATEWAYS: u64 = 2;

/// The named limits.
#[derive(Debug)]
pub(super) struct Rules<'f> {
    named: Vec<NamedRule<'f>>,
    /// What `[store]` says of all of them.
    store: OfStore,
    /// The names of limits written inside routes so far: two of one name would share their budgets.
    made: RefCell<HashSet<String>>,
}

/// What `[store]` says of all limits.
#[derive(Clone, Copy, Debug)]
struct OfStore {
    /// What becomes of one that is not decided.
    on_failure: OnFailure,
    /// Nobody else counts there.
    is_memory: bool,
}

#[derive(Debug)]
struct NamedRule<'f> {
    name: &'f At<String>,
    /// None when it is broken, which has been noted.
    rule: Option<Arc<Rule>>,
    used: Cell<bool>,
}

impl<'f> Rules<'f> {
    pub(super) fn compile(named: &'f [Named], store: Option<&Store>, problems: &mut Problems) -> Self {
        let store = OfStore {
            on_failure: store
                .map_or_else(OnFailure::default, |store| on_failure(&store.on_failure, OnFailure::default())),
            // Where the environment decides it, this file is right for a cluster as well.
            is_memory: store.is_none_or(|store| match store.url.get() {
                Some(url) => url.value == "memory" && !url.is_resolved() && !url.unset,
                None => store.url.is_absent(),
            }),
        };
        let rules = named.iter().map(|named| NamedRule {
            name: &named.name,
            rule: rule(&named.name.value, &named.limit, store, problems).map(Arc::new),
            used: Cell::new(false),
        });
        Self { named: rules.collect(), store, made: RefCell::default() }
    }

    /// The rules of one route. An inline one is called as the route is, with a number behind where that name is taken.
    pub(super) fn of_route(&self, route: &str, uses: &[Use], problems: &mut Problems) -> Vec<At<Arc<Rule>>> {
        let mut rules: Vec<At<Arc<Rule>>> = Vec::new();
        for each in uses {
            let short;
            let (rule, span) = match each {
                Use::Inline(limit) => (self.inline(route, limit, problems), &limit.span),
                Use::Short(text) if is_rate(text) => {
                    short = Limit::short(text.clone());
                    (self.inline(route, &short, problems), &text.span)
                }
                Use::Short(text) => (self.named(text, problems), &text.span),
            };
            let Some(rule) = rule else { continue };
            if rules.iter().any(|other| other.value.id() == rule.id()) {
                problems.note(Problem::error(span, format!("the limit `{}` is named twice", rule.name())));
                continue;
            }
            rules.push(At::new(rule, span.clone()));
        }
        rules
    }

    fn named(&self, text: &Text, problems: &mut Problems) -> Option<Arc<Rule>> {
        let names = || self.named.iter().map(|named| &*named.name.value);
        let Some(named) = self.named.iter().find(|named| named.name.value == text.value) else {
            if !text.unset {
                let problem = Problem::error(&text.span, format!("there is no limit `{}`", text.shown()));
                problems.note(
                    problem
                        .accepted("a rate such as \"100/min\", or the name of a [limits.NAME] table")
                        .maybe_hint(did_you_mean(&text.written, names())),
                );
            }
            return None;
        };
        named.used.set(true);
        named.rule.clone()
    }

    fn inline(&self, route: &str, limit: &Limit, problems: &mut Problems) -> Option<Arc<Rule>> {
        let mut made = self.made.borrow_mut();
        let taken = |name: &str| made.contains(name) || self.named.iter().any(|named| named.name.value == name);
        let name = super::names::free(route, taken);
        made.insert(name.clone());
        rule(&name, limit, self.store, problems).map(Arc::new)
    }

    /// Warns of limits that no route names.
    pub(super) fn note_unused(&self, problems: &mut Problems) {
        for named in self.named.iter().filter(|named| !named.used.get()) {
            let warning = Problem::warning(&named.name.span, format!("no route has the limit `{}`", named.name.value));
            problems.note(warning.hint(format!("add it to a route: `limits = [\"{}\"]`", named.name.value)));
        }
    }
}

/// Names have no slash.
fn is_rate(text: &Text) -> bool {
    text.value.contains('/') || text.value.starts_with(|char: char| char.is_ascii_digit()) && text.value.contains(' ')
}

/// What is written, or else `default`.
fn on_failure(written: &Given<At<&'static str>>, default: OnFailure) -> OnFailure {
    let known = |name: &str| OnFailure::ALL.into_iter().find(|known| known.name() == name);
    written.get().and_then(|at| known(at.value)).unwrap_or(default)
}

fn rule(name: &str, limit: &Limit, store: OfStore, problems: &mut Problems) -> Option<Rule> {
    if limit.rate.is_absent() {
        let problem = Problem::error(&limit.span, "a limit needs a `rate`");
        problems.note(problem.accepted("`rate = \"100/min\"`"));
    }
    let key = limit.key.get().map(|sources| limit_keys::key(sources, problems));
    let mut rule =
        Rule::new(name, rate(limit.rate.get()?, problems)?).on_failure(on_failure(&limit.on_failure, store.on_failure));
    if let Some(key) = key {
        rule = rule.keyed_by(key?);
    }
    if let Some(burst) = limit.burst.get() {
        rule = rule.burst(burst.value);
    }
    if let Some(cost) = limit.cost.get() {
        rule = rule.costing(cost.value);
    }
    if let Some(share) = limit.max_overshoot.get() {
        rule = rule.max_overshoot(share.value);
    }
    if let Some(written) = limit.algorithm.get() {
        rule = rule.algorithm(Algorithm::ALL.into_iter().find(|known| known.name() == written.value)?);
    }
    if limit.mode.get().is_some_and(|mode| mode.value == Mode::Shadow.name()) {
        rule = rule.mode(Mode::Shadow);
    }
    if let Some(why) = rule.problem() {
        problems.note(Problem::error(place(limit, &rule), format!("this limit cannot work: {why}")));
        return None;
    }
    note_overshoot(limit, &rule, store, problems);
    Some(rule)
}

/// Warns of an overshoot that changes nothing.
fn note_overshoot(limit: &Limit, rule: &Rule, store: OfStore, problems: &mut Problems) {
    let Some(share) = limit.max_overshoot.get().filter(|share| share.value > 0.0) else { return };
    if store.is_memory {
        let warning = Problem::warning(&share.span, "`max_overshoot` says nothing of limits in memory");
        problems.note(warning.label("every decision is exact").hint("set `url` in [store], or leave it away"));
        return;
    }
    // Of its part of the overshoot a gateway holds half ahead and may owe the other half; each has to pay for a request.
    let least = u64::from(rule.cost().get()) * 2 * FEWEST_GATEWAYS;
    if u64::from(rule.overshoot()) < least {
        let (limit, more) = (rule.quota().limit(), rule.overshoot());
        let title = format!(
            "an overshoot of {more} is too little for {FEWEST_GATEWAYS} gateways: every decision is made in Redis"
        );
        let warning = Problem::warning(&share.span, title).label(format!("of {limit}"));
        problems.note(
            warning.hint(format!("from {least} on each can decide ahead; with more gateways it takes as much more")),
        );
    }
}

/// The key that is most likely at fault.
fn place<'l>(limit: &'l Limit, rule: &Rule) -> &'l Span {
    let (burst, cost) = (limit.burst.get().map(|at| &at.span), limit.cost.get().map(|at| &at.span));
    let quota = rule.quota();
    match quota.algorithm {
        Algorithm::SlidingLog if quota.count.get() > MAX_LOG => limit.rate.get().map(|rate| &rate.span),
        Algorithm::TokenBucket => cost.or(burst),
        _ => burst.or(cost),
    }
    .unwrap_or(&limit.span)
}

/// A rate.
pub(super) fn rate(text: &Text, problems: &mut Problems) -> Option<Rate> {
    match text.value.parse() {
        Ok(rate) => Some(rate),
        Err(_) if text.unset => "100/min".parse().ok(),
        Err(_) => {
            let problem = Problem::error(&text.span, format!("`{}` is not a rate", text.shown()));
            problems.note(
                problem
                    .accepted("COUNT/PERIOD, such as \"100/s\", \"100/min\", \"1000/h\", \"5000/day\" or \"100/90s\""),
            );
            None
        }
    }
}
