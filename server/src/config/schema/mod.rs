//! The file as written: plain data with the place of every value. One file for each section; every key of the contract is
//! asked for here, also those whose part is not built yet.

pub(crate) mod admin;
pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod defaults;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod redirect;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod split;
pub(crate) mod store;
pub(crate) mod upstreams;

use super::section::Section;
use super::span::{At, Given};
use super::value::Value;

/// The whole file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) admin: Given<admin::Admin>,
    pub(crate) auths: Vec<auth::Auth>,
    pub(crate) cache: Given<cache::Cache>,
    pub(crate) defaults: Given<defaults::Defaults>,
    pub(crate) limits: Vec<limits::Named>,
    pub(crate) listen: Given<At<Vec<listen::Listen>>>,
    pub(crate) log: Given<log::Log>,
    pub(crate) routes: Given<At<Vec<routes::Route>>>,
    pub(crate) server: Given<server::Server>,
    pub(crate) store: Given<store::Store>,
    pub(crate) upstreams: Vec<upstreams::Upstream>,
}

impl File {
    /// Reads the top of the file.
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            admin: section.table("admin", admin::Admin::read),
            auths: section.named("auth", auth::Auth::read),
            cache: section.table("cache", cache::Cache::read),
            defaults: section.table("defaults", defaults::Defaults::read),
            limits: section.named("limits", limits::Named::read),
            listen: section.value("listen").and_then(listen::Listen::read_all),
            log: section.table("log", log::Log::read),
            routes: section.value("routes").and_then(routes),
            server: section.table("server", server::Server::read),
            store: section.table("store", store::Store::read),
            upstreams: section.named("upstreams", upstreams::Upstream::read),
        }
    }
}

fn routes(value: Value<'_>) -> Given<At<Vec<routes::Route>>> {
    value.each("a list of tables, [[routes]]", |value| value.section("[[routes]]", routes::Route::read))
}
