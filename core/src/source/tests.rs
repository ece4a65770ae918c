use http::HeaderValue;
use serde_json::json;

use super::*;

fn text(source: &str, change: impl FnOnce(&mut Facts<'_>)) -> Option<String> {
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-tenant", "acme"), ("cookie", "a=1; session=\"s7\"; b=2")] {
        headers.try_append(name, HeaderValue::from_static(value)).unwrap();
    }
    let claims = json!({"tenant": "t1", "org": {"id": 7}, "list": [1]});
    let identity = Identity::new("users", "ada", claims.as_object().unwrap().clone(), None).unwrap();
    let mut facts = Facts {
        client: Some([192, 0, 2, 7].into()),
        headers: &headers,
        host: "shop.test",
        identity: Some(&identity),
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/a/b",
        query: Some("q=a%20b&empty&q=c"),
    };
    change(&mut facts);
    source.parse::<Source>().unwrap().text(&facts).map(Cow::into_owned)
}

#[test]
fn each_source_names_its_value() {
    for (source, value) in [
        ("identity", "ada"),
        ("client", "192.0.2.7"),
        ("claim:tenant", "t1"),
        ("claim:org.id", "7"),
        ("header:X-Tenant", "acme"),
        ("cookie:session", "s7"),
        ("query:q", "a b"),
        ("query:empty", ""),
        ("host", "shop.test"),
        ("path", "/a/b"),
        ("method", "GET"),
        ("everyone", "everyone"),
        ("host+claim:tenant", "shop.test+t1"),
    ] {
        assert_eq!(text(source, |_| {}).as_deref(), Some(value), "{source}");
    }
    for source in
        ["claim:nope", "claim:list", "header:nope", "cookie:nope", "query:nope", "param:id", "host+claim:nope"]
    {
        assert_eq!(text(source, |_| {}), None, "{source}");
    }
}

#[test]
fn the_first_that_is_present_is_counted_and_else_the_client() {
    let sources = ["header:nope", "identity"].map(|text| text.parse::<Source>().unwrap());
    let source = Source::first_of(sources);
    let (key, rule, headers) = (SubjectKey::from_bytes([7; 16]), RuleId::of("rule"), HeaderMap::new());
    let ada = Identity::new("users", "ada", serde_json::Map::new(), None).unwrap();
    let other = Identity::new("partners", "ada", serde_json::Map::new(), None).unwrap();
    let subject = |identity, client: [u8; 4]| {
        let facts = Facts {
            client: Some(client.into()),
            headers: &headers,
            host: "",
            identity,
            method: &Method::GET,
            params: Params::EMPTY,
            path: "/",
            query: None,
        };
        source.subject(&key, rule, &facts)
    };
    assert_eq!(subject(Some(&ada), [1; 4]), subject(Some(&ada), [2; 4]));
    assert_ne!(subject(Some(&ada), [1; 4]), subject(Some(&other), [1; 4]), "two verifiers never share");
    assert_eq!(subject(None, [1; 4]), subject(None, [1; 4]));
    assert_ne!(subject(None, [1; 4]), subject(None, [2; 4]));
}

/// What sticks must not stick where there is nothing to stick to; what is counted always counts as somebody.
#[test]
fn a_client_without_an_address_is_absent_and_still_counted() {
    let (key, rule, headers) = (SubjectKey::from_bytes([7; 16]), RuleId::of("rule"), HeaderMap::new());
    let facts = Facts {
        client: None,
        headers: &headers,
        host: "shop.test",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    let (client, nobody): (Source, Source) = ("client".parse().unwrap(), "header:nope".parse().unwrap());
    assert_eq!(client.present(&key, rule, &facts), None);
    assert_eq!(client.subject(&key, rule, &facts), nobody.subject(&key, rule, &facts));
    let there = Facts { client: Some([192, 0, 2, 7].into()), ..facts };
    assert_eq!(client.present(&key, rule, &there), Some(client.subject(&key, rule, &there)));
    assert_eq!(nobody.present(&key, rule, &there), None);
}

#[test]
fn what_needs_an_identity_says_so() {
    for (text, needs) in
        [("identity", true), ("claim:a+host", true), ("client", false), ("header:x", false), ("host", false)]
    {
        assert_eq!(text.parse::<Source>().unwrap().needs_identity(), needs, "{text}");
    }
    assert!(!Source::identity_or_client().needs_identity());
}

#[test]
fn what_is_no_source_says_so() {
    for bad in ["", "identiy", "claim:", "header:a b", "a+", "+", "claim"] {
        assert!(bad.parse::<Source>().is_err(), "{bad}");
    }
}
