//! `[upstreams.*]`: what stands behind.

use std::time::Duration;

use crate::config::IN_CODE;
use crate::config::problem::Problem;
use crate::config::schema::routes::Respond;
use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// A named upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) balance: Given<Balance>,
    pub(crate) breaker: Given<Breaker>,
    pub(crate) connect_timeout: Given<At<Duration>>,
    pub(crate) fallback: Given<Fallback>,
    pub(crate) eject: Given<Eject>,
    pub(crate) health: Given<Health>,
    pub(crate) idle_connections: Given<At<u32>>,
    /// It has no servers, and is to have none.
    pub(crate) in_code: bool,
    pub(crate) max_connections: Given<At<u32>>,
    pub(crate) max_pending: Given<At<u32>>,
    pub(crate) name: At<String>,
    pub(crate) retries: Given<Retries>,
    pub(crate) send_timeout: Given<At<Duration>>,
    pub(crate) servers: Given<At<Vec<Server>>>,
    pub(crate) slow_start: Given<At<Duration>>,
    pub(crate) span: Span,
    pub(crate) timeout: Given<At<Duration>>,
}

/// Notes keys that say nothing of a service of the program, which is called and not connected to: somebody meant them to.
fn idle(section: &Section<'_>) {
    let idle = [
        "balance",
        "connect_timeout",
        "eject",
        "health",
        "idle_connections",
        "max_connections",
        "max_pending",
        "retries",
        "slow_start",
    ];
    for key in idle.iter().filter(|key| section.has(key)) {
        let title = format!("`{key}` does nothing here: there are no servers to choose from or connect to");
        section
            .note(Problem::error(&section.key_span(key), title).hint(format!("remove it: `servers` is \"{IN_CODE}\"")));
    }
}

/// How a server is chosen.
#[derive(Debug)]
pub(crate) enum Balance {
    /// "hash:SOURCE".
    Hash(Text),
    /// Any other.
    Word(At<&'static str>),
}

/// What begins a balance by hash.
pub(crate) const HASH: &str = "hash:";

impl Balance {
    fn read(value: Value<'_>) -> Given<Self> {
        value.text().and_then(|text| {
            if text.value.starts_with(HASH) {
                return Given::Value(Self::Hash(text));
            }
            // The last is no word that gets here: it tells whoever mistypes one of the form.
            let words = ["least-request", "round-robin", "peak-ewma", "random", IN_CODE, "hash:SOURCE"];
            value.word(&words, &[]).and_then(|word| Given::Value(Self::Word(word)))
        })
    }
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: Text,
    pub(crate) weight: Given<At<u32>>,
}

/// What answers in its place.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// A fixed answer.
    Respond(Box<Respond>),
    /// Another upstream.
    Upstream(Text),
}

impl Fallback {
    fn read(value: Value<'_>) -> Given<Self> {
        if value.is_table() {
            let respond = value.section("`fallback`", Respond::read);
            return respond.and_then(|respond| Given::Value(Self::Respond(Box::new(respond))));
        }
        value.text().and_then(|name| Given::Value(Self::Upstream(name)))
    }
}

/// When a request is sent again.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pub(crate) attempts: Given<At<u32>>,
    pub(crate) backoff: Given<At<Duration>>,
    pub(crate) budget: Given<At<f64>>,
    pub(crate) on: Given<At<Vec<Text>>>,
    pub(crate) replay: Given<At<u64>>,
}

/// The most retries: with the first attempt, as many servers as one request keeps in mind.
const MOST_RETRIES: u32 = 7;

/// When it is left alone.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    pub(crate) failure_ratio: Given<At<f64>>,
    pub(crate) failures: Given<At<u32>>,
    pub(crate) max_recovery: Given<At<Duration>>,
    pub(crate) minimum: Given<At<u32>>,
    pub(crate) on: Given<At<Vec<Text>>>,
    pub(crate) probes: Given<At<u32>>,
    pub(crate) recovery: Given<At<Duration>>,
    pub(crate) window: Given<At<Duration>>,
}

/// When one server is left alone.
#[derive(Debug)]
pub(crate) enum Eject {
    /// "off".
    Off,
    /// As it says.
    On { failures: Given<At<u32>>, max: Given<At<f64>>, rest: Given<At<Duration>> },
}

/// How each server is asked by itself.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) healthy: Given<At<u32>>,
    pub(crate) interval: Given<At<Duration>>,
    pub(crate) panic: Given<At<f64>>,
    pub(crate) path: Given<Text>,
    pub(crate) span: Span,
    pub(crate) status: Given<At<Vec<Text>>>,
    pub(crate) timeout: Given<At<Duration>>,
    pub(crate) unhealthy: Given<At<u32>>,
}

/// A pool is searched through at each pick, and its weights are added up.
const MOST_WEIGHT: u32 = 1000;

