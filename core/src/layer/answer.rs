//! What an answer says beside what the inner service says: how much is left of limits, or why it was refused.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::headers::{X_REQUEST_ID, sent_request_id};
use crate::limit::{HeaderFamilies, Verdict};
use crate::plan::{Limits, Plan};
use crate::rejection::Rejection;
use crate::route::RouteIndex;

/// What an answer says of the limits that its request passed.
#[derive(Debug)]
pub(super) enum Told {
    /// Of a layer's own limits.
    Limits(Arc<Limits>, HeaderFamilies, Verdict),
    /// There is nothing to tell.
    Nothing,
    /// Of the limits of a plan's route.
    Route(Arc<Plan>, RouteIndex, HeaderFamilies, Verdict),
}

impl Told {
    /// Says it in the head of the inner service's answer.
    pub(super) fn tell<B>(&self, answer: &mut Response<B>) {
        let (limits, families, verdict) = match self {
            Self::Limits(limits, families, verdict) => (&**limits, families, verdict),
            Self::Nothing => return,
            Self::Route(plan, route, families, verdict) => match plan.routes.get(route.as_usize()) {
                Some(route) => (&route.limits, families, verdict),
                None => return,
            },
        };
        // A layer further in has refused by its limits: the fields are about those.
        if !matches!(answer.extensions().get(), Some(Rejection::Limited { .. })) {
            limits.policies.write(verdict, *families, answer.headers_mut());
        }
    }
}

/// The answer to a refused request, as the gateway gives it: the same body, the same fields. A request that has an id is told it; the
/// rejection itself goes along as an extension of the response, for whoever logs or counts.
pub(super) fn refuse(
    parts: &Parts,
    rejection: Rejection,
    limits: Option<(&Limits, HeaderFamilies)>,
) -> Box<Response<Bytes>> {
    let id = sent_request_id(&parts.headers);
    let mut response = rejection.response_to(&parts.headers, id.and_then(|id| id.to_str().ok()));
    if let Some(id) = id {
        // A fresh map of a handful of fields cannot be full.
        let _ = response.headers_mut().try_insert(X_REQUEST_ID, id.clone());
    }
    if let (Rejection::Limited { verdict, .. }, Some((limits, families))) = (&rejection, limits) {
        limits.policies.write(verdict, families, response.headers_mut());
    }
    response.extensions_mut().insert(rejection);
    Box::new(response)
}

/// Says which limits in shadow would have refused: nobody else would notice.
pub(super) fn report_shadow(limits: &Limits, verdict: &Verdict) {
    for rule in verdict.would_refuse.indices().filter_map(|place| limits.rules.get(place)) {
        tracing::info!(rule = rule.name(), "a limit in shadow would have refused a request");
    }
}

/// Replaces fields that say who a request is from.
///
/// # Errors
/// 431 when there is no room for them: they are not left out, since what is missing could be a restriction.
pub(super) fn forward(claims: &crate::auth::ForwardedClaims, headers: &mut HeaderMap) -> Result<(), Rejection> {
    for (name, value) in claims {
        keep(headers, name);
        headers.try_insert(name.clone(), value.clone()).map_err(|_| Rejection::HeadersTooLarge)?;
    }
    Ok(())
}

/// Takes `name` off what `Connection` names: a client must not have a proxy behind the layer drop a field of ours (RFC 9110,
/// section 7.6.1). What else stands there stays: the connection is the server's business.
fn keep(headers: &mut HeaderMap, name: &HeaderName) {
    let Ok(Entry::Occupied(mut connection)) = headers.try_entry(CONNECTION) else { return };
    for line in connection.iter_mut() {
        let options = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let (ours, others): (Vec<_>, Vec<_>) =
            options.partition(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()));
        // What was a field's value without some of its parts is one still.
        if let (false, Ok(others)) = (ours.is_empty(), HeaderValue::from_bytes(&others.join(&b", "[..]))) {
            *line = others;
        }
    }
}
