//! What answers an admitted request, and all that its route makes of it.

use http::{HeaderValue, StatusCode, Uri};
use portcullis_core::Rejection;
use portcullis_core::admit::{Admitted, Routed};
use portcullis_core::plan::{Respond, Target, UpstreamIndex};

use crate::outbound::Change;
use crate::pass::Pass;

/// What comes after admission.
pub(crate) enum Next<'p> {
    /// The gateway answers.
    Own(Own<'p>),
    /// This upstream is asked.
    Upstream(UpstreamIndex, Change),
}

/// What the gateway says itself.
#[derive(Debug)]
pub(crate) enum Own<'p> {
    /// The way to somewhere else.
    Redirect(StatusCode, HeaderValue),
    /// An answer from the configuration.
    Respond(&'p Respond),
}

/// What answers, with everything that templates make of the request: worked out now, while the request can still be read.
///
/// # Errors
/// 400 when a value that a template needs is absent or does not fit.
#[expect(clippy::needless_pass_by_value, reason = "what is taken here is not kept while an upstream is asked")]
pub(crate) fn resolve<'p>(
    pass: &mut Pass<'p>,
    routed: Routed<'p, '_>,
    admitted: &Admitted<'p>,
    uri: &Uri,
) -> Result<Next<'p>, Rejection> {
    let route = admitted.route;
    let facts = routed.facts(admitted.identity.as_deref());
    if !route.response.is_empty() {
        pass.ruled = Some((&route.response, route.response.fields(&facts)));
    }
    let (upstream, rewrite) = match &route.target {
        Target::Redirect(redirect) => {
            return Ok(Next::Own(Own::Redirect(redirect.status, redirect.to.render(&facts)?)));
        }
        Target::Respond(answer) => return Ok(Next::Own(Own::Respond(answer))),
        Target::Split { rewrite, split } => (split.choose(&facts, pass.connection.gateway.random_u64()), rewrite),
        Target::Upstream { rewrite, upstream } => (*upstream, rewrite),
        _ => return Err(Rejection::Internal),
    };
    let balance = pass.running.plan.upstreams.get(upstream.0).map(|upstream| &upstream.balance);
    pass.key = balance.and_then(|balance| balance.key(&facts));
    Ok(Next::Upstream(upstream, Change::new(&facts, uri, rewrite, admitted, &pass.running.plan)?))
}
