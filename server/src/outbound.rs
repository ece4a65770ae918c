//! The head of a request as the upstream gets it.

use std::borrow::Cow;

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use http_body::Body as _;
use portcullis_core::Rejection;
use portcullis_core::admit::{Admitted, Routed};
use portcullis_core::auth::ForwardedClaims;
use portcullis_core::headers::{self, HeaderError, SetField, TRACEPARENT, TraceParent, X_REQUEST_ID};
use portcullis_core::plan::{Plan, Rewrite};

use crate::forward::body::RequestBody;
use crate::inbound::refused;
use crate::proxy::Pass;

/// The path that an upstream is asked for.
#[derive(Debug)]
pub(crate) enum PathChange {
    /// What arrived was canonical, and is kept: nothing is copied.
    AsArrived,
    /// Another path, or another query: one without the token that stood in it.
    To(PathAndQuery),
}

/// The path of the upstream's request: always made from the canonical one that was matched, authenticated and limited.
///
/// # Errors
/// 400 when a value that the route's template needs is missing.
pub(crate) fn path(
    routed: &Routed<'_, '_>,
    uri: &Uri,
    rewrite: &Rewrite,
    admitted: &Admitted<'_>,
    plan: &Plan,
) -> Result<PathChange, Rejection> {
    let path = routed.upstream_path(rewrite, admitted.identity.as_deref())?;
    let query = uri.query().and_then(|query| admitted.query(plan, query));
    if *path == *uri.path() && query.as_deref() == uri.query() {
        return Ok(PathChange::AsArrived);
    }
    let target = match query {
        Some(query) => Cow::Owned(format!("{path}?{query}")),
        None => path,
    };
    PathAndQuery::try_from(&*target)
        .map(PathChange::To)
        .map_err(|_| Rejection::BadRequest("the path cannot be sent on"))
}

/// The fields that we say, written after those of the client: a list, because a map costs a hash for each. Whatever the
/// client said under their names is gone from the request before (by `inbound::screen`, or here).
#[derive(Debug, Default)]
pub(crate) struct Ours {
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Who the request is from: made once for a token, and shared.
    claims: Option<ForwardedClaims>,
}

impl Ours {
    /// Room for what most requests get; one allocation.
    fn new(claims: Option<ForwardedClaims>) -> Self {
        Self { fields: Vec::with_capacity(10), claims }
    }

    /// Every field.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.fields.iter().chain(self.claims.iter().flatten())
    }
}

impl SetField for Ours {
    fn set_field(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), HeaderError> {
        self.fields.push((name, value));
        Ok(())
    }

    fn add_field(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), HeaderError> {
        self.set_field(name, value)
    }
}

/// The head for the upstream. Hop-by-hop and forged fields are gone already; what we say is set last, by replacing.
///
/// # Errors
/// 431 when there is no room for what we say.
pub(crate) fn request(
    mut parts: Parts,
    path: PathChange,
    admitted: &Admitted<'_>,
    pass: &Pass<'_>,
) -> Result<(Request<()>, Ours), Rejection> {
    let (connection, gateway) = (pass.connection, &pass.connection.gateway);
    let fields = &mut parts.headers;
    let mut ours = Ours::new(admitted.claims.clone());
    admitted.hide_tokens(&pass.running.plan, fields);
    // An absolute target's authority is the host (RFC 9112, section 3.2.2); otherwise the client's Host goes on as it is.
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Rejection::Internal)?;
        set(fields.try_insert(HOST, host))?;
    }
    connection.via.append(&mut ours, parts.version).map_err(refused)?;
    connection.forwarding(pass.arrival).write(&mut ours, fields.get(HOST)).map_err(refused)?;
    if let Some(id) = &pass.request_id {
        ours.set_field(X_REQUEST_ID, id.clone()).map_err(refused)?;
    }
    let trace = if pass.screened.survey.trace {
        headers::continue_trace(fields, gateway.random_u128(), gateway.random_u64())
    } else {
        TraceParent::begun(gateway.random_u128(), gateway.random_u64())
    };
    ours.set_field(TRACEPARENT, trace.value()).map_err(refused)?;
    let mut request = Request::new(());
    *request.method_mut() = parts.method;
    *request.uri_mut() = origin_form(parts.uri, path);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = parts.headers;
    Ok((request, ours))
}

/// The request with its body. One of unknown length is said to be chunked whatever the method: hyper takes a GET for one
/// without a body otherwise, and drops it.
///
/// # Errors
/// 431 when there is no room for the field.
pub(crate) fn framed(mut head: Request<()>, body: RequestBody) -> Result<Request<RequestBody>, Rejection> {
    if body.size_hint().exact().is_none() {
        set(head.headers_mut().try_insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")))?;
    }
    Ok(head.map(|()| body))
}

fn set<T>(inserted: Result<T, http::header::MaxSizeReached>) -> Result<(), Rejection> {
    inserted.map(drop).map_err(|_| Rejection::HeadersTooLarge)
}

/// What stands in the request line (RFC 9112, section 3.2.1).
fn origin_form(uri: Uri, path: PathChange) -> Uri {
    match path {
        PathChange::To(path) => Uri::from(path),
        PathChange::AsArrived if uri.authority().is_none() => uri,
        PathChange::AsArrived => uri.path_and_query().cloned().map(Uri::from).unwrap_or_default(),
    }
}
