//! The head of a request as the upstream gets it.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::auth::ForwardedClaims;
use portcullis_core::headers::{
    self, HeaderError, HeaderRules, RuledFields, SetField, TRACEPARENT, TraceParent, X_REQUEST_ID,
};
use portcullis_core::plan::{Plan, Rewrite, Rewritten};
use portcullis_core::source::Facts;

use crate::inbound::refused;
use crate::pass::Pass;

/// The path that an upstream is asked for.
#[derive(Debug)]
enum PathChange {
    /// What arrived was canonical, and is kept: nothing is copied.
    AsArrived,
    /// Another path, or another query: one without the token that stood in it.
    To(PathAndQuery),
}

/// What the route makes of a request: worked out while the request can still be read.
#[derive(Debug)]
pub(crate) struct Change {
    fields: RuledFields,
    path: PathChange,
}

impl Change {
    /// What its route makes of an admitted request that goes to an upstream. The path is always made from the canonical one
    /// that was matched, authenticated and limited.
    ///
    /// # Errors
    /// 400 when a value that the route's template needs is missing or does not fit.
    pub(crate) fn new(
        facts: &Facts<'_>,
        uri: &Uri,
        rewrite: &Rewrite,
        admitted: &Admitted<'_>,
        plan: &Plan,
    ) -> Result<Self, Rejection> {
        let mut target = rewrite.apply(facts)?;
        // What the route writes itself is its own business; what the client sent goes on without its tokens.
        if let Some(Cow::Borrowed(query)) = target.query {
            target.query = admitted.query(plan, query);
        }
        Ok(Self { fields: admitted.route.request.fields(facts), path: path(target, uri)? })
    }
}

fn path(target: Rewritten<'_>, uri: &Uri) -> Result<PathChange, Rejection> {
    if *target.path == *uri.path() && target.query.as_deref() == uri.query() {
        return Ok(PathChange::AsArrived);
    }
    let text = match target.query.as_deref() {
        Some(query) if !query.is_empty() => Cow::Owned(format!("{}?{query}", target.path)),
        _ => target.path,
    };
    PathAndQuery::try_from(&*text).map(PathChange::To).map_err(|_| Rejection::BadRequest("the path cannot be sent on"))
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
    change: Change,
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
    rule(&admitted.route.request, change.fields, fields, &mut ours)?;
    let mut request = Request::new(());
    *request.method_mut() = parts.method;
    *request.uri_mut() = origin_form(parts.uri, change.path);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = parts.headers;
    // What the embedding program put there; a service of it may ask for it, and for who the request is from.
    *request.extensions_mut() = parts.extensions;
    Ok((request, ours))
}

/// The route's own rules, after `X-Forwarded-Host` was made of the client's `Host`, which a rule may replace.
fn rule(rules: &HeaderRules, mut ruled: RuledFields, fields: &mut HeaderMap, ours: &mut Ours) -> Result<(), Rejection> {
    rules.strip(fields);
    if let Some(host) = ruled.take_host() {
        set(fields.try_insert(HOST, host))?;
    }
    ruled.write(ours).map_err(refused)
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
