//! `[upstreams.*]`. The only file that names pickers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portcullis_core::plan::{Balance, Server, Upstream};
use portcullis_core::source::{self, Source};
use portcullis_core::upstream::{
    Ask, EndpointIndex, EndpointUrl, Hash, LeastRequest, PeakEwma, Random, RoundRobin, Scheme, Snapshot, UpstreamPicker,
};

mod breaker;
mod fallback;
mod retries;
mod roster;

use super::Problems;
use super::target::Upstreams;
use crate::config::IN_CODE;
use crate::config::problem::Problem;
use crate::config::schema::upstreams::{Balance as WrittenBalance, HASH, Server as WrittenServer, Upstream as Written};
use crate::config::span::{At, Given, Text};

/// The servers that are built.
const SERVERS: &str = "\"http://HOST:PORT\" (a port may be left out) or \"unix:/PATH\"";

/// How many requests wait for one of `max_connections`, unless the file says.
const MOST_PENDING: usize = 1024;

/// What "no answer" is for a breaker besides none at all, unless the file says.
const DOWN: [StatusCode; 3] = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

pub(super) fn compile(written: &[Written], known: &Upstreams<'_>, problems: &mut Problems) -> Vec<Upstream> {
    written.iter().filter_map(|upstream| one(upstream, known, problems)).collect()
}

fn one(written: &Written, known: &Upstreams<'_>, problems: &mut Problems) -> Option<Upstream> {
    let time = |given: &Given<At<Duration>>, default| given.get().map_or(default, |at| at.value);
    let balance = balance(&written.balance, problems);
    let breaker = breaker::compile(written.breaker.get(), problems);
    let fallback = fallback::compile(written, known, problems);
    let retries = retries::compile(&written.retries, problems);
    if let (Given::Absent, Given::Value(pending)) = (&written.max_connections, &written.max_pending) {
        let title = "`max_pending` does nothing without `max_connections`: nobody waits";
        problems.note(Problem::error(&pending.span, title).hint("write both: max_connections = 100, max_pending = 50"));
    }
    let roster = roster::compile(written, problems);
    let servers = servers(written, problems);
    let (roster, health) = roster?;
    Some(Upstream {
        balance: balance?,
        breaker: breaker?,
        connect_timeout: time(&written.connect_timeout, Duration::from_secs(1)),
        fallback: fallback?,
        health,
        idle_connections: written.idle_connections.get().map_or(64, |at| at.value as usize),
        max_connections: written.max_connections.get().map(|at| at.value as usize),
        max_pending: written.max_pending.get().map_or(MOST_PENDING, |at| at.value as usize),
        name: written.name.value.as_str().into(),
        retries: retries?,
        roster,
        send_timeout: time(&written.send_timeout, Duration::from_secs(30)),
        servers: servers?,
        timeout: time(&written.timeout, Duration::from_secs(10)),
    })
}

fn balance(written: &Given<WrittenBalance>, problems: &mut Problems) -> Option<Balance> {
    match written {
        Given::Absent => Some(by_name("least-request")),
        Given::Broken => None,
        Given::Value(WrittenBalance::Hash(text)) => by_hash(text, problems),
        Given::Value(WrittenBalance::Word(word)) => Some(by_name(word.value)),
    }
}

/// "hash:SOURCE"; where a request has no such value, it goes by its client.
fn by_hash(text: &Text, problems: &mut Problems) -> Option<Balance> {
    let source = text.value.strip_prefix(HASH).unwrap_or_default();
    let client = || "client".parse::<Source>().ok();
    let source = match source.parse::<Source>() {
        Ok(source) => source,
        Err(_) if text.unset => client()?,
        Err(error) => {
            let title = if text.is_resolved() { "this names no source".to_owned() } else { error.to_string() };
            let problem = Problem::error(&text.span, title).accepted(source::ACCEPTED);
            problems.note(problem.hint("for example \"hash:cookie:session\" or \"hash:identity\""));
            return None;
        }
    };
    let picker = Arc::new(|snapshot: &Snapshot| Arc::new(Hash::new(snapshot)) as Arc<dyn UpstreamPicker>);
    Some(Balance { key: Some(Source::first_of([source, client()?])), name: text.value.as_str().into(), picker })
}

