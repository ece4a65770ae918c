//! `portcullis explain`: the first steps of the pipeline, called as a request calls them, with a recorder beside them.
//!
//! It reads the configuration and the request, asks nobody and counts nothing: limits are asked of a fresh store, so what it
//! prints are keys, costs and rules, not live counters.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use portcullis_core::admit::{self, Admitted, Head, Routed, Services};
use portcullis_core::auth::{Challenge, Scheme};
use portcullis_core::headers::{Arrival, HeaderRules, Proto, Survey, Via};
use portcullis_core::limit::Rule;
use portcullis_core::plan::{Access, Plan, Rewrite, Split, Target, UpstreamIndex};
use portcullis_core::rejection::Rejection;
use portcullis_core::source::Facts;
use portcullis_core::subject::SubjectKey;
use portcullis_core::time::Clock;

use super::{FAILED, WRONG, file_or_lesson, load, print, say};
use crate::config::{Config, LoadOptions, summary};
use crate::inbound;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The method
    #[arg(value_parser = method)]
    method: Method,
    /// A path, or a URL whose host counts too: /orders/7, http://shop.test/orders/7
    #[arg(value_parser = url)]
    url: Uri,
    /// A header field of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Who connects: an address, or "unix"; who is a trusted proxy is believed as to whom it speaks for
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = peer)]
    client: Peer,
    /// The configuration; ./portcullis.toml where left out
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Methods are case-sensitive, but nobody means `get` when they write it.
fn method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"].contains(&&*upper);
    let text = if known { &upper } else { text };
    text.parse().map_err(|_| format!("`{text}` is not a method, like GET"))
}

/// Who connects; without an address over a unix socket.
#[derive(Clone, Copy, Debug)]
struct Peer(Option<IpAddr>);

fn peer(text: &str) -> Result<Peer, String> {
    if text == "unix" {
        return Ok(Peer(None));
    }
    text.parse().map(|address| Peer(Some(address))).map_err(|_| "write an IP address, or unix".to_owned())
}

fn url(text: &str) -> Result<Uri, String> {
    let hint = || format!("write a path, /orders/7, or a whole URL: http://{}", text.trim_start_matches('/'));
    let uri: Uri = text.parse().map_err(|_| hint())?;
    if uri.path().starts_with('/') || text == "*" { Ok(uri) } else { Err(hint()) }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"name: value\"")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a header name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "the value has characters that no header can have".to_owned())?;
    Ok((name, value))
}

pub(super) fn explain(args: &Args) -> ExitCode {
    let config = file_or_lesson(args.config.as_ref()).and_then(|file| load(&file, LoadOptions { unset_ok: true }));
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
    match runtime.block_on(tell(args, &config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(rejection) => {
            row("answer", &refusal(&rejection));
            ExitCode::from(FAILED)
        }
    }
}

/// Prints what each step finds, in their order.
async fn tell(args: &Args, config: &Config) -> Result<(), Rejection> {
    let plan = &config.plan;
    row("request", &format!("{} {}", args.method, args.url));
    let mut parts = arrived(args, plan);
    let arrival = plan.trusted.arrival(args.client.0, Proto::Http, &parts.headers);
    say_client(args.client, arrival, plan, &parts.headers);
    let via = Via::new("portcullis-explain").map_err(|_| Rejection::Internal)?;
    if inbound::screen(&mut parts, &plan.identity_headers, &via, 0, &mut None)?.is_for_us {
        row("answer", "204 No Content, by the gateway itself");
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
        row("path", &format!("{path} (canonical)"));
        candidates(args, plan, &parts.headers, path.as_str());
    }
    let routed = routed?;
    row("route", &format!("{} ({})", routed.route().name, routed.route().pattern));

    let clock = Clock::system();
    let store = crate::parts::memory_store(&clock);
    let services = Services { clock: &clock, store: &store, subjects: &SubjectKey::random() };
    say_access(plan, &routed);
    say_tokens(config, &routed);
    let admitted = routed.admit(services).await.map_err(|refused| refused.rejection)?;
    say_admission(&routed, &admitted)?;
    say_target(config, &routed, &admitted)
}

/// The request as it would arrive: with a Host, if it names none itself.
fn arrived(args: &Args, plan: &Plan) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = args.method.clone();
    parts.uri = args.url.clone();
    for (name, value) in &args.headers {
        if plan.identity_headers.contains(name) {
            row("header", &format!("{name} is removed: only the gateway says who a request is from"));
        }
        let _ = parts.headers.try_append(name.clone(), value.clone());
    }
    if !parts.headers.contains_key(HOST) && parts.uri.authority().is_none() {
        let _ = parts.headers.try_insert(HOST, HeaderValue::from_static("localhost"));
    }
    parts
}

