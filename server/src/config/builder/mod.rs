//! A configuration from code, with the same reports as from a file.
//!
//! A [`Builder`] writes the file: its methods are the tables and keys of the contract (`docs/configuration.md`), under the same names.
//! What comes out is read like any other text, so there is one set of checks, and a problem is told as `check` tells it, with the
//! line that the builder wrote. [`Builder::text`] is that text.
//!
//! ```
//! use portcullis::config::{Config, Secret};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), portcullis::config::Report> {
//! let config = Config::builder()
//!     .jwt("login", |jwt| {
//!         jwt.algorithms(["HS256"])
//!             .secret(Secret::new("a-secret-of-at-least-32-bytes-here"))
//!             .issuer("https://login.shop.test")
//!             .audience(["shop"])
//!             .forward("x-user-id", "sub")
//!     })
//!     .limit("per-user", |limit| limit.rate("100/min").burst(20))
//!     .upstream("users", |upstream| upstream.server("http://127.0.0.1:7001").timeout(Duration::from_secs(2)))
//!     .route("users", |route| route.path("/users/**").upstream("users").auth(["login"]).limits(["per-user"]))
//!     .build()?;
//! assert_eq!(config.plan.routes.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! - **Text is what it says.** `${NAME}` in it is no variable; whoever wants one asks `std::env::var`. But `file:PATH` stands for a
//!   file where the key takes one, as in the file.
//! - **Secrets stay out of the text**, and so out of reports: it has a reference in their place.
//! - A key that is set twice has the later value. `listen`, `server`, `own_limit`, `forward` and the like add; a verifier, limit
//!   or upstream of a name that is taken is a problem, as in a file.
//! - A key without a method is set with `with_key`.

use std::path::PathBuf;

mod keys;
mod limit;
mod process;
mod route;
mod table;
#[cfg(test)]
mod tests;
mod upstream;
mod verifier;
mod write;

pub use limit::Limit;
pub use process::{Admin, Cache, Defaults, Log, Server, Store};
pub use route::{HeaderRules, Respond, Route, RouteCache, Split};
pub use table::Value;
pub use upstream::{Breaker, Eject, Health, Retries, Upstream};
pub use verifier::{ApiKeys, InCode, Jwt};

use super::{Config, LoadOptions, Report, read};
use table::Table;
use write::Document;

/// What reports call a configuration from code.
pub const NAME: &str = "<built in code>";

/// A configuration in the making: see [the module](self).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    top: Table,
    folder: PathBuf,
}

impl Config {
    /// Begins a configuration from code: see [`builder`](self).
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// What relative paths in it are relative to; the working directory unless said otherwise.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// One more address to listen on: `127.0.0.1:8080`, `unix:/run/portcullis.sock`.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.top.push("listen", address.into());
        self
    }

    /// `[server]`.
    pub fn server(mut self, server: impl FnOnce(Server) -> Server) -> Self {
        self.top.set("server", server(Server::default()).0);
        self
    }

    /// `[admin]`.
    pub fn admin(mut self, admin: impl FnOnce(Admin) -> Admin) -> Self {
        self.top.set("admin", admin(Admin::default()).0);
        self
    }

    /// `[log]`.
    pub fn log(mut self, log: impl FnOnce(Log) -> Log) -> Self {
        self.top.set("log", log(Log::default()).0);
        self
    }

    /// `[cache]`.
    pub fn cache(mut self, cache: impl FnOnce(Cache) -> Cache) -> Self {
        self.top.set("cache", cache(Cache::default()).0);
        self
    }

    /// `[store]`.
    pub fn store(mut self, store: impl FnOnce(Store) -> Store) -> Self {
        self.top.set("store", store(Store::default()).0);
        self
    }

    /// `[auth.NAME]` of kind "jwt".
    pub fn jwt(mut self, name: impl Into<String>, jwt: impl FnOnce(Jwt) -> Jwt) -> Self {
        self.top.name("auth", name.into(), jwt(Jwt::new()).0);
        self
    }

    /// `[auth.NAME]` of kind "api-key".
    pub fn api_keys(mut self, name: impl Into<String>, keys: impl FnOnce(ApiKeys) -> ApiKeys) -> Self {
        self.top.name("auth", name.into(), keys(ApiKeys::new()).0);
        self
    }

    /// `[auth.NAME]` of kind "in-code".
    pub fn verifier_in_code(mut self, name: impl Into<String>, verifier: impl FnOnce(InCode) -> InCode) -> Self {
        self.top.name("auth", name.into(), verifier(InCode::new()).0);
        self
    }

    /// `[limits.NAME]`.
    pub fn limit(mut self, name: impl Into<String>, limit: impl FnOnce(Limit) -> Limit) -> Self {
        self.top.name("limits", name.into(), limit(Limit::default()).0);
        self
    }

    /// `[upstreams.NAME]`.
    pub fn upstream(mut self, name: impl Into<String>, upstream: impl FnOnce(Upstream) -> Upstream) -> Self {
        self.top.name("upstreams", name.into(), upstream(Upstream::default()).0);
        self
    }

    /// `[defaults]`.
    pub fn defaults(mut self, defaults: impl FnOnce(Defaults) -> Defaults) -> Self {
        self.top.set("defaults", defaults(Defaults::default()).0);
        self
    }

    /// One more of `[[routes]]`. An empty name counts as none: it is made from the path.
    pub fn route(mut self, name: &str, route: impl FnOnce(Route) -> Route) -> Self {
        let mut table = Table::default();
        if !name.is_empty() {
            table.set("name", name);
        }
        self.top.push("routes", route(Route(table)).0);
        self
    }

    /// Sets a key or table of the top by its name, whatever it is: for one that has no method.
    pub fn with_key(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.top.set(name, value);
        self
    }

    /// The file that says the same, but for secrets, in whose place it has references. What reports show.
    pub fn text(&self) -> String {
        Document::of(&self.top).text
    }

    /// The configuration.
    ///
    /// # Errors
    /// Every problem that it has, as a file's are told, under the name [`NAME`].
    pub fn build(self) -> Result<Config, Report> {
        let Document { text, secrets } = Document::of(&self.top);
        let env = |name: &str| Document::secret(&secrets, name);
        read(NAME, &text, &self.folder, &env, LoadOptions::default()).0
    }
}
