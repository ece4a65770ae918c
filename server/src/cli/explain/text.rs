//! An explanation as lines for people: a word of what it is about, and what there is to say.

use http::StatusCode;

use super::explanation::{
    Answer, Cache, Condition, Counted, Explanation, Forward, KeyPart, Pool, Ruled, Target, Verifier,
};
use super::secrets::COVERED;
use crate::config::IN_CODE;

/// The lines, in the order of the steps.
pub(super) fn lines(explanation: &Explanation) -> Vec<String> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let asked = &explanation.request;
    rows.push(("request", format!("{} {}", asked.method, asked.url)));
    if let Some(why) = &explanation.client.why {
        let address = explanation.client.address.as_deref().unwrap_or("without an address");
        let join = if why.starts_with("over ") { ", " } else { ": " };
        rows.push(("client", format!("{address}{join}{why}")));
    }
    rows.extend(
        explanation.removed.iter().map(|field| ("header", format!("{} is removed: {}", field.name, field.why))),
    );
    rows.extend(explanation.path.iter().map(|path| ("path", format!("{path} (canonical)"))));
    rows.extend(candidates(explanation).into_iter().map(|text| ("candidate", text)));
    rows.extend(explanation.route.iter().map(|route| ("route", format!("{} ({})", route.name, route.pattern))));
    rows.extend(access(explanation).into_iter().map(|text| ("auth", text)));
    rows.extend(tokens(explanation).into_iter().map(|text| ("tokens", text)));
    rows.extend(explanation.identity.iter().map(|who| ("identity", format!("{} (by {})", who.id, who.verifier))));
    rows.extend(explanation.sets.iter().map(|field| ("sets", format!("{}: {}", field.name, field.value))));
    rows.extend(explanation.require.iter().map(|require| ("require", condition(require))));
    rows.extend(limits(explanation.limits.as_deref()).into_iter().map(|text| ("limit", text)));
    rows.extend(explanation.cache.iter().flat_map(cache).map(|text| ("cache", text)));
    rows.extend(target(explanation.target.as_ref()));
    rows.extend(explanation.hides.iter().map(|place| ("hides", place.clone())));
    rows.extend(explanation.fields.iter().map(|ruled| ("fields", field(ruled))));
    rows.extend(explanation.answer.iter().map(|given| ("answer", answer(given))));
    rows.into_iter().map(|(about, text)| format!("{about:>10}  {text}")).collect()
}

fn condition(condition: &Condition) -> String {
    let value = match (condition.value, &condition.error) {
        (Some(value), _) => value.to_string(),
        (None, error) => format!("an error, so refused: {}", error.as_deref().unwrap_or_default()),
    };
    // An expression may be written over several lines.
    let words: Vec<_> = condition.expression.split_whitespace().collect();
    format!("{} = {value}", words.join(" "))
}

fn target(target: Option<&Target>) -> Vec<(&'static str, String)> {
    let pool = |pool: &Pool| {
        let balance = match &*pool.servers {
            // A service of the program: nothing is chosen from.
            [only] if only == IN_CODE => String::new(),
            _ => format!(" ({})", pool.balance),
        };
        let fallback = pool.fallback.as_ref().map(|fallback| format!("; if it fails: {fallback}")).unwrap_or_default();
        let servers = format!("{}: {}{balance}{fallback}", pool.name, pool.servers.join(", "));
        [("upstream", servers)].into_iter().chain(pool.guards.clone().into_iter().map(|guard| ("guard", guard)))
    };
    let forwards = |forward: &Forward| {
        let retries = forward.retries.clone().map(|retries| ("retries", retries));
        let upgrade = forward.upgrade.iter().map(|to| ("upgrade", format!("{to}, once the upstream answers 101")));
        let asked = ("forwards", format!("{} {}", forward.method, forward.path));
        [asked].into_iter().chain(retries).chain(upgrade).collect::<Vec<_>>()
    };
    match target {
        None | Some(Target::Respond) => Vec::new(),
        Some(Target::Redirect { location }) => vec![("location", location.clone())],
        Some(Target::Split { shares, total, why, chosen, forward }) => {
            let shares =
                shares.iter().map(|share| ("split", format!("{}: {} of {total}", share.upstream, share.weight)));
            let chosen = chosen.iter().flat_map(pool);
            shares.chain([("split", why.clone())]).chain(chosen).chain(forwards(forward)).collect()
        }
        Some(Target::Upstream { pool: upstream, forward }) => pool(upstream).chain(forwards(forward)).collect(),
    }
}

