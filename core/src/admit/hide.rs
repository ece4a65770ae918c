//! What of a request its upstream does not see: where the tokens of its route stand.

use std::borrow::Cow;

use http::HeaderMap;

use super::Admitted;
use crate::auth::TokenSource;
use crate::plan::{Access, AuthIndex, Plan};

impl<'p> Admitted<'p> {
    /// Takes the route's tokens out of the fields that the upstream gets: those of all its verifiers, so that none reaches it
    /// that nobody looked at. Only where the one that accepted the request says `forward_token`, its own stay.
    pub fn hide_tokens(&self, plan: &'p Plan, headers: &mut HeaderMap) {
        self.hidden(plan).for_each(|source| source.strip(headers));
    }

    /// The query that the upstream gets: without the route's tokens, likewise; all else as it came. None when nothing is left.
    pub fn query<'r>(&self, plan: &'p Plan, query: &'r str) -> Option<Cow<'r, str>> {
        self.hidden(plan).try_fold(Cow::Borrowed(query), |query, source| source.strip_query(query))
    }

    /// Where the tokens stand that the upstream does not see.
    pub fn hidden(&self, plan: &'p Plan) -> impl Iterator<Item = &'p TokenSource> {
        let verifiers: &'p [AuthIndex] = match &self.route.access {
            Access::Public => &[],
            Access::Verified(verifiers) => verifiers,
        };
        let kept = self.auth.filter(|auth| auth.forward_token).map(|auth| &auth.token);
        let all = verifiers.iter().filter_map(|index| plan.auths.get(index.0)).flat_map(|auth| &auth.token);
        all.filter(move |source| !kept.is_some_and(|kept| kept.iter().any(|kept| kept == *source)))
    }
}
