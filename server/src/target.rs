//! What answers an admitted request, and all that its route makes of it.

use http::{HeaderValue, StatusCode};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::plan::{Respond, Rewrite, Target, UpstreamIndex};
use portcullis_core::source::Facts;

use crate::pass::Pass;

/// What comes after admission.
pub(crate) enum Next<'p> {
    /// The gateway answers.
    Own(Own<'p>),
    /// This upstream, for that path, unless what is stored answers.
    Upstream(UpstreamIndex, &'p Rewrite),
}

/// What the gateway says itself.
#[derive(Debug)]
pub(crate) enum Own<'p> {
    /// The way to somewhere else.
    Redirect(StatusCode, HeaderValue),
    /// An answer from the configuration.
    Respond(&'p Respond),
}

/// What answers, and what the route makes of the answer's fields: worked out while the request can still be read.
///
/// # Errors
/// 400 when a value that a template needs is absent or does not fit.
pub(crate) fn resolve<'p>(
    pass: &mut Pass<'p>,
    facts: &Facts<'_>,
    admitted: &Admitted<'p>,
) -> Result<Next<'p>, Rejection> {
    let route = admitted.route;
    if !route.response.is_empty() {
        pass.ruled = Some((&route.response, route.response.fields(facts)));
    }
    let (upstream, rewrite) = match &route.target {
        Target::Redirect(redirect) => {
            return Ok(Next::Own(Own::Redirect(redirect.status, redirect.to.render(facts)?)));
        }
        Target::Respond(answer) => return Ok(Next::Own(Own::Respond(answer))),
        Target::Split { rewrite, split } => (split.choose(facts, pass.connection.gateway.random_u64()), rewrite),
        Target::Upstream { rewrite, upstream } => (*upstream, rewrite),
        _ => return Err(Rejection::Internal),
    };
    Ok(Next::Upstream(upstream, rewrite))
}
