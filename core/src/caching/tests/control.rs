//! RFC 9111, section 5.2: directives.

use super::*;

type Read = (&'static str, fn(&ResponseControl) -> bool);

fn response(lines: &str) -> ResponseControl {
    ResponseControl::of(&controlled(lines))
}

#[test]
fn numbers_are_read_strictly() {
    const MOST: u32 = 2_147_483_648;
    for (lines, max_age) in [
        // 5.2.2.1
        ("max-age=60", Some(60)),
        ("max-age=0", Some(0)),
        ("MAX-AGE=60", Some(60)),
        ("max-age=0060", Some(60)),
        // 5.2: a recipient takes both forms of an argument
        ("max-age=\"60\"", Some(60)),
        ("max-age=''60''", Some(0)),
        ("max-age='60'", Some(0)),
        // 1.2.2: too much is the most
        ("max-age=2147483647", Some(MOST - 1)),
        ("max-age=2147483648", Some(MOST)),
        ("max-age=2147483649", Some(MOST)),
        ("max-age=4294967296", Some(MOST)),
        ("max-age=99999999999999999999999999", Some(MOST)),
        // 4.2.1: what is no number is stale
        ("max-age", Some(0)),
        ("max-age=", Some(0)),
        ("max-age=\"\"", Some(0)),
        ("max-age=-1", Some(0)),
        ("max-age=+1", Some(0)),
        ("max-age=1.5", Some(0)),
        ("max-age=1e3", Some(0)),
        ("max-age=0x10", Some(0)),
        ("max-age=a60", Some(0)),
        ("max-age=60a", Some(0)),
        ("max-age=6 0", Some(0)),
        ("max-age=60;", Some(0)),
        ("max-age=60; public", Some(0)),
        ("max-age=\"60", Some(0)),
        ("max-age=60\"", Some(0)),
        ("max-age = 60", Some(0)),
        ("max-age =60", Some(0)),
        ("max-age= 60", Some(0)),
        // 4.2.1: two that differ are stale, two that do not are one
        ("max-age=60, max-age=60", Some(60)),
        ("max-age=60, max-age=061", Some(0)),
        ("max-age=60, max-age=10", Some(0)),
        ("max-age=10, max-age=60", Some(0)),
        ("max-age=60 | max-age=10", Some(0)),
        ("max-age=60 | max-age=60", Some(60)),
        ("max-age=60, max-age=a", Some(0)),
        ("max-age=1, max-age=2, max-age=2", Some(0)),
        // Other names are others
        ("max-ag=60", None),
        ("max-agee=60", None),
        ("xmax-age=60", None),
        ("foo=\"max-age=60\"", None),
        ("foo=\"bar, max-age=60\"", None),
        ("foo=\"\\\", max-age=60\"", None),
        ("foo=\"bar\", max-age=60", Some(60)),
        ("foo=\"bar\\\\\", max-age=60", Some(60)),
        // Empty members are none; lines are one list; white space is none
        (",,max-age=60,,", Some(60)),
        (" ,\t, max-age=60\t", Some(60)),
        ("public | max-age=60 | foo", Some(60)),
        ("", None),
    ] {
        let control = response(lines);
        assert_eq!(control.max_age, max_age, "{lines}");
        let shared = response(&lines.replace("max-age", "s-maxage").replace("MAX-AGE", "S-MAXAGE"));
        assert_eq!(shared.s_maxage, max_age, "s-maxage: {lines}");
        let stale = response(&lines.replace("max-age", "stale-if-error").replace("MAX-AGE", "Stale-If-Error"));
        assert_eq!(stale.stale_if_error, max_age, "stale-if-error: {lines}");
        let behind =
            response(&lines.replace("max-age", "stale-while-revalidate").replace("MAX-AGE", "STALE-WHILE-REVALIDATE"));
        assert_eq!(behind.stale_while_revalidate, max_age, "stale-while-revalidate: {lines}");
    }
}

/// Section 4.2.1: what forbids is understood however it is written.
#[test]
fn what_forbids_is_read_leniently() {
    let read: [Read; 5] = [
        ("no-store", |control| control.no_store),
        ("no-cache", |control| control.no_cache),
        ("private", |control| control.private),
        ("must-revalidate", |control| control.must_revalidate),
        ("proxy-revalidate", |control| control.proxy_revalidate),
    ];
    for (name, is) in read {
        let upper = name.to_ascii_uppercase();
        for text in [
            name.to_owned(),
            upper,
            format!("{name}=x"),
            format!("{name}=\"set-cookie\""),
            format!("{name}=\"set-cookie, x-a\""),
            format!("{name}="),
            format!("{name} ="),
            format!("{name} = \"x\""),
            format!("max-age=60, {name}"),
            format!("{name}, max-age=60"),
            format!("max-age=60 | {name}"),
            format!("{name}, {name}"),
            format!("foo=\"a,b\", {name}"),
            format!("foo=\"a\\\"b\", {name}"),
        ] {
            assert!(is(&response(&text)), "{text}");
        }
        for text in [
            format!("x{name}"),
            format!("{name}x"),
            format!("foo={name}"),
            format!("foo=\"{name}\""),
            format!("foo=\"a, {name}\""),
            format!("foo=\"a\\\", {name}\""),
            format!("'{name}'"),
            format!("\"{name}\""),
        ] {
            assert!(!is(&response(&text)), "{text}");
        }
    }
}

#[test]
fn what_allows_is_read_as_the_grammar_has_it() {
    let read: [Read; 3] = [
        ("public", |control| control.public),
        ("must-understand", |control| control.must_understand),
        ("immutable", |control| control.immutable),
    ];
    for (name, is) in read {
        assert!(is(&response(name)) && is(&response(&format!("max-age=1, {}", name.to_uppercase()))), "{name}");
        for text in
            [format!("{name}="), format!("{name}=1"), format!("{name}=\"a\""), format!("x{name}"), format!("{name};")]
        {
            assert!(!is(&response(&text)), "{text}");
        }
    }
}

/// What stands after a quote that does not end may be `no-store`.
#[test]
fn what_cannot_be_read_is_told() {
    for lines in ["foo=\"", "max-age=60, foo=\"bar, no-store", "foo=\"bar\\\"", "\"", "max-age=60 | foo=\"a"] {
        assert!(response(lines).unreadable, "{lines}");
    }
    for lines in ["", "foo=\"\"", "foo=\"bar\\\"\"", "foo='", "foo=bar\"baz\"", "=, =x, ==", "a b c"] {
        assert!(!response(lines).unreadable, "{lines}");
    }
    // Bytes outside of ASCII are some other directive's affair.
    let mut headers = fields(&["cache-control: max-age=60"]);
    headers.try_append("cache-control", HeaderValue::from_bytes(b"\xff\xfe=\x80, no-cache").unwrap()).unwrap();
    let control = ResponseControl::of(&headers);
    assert!(control.no_cache && control.max_age == Some(60) && !control.unreadable);
}

#[test]
fn what_follows_from_directives() {
    // 5.2.2.10, 4.2.4: must-revalidate, proxy-revalidate, no-cache and s-maxage forbid to use what is stale
    for (lines, forbids) in [
        ("max-age=1", false),
        ("max-age=1, must-revalidate", true),
        ("max-age=1, proxy-revalidate", true),
        ("max-age=1, no-cache", true),
        ("s-maxage=1", true),
        ("s-maxage=a", true),
        ("public, immutable, max-age=1", false),
    ] {
        assert_eq!(response(lines).forbids_stale(), forbids, "{lines}");
    }
    // 3.5: public, must-revalidate and s-maxage make the answer to somebody everybody's
    for (lines, allows) in [
        ("max-age=1", false),
        ("public", true),
        ("must-revalidate", true),
        ("s-maxage=1", true),
        ("proxy-revalidate, max-age=1", false),
        ("no-cache", false),
        ("public=yes", false),
    ] {
        assert_eq!(response(lines).allows_authorised(), allows, "{lines}");
    }
    // 4.2.1: s-maxage before max-age
    assert_eq!(response("max-age=1, s-maxage=2").lifetime(), Some(2));
    assert_eq!(response("s-maxage=, max-age=2").lifetime(), Some(0));
}

/// Section 5.2.1.
#[test]
fn requests() {
    let nothing = RequestControl::default();
    for (lines, control) in [
        ("", nothing),
        ("foo, bar=\"x\"", nothing),
        ("no-cache", RequestControl { no_cache: true, ..nothing }),
        ("No-Cache=x", RequestControl { no_cache: true, ..nothing }),
        ("no-store", RequestControl { no_store: true, ..nothing }),
        ("only-if-cached", RequestControl { only_if_cached: true, ..nothing }),
        ("max-age=0", RequestControl { max_age: Some(0), ..nothing }),
        ("max-age=x", RequestControl { max_age: Some(0), ..nothing }),
        ("max-age=9, max-age=8", RequestControl { max_age: Some(0), ..nothing }),
        ("min-fresh=9", RequestControl { min_fresh: Some(9), ..nothing }),
        ("min-fresh=9, min-fresh=20", RequestControl { min_fresh: Some(20), ..nothing }),
        ("min-fresh", RequestControl { min_fresh: Some(MAX_SECONDS), ..nothing }),
        ("max-stale", RequestControl { max_stale: Some(MaxStale::Any), ..nothing }),
        ("max-stale=9", RequestControl { max_stale: Some(MaxStale::Seconds(9)), ..nothing }),
        ("max-stale=\"9\"", RequestControl { max_stale: Some(MaxStale::Seconds(9)), ..nothing }),
        ("max-stale=a", RequestControl { max_stale: Some(MaxStale::Seconds(0)), ..nothing }),
        ("max-stale, max-stale=9", RequestControl { max_stale: Some(MaxStale::Seconds(0)), ..nothing }),
        ("max-stale | max-stale", RequestControl { max_stale: Some(MaxStale::Any), ..nothing }),
        ("stale-if-error=9", RequestControl { stale_if_error: Some(9), ..nothing }),
        ("foo=\"bar", RequestControl { no_cache: true, ..nothing }),
        // 5.4: Pragma, where there is no Cache-Control
        ("pragma: no-cache", RequestControl { no_cache: true, ..nothing }),
        ("pragma: foo, No-Cache", RequestControl { no_cache: true, ..nothing }),
        ("pragma: foo", nothing),
        ("pragma: no-cache | max-stale", RequestControl { max_stale: Some(MaxStale::Any), ..nothing }),
        ("cache-control:  | pragma: no-cache", nothing),
    ] {
        assert_eq!(RequestControl::of(&controlled(lines)), control, "{lines}");
    }
}
