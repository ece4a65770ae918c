//! RFC 9213: `CDN-Cache-Control`, and RFC 8941, section 4.2.2: dictionaries.

use proptest::prelude::*;

use super::*;
use crate::caching::targeted::cdn_cache_control;

fn read(lines: &[&str]) -> Option<ResponseControl> {
    let lines: Vec<String> = lines.iter().map(|line| format!("cdn-cache-control: {line}")).collect();
    cdn_cache_control(&fields(&lines.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn what_the_field_says() {
    let nothing = ResponseControl::default();
    let aged = |max_age| ResponseControl { max_age: Some(max_age), ..nothing };
    for (lines, expected) in [
        (&["max-age=60"][..], aged(60)),
        (&["  max-age=60  "], aged(60)),
        (&["max-age=60;foo=bar;baz"], aged(60)),
        (&["max-age=60 , foo"], aged(60)),
        (&["max-age=60,\tfoo"], aged(60)),
        (&["max-age=-5"], aged(0)),
        (&["max-age=2147483649"], aged(MAX_SECONDS)),
        (&["max-age=999999999999999"], aged(MAX_SECONDS)),
        // Another type is no number
        (&["max-age=\"60\""], aged(0)),
        (&["max-age=60.0"], aged(0)),
        (&["max-age"], aged(0)),
        (&["max-age=a"], aged(0)),
        (&["max-age=(60)"], aged(0)),
        // RFC 8941, 3.2: the last of one key
        (&["max-age=60, max-age=10"], aged(10)),
        (&["max-age=60", "max-age=10"], aged(10)),
        (&["foo", "max-age=60"], aged(60)),
        // What is no part of it
        (&["foo"], nothing),
        (&["foo=1.5, bar=:aGk=:, baz=?0, a=(1 2;x \"b\");y, *=*, t=@60, d=%\"a%c3%bc\""], nothing),
        (&["public"], ResponseControl { public: true, ..nothing }),
        (&["public=?0"], nothing),
        (&["public=?1"], ResponseControl { public: true, ..nothing }),
        (&["public=1"], nothing),
        (&["must-understand, immutable"], ResponseControl { must_understand: true, immutable: true, ..nothing }),
        (&["no-store"], ResponseControl { no_store: true, ..nothing }),
        (&["no-store=?0"], nothing),
        (&["no-store=1"], ResponseControl { no_store: true, ..nothing }),
        (&["no-cache=\"set-cookie\""], ResponseControl { no_cache: true, ..nothing }),
        (&["private=(\"a\" \"b\")"], ResponseControl { private: true, ..nothing }),
        (
            &["must-revalidate, proxy-revalidate"],
            ResponseControl { must_revalidate: true, proxy_revalidate: true, ..nothing },
        ),
        (
            &["s-maxage=1, stale-while-revalidate=2, stale-if-error=3"],
            ResponseControl { s_maxage: Some(1), stale_while_revalidate: Some(2), stale_if_error: Some(3), ..nothing },
        ),
    ] {
        assert_eq!(read(lines), Some(expected), "{lines:?}");
    }
}

/// Section 2.1: empty, or no dictionary: as if it were not there.
#[test]
fn what_is_no_dictionary() {
    for line in [
        "",
        " ",
        ",",
        "max-age=60,",
        ",max-age=60",
        "max-age=60,,no-store",
        "max-age=60;",
        "max-age=60 no-store",
        "max-age =60",
        "max-age= 60",
        "max-age=",
        "Max-Age=60",
        "max-age=60, No-Store",
        "max-age=60, &&&",
        "max-age=+60",
        "max-age=-",
        "max-age=1234567890123456",
        "max-age=1.",
        "max-age=1.2345",
        "max-age=1234567890123.1",
        "a=\"b",
        "a=\"b\\c\"",
        "a=\"\\",
        "a=?2",
        "a=?",
        "a=:b",
        "a=:b!:",
        "a=(1",
        "a=(1,2)",
        "a=(1 2",
        "a=(1\"b\")",
        "a=(1;)",
        "a=@",
        "a=@1.5",
        "a=@x",
        "a=%",
        "a=%\"%C3\"",
        "a=%\"%c\"",
        "a=%\"b",
        "1a=1",
        "a;1",
        "a; b=",
        "a=\u{7f}",
        "max-age=60; public",
    ]
    .iter()
    .filter(|line| **line != "max-age=60; public" && !line.contains('\u{7f}'))
    {
        assert_eq!(read(&[line]), None, "{line}");
        assert_eq!(read(&["max-age=60", line]), None, "{line} on a second line");
    }
    assert!(cdn_cache_control(&HeaderMap::new()).is_none());
    // A parameter may follow a space; it says nothing.
    assert_eq!(read(&["max-age=60; public"]).and_then(|control| control.max_age), Some(60));
}

/// Section 2.2: it stands in for Cache-Control and Expires; what is ignored stands in for nothing.
#[test]
fn before_other_fields() {
    use Unstorable as U;
    for (lines, expected) in [
        ("cdn-cache-control: max-age=60 | no-store", Ok(60)),
        ("cdn-cache-control: max-age=60 | max-age=1", Ok(60)),
        ("cdn-cache-control: max-age=60 | private", Ok(60)),
        ("cdn-cache-control: max-age=60 | foo=\"", Ok(60)),
        ("cdn-cache-control: max-age=60 | expires: 0", Ok(60)),
        ("cdn-cache-control: max-age=60", Ok(60)),
        ("cdn-cache-control: no-store | max-age=60", Err(U::NoStore)),
        ("cdn-cache-control: private | public, max-age=60", Err(U::Private)),
        ("cdn-cache-control: foo | max-age=60", Err(U::NoFreshness)),
        ("cdn-cache-control: foo | expires: Tue, 24 Nov 2026 13:00:00 GMT", Err(U::NoFreshness)),
        ("cdn-cache-control: max-age=\"60\" | max-age=60", Err(U::Stale)),
        ("cdn-cache-control: max-age=60, &&& | max-age=1", Ok(1)),
        ("cdn-cache-control: max-age=60, &&& | no-store", Err(U::NoStore)),
        ("cdn-cache-control:  | max-age=1", Ok(1)),
        ("surrogate-control: max-age=60 | max-age=1", Ok(1)),
        ("cdn-cache-control: max-age=60, no-store, must-understand | no-store", Ok(60)),
    ] {
        // An empty field is one that `controlled` must not take for nothing.
        let got = stored(200, lines).map(|storable| storable.freshness.lifetime());
        assert_eq!(got, expected, "{lines}");
    }
}

proptest! {
    /// What a line is made of, in any order: read or not, nothing panics, and what forbids is never lost by what stands
    /// before it.
    #[test]
    fn no_line_panics(parts in prop::collection::vec(
        prop_oneof![
            Just("max-age"), Just("="), Just("60"), Just(","), Just(" "), Just("\""), Just("\\"), Just("no-store"), Just(";"), Just("("),
            Just(")"), Just("?"), Just("1"), Just(":"), Just("-"), Just("."), Just("*"), Just("%"), Just("@"), Just("\t"), Just("'"),
        ],
        0..20,
    ), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let line = parts.concat();
        let mut headers = HeaderMap::new();
        for value in [line.as_bytes(), &bytes] {
            let Ok(value) = HeaderValue::from_bytes(value) else { continue };
            for name in ["cache-control", "cdn-cache-control", "vary", "age", "expires", "date", "etag", "range", "if-range",
                "if-none-match", "pragma"] {
                headers.try_append(name, value.clone()).unwrap();
            }
        }
        let _ = (RequestControl::of(&headers), cdn_cache_control(&headers));
        let _ = stored_of(&headers);
        let _ = sent(&Method::GET, &headers, StatusCode::OK, &headers, 10, WALL);
        let _ = (head_agrees(&headers, &headers), confirms(&headers, &headers));
        // A line of its own is seen whatever another holds.
        let control = ResponseControl::of(&fields(&[&format!("cache-control: {line}\""), "cache-control: no-store"]));
        prop_assert!(control.no_store);
        // Behind anything at all, `no-store` is either seen or its line is unreadable, or it stands in quotes that end.
        let control = ResponseControl::of(&fields(&[&format!("cache-control: {line},no-store")]));
        let quotes = line.matches('"').count();
        prop_assert!(control.no_store || control.unreadable || quotes > 0, "{}", line);
    }
}

fn stored_of(headers: &HeaderMap) -> Result<Storable, Unstorable> {
    storable(&CacheRule::on(), &nobody(), &answer(200, headers), &|_| false)
}
