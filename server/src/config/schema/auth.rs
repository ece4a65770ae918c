//! `[auth.*]`: who a client is.

use std::time::Duration;

use crate::config::IN_CODE;
use crate::config::key_file::{self, KeyFile};
use crate::config::problem::Problem;
use crate::config::resolve::{Keys, Secret};
use crate::config::section::Section;
use crate::config::span::{At, Given, Span, Text};
use crate::config::value::Value;

/// One verifier.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) algorithms: Given<At<Vec<Text>>>,
    pub(crate) audience: Given<At<Vec<Text>>>,
    pub(crate) failures: Given<Text>,
    /// Header to claim.
    pub(crate) forward: Vec<(At<String>, Text)>,
    pub(crate) forward_token: Given<At<bool>>,
    pub(crate) id: Given<Text>,
    pub(crate) issuer: Given<Text>,
    pub(crate) jwks: Given<At<Keys>>,
    pub(crate) keys_refresh: Given<At<Duration>>,
    /// Where API keys stand.
    pub(crate) key: Given<At<Vec<Text>>>,
    pub(crate) keys: Given<At<KeyFile>>,
    pub(crate) kind: Given<At<&'static str>>,
    pub(crate) leeway: Given<At<Duration>>,
    pub(crate) name: At<String>,
    pub(crate) public_key: Given<At<Keys>>,
    pub(crate) secret: Given<At<Secret>>,
    pub(crate) span: Span,
    /// Where tokens stand.
    pub(crate) token: Given<At<Vec<Text>>>,
}

/// Keys that only verifiers of kind "jwt" have.
const OF_JWT: [&str; 10] =
    ["algorithms", "audience", "id", "issuer", "jwks", "keys_refresh", "leeway", "public_key", "secret", "token"];

/// Keys that only verifiers of kind "api-key" have.
const OF_API_KEYS: [&str; 2] = ["key", "keys"];

impl Auth {
    pub(crate) fn read(name: At<String>, value: Value<'_>) -> Option<Self> {
        let title = format!("[auth.{}]", name.value);
        value.section(&title, |section| Self::keys(name, section)).value()
    }

    fn keys(name: At<String>, section: &mut Section<'_>) -> Self {
        let kind = section.word("kind", &["jwt", "api-key", IN_CODE], &[]);
        match kind.get().map(|kind| kind.value) {
            Some("api-key") => misplaced(section, &OF_JWT, "jwt"),
            Some(IN_CODE) => {
                let of_jwt: Vec<_> = OF_JWT.into_iter().filter(|key| *key != "token").collect();
                misplaced(section, &of_jwt, "jwt");
                misplaced(section, &OF_API_KEYS, "api-key");
            }
            Some(_) => misplaced(section, &OF_API_KEYS, "api-key"),
            None => {}
        }
        Self {
            algorithms: section.texts("algorithms"),
            audience: section.texts("audience"),
            failures: section.text("failures"),
            forward: section.pairs("forward"),
            forward_token: section.value("forward_token").and_then(Value::boolean),
            id: section.text("id"),
            issuer: section.text("issuer"),
            jwks: section.value("jwks").and_then(Value::keys),
            keys_refresh: section.duration("keys_refresh"),
            key: section.texts("key"),
            keys: section.value("keys").and_then(|keys| match kind.get().map(|kind| kind.value) {
                // Noted above; what its file holds concerns nobody.
                Some("jwt" | IN_CODE) => Given::Absent,
                _ => key_file::read(keys),
            }),
            kind,
            // No leeway at all is a choice.
            leeway: section.value("leeway").and_then(Value::duration),
            name,
            public_key: section.value("public_key").and_then(Value::keys),
            secret: section.value("secret").and_then(Value::secret),
            span: section.span.clone(),
            token: section.texts("token"),
        }
    }
}

/// Notes keys of the other kind: they would change nothing here, and somebody meant them to.
fn misplaced(section: &Section<'_>, keys: &[&str], kind: &str) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let title = format!("`{key}` is a key of verifiers of kind \"{kind}\"");
        section.note(Problem::error(&section.key_span(key), title).hint("remove it, or change `kind`"));
    }
}
