//! `[auth.*]`.

use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use portcullis_core::auth::{Auth, Forward, Scheme, TokenSource, TokenVerifier};
use portcullis_core::limit::Rule;
use portcullis_core::source::Source;

use super::{Problems, headers, limits};
use crate::config::IN_CODE;
use crate::config::problem::Problem;
use crate::config::schema::auth::Auth as Written;
use crate::config::span::{At, Given, Text};
use crate::parts::{self, VerifierSettings};

mod api_key;
mod jwt;
mod token;

pub(super) use token::note_removed;

/// A word that means that nobody is asked, so that no verifier can be called so.
pub(super) const NONE: &str = "none";

/// How many failed verifications a client may have unless the file says.
const FAILURES: &str = "30/min";

/// Where API keys stand unless the file says.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The verifiers, each with what it was made from.
pub(super) fn compile(written: &[Written], problems: &mut Problems) -> Vec<(Auth, VerifierSettings)> {
    written.iter().filter_map(|auth| one(auth, problems)).collect()
}

fn one(written: &Written, problems: &mut Problems) -> Option<(Auth, VerifierSettings)> {
    let name: Arc<str> = written.name.value.as_str().into();
    if &*name == NONE {
        let problem = Problem::error(&written.name.span, "a verifier cannot be called `none`");
        problems.note(problem.label("`auth = \"none\"` makes a route public"));
    }
    if let Given::Broken = written.kind {
        // What else it must say depends on its kind.
        return None;
    }
    if written.kind.is_absent() {
        missing(written, "kind", "`kind = \"jwt\"` or `kind = \"api-key\"`", problems);
    }
    let kind = written.kind.get().map(|kind| kind.value);
    // Each of these notes what is wrong with it before the first one missing ends the work.
    let failures = failures(&name, &written.failures, problems);
    let forward: Option<Arc<[Forward]>> = forward(&written.forward, problems).map(Arc::from);
    let (scheme, token, settings) = if kind == Some("api-key") {
        let token = token::sources(&written.key, TokenSource::Header(X_API_KEY), problems);
        let rules = forward.clone().unwrap_or_default();
        let settings = api_key::settings(written, Arc::clone(&name), &rules, problems);
        let is_bearer = token.iter().flatten().any(|source| *source == TokenSource::Header(AUTHORIZATION));
        let scheme = if is_bearer { Scheme::Bearer } else { Scheme::ApiKey };
        (scheme, token, settings.map(VerifierSettings::ApiKey))
    } else if kind == Some(IN_CODE) {
        let token = token::sources(&written.token, TokenSource::Header(AUTHORIZATION), problems);
        (Scheme::Bearer, token, Some(VerifierSettings::InCode(Arc::clone(&name))))
    } else {
        let token = token::sources(&written.token, TokenSource::Header(AUTHORIZATION), problems);
        let settings = jwt::settings(written, Arc::clone(&name), problems);
        (Scheme::Bearer, token, settings.map(VerifierSettings::Jwt))
    };
    let settings = settings?;
    let verifier = verifier(written, &settings, problems)?;
    let forward_token = written.forward_token.get().is_some_and(|forward| forward.value);
    let auth = Auth { name, verifier, failures: failures?, forward: forward?, forward_token, scheme, token: token? };
    Some((auth, settings))
}

/// What checks tokens, or what is wrong with its settings.
fn verifier(written: &Written, settings: &VerifierSettings, problems: &mut Problems) -> Option<Arc<dyn TokenVerifier>> {
    match settings {
        VerifierSettings::ApiKey(settings) => parts::api_key_verifier(settings)
            .map_err(|error| problems.note(Problem::error(&written.span, error.to_string())))
            .ok(),
        VerifierSettings::InCode(_) => Some(Arc::new(parts::InCode)),
        VerifierSettings::Jwt(settings) => parts::jwt_verifier(settings)
            .map_err(|error| problems.note(jwt::unfit(written, &settings.algorithms, error)))
            .ok(),
    }
}

fn missing(written: &Written, key: &str, accepted: &str, problems: &mut Problems) {
    let problem = Problem::error(&written.span, format!("[auth.{}] needs `{key}`", written.name.value));
    problems.note(problem.accepted(accepted));
}

/// The rule for failed verifications; none within for "off".
fn failures(name: &str, given: &Given<Text>, problems: &mut Problems) -> Option<Option<Arc<Rule>>> {
    let rate = match given {
        Given::Broken => return None,
        Given::Absent => FAILURES.parse().ok()?,
        Given::Value(text) if text.value == "off" => return Some(None),
        Given::Value(text) => limits::rate(text, problems)?,
    };
    let client: Source = "client".parse().ok()?;
    Some(Some(Arc::new(Rule::new(format!("auth/{name}/failures"), rate).keyed_by(client))))
}

fn forward(pairs: &[(At<String>, Text)], problems: &mut Problems) -> Option<Box<[Forward]>> {
    let mut forward: Vec<Forward> = Vec::new();
    for (name, claim) in pairs {
        let Some(header) = headers::for_claim(name, problems) else { continue };
        if claim.value.is_empty() {
            problems.note(
                Problem::error(&claim.span, "this names no claim").accepted("the name of a claim, such as \"sub\""),
            );
            continue;
        }
        // Upstreams that fold names would see one header where there are two.
        if forward.iter().any(|other| folded(other.header.as_str()) == folded(header.as_str())) {
            let problem = Problem::error(&name.span, format!("two claims are forwarded as `{header}`"));
            problems.note(problem.note("upper and lower case, and `-` and `_`, make no difference"));
            continue;
        }
        forward.push(Forward { header, claim: claim.value.as_str().into() });
    }
    (forward.len() == pairs.len()).then(|| forward.into())
}

fn folded(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect()
}
