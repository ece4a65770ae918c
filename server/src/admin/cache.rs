//! `POST /api/cache/purge`: takes answers out of the cache, and says how many there were.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use crate::cache::purge::Purge;
use crate::gateway::State;

/// What it takes, for whoever asked otherwise.
const TAKES: &str = "say exactly one of ?url=URL, ?prefix=URL, ?tag=TAG and ?all=true; with &soft=true what is found stays and is stale\n";

/// Purges what the query names, at the other nodes too; JSON that says how many answers there were here, or what is wrong with the query.
pub(super) fn purge(gateway: &State, uri: &Uri, headers: &HeaderMap) -> Result<String, (StatusCode, &'static str)> {
    // A page in an operator's browser can post here, too; it cannot hide whose page it is.
    let asked_by = headers.get(ORIGIN).map(|origin| origin.as_bytes());
    let own = headers.get(HOST).map(|host| host.as_bytes());
    if asked_by.is_some_and(|origin| own.is_none_or(|own| origin.strip_prefix(b"http://") != Some(own))) {
        return Err((StatusCode::FORBIDDEN, "not from the page of another site\n"));
    }
    let query = uri.query().unwrap_or_default();
    let purge = Purge::parse(query).ok_or((StatusCode::BAD_REQUEST, TAKES))?;
    let found = gateway.purge(&purge, query).ok_or((StatusCode::NOT_FOUND, "no route keeps answers\n"))?;
    Ok(json!({ "purged": found, "soft": purge.soft }).to_string())
}