fn by_name(name: &'static str) -> Balance {
    type Make = fn(&Snapshot) -> Arc<dyn UpstreamPicker>;
    let picker: Make = match name {
        IN_CODE => |_| Arc::new(Nobody),
        "peak-ewma" => |_| Arc::new(PeakEwma),
        "random" => |_| Arc::new(Random),
        "round-robin" => |snapshot| Arc::new(RoundRobin::new(snapshot)),
        _ => |_| Arc::new(LeastRequest),
    };
    Balance { key: None, name: name.into(), picker: Arc::new(picker) }
}

/// What stands for a picker that the embedding program brings, until it does: a program that brings none cannot run.
struct Nobody;

impl UpstreamPicker for Nobody {
    fn pick(&self, _: &Snapshot, _: &Ask<'_>) -> Option<EndpointIndex> {
        None
    }
}

fn servers(written: &Written, problems: &mut Problems) -> Option<Box<[Server]>> {
    let list = match &written.servers {
        Given::Broken => return None,
        Given::Absent => {
            let problem = Problem::error(&written.span, format!("[upstreams.{}] needs `servers`", written.name.value));
            problems.note(problem.accepted("`servers = [\"http://127.0.0.1:7001\"]`"));
            return None;
        }
        Given::Value(list) => list,
    };
    if written.in_code {
        return Some(Box::default());
    }
    if list.value.is_empty() {
        let problem = Problem::error(&list.span, format!("the upstream `{}` has no servers", written.name.value));
        problems.note(problem.accepted("`servers = [\"http://127.0.0.1:7001\"]`"));
        return None;
    }
    let mut servers: Vec<(Server, &WrittenServer)> = Vec::new();
    for written in &list.value {
        let Some(url) = url(&written.url, problems) else { continue };
        if let Some((_, first)) = servers.iter().find(|(other, _)| other.url == url && !written.url.unset) {
            let problem =
                Problem::error(&written.url.span, format!("the server `{}` is named twice", written.url.shown()));
            let problem = problem.also(&first.url.span, "the first time");
            problems.note(problem.hint("for a larger share give it a weight: { url = \"…\", weight = 2 }"));
        }
        let weight = written.weight.get().and_then(|weight| NonZeroU32::new(weight.value)).unwrap_or(NonZeroU32::MIN);
        servers.push((Server { url, weight }, written));
    }
    (servers.len() == list.value.len()).then(|| servers.into_iter().map(|(server, _)| server).collect())
}

fn url(text: &Text, problems: &mut Problems) -> Option<EndpointUrl> {
    let parsed = text.value.parse::<EndpointUrl>();
    let parsed = if text.unset { parsed.or_else(|_| "http://unset.invalid:80".parse()) } else { parsed };
    match parsed {
        Ok(url) if matches!(url.scheme(), Scheme::Http | Scheme::Unix) => Some(url),
        Ok(url) => {
            let title = format!("servers that speak `{}` are not built yet", url.scheme());
            problems.note(Problem::error(&text.span, title).accepted(SERVERS));
            None
        }
        Err(error) => {
            // The URL itself is not repeated: it may hold a password.
            let problem = Problem::error(&text.span, "this is not the URL of a server");
            let problem = if text.is_resolved() { problem } else { problem.label(error.problem()) };
            problems.note(problem.accepted(SERVERS));
            None
        }
    }
}

fn statuses(list: &At<Vec<Text>>, problems: &mut Problems) -> Option<Box<[StatusCode]>> {
    let mut statuses = Vec::new();
    for text in &list.value {
        match status(text) {
            Some(status) => statuses.push(status),
            None => {
                let problem =
                    Problem::error(&text.span, format!("`{}` is not a status that means failure", text.shown()));
                problems.note(problem.accepted("\"400\" to \"599\", such as \"502\""));
            }
        }
    }
    (statuses.len() == list.value.len()).then(|| statuses.into())
}

/// A status that means failure.
fn status(text: &Text) -> Option<StatusCode> {
    let status = text.value.parse().ok().filter(|status: &StatusCode| (400..=599).contains(&status.as_u16()));
    status.or(text.unset.then_some(StatusCode::BAD_GATEWAY))
}
