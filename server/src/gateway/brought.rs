//! What the embedding program brings itself, in the places that its configuration calls "in-code".

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use portcullis_core::auth::{KeySource, TokenVerifier};
use portcullis_core::limit::RateLimitStore;
use portcullis_core::plan::MakePicker;

use crate::config::{Config, IN_CODE, StorePlace};
use crate::forward::in_code::Service;
use crate::observe::Record;
use crate::parts::{self, JwtKeys, VerifierSettings};

/// Says where a request came from.
pub(super) type ClientOf = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// Is told of a request that ended, and how long it took.
pub(crate) type Watcher = dyn Fn(&Record, Duration) + Send + Sync;

/// By the names of the configuration.
#[derive(Clone, Default)]
pub(crate) struct Brought {
    pub(super) client: Option<Arc<ClientOf>>,
    pub(super) keys: BTreeMap<String, Arc<dyn KeySource>>,
    pub(super) pickers: BTreeMap<String, Arc<MakePicker>>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) store: Option<Arc<dyn RateLimitStore>>,
    pub(super) verifiers: BTreeMap<String, Arc<dyn TokenVerifier>>,
    pub(super) watchers: Vec<Arc<Watcher>>,
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brought").field("services", &self.services).finish_non_exhaustive()
    }
}

/// A place of the configuration that a part could take.
struct Place<'c> {
    /// The table, such as "upstreams.shop".
    table: String,
    key: &'static str,
    /// Whether it says "in-code".
    in_code: bool,
    /// Whether the program fills it.
    brought: bool,
    /// What fills it: a method of the builder, and the name that it is called with.
    with: (&'static str, Option<&'c str>),
}

impl Brought {
    /// The service behind the upstream `name`.
    pub(crate) fn service(&self, name: &str) -> Option<Service> {
        self.services.get(name).cloned()
    }

    /// Puts everything in its place.
    ///
    /// # Errors
    /// One sentence for each place that nobody fills, and for each part that has no place; then the configuration must not run.
    pub(super) fn put_into(&self, config: &mut Config) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        problems.extend(self.places(config).iter().filter_map(Place::problem));
        self.check_names(config, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        for (auth, made_from) in config.plan.auths.iter_mut().zip(&config.verifiers) {
            match made_from {
                VerifierSettings::InCode(name) => {
                    if let Some(verifier) = self.verifiers.get(&**name) {
                        auth.verifier = Arc::clone(verifier);
                    }
                }
                VerifierSettings::Jwt(settings) if settings.keys == JwtKeys::InCode => {
                    if let Some(source) = self.keys.get(&*settings.name)
                        // Made once before, when the configuration was read: it cannot fail now.
                        && let Ok(verifier) = parts::jwt_verifier_with(settings, Arc::clone(source))
                    {
                        auth.verifier = verifier;
                    }
                }
                VerifierSettings::ApiKey(_) | VerifierSettings::Jwt(_) => {}
            }
        }
        for upstream in &mut config.plan.upstreams {
            if let Some(picker) = self.pickers.get(&*upstream.name) {
                upstream.balance.picker = Arc::clone(picker);
            }
        }
        Ok(())
    }

    /// Every place that a part could take.
    fn places<'c>(&self, config: &'c Config) -> Vec<Place<'c>> {
        let mut places = vec![Place {
            table: "store".to_owned(),
            key: "url",
            in_code: config.settings.store.place == StorePlace::InCode,
            brought: self.store.is_some(),
            with: ("store", None),
        }];
        let mut named = |table: &str, name: &'c str, key, in_code, brought, with| {
            places.push(Place { table: format!("{table}.{name}"), key, in_code, brought, with: (with, Some(name)) });
        };
        for upstream in &config.plan.upstreams {
            let name = &*upstream.name;
            let is = upstream.servers.is_empty();
            named("upstreams", name, "servers", is, self.services.contains_key(name), "upstream");
            let is = &*upstream.balance.name == IN_CODE;
            named("upstreams", name, "balance", is, self.pickers.contains_key(name), "picker");
        }
        for verifier in &config.verifiers {
            let name = verifier.name();
            let is = matches!(verifier, VerifierSettings::InCode(_));
            named("auth", name, "kind", is, self.verifiers.contains_key(name), "verifier");
            let is = verifier.jwt().is_some_and(|jwt| jwt.keys == JwtKeys::InCode);
            named("auth", name, "jwks", is, self.keys.contains_key(name), "keys");
        }
        places
    }

    /// A part under a name that is nowhere is a slip of the pen.
    fn check_names(&self, config: &Config, problems: &mut Vec<String>) {
        let upstreams: Vec<&str> = config.plan.upstreams.iter().map(|upstream| &*upstream.name).collect();
        let auths: Vec<&str> = config.plan.auths.iter().map(|auth| &*auth.name).collect();
        let brought = self.services.keys().chain(self.pickers.keys()).map(|name| (name, "upstreams", &upstreams));
        let brought = brought.chain(self.verifiers.keys().chain(self.keys.keys()).map(|name| (name, "auth", &auths)));
        for (name, table, known) in brought.filter(|(name, _, known)| !known.contains(&name.as_str())) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            problems.push(format!(
                "the program brings a part for [{table}.{name}], which is not in the configuration: there is {known}"
            ));
        }
    }
}

/// The places of `config` that only an embedding program fills, such as "[upstreams.shop] servers".
pub(crate) fn in_code(config: &Config) -> Vec<String> {
    let places = Brought::default().places(config).into_iter().filter(|place| place.in_code);
    places.map(|place| format!("[{}] {}", place.table, place.key)).collect()
}

impl Place<'_> {
    fn problem(&self) -> Option<String> {
        let Self { table, key, in_code, brought, with: (method, name) } = self;
        match (in_code, brought) {
            (true, false) => {
                let name = name.map_or(String::new(), |name| format!("\"{name}\", "));
                Some(format!(
                    "[{table}] {key} = \"{IN_CODE}\" is for a program that embeds the gateway and brings this part, with \
                     `Gateway::builder(config).{method}({name}…)`"
                ))
            }
            (false, true) => Some(format!(
                "the program brings a part for [{table}], whose `{key}` says something else: write `{key} = \"{IN_CODE}\"`"
            )),
            _ => None,
        }
    }
}
