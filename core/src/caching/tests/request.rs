//! What goes past the cache: RFC 9111, sections 3 and 4, and what a gateway does besides.

use serde_json::Map;

use super::*;
use crate::auth::Identity;
use crate::source::Source;

fn of(rule: &CacheRule, method: &Method, lines: &[&str]) -> Result<Ask, Bypass> {
    Ask::of(rule, &facts(method, &fields(lines)), false)
}

#[test]
fn methods_content_and_preconditions() {
    let rule = CacheRule::on();
    for (method, expected) in [
        ("GET", None),
        ("HEAD", None),
        ("OPTIONS", Some(Bypass::Method)),
        ("TRACE", Some(Bypass::Method)),
        ("QUERY", Some(Bypass::Method)),
        ("POST", Some(Bypass::Unsafe)),
        ("PUT", Some(Bypass::Unsafe)),
        ("PATCH", Some(Bypass::Unsafe)),
        ("DELETE", Some(Bypass::Unsafe)),
        ("WHATEVER", Some(Bypass::Unsafe)),
    ] {
        assert_eq!(of(&rule, &method.parse().unwrap(), &[]).err(), expected, "{method}");
    }
    assert_eq!(Ask::of(&rule, &facts(&Method::GET, &HeaderMap::new()), true), Err(Bypass::Body));
    assert_eq!(Ask::of(&rule, &facts(&Method::POST, &HeaderMap::new()), true), Err(Bypass::Unsafe));
    for (line, expected) in [
        // 4.3.2: others' to judge
        ("if-match: \"a\"", Some(Bypass::Precondition)),
        ("if-match: *", Some(Bypass::Precondition)),
        ("if-unmodified-since: Tue, 24 Nov 2026 12:00:00 GMT", Some(Bypass::Precondition)),
        ("if-none-match: \"a\"", None),
        ("if-modified-since: Tue, 24 Nov 2026 12:00:00 GMT", None),
        ("if-range: \"a\"", None),
        ("range: bytes=0-1", None),
        // C16
        ("x-http-method-override: DELETE", Some(Bypass::Override)),
        ("x-http-method: DELETE", Some(Bypass::Override)),
        ("x-method-override: DELETE", Some(Bypass::Override)),
        ("x-original-url: /admin", Some(Bypass::Override)),
        ("x-rewrite-url: /admin", Some(Bypass::Override)),
        // C03
        ("cookie: a=b", Some(Bypass::Cookie)),
        ("cookie: a", Some(Bypass::Cookie)),
        ("cookie: ", None),
        ("cookie: ;", None),
        ("authorization: Bearer x", None),
        ("x-a: b", None),
    ] {
        assert_eq!(of(&rule, &Method::GET, &[line]).err(), expected, "{line}");
    }
    assert!(of(&rule, &Method::HEAD, &["range: bytes=0-1"]).is_ok_and(|ask| ask.head && !ask.range));
    assert!(of(&rule, &Method::GET, &["range: bytes=0-1"]).is_ok_and(|ask| !ask.head && ask.range));
}

#[test]
fn cookies_that_a_route_knows() {
    let source = |text: &str| text.parse::<Source>().unwrap();
    let keyed = CacheRule { key: Some([source("path"), source("cookie:lang")].into()), ..CacheRule::on() };
    let apart = CacheRule { per: Some(source("identity")), ..CacheRule::on() };
    let tokens = CacheRule { token_cookies: ["session".into()].into(), ..CacheRule::on() };
    assert!(of(&keyed, &Method::GET, &["cookie: lang=de; other=1"]).is_ok());
    assert!(of(&apart, &Method::GET, &["cookie: other=1"]).is_ok());
    for (line, passes) in [
        ("cookie: session=x", true),
        ("cookie: session=x; session=y", true),
        ("cookie:  session=x ;", true),
        ("cookie: session", true),
        ("cookie: session=x; other=1", false),
        ("cookie: Session=x", false),
        ("cookie: xsession=x", false),
        ("cookie: session =x", false),
    ] {
        assert_eq!(of(&tokens, &Method::GET, &[line]).is_ok(), passes, "{line}");
    }
    assert_eq!(of(&tokens, &Method::GET, &["cookie: session=x", "cookie: a=b"]), Err(Bypass::Cookie));
}

/// Section 3.5, wherever the token stood; and who is kept apart by what.
#[test]
fn who_is_identified_and_kept_apart() {
    let source = |text: &str| text.parse::<Source>().unwrap();
    let ada = Identity::new("users", "ada", Map::new(), None).unwrap();
    for (per, line, verified, identified, apart) in [
        (None, "x-a: 1", false, false, false),
        (None, "authorization: Basic x", false, true, false),
        (None, "authorization: ", false, true, false),
        (None, "x-a: 1", true, true, false),
        (Some("identity"), "x-a: 1", true, true, true),
        (Some("claim:tenant"), "x-a: 1", true, true, true),
        (Some("identity+header:x-a"), "x-a: 1", true, true, true),
        // Whom a verifier accepted is not told apart by what anybody may send.
        (Some("header:x-a"), "x-a: 1", true, true, false),
        (Some("client"), "x-a: 1", true, true, false),
        (Some("header:x-a"), "x-a: 1", false, false, true),
        (Some("header:authorization"), "authorization: Bearer x", false, true, true),
    ] {
        let rule = CacheRule { per: per.map(source), ..CacheRule::on() };
        let headers = fields(&[line]);
        let asked = Facts { identity: verified.then_some(&ada), ..facts(&Method::GET, &headers) };
        let ask = Ask::of(&rule, &asked, false).unwrap();
        assert_eq!((ask.identified, ask.apart), (identified, apart), "{per:?} {line} {verified}");
    }
}
