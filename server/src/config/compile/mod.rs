//! From the file as written to what runs. Pure: nothing is read here, nothing is started. Every problem is noted and the work
//! goes on with what is good; what comes out counts only when there was no error.

mod access;
mod admin;
mod auths;
mod cache;
mod expressions;
mod headers;
mod limit_keys;
mod limits;
mod listen;
mod log;
mod names;
mod quotas;
mod redirect;
mod respond;
mod rewrite;
mod routes;
mod rules;
mod server;
mod split;
mod split_view;
mod store;
mod target;
mod trusted;
mod upgrade;
mod upstream;

use std::path::Path;

use portcullis_core::auth::{Auth, IdentityHeaders};
use portcullis_core::plan::Plan;

use super::problem::{Level, Problem};
use super::schema::File;
use super::settings::Settings;
use crate::parts::VerifierSettings;

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// Notes one.
    pub(crate) fn note(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.level == Level::Error)
    }
}

/// What runs.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) verifiers: Vec<VerifierSettings>,
}

/// What runs; none when there were errors, earlier or here. `folder` is where the file stands.
pub(crate) fn compile(file: &File, folder: &Path, problems: &mut Problems) -> Option<Compiled> {
    let listen = listen::compile(&file.listen, folder, problems);
    let admin = admin::compile(file.admin.get(), &listen, folder, problems);
    let (server, max_body_size) = server::compile(file.server.get(), problems);
    let trusted = trusted::compile(file.server.get(), problems);
    let log = log::compile(file.log.get(), folder, problems);
    let store = store::compile(file.store.get(), problems);
    quotas::note(file, &store.place, problems);

    let (auths, verifiers): (Vec<_>, Vec<_>) = auths::compile(&file.auths, problems).into_iter().unzip();
    let headers = auths.iter().flat_map(|auth: &Auth| auth.forward.iter()).map(|forward| &forward.header);
    let identity_headers = IdentityHeaders::new(headers);
    auths::note_removed(&file.auths, problems);
    let rules = limits::Rules::compile(&file.limits, file.store.get(), problems);
    let known = target::Upstreams::new(file);
    let upstreams = upstream::compile(&file.upstreams, &known, problems);
    let cache_size = cache::size(file.cache.get(), problems);
    let context = routes::Context::new(file, (&auths, &identity_headers), &rules, known, (max_body_size, cache_size));
    let routes = routes::compile(&context, problems);

    let (routes, table) = routes.filter(|_| !problems.has_errors())?;
    let plan = Plan {
        identity_headers,
        auths: auths.into(),
        cache_size,
        routes: routes.into(),
        table,
        trusted,
        upstreams: upstreams.into(),
    };
    split_view::note(&plan, file.routes.get().map_or(&[], |routes| &routes.value), problems);
    if problems.has_errors() {
        return None;
    }
    let listen = listen.into_iter().map(|at| at.value).collect();
    Some(Compiled { plan, settings: Settings { admin, listen, log, server, store }, verifiers })
}
