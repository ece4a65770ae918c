//! `server.trusted_proxies` and `server.trusted_header`.

use portcullis_core::headers::{Family, Network, NetworkError, TrustedProxies};

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::server::Server;
use crate::config::span::Text;

const ACCEPTED: &str = "a network (\"10.0.0.0/8\", \"2001:db8::/32\"), an address (\"192.0.2.7\") or \"unix\"";

/// Whom to believe, by which family.
pub(super) fn compile(server: Option<&Server>, problems: &mut Problems) -> TrustedProxies {
    let family = match server.and_then(|server| server.trusted_header.get()) {
        Some(word) if word.value == Family::Forwarded.as_str() => Family::Forwarded,
        _ => Family::XForwardedFor,
    };
    let written = server.and_then(|server| server.trusted_proxies.get()).map_or(&[][..], |list| &list.value);
    let (unix, peers): (Vec<_>, Vec<_>) = written.iter().partition(|text| text.value == "unix");
    let proxies = TrustedProxies::new(peers.into_iter().filter_map(|text| network(text, problems)), family);
    if unix.is_empty() { proxies } else { proxies.and_unix() }
}

fn network(text: &Text, problems: &mut Problems) -> Option<Network> {
    // An unset variable under `--unset-ok` trusts nobody.
    let parsed = text.value.parse::<Network>();
    if text.unset && parsed.is_err() {
        return None;
    }
    match parsed {
        Ok(network) => {
            if network.is_everybody() {
                let warning = Problem::warning(&text.span, "everybody is a trusted proxy");
                let warning = warning.label("any client can say that it is another one");
                problems.note(warning.hint("name the networks that your proxies are in"));
            }
            Some(network)
        }
        Err(error) => {
            let problem = Problem::error(&text.span, format!("`{}` is not a peer that can be trusted", text.shown()));
            let problem = problem.accepted(ACCEPTED);
            problems.note(match error {
                NetworkError::Unaligned(network) if !text.is_resolved() => {
                    problem.label("bits are set behind the prefix").hint(format!("did you mean `{network}`?"))
                }
                NetworkError::Unaligned(_) => problem.label("bits are set behind the prefix"),
                _ => problem.label("neither an address nor a network"),
            });
            None
        }
    }
}
