//! `[server]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portcullis_core::limit::HeaderFamilies;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::server::Server;
use crate::config::settings::{ResolverSettings, ServerSettings};
use crate::config::span::{At, Given, Text};
use crate::config::suggest::{did_you_mean, listed};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// One read is 8 KiB, so a smaller bound would bound nothing; a head over 1 MiB serves nobody but an attacker.
const HEADER_SIZES: std::ops::RangeInclusive<u64> = 8 * KIB..=MIB;

const FAMILIES: [&str; 2] = ["ratelimit", "x-ratelimit"];

fn defaults() -> ServerSettings {
    ServerSettings {
        body_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        max_connections: 16_384,
        max_header_size: 32 * 1024,
        max_headers: 100,
        rate_limit_headers: HeaderFamilies::default(),
        resolver: ResolverSettings::default(),
        shutdown_grace: Duration::from_secs(30),
        stream_idle_timeout: Duration::from_secs(60 * 60),
        workers: 0,
    }
}

/// The settings, and the largest body of a route that does not say.
pub(super) fn compile(server: Option<&Server>, problems: &mut Problems) -> (ServerSettings, Option<u64>) {
    let default = defaults();
    let Some(server) = server else { return (default, Some(10 * MIB)) };
    let time = |given: &Given<At<Duration>>, default| given.get().map_or(default, |at| at.value);
    let count = |given: &Given<At<u32>>, default| given.get().map_or(default, |at| at.value as usize);
    let settings = ServerSettings {
        body_timeout: time(&server.body_timeout, default.body_timeout),
        header_timeout: time(&server.header_timeout, default.header_timeout),
        idle_timeout: time(&server.idle_timeout, default.idle_timeout),
        max_connections: count(&server.max_connections, default.max_connections),
        max_header_size: header_size(server.max_header_size.get(), problems).unwrap_or(default.max_header_size),
        max_headers: count(&server.max_headers, default.max_headers),
        rate_limit_headers: families(&server.rate_limit_headers, problems),
        resolver: ResolverSettings {
            servers: resolver(&server.resolver, problems),
            loopback: server.resolver_loopback.get().is_some_and(|at| at.value),
        },
        shutdown_grace: time(&server.shutdown_grace, default.shutdown_grace),
        stream_idle_timeout: time(&server.stream_idle_timeout, default.stream_idle_timeout),
        workers: count(&server.workers, default.workers),
    };
    (settings, body_size(&server.max_body_size, Some(10 * MIB), problems))
}

/// The largest body; a warning when there is none.
pub(super) fn body_size(given: &Given<At<Option<u64>>>, default: Option<u64>, problems: &mut Problems) -> Option<u64> {
    let Given::Value(size) = given else { return default };
    if size.value.is_none() {
        let warning = Problem::warning(&size.span, "bodies have no bound");
        problems.note(warning.label("a client may send as much as it likes").hint("set a size, such as \"10MiB\""));
    }
    size.value
}

fn header_size(size: Option<&At<u64>>, problems: &mut Problems) -> Option<usize> {
    let size = size?;
    if !HEADER_SIZES.contains(&size.value) {
        let problem = Problem::error(&size.span, "`max_header_size` is out of range");
        problems.note(problem.accepted("\"8KiB\" to \"1MiB\""));
        return None;
    }
    usize::try_from(size.value).ok()
}

fn families(given: &Given<At<Vec<Text>>>, problems: &mut Problems) -> HeaderFamilies {
    let Given::Value(names) = given else { return HeaderFamilies::default() };
    let mut families = HeaderFamilies { ratelimit: false, x_ratelimit: false };
    for name in &names.value {
        match &*name.value {
            "ratelimit" => families.ratelimit = true,
            "x-ratelimit" => families.x_ratelimit = true,
            _ if name.unset => {}
            _ => problems.note(
                Problem::error(&name.span, format!("unknown family of headers `{}`", name.shown()))
                    .accepted(listed(FAMILIES))
                    .maybe_hint(did_you_mean(&name.written, FAMILIES)),
            ),
        }
    }
    families
}

/// The word for the system's own resolver.
const SYSTEM: &str = "system";

/// Who is asked for names; none: whom the system's configuration says.
fn resolver(given: &Given<At<Vec<Text>>>, problems: &mut Problems) -> Option<Box<[SocketAddr]>> {
    let Given::Value(list) = given else { return None };
    match &*list.value {
        [one] if one.value == SYSTEM || one.unset => return None,
        [] => {
            problems.note(Problem::error(&list.span, "`resolver` is an empty list").accepted(ACCEPTED_RESOLVERS));
            return None;
        }
        _ => {}
    }
    if cfg!(not(feature = "dns")) {
        problems.note(Problem::error(&list.span, "this build asks no DNS server (its feature \"dns\" is off)"));
    }
    Some(list.value.iter().filter(|one| !one.unset).filter_map(|one| name_server(one, problems)).collect())
}

const ACCEPTED_RESOLVERS: &str =
    "\"system\", or the addresses of DNS servers, such as \"10.0.0.53\" or \"127.0.0.1:5353\"";

fn name_server(text: &Text, problems: &mut Problems) -> Option<SocketAddr> {
    let address = text.value.parse().or_else(|_| text.value.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
    match address {
        Ok(address) if address.port() != 0 => Some(address),
        broken => {
            let problem = Problem::error(&text.span, format!("`{}` is not the address of a DNS server", text.shown()));
            problems.note(problem.accepted(ACCEPTED_RESOLVERS).hint(match broken {
                Ok(_) => "a port is from 1 to 65535",
                Err(_) if text.value == SYSTEM => "\"system\" stands alone: what the system says, or these servers",
                Err(_) => "an IP address: a name would have to be looked up first",
            }));
            None
        }
    }
}

/// Where DNS servers listen, unless it is written (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;
