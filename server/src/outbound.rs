//! The head of a request as the upstream gets it.

use std::borrow::Cow;
use std::sync::MutexGuard;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version};
use http_body::Body as _;
use portcullis_core::Rejection;
use portcullis_core::admit::Admitted;
use portcullis_core::auth::ForwardedClaims;
use portcullis_core::headers::{self, HeaderError, RuledFields, SetField, TraceParent, Via, X_REQUEST_ID};
use portcullis_core::plan::{Plan, Rewrite, Rewritten};
use portcullis_core::source::Facts;

use crate::connection::Introduction;
use crate::forward::body::RequestBody;
use crate::forward::h1::{Opening, Outgoing};
use crate::inbound::refused;
use crate::pass::Pass;

/// The path that an upstream is asked for.
#[derive(Clone, Debug)]
enum PathChange {
    /// What arrived was canonical, and is kept: nothing is copied.
    AsArrived,
    /// Another path, or another query: one without the token that stood in it.
    To(PathAndQuery),
}

/// What the route makes of a request: worked out while the request can still be read.
#[derive(Clone, Debug)]
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

/// The request as a server gets it, of whose body `replay` bytes may be kept to be sent again: the fields that are left of the client's, and ours behind them as lines.
///
/// # Errors
/// 431 when there is no room for a `Host`.
pub(crate) fn request(
    mut parts: Box<Parts>,
    (body, replay): (RequestBody, usize),
    change: Change,
    admitted: &Admitted<'_>,
    pass: &Pass<'_>,
) -> Result<Outgoing<RequestBody>, Rejection> {
    let upgrade = pass.upgrade(admitted.route, &parts.method, body.is_end_stream());
    let ours = Ours::new(&mut parts, change, admitted, pass)?;
    let mut head = Opening::new(&parts);
    ours.introduction.say(&mut head.lines);
    ours.write(&mut head.lines).map_err(refused)?;
    if let Some(upgrade) = &upgrade {
        head.lines.push_field(&CONNECTION, b"upgrade");
        head.lines.push_field(&UPGRADE, upgrade.value().as_bytes());
    }
    Ok(Outgoing::new(head, &mut parts, body, replay).asking_for(upgrade))
}

/// The request as a service of the embedding program gets it: with ours among its fields, and with what that program put
/// into it.
///
/// # Errors
/// 431 when there is no room for our fields.
pub(crate) fn whole(
    mut parts: Box<Parts>,
    body: RequestBody,
    change: Change,
    admitted: &Admitted<'_>,
    pass: &Pass<'_>,
) -> Result<Request<RequestBody>, Rejection> {
    let ours = Ours::new(&mut parts, change, admitted, pass)?;
    ours.introduction.write(&mut parts.headers).map_err(refused)?;
    ours.write(&mut parts.headers).map_err(refused)?;
    Ok(Request::from_parts(*parts, body))
}

/// The fields that we say of a request.
struct Ours<'a> {
    via: &'a Via,
    /// In which the request came.
    version: Version,
    introduction: MutexGuard<'a, Introduction>,
    request_id: Option<&'a HeaderValue>,
    trace: TraceParent,
    ruled: RuledFields,
    claims: Option<&'a ForwardedClaims>,
}

impl<'a> Ours<'a> {
    /// Makes `parts` what the upstream gets but for these. Hop-by-hop and forged fields are gone already, and here goes whatever
    /// else the client said under the names of ours.
    fn new(
        parts: &mut Parts,
        change: Change,
        admitted: &'a Admitted<'_>,
        pass: &'a Pass<'_>,
    ) -> Result<Self, Rejection> {
        let (connection, chance, fields) = (pass.connection, pass.chance, &mut parts.headers);
        admitted.hide_tokens(&pass.running.plan, fields);
        // An absolute target's authority is the host (RFC 9112, section 3.2.2); otherwise the client's Host goes on as it is.
        if let Some(authority) = parts.uri.authority() {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Rejection::Internal)?;
            set(fields.try_insert(HOST, host))?;
        }
        let trace = if pass.screened.survey.trace {
            headers::continue_trace(fields, chance.trace_id, chance.parent_id)
        } else {
            TraceParent::begun(chance.trace_id, chance.parent_id)
        };
        // Tells the client's own Host, which a rule may replace.
        let introduction = connection.introduce(pass.arrival, fields.get(HOST));
        let mut ruled = change.fields;
        admitted.route.request.strip(fields);
        if let Some(host) = ruled.take_host() {
            set(fields.try_insert(HOST, host))?;
        }
        let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
        if let Some(target) = origin_form(&parts.uri, change.path) {
            parts.uri = target;
        }
        let (request_id, claims) = (pass.request_id.as_ref(), admitted.claims.as_ref());
        Ok(Self { via: &connection.via, version, introduction, request_id, trace, ruled, claims })
    }

    /// All but the introduction, which is kept as lines.
    fn write(&self, to: &mut impl SetField) -> Result<(), HeaderError> {
        self.via.append(to, self.version)?;
        if let Some(id) = self.request_id {
            to.set_field(&X_REQUEST_ID, id)?;
        }
        self.trace.write(to)?;
        self.ruled.write(to)?;
        self.claims.into_iter().flatten().try_for_each(|(name, value)| to.set_field(name, value))
    }
}

fn set<T>(inserted: Result<T, http::header::MaxSizeReached>) -> Result<(), Rejection> {
    inserted.map(drop).map_err(|_| Rejection::HeadersTooLarge)
}

/// What stands in the request line (RFC 9112, section 3.2.1); none where that is the target as it came.
fn origin_form(uri: &Uri, path: PathChange) -> Option<Uri> {
    match path {
        PathChange::To(path) => Some(Uri::from(path)),
        PathChange::AsArrived if uri.authority().is_none() => None,
        PathChange::AsArrived => Some(uri.path_and_query().cloned().map(Uri::from).unwrap_or_default()),
    }
}
