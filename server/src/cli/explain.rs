//! `portcullis explain`: the first steps of the pipeline, called as a request calls them, with a recorder beside them.
//!
//! It reads the configuration and the request, asks nobody and counts nothing: limits are asked of a fresh store, so what it
//! prints are keys, costs and rules, not live counters.

mod args;
mod cache;
mod explanation;
mod guards;
mod secrets;
mod target;
mod text;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use portcullis_core::admit::{self, Admitted, Head, Refused, Routed, Services};
use portcullis_core::auth::{Challenge, Identity, Scheme};
use portcullis_core::headers::{Arrival, Proto, Survey, Via};
use portcullis_core::limit::Rule;
use portcullis_core::plan::{Access, Plan};
use portcullis_core::rejection::Rejection;
use portcullis_core::route::Standing;
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::Clock;

pub(super) use args::Args;
use args::Peer;
use explanation::{
    Answer, Asked, Candidate, Client, Condition, Counted, Explanation, Field, Jwt, Known, Removed, Taking, Verifier,
};
use secrets::Secrets;

use super::{FAILED, WRONG, file_or_lesson, load, print, say};
use crate::config::{Config, LoadOptions, summary};
use crate::inbound;

pub(super) fn explain(args: &Args) -> ExitCode {
    let config = file_or_lesson(args.config.as_ref())
        .and_then(|file| load(&file, LoadOptions { unset_ok: true, ..LoadOptions::default() }));
    let config = match config {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::from(WRONG);
        }
    };
    let mut found = Explanation { request: asked(args), ..Explanation::default() };
    match runtime.block_on(walk(args, &config, &mut found)) {
        Ok(()) => found.admitted = true,
        Err(rejection) => found.answer = Some(refusal(&rejection)),
    }
    if args.json {
        match serde_json::to_string_pretty(&found) {
            Ok(document) => print(&document),
            Err(error) => say(&format!("error: {error}")),
        }
    } else {
        text::lines(&found).iter().for_each(|line| print(line));
    }
    if found.admitted { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// The request as it was given. Its query and its user information may hold a token, and what we print may be kept.
fn asked(args: &Args) -> Asked {
    let host = args.url.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let scheme = args.url.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let query = if args.url.query().is_some() { "?…" } else { "" };
    Asked {
        method: args.method.to_string(),
        url: format!("{scheme}{}{}{query}", host.unwrap_or_default(), args.url.path()),
        peer: args.client.to_string(),
    }
}

/// Fills in what each step finds, in their order.
async fn walk(args: &Args, config: &Config, found: &mut Explanation) -> Result<(), Rejection> {
    let plan = &config.plan;
    let mut parts = arrived(args, plan, found);
    let arrival = plan.trusted.arrival(args.client.0, Proto::Http, &parts.headers);
    found.client = client(args.client, arrival, plan, &parts.headers);
    let via = Via::new("portcullis-explain").map_err(|_| Rejection::Internal)?;
    let screened = inbound::screen(&mut parts, &plan.identity_headers, (&via, Proto::Http), 0, &mut None)?;
    if screened.is_for_us {
        found.target = Some(explanation::Target::Respond);
        found.answer = Some(answer(StatusCode::NO_CONTENT));
        return Ok(());
    }
    let head = Head {
        client: arrival.client,
        headers: &parts.headers,
        method: &parts.method,
        uri: &parts.uri,
        version: parts.version,
    };
    let routed = admit::route(plan, head);
    if let Ok(path) = portcullis_core::route::canonicalise(args.url.path()) {
        found.candidates = candidates(args, plan, &parts.headers, path.as_str());
        found.path = Some(path.to_string());
    }
    let routed = routed?;
    let route = routed.route();
    found.route = Some(Taking { name: route.name.to_string(), pattern: route.pattern.to_string() });
    found.auth = Some(access(config, &routed));

    let clock = Clock::system();
    let store = crate::parts::memory_store(&clock);
    let services = Services { clock: &clock, local: None, store: &store, subjects: &SubjectKey::random() };
    let admitted = routed.admit(services).await.map_err(|refused| {
        found.require = refused_by(&refused, &routed);
        refused.rejection
    })?;
    found.require = require(&routed, admitted.identity.as_deref());
    identity(&admitted, found);
    let secrets = Secrets::of(plan, &parts.uri, &parts.headers);
    found.limits = Some(limits(&routed, &admitted, &secrets));
    found.cache = cache::of(&parts, &routed, &admitted, &secrets);
    found.hides = admitted.hidden(plan).map(ToString::to_string).collect();
    target::fill(config, &routed, &admitted, &secrets, found)?;
    target::note_upgrade(&admitted, screened.upgrade.as_deref(), &args.method, found);
    Ok(())
}

/// The request as it would arrive: with a Host, if it names none itself.
fn arrived(args: &Args, plan: &Plan, found: &mut Explanation) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = args.method.clone();
    parts.uri = args.url.clone();
    for (name, value) in &args.headers {
        if plan.identity_headers.contains(name) {
            let why = "only the gateway says who a request is from";
            found.removed.push(Removed { name: name.to_string(), why });
        }
        let _ = parts.headers.try_append(name.clone(), value.clone());
    }
    if !parts.headers.contains_key(HOST) && parts.uri.authority().is_none() {
        let _ = parts.headers.try_insert(HOST, HeaderValue::from_static("localhost"));
    }
    parts
}

