//! What the cache would do with a request: its key, or why it goes past it, and what of an answer is kept.

use http::request::Parts;
use portcullis_core::admit::{Admitted, Routed};
use portcullis_core::caching::{Ask, Bypass, KeyRoute, Origin, Scheme, write_key};
use portcullis_core::plan::{CacheRule, Route};
use portcullis_core::source::{Facts, Source};

use super::explanation::{Cache, KeyPart};
use super::secrets::Secrets;

/// None where the route keeps nothing.
pub(super) fn of(parts: &Parts, routed: &Routed<'_, '_>, admitted: &Admitted<'_>, secrets: &Secrets) -> Option<Cache> {
    let rule = admitted.route.cache.as_ref()?;
    let facts = routed.facts(admitted.identity.as_deref());
    let origin = Origin::of(Scheme::Http, routed.host(), &parts.uri, &parts.headers);
    // A request on a command line has no content.
    let ask = Ask::of(rule, &facts, false).and_then(|ask| {
        let route = KeyRoute { name: &admitted.route.name, generation: 0 };
        write_key(&mut Vec::new(), rule, route, origin, &facts).map(|()| ask)
    });
    Some(match ask {
        Ok(ask) => Cache {
            bypass: None,
            why: None,
            key: key(rule, admitted.route, origin, &facts, secrets),
            keeps: keeps(rule, &ask),
        },
        Err(bypass) => {
            Cache { bypass: Some(bypass.as_str()), why: Some(why(bypass, rule)), key: Vec::new(), keeps: Vec::new() }
        }
    })
}

fn why(bypass: Bypass, rule: &CacheRule) -> String {
    match bypass {
        Bypass::Body => "the request has content, which is in no key".to_owned(),
        Bypass::Cookie => "the request has a cookie, and neither the key nor `per` says what it is for".to_owned(),
        Bypass::Method => "only GET and HEAD are answered from it".to_owned(),
        Bypass::Override => "the request says that it means another method or path than it has".to_owned(),
        Bypass::PerAbsent => {
            let per = rule.per.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("answers are kept apart by {per}, which this request does not have")
        }
        Bypass::Precondition => "the request has a condition that is the upstream's to judge".to_owned(),
        Bypass::Unsafe => {
            "the method may change something; after an answer that is no error what is kept for this path is forgotten"
                .to_owned()
        }
        _ => bypass.as_str().to_owned(),
    }
}

fn key(rule: &CacheRule, route: &Route, origin: Origin<'_>, facts: &Facts<'_>, secrets: &Secrets) -> Vec<KeyPart> {
    let plain = |name: &str, value: Option<String>| KeyPart { name: name.to_owned(), value, hidden: false };
    let mut parts =
        vec![plain("route", Some(route.name.to_string())), plain("scheme", Some(origin.scheme.as_str().to_owned()))];
    match &rule.key {
        None => {
            parts.push(plain("host", Some(origin.host.to_owned())));
            parts.push(plain("port", Some(origin.port.to_string())));
            parts.push(plain("path", Some(facts.path.to_owned())));
            // A query may hold a token, wherever it stands.
            parts.push(KeyPart { name: "query".to_owned(), value: None, hidden: facts.query.is_some() });
        }
        Some(sources) => parts.extend(sources.iter().map(|source| part(source.to_string(), source, facts, secrets))),
    }
    parts.extend(rule.per.as_ref().map(|per| part(format!("per {}", per.chosen(facts)), per, facts, secrets)));
    parts
}

fn part(name: String, source: &Source, facts: &Facts<'_>, secrets: &Secrets) -> KeyPart {
    let value = source.text(facts).map(|text| secrets.covered(text.into_owned()));
    let hidden = value.is_some() && secrets.is_place(&source.chosen(facts));
    KeyPart { name, value: value.filter(|_| !hidden), hidden }
}

/// What is kept of what is answered, in plain words; durations as the file writes them.
fn keeps(rule: &CacheRule, ask: &Ask) -> Vec<String> {
    let time = |time| humantime::format_duration(time).to_string();
    let mut keeps = vec![match (ask.apart, ask.identified) {
        (true, _) => "for this one alone, private answers too".to_owned(),
        (false, true) => {
            "only what says public, s-maxage or must-revalidate: the request says who it is from".to_owned()
        }
        (false, false) => "what is not private".to_owned(),
    }];
    keeps.push(match rule.ttl {
        Some(ttl) => format!("as long as the origin says; {} where it says nothing", time(ttl)),
        None => "as long as the origin says; where it says nothing, not at all".to_owned(),
    });
    let stale = [
        (rule.stale_while_revalidate, "while it is asked for again"),
        (rule.stale_if_error, "when the upstream fails"),
    ];
    for (window, when) in stale {
        keeps.extend(
            window.map(|window| format!("stale for {} {when}, unless the origin says otherwise", time(window))),
        );
    }
    keeps.push(format!("bodies of at most {} bytes", rule.max_size));
    if ask.control.no_store {
        keeps.push("nothing of this request: it says no-store".to_owned());
    }
    keeps
}
