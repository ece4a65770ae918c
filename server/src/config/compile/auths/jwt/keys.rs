//! What the tokens of a verifier are signed with: exactly one of `secret`, `public_key` and `jwks`.

use std::time::Duration;

use portcullis_core::auth::{Algorithm, KeyError, KeyKind, KeySet, KeySetError};

use super::{Problems, missing};
use crate::config::IN_CODE;
use crate::config::problem::Problem;
use crate::config::resolve::{Keys, Secret};
use crate::config::schema::auth::Auth as Written;
use crate::config::span::{At, Given, Span};
use crate::parts::{JwtKeys, RemoteKeys, jwks_url};

/// How often keys are fetched unless the file says.
const REFRESH: Duration = Duration::from_secs(600);

/// How often they may be: more often would be a burden, more seldom would keep a key that was taken back.
const REFRESHES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What is accepted for `jwks`.
const JWKS: &str = "\"file:jwks.json\", or \"https://…\" (\"http://…\" only to a loopback address)";

pub(super) fn compile(written: &Written, algorithms: Option<&[Algorithm]>, problems: &mut Problems) -> Option<JwtKeys> {
    let refresh = refresh(written, problems);
    let given: Vec<(&str, &Span)> = [
        ("secret", written.secret.get().map(|at| &at.span)),
        ("public_key", written.public_key.get().map(|at| &at.span)),
        ("jwks", written.jwks.get().map(|at| &at.span)),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
    .collect();
    if let [(first, _), (second, span), ..] = given.as_slice() {
        let title = format!("[auth.{}] has both `{first}` and `{second}`", written.name.value);
        problems.note(Problem::error(span, title).hint("keep the one that its tokens are signed with"));
        return None;
    }
    match (&written.secret, &written.public_key, &written.jwks) {
        (Given::Value(at), _, _) => secret(written, at, problems),
        (_, Given::Value(at), _) => public_key(at, problems),
        (_, _, Given::Value(at)) => jwks(at, refresh?, problems),
        (Given::Broken, _, _) | (_, Given::Broken, _) | (_, _, Given::Broken) => None,
        (Given::Absent, Given::Absent, Given::Absent) => {
            none(written, algorithms, problems);
            None
        }
    }
}

/// Says which key is missing, by what the algorithms take.
fn none(written: &Written, algorithms: Option<&[Algorithm]>, problems: &mut Problems) {
    let shared = algorithms.is_none_or(|all| all.iter().any(|one| one.key_kind() == KeyKind::Secret));
    if shared {
        missing(written, "secret", "`secret = \"${JWT_SECRET}\"` or `secret = \"file:jwt.key\"`", problems);
    } else {
        let accepted =
            "`jwks = \"https://…/jwks.json\"`, `jwks = \"file:jwks.json\"` or `public_key = \"file:key.pem\"`";
        missing(written, "jwks", accepted, problems);
    }
}

fn secret(written: &Written, at: &At<Secret>, problems: &mut Problems) -> Option<JwtKeys> {
    if at.value.reveal().is_empty() {
        problems.note(Problem::error(&at.span, format!("the secret of [auth.{}] is empty", written.name.value)));
        return None;
    }
    Some(JwtKeys::Secret(at.value.clone()))
}

fn public_key(at: &At<Keys>, problems: &mut Problems) -> Option<JwtKeys> {
    let text = match &at.value {
        Keys::File(text) | Keys::Text(text) => text,
        Keys::Unset => return Some(unset()),
    };
    match KeySet::from_pem(text) {
        Ok(keys) => Some(JwtKeys::Public(keys)),
        Err(error) => {
            let problem = Problem::error(&at.span, "this is not a public key that tokens can be checked with");
            let accepted =
                "one PEM block \"PUBLIC KEY\" or \"RSA PUBLIC KEY\", as `\"file:key.pem\"` or the text itself";
            problems.note(problem.label(error.to_string()).accepted(accepted).maybe_hint(pem_hint(error)));
            None
        }
    }
}

fn pem_hint(error: KeyError) -> Option<String> {
    let hint = match error {
        KeyError::Certificate => "take the key out of it: `openssl x509 -in cert.pem -noout -pubkey`",
        KeyError::NotPem => "to read a file write \"file:PATH\"",
        KeyError::PrivateKey => "give the gateway the public part: `openssl pkey -in private.pem -pubout`",
        KeyError::SeveralKeys => "several keys are a `jwks`, in which each has a name",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn jwks(at: &At<Keys>, refresh: Duration, problems: &mut Problems) -> Option<JwtKeys> {
    match &at.value {
        Keys::File(text) => key_set(&at.span, text, problems).map(JwtKeys::Public),
        Keys::Text(word) if word == IN_CODE => Some(JwtKeys::InCode),
        Keys::Text(url) => match jwks_url(url) {
            Ok(shown) => Some(JwtKeys::Remote(RemoteKeys { refresh, shown, url: Secret::new(url.as_str()) })),
            Err(why) => {
                let problem = Problem::error(&at.span, "keys cannot be fetched from here");
                problems.note(problem.label(why).accepted(JWKS));
                None
            }
        },
        Keys::Unset => Some(unset()),
    }
}

/// The keys of a file. Ones for other uses are left aside, as RFC 7517 wants it; a fault is the operator's to mend.
fn key_set(span: &Span, text: &str, problems: &mut Problems) -> Option<KeySet> {
    let title = "this is not a set of keys that tokens can be checked with";
    match KeySet::from_jwks(text.as_bytes()) {
        Err(error) => {
            problems.note(Problem::error(span, title).label(error.to_string()).maybe_hint(set_hint(&error)));
            None
        }
        Ok(keys) => {
            let mut faults = keys.passed_over().iter().filter(|key| key.why.is_fault()).peekable();
            if faults.peek().is_none() {
                return Some(keys);
            }
            for key in faults {
                problems.note(Problem::error(span, title).label(format!("key {}: {}", key.place + 1, key.why)));
            }
            None
        }
    }
}

fn set_hint(error: &KeySetError) -> Option<String> {
    matches!(error, KeySetError::NotASet).then(|| "a single key in PEM is a `public_key`".to_owned())
}

/// Keys behind a variable that is not set: there are none, and nobody is asked.
fn unset() -> JwtKeys {
    JwtKeys::Remote(RemoteKeys { refresh: REFRESH, shown: "(not set)".to_owned(), url: Secret::new("") })
}

fn refresh(written: &Written, problems: &mut Problems) -> Option<Duration> {
    let at = match &written.keys_refresh {
        Given::Absent => return Some(REFRESH),
        Given::Broken => return None,
        Given::Value(at) => at,
    };
    if !REFRESHES.contains(&at.value) {
        let title = "`keys_refresh` is out of range".to_owned();
        let problem = Problem::error(&at.span, title).accepted("\"1s\" to \"24h\"");
        problems.note(problem.note("a key that the issuer takes back is accepted until the next fetch"));
        return None;
    }
    let fetched = matches!(written.jwks.get().map(|at| &at.value), Some(Keys::Text(_) | Keys::Unset));
    if !fetched && !matches!(written.jwks, Given::Broken) {
        let problem = Problem::warning(&at.span, "`keys_refresh` does nothing here: no keys are fetched");
        problems.note(problem.label("it is for `jwks = \"https://…\"`"));
    }
    Some(at.value)
}
