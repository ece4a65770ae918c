use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::Identity;
use crate::route::{Entry, Params, Table, canonicalise};
use crate::source::Facts;

/// Calls `read` with a request for `path` on a route "/in/{id}/**", whose claim `v` is `value`.
fn with<T>(path: &str, query: Option<&str>, value: &Value, read: impl FnOnce(&Facts<'_>) -> T) -> T {
    let entry = Entry { pattern: "/in/{id}/**".parse().unwrap(), hosts: vec![], methods: vec![] };
    let table = Table::new(vec![entry]).unwrap();
    let path = canonicalise(path).unwrap();
    let found = table.find("", path.as_str(), &Method::GET).ok();
    let claims = json!({ "v": value });
    let identity = Identity::new("users", "ada", claims.as_object().unwrap().clone(), None).unwrap();
    read(&Facts {
        client: None,
        headers: &HeaderMap::new(),
        host: "shop.test",
        identity: Some(&identity),
        method: &Method::GET,
        params: found.as_ref().map_or(Params::EMPTY, |found| table.params(found, path.as_str())),
        path: path.as_str(),
        query,
    })
}

const PARAMS: [&str; 2] = ["id", "rest"];

fn target(template: &str, path: &str, value: impl Into<Value>) -> Result<String, Unfit> {
    let template = TargetTemplate::parse(template, &PARAMS).unwrap_or_else(|error| panic!("{template}: {error}"));
    let Rendered { path, query } = with(path, None, &value.into(), |facts| template.render(facts))?;
    Ok(query.map_or(path.clone(), |query| format!("{path}?{query}")))
}

fn header(template: &str, path: &str, value: impl Into<Value>) -> Option<String> {
    let template = HeaderTemplate::parse(template, &PARAMS).unwrap_or_else(|error| panic!("{template}: {error}"));
    let value = with(path, None, &value.into(), |facts| template.render(facts))?;
    Some(value.to_str().unwrap().to_owned())
}

fn redirect(template: &str, path: &str, query: Option<&str>, value: impl Into<Value>) -> Result<String, Unfit> {
    let template = RedirectTemplate::parse(template, &PARAMS).unwrap_or_else(|error| panic!("{template}: {error}"));
    let value = with(path, query, &value.into(), |facts| template.render(facts))?;
    Ok(value.to_str().unwrap().to_owned())
}

#[test]
fn a_value_in_a_path_stays_one_segment() {
    for (value, path) in [
        ("a b", "/t/a%20b/x"),
        ("a/b", "/t/a%2Fb/x"),
        ("a\\b", "/t/a%5Cb/x"),
        ("a?b#c%2f", "/t/a%3Fb%23c%252f/x"),
        ("//evil.test", "/t/%2F%2Fevil.test/x"),
        ("...", "/t/.../x"),
        ("..a", "/t/..a/x"),
        ("%2e%2e", "/t/%252e%252e/x"),
        ("\u{e9}", "/t/%C3%A9/x"),
        ("{id}", "/t/%7Bid%7D/x"),
    ] {
        assert_eq!(target("/t/{claim:v}/x", "/in/7", value).as_deref(), Ok(path), "{value}");
    }
    let long = "x".repeat(crate::admit::MAX_TARGET + 1);
    for value in
        ["", ".", "..", "../admin", "a/../b", "a/..", "..\\admin", "..;x", "a/.;/b", "a\r\nb", "\0", "\u{85}", &*long]
    {
        assert_eq!(target("/t/{claim:v}/x", "/in/7", value), Err(Unfit), "{value:?}");
    }
    for value in [json!(["a"]), json!({"a": 1}), json!(null)] {
        assert_eq!(target("/t/{claim:v}/x", "/in/7", value.clone()), Err(Unfit), "{value}");
    }
    assert_eq!(target("/t/{claim:v}/x", "/in/7", 7).as_deref(), Ok("/t/7/x"));
    assert_eq!(target("/t/.{claim:v}/x", "/in/7", ";"), Err(Unfit), "text and value make a dot segment");
    assert_eq!(target("/t/{claim:v}{claim:v}/x", "/in/7", "."), Err(Unfit));
}

#[test]
fn what_is_canonical_already_goes_in_as_it_is() {
    assert_eq!(target("/v2/{id}/{rest}", "/in/a%20b/c%2Fd/e", "").as_deref(), Ok("/v2/a%20b/c%2Fd/e"));
    assert_eq!(target("/v2/{param:id}", "/in/a%20b", "").as_deref(), Ok("/v2/a%20b"));
    assert_eq!(target("/v2{path}", "/in/7/x/", "").as_deref(), Ok("/v2/in/7/x/"));
    assert_eq!(target("{path}/y", "/in/7", "").as_deref(), Ok("/in/7/y"));
    assert_eq!(target("/p/{rest}/x", "/in/7", "").as_deref(), Ok("/p/x"), "an empty rest leaves no empty segment");
    assert_eq!(target("/p/{rest}", "/in/7//../7/a//b/./c", "").as_deref(), Ok("/p/a/b/c"));
}

#[test]
fn a_value_in_a_query_stays_one_value() {
    let template = "/s?q={claim:v}&fixed=1";
    for (value, target_) in [
        ("", "/s?q=&fixed=1"),
        ("a b+c", "/s?q=a%20b%2Bc&fixed=1"),
        ("1&admin=true", "/s?q=1%26admin%3Dtrue&fixed=1"),
        ("#x%26;?/..", "/s?q=%23x%2526%3B%3F%2F..&fixed=1"),
        ("\u{e9}'\"", "/s?q=%C3%A9%27%22&fixed=1"),
    ] {
        assert_eq!(target(template, "/in/7", value).as_deref(), Ok(target_), "{value}");
    }
    for value in ["a\r\nb", "\0"] {
        assert_eq!(target(template, "/in/7", value), Err(Unfit), "{value:?}");
    }
    assert_eq!(target("/s?q={claim:nope}", "/in/7", ""), Err(Unfit));
    assert_eq!(
        target("/s?a={id}&b={rest}", "/in/a%20b&x=1/c%2Fd&y", "").as_deref(),
        Ok("/s?a=a%20b%26x%3D1&b=c%2Fd%26y")
    );
    assert_eq!(target("/s?next={path}", "/in/a%20b", "").as_deref(), Ok("/s?next=%2Fin%2Fa%2520b"), "a path is a text");
    assert_eq!(target("/s?", "/in/7", "").as_deref(), Ok("/s?"));
}

#[test]
fn a_header_is_visible_or_not_there() {
    for (value, text) in [("a", "T a!"), ("a b, c;\"d\"", "T a b, c;\"d\"!"), ("../%2f", "T ../%2f!")] {
        assert_eq!(header("T {claim:v}!", "/in/7", value).as_deref(), Some(text));
    }
    let long = "x".repeat(MAX_HEADER);
    for value in ["", "a\r\nb: c", "a\tb", "\0", "\u{e9}", "\u{7f}", &*long] {
        assert_eq!(header("T {claim:v}!", "/in/7", value), None, "{value:?}");
    }
    for value in [json!(["a"]), json!({"a": 1}), json!(null)] {
        assert_eq!(header("{claim:v}", "/in/7", value.clone()), None, "{value}");
    }
    for value in [" a", "a "] {
        assert_eq!(header("{claim:v}", "/in/7", value), None, "nobody can tell where it ends");
    }
    assert_eq!(header("{id} {rest} {path}", "/in/a%20b/c", "").as_deref(), Some("a%20b c /in/a%20b/c"));
    assert_eq!(header("Basic abc", "/in/7", "").as_deref(), Some("Basic abc"));
    assert_eq!(header("{claim:nope}", "/in/7", ""), None);
}

#[test]
fn a_redirect_goes_where_it_says() {
    for (template, path, query, location) in [
        ("https://shop.test{path}", "/in/7", None, "https://shop.test/in/7"),
        ("https://shop.test{path}", "//in//7", Some("a=1&b=%20"), "https://shop.test/in/7?a=1&b=%20"),
        ("https://shop.test:8443/n/{id}?x=1", "/in/7", Some("a=1"), "https://shop.test:8443/n/7?x=1"),
        ("https://shop.test", "/in/7", Some("a"), "https://shop.test/?a"),
        ("https://shop.test?x={id}", "/in/7", Some("a"), "https://shop.test/?x=7"),
        ("/n/{id}?", "/in/7", Some("a"), "/n/7"),
        ("/{rest}", "/in/7//evil.test/", None, "/evil.test/"),
        ("{path}/", "/in/7", None, "/in/7/"),
        ("http://[::1]:80/x", "/in/7", Some("a<\">b\u{e9}"), "http://[::1]:80/x?a%3C%22%3Eb%C3%A9"),
    ] {
        assert_eq!(redirect(template, path, query, "").as_deref(), Ok(location), "{template}");
    }
    assert_eq!(redirect("/{claim:v}", "/in/7", None, "/evil.test").as_deref(), Ok("/%2Fevil.test"));
    assert_eq!(redirect("/{claim:v}", "/in/7", None, "\\evil.test").as_deref(), Ok("/%5Cevil.test"));
    assert_eq!(redirect("/{claim:v}", "/in/7", None, "..").as_deref(), Err(&Unfit));
    assert_eq!(
        redirect("https://a.test/{claim:v}", "/in/7", None, "@evil.test").as_deref(),
        Ok("https://a.test/@evil.test")
    );
}

#[test]
fn faults_name_their_place() {
    for (text, span) in [
        ("/a/{nope}", 3..9),
        ("/a/{id", 3..6),
        ("/a/id}", 5..6),
        ("a", 0..1),
        ("/a#{id}", 2..3),
        ("/a/{param:nope}", 3..15),
        ("/a/../b", 0..7),
        ("/a/.", 0..4),
        ("/a/%2e%2E/b", 0..11),
        ("/a/%{id}", 0..8),
        ("/a\\b", 0..4),
        ("/a?x=%{id}", 3..10),
        ("/a?x=a b", 3..8),
        ("/a?{nope}", 3..9),
    ] {
        assert_eq!(TargetTemplate::parse(text, &["id"]).map_err(|error| error.span), Err(span), "{text}");
    }
    for text in [
        "",
        "shop.test",
        "ftp://shop.test",
        "//shop.test",
        "https://",
        "https:///x",
        "https://{path}",
        "https://{host}{path}",
        "https://{header:x}.shop.test/",
        "https://shop.test{id}",
        "https://shop.test:{id}/",
        "https://shop.test{header:x}/",
        "https://user@shop.test/",
        "https://shop.test\\@evil.test/",
        "https://shop test/",
        "/a#b",
        "/\\evil.test",
    ] {
        assert!(RedirectTemplate::parse(text, &["id"]).is_err(), "{text}");
    }
    assert_eq!(RedirectTemplate::parse("https://{host}/", &[]).unwrap_err().span, 8..14);
    assert_eq!(RedirectTemplate::parse("https://a?x={no}", &[]).unwrap_err().span, 12..16);
    for text in ["a\nb", "{id", " a", "a ", "caf\u{e9}", "{nope}"] {
        assert!(HeaderTemplate::parse(text, &["id"]).is_err(), "{text:?}");
    }
}

#[test]
fn what_needs_an_identity_says_so() {
    for (text, needs) in [("/{identity}", true), ("/a?b={claim:c+host}", true), ("/{host}", false), ("/a", false)] {
        assert_eq!(TargetTemplate::parse(text, &[]).unwrap().needs_identity(), needs, "{text}");
    }
}

/// Any text, with what is dangerous more often than by chance.
fn hostile() -> impl Strategy<Value = String> {
    const DANGEROUS: [&str; 17] =
        ["..", ".", "/", "\\", "%2f", "%2E", "?", "#", "&", "=", "//evil.test", "\r\n", "\0", ";", "@", ":", "\u{e9}"];
    let piece = prop_oneof![
        prop::sample::select(&DANGEROUS[..]).prop_map(str::to_owned),
        "\\PC{0,3}",
        any::<char>().prop_map(String::from)
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever the value: the path keeps its shape, and the value is in it as one segment.
    #[test]
    fn no_value_changes_a_target(value in hostile()) {
        if let Ok(path) = target("/t/{claim:v}/x", "/in/7", value.as_str()) {
            let canonical = canonicalise(&path).unwrap();
            prop_assert_eq!(canonical.as_str(), &*path);
            let segments: Vec<_> = path.split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!((segments[1], segments[3]), ("t", "x"));
            let decoded = percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(&*decoded, &*value);
            prop_assert!(!decoded.split(['/', '\\']).any(|part| part == "." || part == ".."));
            prop_assert!(path.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"?#\\".contains(&byte)));
        }
        if let Ok(text) = target("/s?q={claim:v}&z=1", "/in/7", value.as_str()) {
            let inner = text.strip_prefix("/s?q=").and_then(|text| text.strip_suffix("&z=1")).unwrap();
            prop_assert!(inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
            let decoded = percent_decode_str(inner).decode_utf8().unwrap();
            prop_assert_eq!(&*decoded, &*value);
        }
        for (template, start) in [("https://shop.test/n/{claim:v}", "https://shop.test/n/"), ("/{claim:v}", "/")] {
            if let Ok(location) = redirect(template, "/in/7", None, value.as_str()) {
                let behind = location.strip_prefix(start).unwrap();
                prop_assert!(behind.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"/?#\\".contains(&byte)));
            }
        }
        if let Some(text) = header("a{claim:v}z", "/in/7", value.as_str()) {
            prop_assert_eq!(text, format!("a{value}z"));
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }

    /// Whatever the path that arrives: what is made of its parts is canonical, and stays below the template's own text.
    #[test]
    fn no_path_leaves_its_prefix(tail in "[a-z./%;\\\\]{0,12}", escapes in prop::collection::vec(0x20_u8..0x7f, 0..4)) {
        let escaped: String = escapes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let raw = format!("/in/7/{tail}{escaped}");
        let within = canonicalise(&raw).is_ok_and(|path| path.as_str().starts_with("/in/7/"));
        if within {
            for (template, start) in [("/p/{rest}", "/p/"), ("/p{path}", "/p/in/7/"), ("/p/{id}/{rest}", "/p/7/")] {
                let path = target(template, &raw, "").unwrap();
                let canonical = canonicalise(&path).unwrap();
                prop_assert_eq!(canonical.as_str(), &*path);
                prop_assert!(path.starts_with(start), "{path}");
            }
            let location = redirect("/{rest}", &raw, None, "").unwrap();
            prop_assert!(location.starts_with('/') && !location.starts_with("//"), "{location}");
        }
    }
}
