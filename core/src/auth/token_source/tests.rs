use http::HeaderValue;
use http::header::COOKIE;
use proptest::prelude::*;

use super::*;

fn source(text: &str) -> TokenSource {
    text.parse().unwrap()
}

fn sources(texts: &[&str]) -> TokenSources {
    TokenSources::new(texts.iter().map(|text| source(text)))
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers
            .try_append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            .unwrap();
    }
    headers
}

fn find(texts: &[&str], lines: &[(&str, &str)], query: Option<&str>) -> Result<Option<String>, AuthError> {
    let headers = headers(lines);
    sources(texts).find(&headers, query).map(|token| token.map(Cow::into_owned))
}

fn token(text: &str) -> Result<Option<String>, AuthError> {
    Ok(Some(text.to_owned()))
}

#[test]
fn a_token_is_found_where_it_stands() {
    let all = ["header:authorization", "header:x-key", "cookie:session", "query:key"];
    assert_eq!(find(&all, &[("authorization", "bEarer a")], None), token("a"));
    assert_eq!(find(&all, &[("x-key", "Bearer a")], None), token("Bearer a"), "only Authorization has a scheme");
    assert_eq!(find(&all, &[("cookie", "x=1; session=a=b; y=2")], None), token("a=b"));
    assert_eq!(find(&all, &[("cookie", "x=1"), ("cookie", "session=\"a\"")], None), token("a"));
    assert_eq!(find(&all, &[], Some("x=1&key=a%2Bb+c&y")), token("a+b+c"));
    assert_eq!(find(&all, &[], Some("%6Bey=a")), token("a"));
    assert_eq!(find(&all, &[("cookie", "Session=a; sessions=b; x-session=c")], Some("Key=a&keys=b&x=key=c")), Ok(None));
    assert_eq!(find(&all, &[("authorization", "Basic YTpi")], Some("key=a")), token("a"), "another scheme is no token");
}

#[test]
fn an_empty_one_counts_as_not_sent() {
    let all = ["header:x-key", "cookie:session", "query:key"];
    for (lines, query) in [
        (&[("x-key", "")][..], None),
        (&[("cookie", "session=; a=b")], None),
        (&[("cookie", "session")], None),
        (&[("cookie", "session=\"\"")], None),
        (&[], Some("key=")),
        (&[], Some("key")),
        (&[], Some("")),
    ] {
        assert_eq!(find(&all, lines, query), Ok(None), "{lines:?} {query:?}");
    }
    assert_eq!(find(&all, &[("x-key", ""), ("cookie", "session=")], Some("key=a")), token("a"));
}

/// J13
#[test]
fn two_are_refused_in_one_place_or_in_two() {
    let all = ["header:authorization", "header:x-key", "cookie:session", "query:key"];
    for (lines, query) in [
        (&[("authorization", "Bearer a"), ("authorization", "Bearer a")][..], None),
        (&[("x-key", "a"), ("x-key", "a")], None),
        (&[("x-key", "a"), ("x-key", "")], None),
        (&[("cookie", "session=a; session=a")], None),
        (&[("cookie", "session=a"), ("cookie", "session=")], None),
        (&[], Some("key=a&key=a")),
        (&[], Some("key=a&%6bey=a")),
        (&[("authorization", "Bearer a"), ("x-key", "a")], None),
        (&[("authorization", "Bearer a"), ("cookie", "session=a")], None),
        (&[("cookie", "session=a")], Some("key=a")),
        (&[("authorization", "Bearer a")], Some("key=b")),
    ] {
        assert_eq!(find(&all, lines, query), Err(CREDENTIALS), "{lines:?} {query:?}");
    }
}

#[test]
fn what_is_not_text_is_no_token() {
    let raw = |name: HeaderName, value: &[u8]| HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).unwrap())]);
    let key = raw("x-key".parse().unwrap(), b"\xff");
    assert_eq!(sources(&["header:x-key"]).find(&key, None), Err(CREDENTIALS));
    assert_eq!(sources(&["cookie:a"]).find(&raw(COOKIE, b"b=\xff; a=\xff"), None), Err(CREDENTIALS));
    assert_eq!(sources(&["cookie:a"]).find(&raw(COOKIE, b"b=\xff; a=ok"), None).unwrap().as_deref(), Some("ok"));
    assert_eq!(find(&["query:key"], &[], Some("key=%ff")), Err(CREDENTIALS));
}

fn stripped(text: &str, lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers = headers(lines);
    source(text).strip(&mut headers);
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn cookies(text: &str, lines: &[&str]) -> Vec<String> {
    let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
    stripped(text, &lines).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn only_the_token_is_taken_out() {
    let left = stripped("header:x-key", &[("x-key", "a"), ("x-key", "b"), ("x-keys", "c")]);
    assert_eq!(left, [("x-keys".to_owned(), "c".to_owned())]);
    assert_eq!(cookies("cookie:s", &["a=1; s=t; b=2"]), ["a=1; b=2"]);
    assert_eq!(cookies("cookie:s", &["s=t; b=2", "s", "c=3"]), ["b=2", "c=3"]);
    assert_eq!(cookies("cookie:s", &["s=t"]), [""; 0]);
    assert_eq!(cookies("cookie:s", &["a=1;s=t;s=\"u\" ; b=2"]), ["a=1; b=2"]);
    assert_eq!(cookies("cookie:s", &["S=t; ss=t;  a = 1"]), ["S=t; ss=t;  a = 1"], "untouched to the byte");
    let query = |query: &'static str| source("query:k").strip_query(query.into()).map(Cow::into_owned);
    assert_eq!(query("k=t"), None);
    assert_eq!(query("a=1&k=t&b=%20+"), Some("a=1&b=%20+".to_owned()));
    assert_eq!(query("%6b=t&k&a&&k=u"), Some("a&".to_owned()));
    assert_eq!(query("K=t&kk=t&"), Some("K=t&kk=t&".to_owned()));
}

#[test]
fn what_is_no_place_of_a_token_says_why() {
    for (bad, why) in [
        ("header:x+cookie:y", "joins two"),
        ("header:", "nothing after its colon"),
        ("query", "nothing after its colon"),
        ("header:a b", "not the name of a header"),
        ("cookie:a b", "not the name of a cookie"),
        ("client", "not a place"),
        ("claim:sub", "not a place"),
        ("", "not a place"),
    ] {
        let error = bad.parse::<TokenSource>().unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    for good in ["header:x-api-key", "cookie:Session", "query:api key"] {
        assert_eq!(source(good).to_string(), good);
    }
    assert_eq!(sources(&["header:X-A", "query:b"]).to_string(), "header:x-a, query:b");
}

proptest! {
    /// Whatever a request looks like: after it was taken out, no token is found, and a second time changes nothing.
    #[test]
    fn what_is_taken_out_is_gone(
        lines in prop::collection::vec("[ sS=;\"a]{0,12}", 0..4),
        query in "[kK=&%6b]{0,16}",
    ) {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
        let mut headers = headers(&lines);
        source("cookie:s").strip(&mut headers);
        prop_assert_eq!(source("cookie:s").find(&headers, None), Ok(None));
        let once = headers.clone();
        source("cookie:s").strip(&mut headers);
        prop_assert_eq!(once, headers);
        let left = source("query:k").strip_query(query.into());
        let found = left.as_deref().map_or(Ok(None), |left| source("query:k").find(&HeaderMap::new(), Some(left)).map(|token| token.map(Cow::into_owned)));
        prop_assert_eq!(found, Ok(None));
    }
}
