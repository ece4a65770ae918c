//! `upgrade`: what clients of a route may change their connections to.

use portcullis_core::headers::{Protocol, ProtocolError};
use portcullis_core::plan::Target;

use super::Problems;
use super::routes::each;
use super::target::Upstreams;
use crate::config::problem::Problem;
use crate::config::schema::routes::Route;
use crate::config::span::{Given, Text};

/// The protocols of `route`, which is answered by `target`.
pub(super) fn compile(
    route: &Route,
    target: Option<&Target>,
    upstreams: &Upstreams<'_>,
    problems: &mut Problems,
) -> Option<Box<[Protocol]>> {
    let Given::Value(list) = &route.upgrade else {
        // The default: most who upgrade at all mean this, and where nothing answers so it opens nothing.
        return route.upgrade.is_absent().then(|| "websocket".parse::<Protocol>().into_iter().collect());
    };
    if let Some(Target::Upstream { upstream, .. }) = target
        && upstreams.is_in_code(*upstream)
        && !list.value.is_empty()
    {
        let problem = Problem::error(&list.span, "a service of the program has no connection to hand over");
        problems.note(problem.hint("remove `upgrade`: here it changes nothing"));
    }
    each(&route.upgrade, problems, protocol).map(Into::into)
}

fn protocol(text: &Text, problems: &mut Problems) -> Option<Protocol> {
    match text.value.parse::<Protocol>() {
        Ok(protocol) => Some(protocol),
        Err(_) if text.unset => "websocket".parse().ok(),
        Err(error) => {
            let title = format!("`{}` is not a protocol that a route can upgrade to", text.shown());
            let problem =
                Problem::error(&text.span, title).accepted("\"websocket\", or another such as \"tcp\" or \"SPDY/3.1\"");
            problems.note(match error {
                ProtocolError::Requests => problem.label("requests in it would reach the upstream past every policy"),
                _ => problem.label("a name, or a name and a version: `name/version`"),
            });
            None
        }
    }
}
