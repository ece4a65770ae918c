//! What answers a request, and what is done to its fields and those of its answer.

use http::Method;
use http::header::UPGRADE;
use portcullis_core::admit::{Admitted, Routed};
use portcullis_core::headers::{HeaderRules, Upgrade};
use portcullis_core::plan::{Fallback, Retries, RetryOn, Rewrite, Split, Target, Upstream, UpstreamIndex};
use portcullis_core::rejection::Rejection;
use portcullis_core::source::Facts;

use super::explanation::{self, Explanation, Forward, Pool, Removed, Ruled, Share};
use super::secrets::Secrets;
use super::{answer, guards};
use crate::config::{Config, IN_CODE};

pub(super) fn fill(
    config: &Config,
    routed: &Routed<'_, '_>,
    admitted: &Admitted<'_>,
    secrets: &Secrets,
    found: &mut Explanation,
) -> Result<(), Rejection> {
    let facts = routed.facts(admitted.identity.as_deref());
    match &admitted.route.target {
        Target::Redirect(redirect) => {
            let location = redirect.to.render(&facts)?.to_str().unwrap_or("(not text)").to_owned();
            let location = secrets.covered(without_query(location, &facts));
            found.target = Some(explanation::Target::Redirect { location });
            found.answer = Some(answer(redirect.status));
        }
        Target::Respond(respond) => {
            found.target = Some(explanation::Target::Respond);
            found.answer = Some(answer(respond.status));
        }
        Target::Split { rewrite, split } => {
            let chosen = if split.sticks(&facts) { pool(config, split.choose(&facts, 0)) } else { None };
            let (shares, why) = (shares(config, split), why(split, &facts));
            let forward = forward(rewrite, &facts, None, secrets)?;
            found.target = Some(explanation::Target::Split { shares, total: split.total(), why, chosen, forward });
        }
        Target::Upstream { upstream, rewrite } => {
            let pool = pool(config, *upstream).ok_or(Rejection::Internal)?;
            let retries = config.plan.upstreams.get(upstream.0).map(|upstream| retries(upstream, facts.method));
            let forward = forward(rewrite, &facts, retries, secrets)?;
            found.target = Some(explanation::Target::Upstream { pool, forward });
        }
        // The enum is not exhaustive for us: what core adds is explained here, or not at all.
        _ => {}
    }
    found.fields.extend(rules("request", &admitted.route.request, &facts, secrets));
    found.fields.extend(rules("answer", &admitted.route.response, &facts, secrets));
    Ok(())
}

fn shares(config: &Config, split: &Split) -> Vec<Share> {
    let share = |share: &portcullis_core::plan::Share| Share {
        upstream: config.plan.upstream_name(share.upstream).to_owned(),
        weight: share.weight,
    };
    split.shares().iter().map(share).collect()
}

/// What the choice of this request sticks to.
fn why(split: &Split, facts: &Facts<'_>) -> String {
    match split.by() {
        Some(by) if split.sticks(facts) => format!("sticks to {}", by.chosen(facts)),
        Some(by) => format!("by chance: {by} is not there"),
        None => "by chance".to_owned(),
    }
}

fn pool(config: &Config, upstream: UpstreamIndex) -> Option<Pool> {
    let upstream = config.plan.upstreams.get(upstream.0)?;
    Some(Pool {
        name: upstream.name.to_string(),
        servers: match &*upstream.servers {
            [] => vec![IN_CODE.to_owned()],
            servers => servers.iter().map(|server| server.url.to_string()).collect(),
        },
        balance: upstream.balance.name.to_string(),
        fallback: upstream.fallback.as_ref().map(|fallback| match fallback {
            Fallback::Respond(answer) => format!("a fixed answer, {}", answer.status.as_u16()),
            Fallback::Upstream(another) => config.plan.upstream_name(*another).to_owned(),
            _ => "something else".to_owned(),
        }),
        guards: guards::of(upstream),
    })
}

/// The query of the request is the client's, and may hold what nobody should read.
fn without_query(location: String, facts: &Facts<'_>) -> String {
    let own = facts.query.filter(|query| !query.is_empty()).and_then(|query| location.strip_suffix(query));
    own.filter(|rest| rest.ends_with('?')).map(|rest| format!("{rest}…")).unwrap_or(location)
}

fn forward(
    rewrite: &Rewrite,
    facts: &Facts<'_>,
    retries: Option<String>,
    secrets: &Secrets,
) -> Result<Forward, Rejection> {
    let target = rewrite.apply(facts)?;
    let query = target.query.filter(|query| !query.is_empty() && Some(&**query) != facts.query);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let path = secrets.covered(format!("{}{query}", target.path));
    Ok(Forward { method: facts.method.to_string(), path, retries, upgrade: None })
}

/// How often a request with this method may be sent again, and after what.
fn retries(upstream: &Upstream, method: &Method) -> String {
    let Retries { attempts, on, .. } = &upstream.retries;
    let words = [(on.connect, RetryOn::CONNECT), (on.reset, RetryOn::RESET)];
    let words = words.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word.to_owned());
    let after: Vec<_> = words.chain(on.statuses.iter().map(|status| status.as_str().to_owned())).collect();
    if *attempts == 0 || after.is_empty() || upstream.servers.is_empty() {
        return "none".to_owned();
    }
    if !method.is_idempotent() {
        let unless = if on.connect { " once it was sent" } else { "" };
        return format!("none{unless}: {method} is not idempotent");
    }
    format!("up to {attempts}, after {}", after.join(", "))
}

/// What becomes of the `Upgrade` of a request.
pub(super) fn note_upgrade(admitted: &Admitted<'_>, asked: Option<&Upgrade>, method: &Method, found: &mut Explanation) {
    let Some(asked) = asked else { return };
    let (forward, servers) = match &mut found.target {
        Some(explanation::Target::Upstream { pool, forward }) => (forward, Some(&pool.servers)),
        Some(explanation::Target::Split { chosen, forward, .. }) => {
            (forward, chosen.as_ref().map(|pool| &pool.servers))
        }
        _ => return,
    };
    let in_code = servers.is_some_and(|servers| servers.iter().any(|server| server == IN_CODE));
    let left = asked.among(&admitted.route.upgrade, method).filter(|_| !in_code);
    match left {
        Some(left) => forward.upgrade = left.value().to_str().ok().map(str::to_owned),
        None => found.removed.push(Removed {
            name: UPGRADE.to_string(),
            why: if in_code { "a service of the program has no connection" } else { "its route allows none of it" },
        }),
    }
}

/// What the route does to the fields of its requests or answers.
fn rules(of: &'static str, rules: &HeaderRules, facts: &Facts<'_>, secrets: &Secrets) -> Vec<Ruled> {
    let removed = rules.removed().iter().map(|name| Ruled { of, verb: "removes", name: name.to_string(), value: None });
    let mut all: Vec<Ruled> = removed.collect();
    for (verb, rules) in [("sets", rules.set()), ("adds", rules.added())] {
        for rule in rules {
            let value = rule.value.render(facts);
            let value = match value.as_ref().and_then(|value| value.to_str().ok()) {
                Some(_) if !rule.is_shown => "(from outside the file)",
                Some(value) => value,
                None => "(not sent: a value is absent or not visible ASCII)",
            };
            all.push(Ruled { of, verb, name: rule.name.to_string(), value: Some(secrets.covered(value.to_owned())) });
        }
    }
    all
}