/// Whom the request is from, where that is worth a line: a proxy speaks for somebody, or a field is not believed.
fn say_client(peer: Peer, arrival: Arrival, plan: &Plan, fields: &HeaderMap) {
    let told = Survey::of(fields).forwarding;
    let name = |address: Option<IpAddr>| address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
    let (peer, client) = (peer.0.map(|address| address.to_canonical()), name(arrival.client));
    if plan.trusted.trust(peer) {
        let (family, proto) = (plan.trusted.family().as_str(), arrival.proto.as_str());
        row("client", &format!("{client}, over {proto}: {} is a trusted proxy, believed by its {family}", name(peer)));
    } else if told {
        row(
            "client",
            &format!("{client}: not one of server.trusted_proxies, so what it says of forwarding is removed"),
        );
    } else if peer.is_none() {
        row("client", "without an address, over a unix socket: all of them count as one");
    }
}

/// Every route in the file's order, with the reason that it won or lost.
fn candidates(args: &Args, plan: &Plan, headers: &HeaderMap, path: &str) {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = args.url.authority().map_or(named, |authority| authority.as_str());
    let host = portcullis_core::route::canonical_host(authority).unwrap_or_default();
    for (index, standing) in plan.table.explain(&host, path, &args.method) {
        if let Some(route) = plan.routes.get(index.as_usize()) {
            row("candidate", &format!("{:<24} {standing}", &*route.name));
        }
    }
}

fn say_access(plan: &Plan, routed: &Routed<'_, '_>) {
    match &routed.route().access {
        Access::Public => row("auth", "none: the route is public"),
        Access::Verified(verifiers) => {
            for auth in verifiers.iter().filter_map(|index| plan.auths.get(index.0)) {
                row("auth", &format!("a token that `{}` accepts, in {}", auth.name, auth.token));
            }
        }
    }
}

/// What a token must be, for each verifier of the route that checks signatures.
fn say_tokens(config: &Config, routed: &Routed<'_, '_>) {
    let Access::Verified(verifiers) = &routed.route().access else { return };
    for jwt in verifiers.iter().filter_map(|index| config.verifiers.get(index.0)?.jwt()) {
        let algorithms: Vec<_> = jwt.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let issuer = jwt.issuer.as_deref().unwrap_or("any issuer");
        row("tokens", &format!("{} from {issuer}, under {}", algorithms.join(", "), jwt.keys));
    }
}

fn say_admission(routed: &Routed<'_, '_>, admitted: &Admitted<'_>) -> Result<(), Rejection> {
    if let Some(identity) = admitted.identity.as_deref() {
        row("identity", &format!("{} (by {})", identity.id(), identity.verifier()));
    }
    for (name, value) in admitted.claims.iter().flatten() {
        row("sets", &format!("{name}: {}", value.to_str().unwrap_or("(not text)")));
    }
    let facts = routed.facts(admitted.identity.as_deref());
    for rule in &admitted.route.limits.rules {
        row("limit", &limit(rule, &facts));
    }
    if admitted.route.limits.rules.is_empty() {
        row("limit", "none");
    }
    Ok(())
}

/// A limit: how much, whom this request counts as, and the most that can pass.
fn limit(rule: &Rule, facts: &Facts<'_>) -> String {
    let (name, cost) = (rule.name(), rule.cost());
    let chosen = rule.key().chosen(facts);
    let value = match &*chosen {
        "client" => facts.client.map(client),
        _ => rule.key().text(facts).map(Cow::into_owned),
    };
    let value = value.as_deref().unwrap_or("(no address)");
    let (counting, worst_case) = (summary::counting(rule), summary::worst_case(rule));
    format!("{name}: {counting}; costs {cost}, counted by {chosen} = {value}; {worst_case}")
}

