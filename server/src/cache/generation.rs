//! Which answers a route may still use after a reload: those that were stored under the same settings.

use std::sync::Arc;

use portcullis_core::plan::{Access, Plan, Route, Target};

use super::Cache;
use crate::parts::VerifierSettings;

/// What a route's stored answers depend on, and a number for it that is in their keys.
#[derive(Debug)]
pub(crate) struct Generation {
    name: Arc<str>,
    /// What it asks for, of whom, and who may have it.
    settings: String,
    verifiers: Vec<VerifierSettings>,
    pub(crate) number: u64,
}

impl Generation {
    /// Those of all routes that keep answers; a route's old one if nothing changed that its answers depend on. None for others.
    pub(crate) fn of_all(
        plan: &Plan,
        verifiers: &[VerifierSettings],
        cache: &Cache,
        old: &[Option<Self>],
    ) -> Box<[Option<Self>]> {
        let of = |route: &Route| route.cache.is_some().then(|| Self::of(route, plan, verifiers, cache, old));
        plan.routes.iter().map(of).collect()
    }

    fn of(route: &Route, plan: &Plan, verifiers: &[VerifierSettings], cache: &Cache, old: &[Option<Self>]) -> Self {
        let asked: &[_] = if let Access::Verified(asked) = &route.access { asked } else { &[] };
        let made_from: Vec<_> = asked.iter().filter_map(|auth| verifiers.get(auth.0)).cloned().collect();
        let (name, settings) = (Arc::clone(&route.name), settings(route, plan));
        let same =
            old.iter().flatten().find(|old| old.name == name && old.settings == settings && old.verifiers == made_from);
        // Never used twice: what was stored before a change is not found when that is taken back.
        let number = same.map_or_else(|| cache.next_generation(), |old| old.number);
        Self { name, settings, verifiers: made_from, number }
    }
}

/// What a route asks for, of whom, and on whose behalf; what it does to limits or to the answer on its way to a client is not in it.
fn settings(route: &Route, plan: &Plan) -> String {
    let asked: Vec<_> = match &route.access {
        Access::Public => Vec::new(),
        Access::Verified(asked) => {
            let auths = asked.iter().filter_map(|auth| plan.auths.get(auth.0));
            auths.map(|auth| (auth, &auth.token, auth.forward_token)).collect()
        }
    };
    let name = |upstream| plan.upstream_name(upstream).to_owned();
    let (rewrite, upstreams): (_, Vec<_>) = match &route.target {
        Target::Upstream { rewrite, upstream } => (Some(rewrite), vec![name(*upstream)]),
        Target::Split { rewrite, split } => {
            (Some(rewrite), split.shares().iter().map(|share| name(share.upstream)).collect())
        }
        _ => (None, Vec::new()),
    };
    format!(
        "{:?}",
        (
            (&route.cache, &route.pattern, &route.encoded_separators, &route.request),
            (asked, &plan.identity_headers, rewrite, upstreams)
        )
    )
}