impl Upstream {
    pub(crate) fn read(name: At<String>, value: Value<'_>) -> Option<Self> {
        if value.is_table() {
            let title = format!("[upstreams.{}]", name.value);
            return value.section(&title, |section| Self::keys(name, section)).value();
        }
        let in_code = value.is(IN_CODE);
        let servers = Server::read_all(value);
        let (span, absent) = (name.span.clone(), Given::Absent);
        Some(Self {
            balance: Given::Absent,
            breaker: Given::Absent,
            connect_timeout: absent.clone(),
            fallback: Given::Absent,
            eject: Given::Absent,
            health: Given::Absent,
            idle_connections: Given::Absent,
            in_code,
            max_connections: Given::Absent,
            max_pending: Given::Absent,
            name,
            retries: Given::Absent,
            send_timeout: absent.clone(),
            servers,
            slow_start: absent.clone(),
            span,
            timeout: absent,
        })
    }

    fn keys(name: At<String>, section: &mut Section<'_>) -> Self {
        section.not_built_yet(&["tls"]);
        let servers = section.value("servers");
        let in_code = servers.get().is_some_and(|servers| servers.is(IN_CODE));
        if in_code {
            idle(section);
        }
        Self {
            balance: section.value("balance").and_then(Balance::read),
            breaker: section.table("breaker", Breaker::read),
            connect_timeout: section.duration("connect_timeout"),
            fallback: section.value("fallback").and_then(Fallback::read),
            eject: section.value("eject").and_then(Eject::read),
            health: section.table("health", Health::read),
            idle_connections: section.integer("idle_connections", 0..=100_000),
            in_code,
            max_connections: section.integer("max_connections", 1..=1_000_000),
            max_pending: section.integer("max_pending", 0..=1_000_000),
            name,
            retries: section.value("retries").and_then(Retries::read),
            send_timeout: section.duration("send_timeout"),
            servers: servers.and_then(Server::read_all),
            slow_start: section.duration("slow_start"),
            span: section.span.clone(),
            timeout: section.duration("timeout"),
        }
    }
}

impl Server {
    fn read_all(value: Value<'_>) -> Given<At<Vec<Self>>> {
        if value.is(IN_CODE) {
            return Given::Value(At::new(Vec::new(), value.span()));
        }
        value.each("a list of servers such as [\"http://127.0.0.1:7001\"]", Self::read)
    }

    fn read(value: Value<'_>) -> Given<Self> {
        if !value.is_table() {
            return value.text().and_then(|url| Given::Value(Self { url, weight: Given::Absent }));
        }
        value.section("`servers`", Self::long).and_then(|long| long)
    }

    fn long(section: &mut Section<'_>) -> Given<Self> {
        let weight = section.integer("weight", 1..=MOST_WEIGHT);
        let url = section.text("url");
        if url.is_absent() {
            section.note(
                Problem::error(&section.span, "a server needs a `url`").accepted("`url = \"http://127.0.0.1:7001\"`"),
            );
        }
        url.and_then(|url| Given::Value(Self { url, weight }))
    }
}

impl Retries {
    fn read(value: Value<'_>) -> Given<Self> {
        if value.is_table() {
            return value.section("`retries`", |section| Self {
                attempts: section.integer("attempts", 0..=MOST_RETRIES),
                backoff: section.duration("backoff"),
                budget: section.ratio("budget", 0.0..=1.0),
                on: section.texts("on"),
                replay: section.value("replay").and_then(Value::size),
            });
        }
        let attempts = value.integer(0..=MOST_RETRIES);
        attempts.and_then(|attempts| Given::Value(Self { attempts: Given::Value(attempts), ..Self::default() }))
    }
}

impl Eject {
    fn read(value: Value<'_>) -> Given<Self> {
        if value.is("off") {
            return Given::Value(Self::Off);
        }
        if !value.is_table() {
            // Says what may be written in place of a table.
            return value.word(&["off"], &[]).and_then(|_| Given::Value(Self::Off));
        }
        value.section("`eject`", |section| Self::On {
            failures: section.integer("failures", 1..=1000),
            max: section.ratio("max", 0.0..=1.0),
            rest: section.duration("for"),
        })
    }
}

impl Health {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            healthy: section.integer("healthy", 1..=100),
            interval: section.duration("interval"),
            panic: section.ratio("panic", 0.0..=1.0),
            path: section.text("path"),
            span: section.span.clone(),
            status: section.texts("status"),
            timeout: section.duration("timeout"),
            unhealthy: section.integer("unhealthy", 1..=100),
        }
    }
}

impl Breaker {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            failure_ratio: section.ratio("failure_ratio", 0.001..=1.0),
            failures: section.integer("failures", 1..=65_535),
            max_recovery: section.duration("max_recovery"),
            minimum: section.integer("minimum", 1..=1_000_000),
            on: section.texts("on"),
            probes: section.integer("probes", 1..=1000),
            recovery: section.duration("recovery"),
            window: section.duration("window"),
        }
    }
}