/// A client as limits count it: an IPv6 address by its /64.
fn client(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn say_target(config: &Config, routed: &Routed<'_, '_>, admitted: &Admitted<'_>) -> Result<(), Rejection> {
    let facts = routed.facts(admitted.identity.as_deref());
    match &admitted.route.target {
        Target::Redirect(redirect) => {
            let location = redirect.to.render(&facts)?;
            row("answer", &format!("{}, by the gateway itself", redirect.status));
            row("location", location.to_str().unwrap_or("(not text)"));
        }
        Target::Respond(answer) => row("answer", &format!("{}, by the gateway itself", answer.status)),
        Target::Split { rewrite, split } => {
            say_split(config, split, &facts);
            if split.sticks(&facts) {
                say_upstream(config, split.choose(&facts, 0));
            }
            say_forward(rewrite, &facts)?;
            say_hidden(&config.plan, admitted);
        }
        Target::Upstream { upstream, rewrite } => {
            say_upstream(config, *upstream);
            say_forward(rewrite, &facts)?;
            say_hidden(&config.plan, admitted);
        }
        _ => row("answer", "(not explained yet)"),
    }
    say_rules("of the request", &admitted.route.request, &facts);
    say_rules("of the answer", &admitted.route.response, &facts);
    Ok(())
}

/// Each share, and what the choice of this request sticks to.
fn say_split(config: &Config, split: &Split, facts: &Facts<'_>) {
    for share in split.shares() {
        let name = config.plan.upstream_name(share.upstream);
        row("split", &format!("{name}: {} of {}", share.weight, split.total()));
    }
    match split.by() {
        Some(by) if split.sticks(facts) => row("split", &format!("sticks to {}", by.chosen(facts))),
        Some(by) => row("split", &format!("by chance: {by} is not there")),
        None => row("split", "by chance"),
    }
}

fn say_upstream(config: &Config, upstream: UpstreamIndex) {
    if let Some(upstream) = config.plan.upstreams.get(upstream.0) {
        let servers: Vec<_> = upstream.servers.iter().map(|server| server.url.to_string()).collect();
        row("upstream", &format!("{}: {} ({})", upstream.name, servers.join(", "), upstream.balance.name));
    }
}

fn say_forward(rewrite: &Rewrite, facts: &Facts<'_>) -> Result<(), Rejection> {
    let target = rewrite.apply(facts)?;
    // The query of the request is the client's, and may hold what nobody should read.
    let query = match (&target.query, facts.query) {
        (Some(query), arrived) if !query.is_empty() && Some(&**query) != arrived => format!("?{query}"),
        _ => String::new(),
    };
    row("forwards", &format!("{} {}{query}", facts.method, target.path));
    Ok(())
}

/// What the route does to the fields of its requests or responses.
fn say_rules(whose: &str, rules: &HeaderRules, facts: &Facts<'_>) {
    for name in rules.removed() {
        row("fields", &format!("{whose}: removes {name}"));
    }
    for (verb, rules) in [("sets", rules.set()), ("adds", rules.added())] {
        for rule in rules {
            let value = rule.value.render(facts);
            let value = match value.as_ref().and_then(|value| value.to_str().ok()) {
                Some(_) if !rule.is_shown => "(from outside the file)",
                Some(value) => value,
                None => "(not sent: a value is absent or not visible ASCII)",
            };
            row("fields", &format!("{whose}: {verb} {}: {value}", rule.name));
        }
    }
}

/// What of the request the upstream does not see: where tokens stand.
fn say_hidden(plan: &Plan, admitted: &Admitted<'_>) {
    for source in admitted.hidden(plan) {
        row("hides", &source.to_string());
    }
}

fn refusal(rejection: &Rejection) -> String {
    let mut text = format!("{} ({})", rejection.status(), rejection.code());
    match rejection {
        Rejection::BadRequest(how) => text.push_str(&format!(": {how}")),
        Rejection::InvalidToken { reason, .. } => text.push_str(&format!(": {reason}")),
        Rejection::MethodNotAllowed { allow } => {
            text.push_str(&format!(": allowed are {}", allow.to_str().unwrap_or_default()));
        }
        Rejection::MissingToken { challenge } => {
            let only_keys = *challenge == Challenge::default().asking(Scheme::ApiKey);
            let command = if only_keys { "key" } else { "token" };
            text.push_str(&format!(": send one as said above; `portcullis {command}` makes one"));
        }
        _ => {}
    }
    text
}

fn row(name: &str, text: &str) {
    print(&format!("{name:>10}  {text}"));
}
