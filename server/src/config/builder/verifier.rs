//! `[auth.*]`: who a client is.

use super::keys::keys;
use super::table::Table;
use crate::config::IN_CODE;

/// A verifier of kind "jwt". Issuer, audience and algorithms have no default.
#[derive(Clone, Debug)]
#[must_use]
pub struct Jwt(pub(super) Table);

/// A verifier of kind "api-key".
#[derive(Clone, Debug)]
#[must_use]
pub struct ApiKeys(pub(super) Table);

/// A verifier of kind "in-code": the program brings it, by `GatewayBuilder::verifier`.
#[derive(Clone, Debug)]
#[must_use]
pub struct InCode(pub(super) Table);

fn of_kind(kind: &str) -> Table {
    let mut table = Table::default();
    table.set("kind", kind);
    table
}

impl Jwt {
    pub(super) fn new() -> Self {
        Self(of_kind("jwt"))
    }

    keys! {
        /// The algorithms that tokens may be signed with.
        texts algorithms;
        /// The audiences that are accepted; "any" says that it is not checked.
        texts audience;
        /// How many failed verifications a client may have, "30/min"; or "off".
        text failures;
        /// Whether the upstream still sees the token.
        flag forward_token;
        /// The claim that is the identity's id.
        text id;
        /// The issuer that is accepted; "any" says that it is not checked.
        text issuer;
        /// The issuer's keys: "https://…", "file:PATH", or "in-code": the program brings their source.
        text jwks;
        /// How often keys over HTTPS are fetched.
        duration keys_refresh;
        /// How far the issuer's clock and ours may be apart.
        duration leeway;
        /// A public key as PEM, or "file:PATH".
        text public_key;
        /// The shared secret of HS*. It stands in no report.
        secret secret;
        /// Where tokens stand: sources.
        texts token;
    }

    /// The shared secret of HS* is what the file at `path` holds.
    pub fn secret_file(mut self, path: &str) -> Self {
        self.0.set("secret", format!("file:{path}"));
        self
    }

    /// Tells upstreams a claim in `header`, which no client can set then.
    pub fn forward(mut self, header: impl Into<String>, claim: impl Into<String>) -> Self {
        self.0.pair("forward", header.into(), claim.into());
        self
    }
}

impl ApiKeys {
    pub(super) fn new() -> Self {
        Self(of_kind("api-key"))
    }

    keys! {
        /// How many failed verifications a client may have, "30/min"; or "off".
        text failures;
        /// Whether the upstream still sees the key.
        flag forward_token;
        /// Where keys stand: sources.
        texts key;
        /// The file of their hashes: "file:PATH".
        text keys;
    }

    /// Tells upstreams a claim in `header`, which no client can set then.
    pub fn forward(mut self, header: impl Into<String>, claim: impl Into<String>) -> Self {
        self.0.pair("forward", header.into(), claim.into());
        self
    }
}

impl InCode {
    pub(super) fn new() -> Self {
        Self(of_kind(IN_CODE))
    }

    keys! {
        /// How many failed verifications a client may have, "30/min"; or "off".
        text failures;
        /// Whether the upstream still sees the token.
        flag forward_token;
        /// Where tokens stand: sources.
        texts token;
    }

    /// Tells upstreams a claim in `header`, which no client can set then.
    pub fn forward(mut self, header: impl Into<String>, claim: impl Into<String>) -> Self {
        self.0.pair("forward", header.into(), claim.into());
        self
    }
}
