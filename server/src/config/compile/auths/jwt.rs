//! `[auth.*]` of kind "jwt".

use std::sync::Arc;

use portcullis_core::auth::{Algorithm, JwtConfigError, KeyKind};

use super::{Problems, missing};
use crate::config::problem::Problem;
use crate::config::schema::auth::Auth as Written;
use crate::config::span::{Given, Text};
use crate::config::suggest::{did_you_mean, listed};
use crate::parts::JwtSettings;

mod keys;

/// What an issuer or audience may say instead of a name: that it is not checked.
const ANY: &str = "any";

/// What a verifier of JSON Web Tokens is made from.
pub(super) fn settings(written: &Written, name: Arc<str>, problems: &mut Problems) -> Option<JwtSettings> {
    if let Given::Value(id) = &written.id
        && id.value.is_empty()
    {
        problems.note(Problem::error(&id.span, "`id` names no claim").hint("leave it out for \"sub\""));
    }
    // An issuer or audience that is missing has been noted, and a file with an error is not run: with a gap there, whether the keys
    // go with the algorithms is still found out in the same report.
    let algorithms = algorithms(written, problems);
    let issuer = issuer(written, problems).unwrap_or_default();
    let audience = audience(written, problems).unwrap_or_default();
    let keys = keys::compile(written, algorithms.as_deref(), problems);
    Some(JwtSettings {
        algorithms: algorithms?,
        audience,
        id_claim: written.id.get().map_or_else(|| "sub".to_owned(), |id| id.value.clone()),
        issuer,
        keys: keys?,
        leeway: written.leeway.get().map(|leeway| leeway.value),
        name,
    })
}

fn algorithms(written: &Written, problems: &mut Problems) -> Option<Vec<Algorithm>> {
    let names = || Algorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    let list = match &written.algorithms {
        Given::Absent => {
            missing(written, "algorithms", "`algorithms = [\"HS256\"]`; there is no default", problems);
            return None;
        }
        Given::Broken => return None,
        Given::Value(list) => list,
    };
    if list.value.is_empty() {
        problems
            .note(Problem::error(&list.span, "`algorithms` is empty: no token could pass").accepted(listed(names())));
        return None;
    }
    let mut algorithms = Vec::new();
    for text in &list.value {
        match text.value.parse::<Algorithm>() {
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) if text.unset => algorithms.push(Algorithm::HS256),
            Err(_) => {
                let problem = Problem::error(&text.span, format!("`{}` is not an algorithm", text.shown()));
                let hint = did_you_mean(&text.written, names());
                problems.note(problem.accepted(listed(names())).maybe_hint(hint));
            }
        }
    }
    (algorithms.len() == list.value.len()).then_some(algorithms)
}

/// The issuer; none within for any.
fn issuer(written: &Written, problems: &mut Problems) -> Option<Option<String>> {
    match &written.issuer {
        Given::Absent => {
            let accepted = "the `iss` of your tokens, such as `issuer = \"https://login.shop.test\"`; \"any\" if it is not to be checked";
            missing(written, "issuer", accepted, problems);
            None
        }
        Given::Broken => None,
        Given::Value(text) if text.value.is_empty() => {
            problems
                .note(Problem::error(&text.span, "`issuer` is empty").hint("write \"any\" if it is not to be checked"));
            None
        }
        Given::Value(text) if text.value == ANY => {
            note_any(text, "issuer", problems);
            Some(None)
        }
        Given::Value(text) => Some(Some(text.value.clone())),
    }
}

/// The audiences; none within for any.
fn audience(written: &Written, problems: &mut Problems) -> Option<Option<Vec<String>>> {
    let list = match &written.audience {
        Given::Absent => {
            let accepted = "the `aud` of tokens for this gateway, such as `audience = [\"shop\"]`; \"any\" if it is not to be checked";
            missing(written, "audience", accepted, problems);
            return None;
        }
        Given::Broken => return None,
        Given::Value(list) => list,
    };
    if let [text] = &*list.value
        && text.value == ANY
    {
        note_any(text, "audience", problems);
        return Some(None);
    }
    if list.value.is_empty() || list.value.iter().any(|text| text.value.is_empty() || text.value == ANY) {
        let problem =
            Problem::error(&list.span, "`audience` must name at least one audience, and nothing but audiences");
        problems.note(problem.hint("write \"any\" alone if it is not to be checked"));
        return None;
    }
    Some(Some(list.value.iter().map(|text| text.value.clone()).collect()))
}

fn note_any(text: &Text, what: &str, problems: &mut Problems) {
    let warning = Problem::warning(&text.span, format!("the {what} of tokens is not checked"));
    problems.note(warning.label(format!("a token of any {what} passes if its signature is right")));
}

/// A verifier that could not be made, at the key that is at fault.
pub(super) fn unfit(written: &Written, algorithms: &[Algorithm], error: JwtConfigError) -> Problem {
    let span = |given: Option<&crate::config::span::Span>| given.unwrap_or(&written.span).clone();
    let secret = span(written.secret.get().map(|at| &at.span));
    match error {
        JwtConfigError::SecretTooShort { algorithm, length } => {
            // The most demanding one, so that a longer secret is not refused again.
            let most =
                algorithms.iter().copied().max_by_key(|algorithm| algorithm.shortest_secret()).unwrap_or(algorithm);
            Problem::error(&secret, format!("the secret of [auth.{}] is too short", written.name.value))
                .label(format!("{length} bytes; {most} needs {} at least", most.shortest_secret()))
                .note("a secret shorter than the hash can be guessed (RFC 7518, section 3.2)")
                .hint("make one with `openssl rand -base64 64`")
        }
        JwtConfigError::LeewayTooLong => {
            Problem::error(&span(written.leeway.get().map(|at| &at.span)), error.to_string()).accepted("up to \"60s\"")
        }
        JwtConfigError::NoKey | JwtConfigError::NoSecret { .. } | JwtConfigError::WrongKey { .. } => {
            let at = span(written.algorithms.get().map(|at| &at.span));
            Problem::error(&at, format!("the keys of [auth.{}] do not go with its algorithms", written.name.value))
                .label(error.to_string())
                .hint(remedy(error))
        }
        _ => Problem::error(&written.span, error.to_string()),
    }
}

/// What to do about keys and algorithms that do not go together.
fn remedy(error: JwtConfigError) -> &'static str {
    match error {
        JwtConfigError::NoSecret { .. } => {
            "one verifier has either a secret or public keys: for both make a second [auth.*] table"
        }
        JwtConfigError::WrongKey { kind: KeyKind::Secret, .. } => {
            "write `public_key` or `jwks` instead of `secret`, or only HS algorithms"
        }
        JwtConfigError::WrongKey { .. } => "algorithms of several kinds need several keys: a `jwks`",
        _ => "name the algorithms that the issuer signs with",
    }
}
