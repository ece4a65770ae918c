//! `[auth.*]` of kind "api-key": the keys of its file.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::auth::{ApiKey, Forward, Identity, KeyHash};

use super::{Problems, missing};
use crate::config::key_file::{Key, KeyFile};
use crate::config::problem::Problem;
use crate::config::schema::auth::Auth as Written;
use crate::config::span::{At, Given, Span, Text};
use crate::parts::ApiKeySettings;

/// So many keys of one id are a rotation; more are keys that somebody forgot.
const MOST_OF_ONE_ID: usize = 2;

/// What a verifier of API keys is made from.
pub(super) fn settings(
    written: &Written,
    name: Arc<str>,
    forward: &Arc<[Forward]>,
    problems: &mut Problems,
) -> Option<ApiKeySettings> {
    if written.keys.is_absent() {
        missing(written, "keys", "`keys = \"file:keys.toml\"`; `portcullis key` makes a key and its entry", problems);
    }
    let At { span, value: file } = written.keys.get()?;
    let keys: Vec<Option<ApiKey>> = file.keys.iter().map(|key| one(file, key, forward, &name, problems)).collect();
    let fit = || file.keys.iter().zip(&keys).filter_map(|(written, key)| Some((written, key.as_ref()?)));
    note_twice(file, fit(), problems);
    note_old(file, fit(), problems);
    if file.keys.is_empty() && file.file != 0 {
        let warning = Problem::warning(span, format!("[auth.{name}] accepts no key: its file has none"));
        problems.note(warning.hint("`portcullis key` makes a key and its entry"));
    }
    let keys = keys.into_iter().collect::<Option<_>>()?;
    Some(ApiKeySettings { forward: Arc::clone(forward), keys, name })
}

fn one(
    file: &KeyFile,
    written: &Key,
    forward: &[Forward],
    verifier: &Arc<str>,
    problems: &mut Problems,
) -> Option<ApiKey> {
    for (absent, key, accepted) in [
        (written.id.is_absent(), "id", "`id = \"acme\"`: whose key it is"),
        (written.sha256.is_absent(), "sha256", "`sha256 = \"…\"`: the hash of the key; `portcullis key` makes both"),
    ] {
        if absent {
            let problem = Problem::error(&written.span, format!("[[key]] needs `{key}`")).accepted(accepted);
            problems.note(problem.in_file(file.file));
        }
    }
    // Each notes what is wrong with it before the first one missing ends the work.
    let hash = written.sha256.get().and_then(|text| hash(file, text, problems));
    let identity = written.id.get().and_then(|id| identity(file, id, written, verifier, problems));
    if let Some(identity) = &identity {
        note_unfit(file, written, forward, identity, problems);
    }
    if matches!(written.claims, Given::Broken) || matches!(written.expires, Given::Broken) {
        return None;
    }
    let identity = identity?;
    Some(ApiKey {
        claims: identity.claims().clone(),
        expires: identity.expires(),
        hash: hash?,
        id: identity.id().to_owned(),
    })
}

fn identity(
    file: &KeyFile,
    id: &Text,
    written: &Key,
    verifier: &Arc<str>,
    problems: &mut Problems,
) -> Option<Identity> {
    let claims = written.claims.get().map(|claims| claims.value.clone()).unwrap_or_default();
    let expires = written.expires.get().map(|expires| expires.value);
    let identity = Identity::new(Arc::clone(verifier), id.value.as_str(), claims, expires).ok();
    if identity.is_none() {
        let problem = Problem::error(&id.span, "this is not an id");
        problems.note(problem.accepted("1 to 256 bytes without control characters").in_file(file.file));
    }
    identity
}

fn hash(file: &KeyFile, text: &Text, problems: &mut Problems) -> Option<KeyHash> {
    let note = |problem: Problem, problems: &mut Problems| {
        problems.note(problem.hint("`portcullis key` makes a key and its entry").in_file(file.file));
        None
    };
    match text.value.parse::<KeyHash>() {
        Ok(hash) if hash == KeyHash::of("") => {
            note(Problem::error(&text.span, "this is the hash of an empty key"), problems)
        }
        Ok(hash) => Some(hash),
        Err(_) if text.unset => Some(KeyHash::of(crate::config::resolve::PLACEHOLDER)),
        Err(_) => {
            let label = match text.value.chars().find(|char| !char.is_ascii_hexdigit()) {
                Some(_) => "not only hex digits".to_owned(),
                None => format!("{} hex digits", text.value.len()),
            };
            let problem = Problem::error(&text.span, "this is not a SHA-256").label(label);
            note(problem.accepted("the hash of the key, not the key itself: 64 hex digits"), problems)
        }
    }
}

/// What would be a 401 at every request is an error here.
fn note_unfit(file: &KeyFile, written: &Key, forward: &[Forward], identity: &Identity, problems: &mut Problems) {
    for rule in forward.iter().filter(|rule| rule.value(identity).is_err()) {
        let span: &Span = match &written.claims {
            Given::Value(claims) if identity.claim(&rule.claim).is_some() => &claims.span,
            _ => written.id.get().map_or(&written.span, |id| &id.span),
        };
        let title = format!("`{}` is forwarded as `{}`, and this is not fit for a header", rule.claim, rule.header);
        let accepted = "up to 1024 bytes of printable ASCII without commas, a number or a boolean";
        problems.note(Problem::error(span, title).accepted(accepted).in_file(file.file));
    }
}

/// One key is one identity.
fn note_twice<'a>(file: &KeyFile, keys: impl Iterator<Item = (&'a Key, &'a ApiKey)>, problems: &mut Problems) {
    let mut first: HashMap<KeyHash, &Span> = HashMap::new();
    for (written, key) in keys {
        let span = written.sha256.get().map_or(&written.span, |hash| &hash.span);
        if let Some(first) = first.get(&key.hash) {
            let problem = Problem::error(span, "this key stands here twice").also(first, "the first time");
            problems.note(problem.hint("each client needs a key of its own").in_file(file.file));
        }
        first.entry(key.hash).or_insert(span);
    }
}

/// Warns of keys that have ended, and of ids with more keys than a rotation needs.
fn note_old<'a>(file: &KeyFile, keys: impl Iterator<Item = (&'a Key, &'a ApiKey)>, problems: &mut Problems) {
    let mut active: HashMap<&str, usize> = HashMap::new();
    for (written, key) in keys {
        if let (Some(expires), Some(at)) = (key.expires, written.expires.get())
            && expires <= file.now
        {
            let warning = Problem::warning(&at.span, "this key has expired: it is refused");
            problems.note(warning.hint("remove its entry").in_file(file.file));
            continue;
        }
        let count = active.entry(&key.id).or_default();
        *count += 1;
        if *count == MOST_OF_ONE_ID + 1 {
            let span = written.id.get().map_or(&written.span, |id| &id.span);
            let warning = Problem::warning(span, "this id has more than two active keys").label("a third");
            problems
                .note(warning.hint("two are enough to replace one; remove those that nobody uses").in_file(file.file));
        }
    }
}
