//! `POST /api/cache/purge`: takes answers out of the cache, and says how many there were.

use std::borrow::Cow;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use portcullis_core::caching::{Origin, Scheme};
use portcullis_core::route::{canonical_host, canonicalise};
use serde_json::json;

use crate::cache::purge::{Purge, Purged};
use crate::cache::write_url;
use crate::gateway::State;

/// What it takes, for whoever asked otherwise.
const TAKES: &str = "say exactly one of ?url=URL, ?prefix=URL, ?tag=TAG and ?all=true; with &soft=true what is found stays and is stale\n";

/// Purges what the query names; JSON that says how many there were, or what is wrong with the query.
pub(super) fn purge(gateway: &State, uri: &Uri, headers: &HeaderMap) -> Result<String, (StatusCode, &'static str)> {
    // A page in an operator's browser can post here, too; it cannot hide whose page it is.
    let asked_by = headers.get(ORIGIN).map(|origin| origin.as_bytes());
    let own = headers.get(HOST).map(|host| host.as_bytes());
    if asked_by.is_some_and(|origin| own.is_none_or(|own| origin.strip_prefix(b"http://") != Some(own))) {
        return Err((StatusCode::FORBIDDEN, "not from the page of another site\n"));
    }
    let purge = parse(uri.query().unwrap_or_default()).ok_or((StatusCode::BAD_REQUEST, TAKES))?;
    let running = gateway.running();
    let cache = running.cache.as_ref().ok_or((StatusCode::NOT_FOUND, "no route keeps answers\n"))?;
    let found = cache.store.purge(&purge);
    Ok(json!({ "purged": found, "soft": purge.soft }).to_string())
}

fn parse(query: &str) -> Option<Purge> {
    let (mut what, mut soft) = (None, false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        let named = match name {
            "soft" => {
                soft = flag(&value)?;
                continue;
            }
            "all" if flag(&value)? => Purged::All,
            "prefix" => Purged::Prefix(canonical(&value)?),
            "tag" if !value.is_empty() => Purged::Tag(Cow::into_owned(value).into()),
            "url" => Purged::Url(canonical(&value)?),
            _ => return None,
        };
        if what.replace(named).is_some() {
            return None;
        }
    }
    Some(Purge { what: what?, soft })
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// A URL as the cache knows it.
fn canonical(text: &str) -> Option<Box<str>> {
    let uri: Uri = text.parse().ok()?;
    let scheme = match uri.scheme_str()? {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = canonical_host(authority.as_str()).ok()?;
    let origin = Origin { scheme, host: &host, port: authority.port_u16().unwrap_or_else(|| scheme.default_port()) };
    let mut url = String::new();
    write_url(&mut url, origin, canonicalise(uri.path()).ok()?.as_str(), uri.query());
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_to_go() {
        let what = |query: &str| parse(query).map(|purge| purge.what);
        let url = |text: &str| Some(Purged::Url(text.into()));
        assert_eq!(what("url=http://SHOP.test/a/../tea?x=1"), url("http://shop.test:80/tea?x=1"));
        assert_eq!(
            what("url=https%3A%2F%2Fshop.test%3A8443%2Ftea%3Fa%3D1%26b"),
            url("https://shop.test:8443/tea?a=1&b")
        );
        assert_eq!(what("prefix=http://shop.test"), Some(Purged::Prefix("http://shop.test:80/".into())));
        assert_eq!(what("tag=a%20b"), Some(Purged::Tag("a b".into())));
        assert_eq!(parse("all=true&soft=true"), Some(Purge { what: Purged::All, soft: true }));
        for wrong in [
            "",
            "all=false",
            "tag=",
            "url=/tea",
            "url=ftp://a/",
            "tag=a&all=true",
            "tag=a&soft=maybe",
            "other=1",
            "tag",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
