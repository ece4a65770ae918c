//! `[auth.*]`: who a client is.

use std::time::Duration;

use crate::config::resolve::Secret;
use crate::config::section::{Harmless, Section};
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
    pub(crate) kind: Given<At<&'static str>>,
    pub(crate) leeway: Given<At<Duration>>,
    pub(crate) name: At<String>,
    pub(crate) secret: Given<At<Secret>>,
    pub(crate) span: Span,
}

impl Auth {
    pub(crate) fn read(name: At<String>, value: Value<'_>) -> Option<Self> {
        let title = format!("[auth.{}]", name.value);
        value.section(&title, |section| Self::keys(name, section)).value()
    }

    fn keys(name: At<String>, section: &mut Section<'_>) -> Self {
        section.not_built_yet(&["public_key", "jwks", "key", "keys"]);
        section.not_built("token", Harmless::OneOf("header:authorization"));
        section.not_built("keys_refresh", Harmless::Word("10m"));
        Self {
            algorithms: section.texts("algorithms"),
            audience: section.texts("audience"),
            failures: section.text("failures"),
            forward: section.pairs("forward"),
            forward_token: section.value("forward_token").and_then(Value::boolean),
            id: section.text("id"),
            issuer: section.text("issuer"),
            kind: section.word("kind", &["jwt"], &["api-key"]),
            // No leeway at all is a choice.
            leeway: section.value("leeway").and_then(Value::duration),
            name,
            secret: section.value("secret").and_then(Value::secret),
            span: section.span.clone(),
        }
    }
}