/// Whom the request is from, with a word on it where a proxy speaks for somebody, or a field is not believed.
fn client(peer: Peer, arrival: Arrival, plan: &Plan, fields: &HeaderMap) -> Client {
    let told = Survey::of(fields).forwarding;
    let address = arrival.client.map(|address| address.to_string());
    let peer = Peer(peer.0.map(|address| address.to_canonical()));
    let why = if plan.trusted.trust(peer.0) {
        let (family, proto) = (plan.trusted.family().as_str(), arrival.proto.as_str());
        Some(format!("over {proto}: {peer} is a trusted proxy, believed by its {family}"))
    } else if told {
        Some("not one of server.trusted_proxies, so what it says of forwarding is removed".to_owned())
    } else {
        peer.0.is_none().then(|| "over a unix socket: all of them count as one".to_owned())
    };
    Client { address, why }
}

/// Every route in the file's order, with the reason that it won or lost.
fn candidates(args: &Args, plan: &Plan, headers: &HeaderMap, path: &str) -> Vec<Candidate> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = args.url.authority().map_or(named, |authority| authority.as_str());
    let host = portcullis_core::route::canonical_host(authority).unwrap_or_default();
    let standings = plan.table.explain(&host, path, &args.method).into_iter();
    let named = standings.filter_map(|(index, standing)| Some((plan.routes.get(index.as_usize())?, standing)));
    named
        .map(|(route, standing)| Candidate {
            route: route.name.to_string(),
            matches: !matches!(standing, Standing::HostDiffers { .. } | Standing::PathDiffers { .. }),
            takes_it: standing == Standing::Won,
            why: standing.to_string(),
        })
        .collect()
}

fn access(config: &Config, routed: &Routed<'_, '_>) -> explanation::Access {
    let Access::Verified(verifiers) = &routed.route().access else {
        return explanation::Access { public: true, verifiers: Vec::new() };
    };
    let known =
        verifiers.iter().filter_map(|index| Some((config.plan.auths.get(index.0)?, config.verifiers.get(index.0)?)));
    let verifiers = known.map(|(auth, settings)| Verifier {
        name: auth.name.to_string(),
        token: auth.token.iter().map(ToString::to_string).collect(),
        jwt: settings.jwt().map(|jwt| Jwt {
            algorithms: jwt.algorithms.iter().map(|algorithm| algorithm.as_str()).collect(),
            issuer: jwt.issuer.clone(),
            keys: jwt.keys.to_string(),
        }),
    });
    explanation::Access { public: false, verifiers: verifiers.collect() }
}

/// What the route requires, and whether it holds.
fn require(routed: &Routed<'_, '_>, identity: Option<&Identity>) -> Option<Condition> {
    let require = routed.route().require.as_ref()?;
    let (value, error) = match require.holds(&routed.facts(identity)) {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Some(Condition { expression: require.source().to_owned(), value, error })
}

/// The same for a request that was refused for it, and not before.
fn refused_by(refused: &Refused, routed: &Routed<'_, '_>) -> Option<Condition> {
    let reached = !matches!(refused.rejection.status(), StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE);
    if reached { require(routed, refused.identity.as_deref()) } else { None }
}

fn identity(admitted: &Admitted<'_>, found: &mut Explanation) {
    found.identity = admitted
        .identity
        .as_deref()
        .map(|identity| Known { id: identity.id().to_owned(), verifier: identity.verifier().to_owned() });
    for (name, value) in admitted.claims.iter().flatten() {
        let value = value.to_str().unwrap_or("(not text)").to_owned();
        found.sets.push(Field { name: name.to_string(), value });
    }
}

fn limits(routed: &Routed<'_, '_>, admitted: &Admitted<'_>, secrets: &Secrets) -> Vec<Counted> {
    let facts = routed.facts(admitted.identity.as_deref());
    let counted = |rule: &Arc<Rule>| {
        let key = rule.key().chosen(&facts);
        let value = match &*key {
            "client" => facts.client.map(network),
            _ => rule.key().text(&facts).map(Cow::into_owned),
        };
        let hidden = secrets.is_place(&key);
        Counted {
            name: rule.name().to_owned(),
            counting: summary::counting(rule),
            cost: rule.cost().get(),
            key,
            value: value.filter(|_| !hidden).map(|value| secrets.covered(value)),
            hidden,
            worst_case: summary::worst_case(rule),
        }
    };
    admitted.route.limits.rules.iter().map(counted).collect()
}

/// A client as limits count it: an IPv6 address by its /64.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// An answer that is no refusal.
fn answer(status: StatusCode) -> Answer {
    Answer { status: status.as_u16(), code: None, why: None }
}

fn refusal(rejection: &Rejection) -> Answer {
    let why = match rejection {
        Rejection::BadRequest(how) => Some((*how).to_owned()),
        Rejection::InvalidToken { reason, .. } => Some((*reason).to_owned()),
        Rejection::MethodNotAllowed { allow } => Some(format!("allowed are {}", allow.to_str().unwrap_or_default())),
        Rejection::MissingToken { challenge } => {
            let only_keys = *challenge == Challenge::default().asking(Scheme::ApiKey);
            let command = if only_keys { "key" } else { "token" };
            Some(format!("send one as said above; `portcullis {command}` makes one"))
        }
        _ => None,
    };
    Answer { status: rejection.status().as_u16(), code: Some(rejection.code()), why }
}