fn cache(cache: &Cache) -> Vec<String> {
    if let Some(why) = &cache.why {
        return vec![format!("goes past it: {why}")];
    }
    let part = |part: &KeyPart| {
        let missing = if part.hidden { COVERED } else { "(absent)" };
        format!("{} = {}", part.name, part.value.as_deref().unwrap_or(missing))
    };
    let key = cache.key.iter().map(part).collect::<Vec<_>>().join(", ");
    [format!("looked up by {key}")].into_iter().chain(cache.keeps.iter().map(|text| format!("keeps {text}"))).collect()
}

fn field(ruled: &Ruled) -> String {
    let Ruled { of, verb, name, value } = ruled;
    let value = value.as_ref().map(|value| format!(": {value}")).unwrap_or_default();
    format!("of the {of}: {verb} {name}{value}")
}

/// The routes in one column, and why in the next. Of a long file only those that match, and how many others there are.
fn candidates(explanation: &Explanation) -> Vec<String> {
    const MOST: usize = 20;
    /// A longer name pushes its own reason to the right, not everybody's.
    const WIDEST: usize = 32;
    let all = &explanation.candidates;
    let shown: Vec<_> = all.iter().filter(|candidate| all.len() <= MOST || candidate.matches).collect();
    let widths = shown.iter().map(|candidate| candidate.route.len());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or_default();
    let mut lines: Vec<_> =
        shown.iter().map(|candidate| format!("{:<width$}  {}", candidate.route, candidate.why)).collect();
    if shown.len() < all.len() {
        lines.push(format!("{:<width$}  {} more, whose host or path differs", "…", all.len() - shown.len()));
    }
    lines
}

fn access(explanation: &Explanation) -> Vec<String> {
    match &explanation.auth {
        None => Vec::new(),
        Some(access) if access.public => vec!["none: the route is public".to_owned()],
        Some(access) => access.verifiers.iter().map(verifier).collect(),
    }
}

fn verifier(verifier: &Verifier) -> String {
    format!("a token that `{}` accepts, in {}", verifier.name, verifier.token.join(", "))
}

/// What a token must be, for each verifier that checks signatures.
fn tokens(explanation: &Explanation) -> Vec<String> {
    let verifiers = explanation.auth.iter().flat_map(|access| &access.verifiers);
    let jwts = verifiers.filter_map(|verifier| verifier.jwt.as_ref());
    jwts.map(|jwt| {
        let issuer = jwt.issuer.as_deref().unwrap_or("any issuer");
        format!("{} from {issuer}, under {}", jwt.algorithms.join(", "), jwt.keys)
    })
    .collect()
}

fn limits(limits: Option<&[Counted]>) -> Vec<String> {
    match limits {
        None => Vec::new(),
        Some([]) => vec!["none".to_owned()],
        Some(limits) => limits.iter().map(limit).collect(),
    }
}

fn limit(counted: &Counted) -> String {
    let Counted { name, counting, cost, key, worst_case, .. } = counted;
    let missing = if counted.hidden { COVERED } else { "(no address)" };
    let value = counted.value.as_deref().unwrap_or(missing);
    format!("{name}: {counting}; costs {cost}, counted by {key} = {value}; {worst_case}")
}

fn answer(answer: &Answer) -> String {
    let status = StatusCode::from_u16(answer.status).map_or_else(|_| answer.status.to_string(), |s| s.to_string());
    match (answer.code, &answer.why) {
        (None, _) => format!("{status}, by the gateway itself"),
        (Some(code), None) => format!("{status} ({code})"),
        (Some(code), Some(why)) => format!("{status} ({code}): {why}"),
    }
}
