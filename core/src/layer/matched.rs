//! The route of a request, for the service behind it.

use std::fmt;
use std::sync::Arc;

use crate::admit::Routed;
use crate::plan::{Plan, Route};
use crate::route::{Found, Params, RouteIndex};

/// By which route a request was admitted: an extension of the request behind an [`AdmitLayer`](super::AdmitLayer). Cheap to clone.
#[derive(Clone)]
pub struct Matched {
    found: Found,
    /// The canonical path where the route has parameters, which stand in it.
    path: Arc<str>,
    plan: Arc<Plan>,
}

impl Matched {
    pub(super) fn new(plan: &Arc<Plan>, routed: &Routed<'_, '_>) -> Self {
        let (found, path) = (routed.found(), routed.path().as_str());
        let has_params = plan.table.params(&found, path).iter().next().is_some();
        Self { found, path: if has_params { path.into() } else { Arc::default() }, plan: Arc::clone(plan) }
    }

    /// The route's name; empty where the plan has none of that number.
    pub fn name(&self) -> &str {
        self.route().map_or("", |route| &route.name)
    }

    /// The route's place in the plan.
    pub fn index(&self) -> RouteIndex {
        self.found.route()
    }

    /// The route.
    pub fn route(&self) -> Option<&Route> {
        self.plan.routes.get(self.index().as_usize())
    }

    /// The value of the path parameter `name`, as it stands in the canonical path: escapes are still escapes. "rest" is what `**` took.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get(name)
    }

    /// All path parameters, from the left.
    pub fn params(&self) -> Params<'_> {
        self.plan.table.params(&self.found, &self.path)
    }
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matched").field("name", &self.name()).field("params", &self.params()).finish()
    }
}
