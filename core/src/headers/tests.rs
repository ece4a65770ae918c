use std::net::IpAddr;

use http::Version;
use http::header::{CONNECTION, EXPECT, FORWARDED, HOST, TE, VIA};
use proptest::prelude::*;

use super::*;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    fields.iter().map(field).collect()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

mod hop_by_hop {
    use super::*;

    #[test]
    fn all_of_them_go_and_nothing_else() {
        let mut headers: HeaderMap =
            HOP_BY_HOP.iter().map(|name| (name.parse().unwrap(), "x".parse().unwrap())).collect();
        headers.extend(map(&[
            ("host", "a"),
            ("connection", "close, TE"),
            ("trailer", "x"),
            ("te", "gzip;q=0.5, Trailers"),
        ]));
        assert_eq!(remove_hop_by_hop(&mut headers), Ok(HopByHop { trailers: true }));
        assert_eq!(names(&headers), ["host", "trailer"]);
        assert_eq!(remove_hop_by_hop(&mut headers), Ok(HopByHop { trailers: false }));
    }

    #[test]
    fn what_connection_names_goes_in_any_spelling_on_any_line() {
        let long = "X-".to_owned() + &"Long-".repeat(40) + "Name";
        let mut headers = map(&[
            ("connection", ",, close ,\tX-User-ID"),
            ("connection", "x-forwarded-for, HOST"),
            ("connection", &long),
            ("x-user-id", "admin"),
            ("x-user-id", "root"),
            ("x-forwarded-for", "1.2.3.4"),
            ("host", "a"),
            (&long, "1"),
            ("x-user-role", "stays"),
        ]);
        assert!(remove_hop_by_hop(&mut headers).is_ok());
        assert_eq!(names(&headers), ["x-user-role"]);
    }

    #[test]
    fn a_connection_line_that_is_no_list_of_names_is_refused_and_nothing_changes() {
        for line in [b"\xff".as_slice(), b"close, x y", b"a;b", b"\"close\"", b"close, \xc3\xa9", b"a/b", b"a=b"] {
            let mut headers = map(&[("x-a", "1"), ("connection", "x-a")]);
            headers.try_append(CONNECTION, HeaderValue::from_bytes(line).unwrap()).unwrap();
            let before = headers.clone();
            assert_eq!(remove_hop_by_hop(&mut headers), Err(HeaderError::Connection), "{line:?}");
            assert_eq!(headers, before);
        }
    }

    #[test]
    fn te_needs_no_leave_of_connection_and_may_be_unreadable() {
        let mut headers = map(&[]);
        headers.try_append(TE, HeaderValue::from_bytes(b"\xff").unwrap()).unwrap();
        assert_eq!(remove_hop_by_hop(&mut headers), Ok(HopByHop { trailers: false }));
    }
}

mod forwarding {
    use super::*;

    fn said(client: Option<&str>, host: Option<&str>, proto: Proto) -> HeaderMap {
        let mut headers =
            map(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "7.7.7.7"), ("forwarded", "for=_x")]);
        let client = client.map(|text| text.parse::<IpAddr>().unwrap());
        let host = host.map(|text| HeaderValue::from_str(text).unwrap());
        Forwarding::new(client, proto).write(&mut headers, host.as_ref()).unwrap();
        headers
    }

    #[test]
    fn nobodys_word_is_passed_on() {
        let mut headers = map(&[
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded", "1"),
            ("x-forwarded-for", "1"),
            ("x-forwarded-for", "2"),
            ("x-forwarded-host", "1"),
            ("x-forwarded-proto", "1"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "1"),
            ("x-forwarded-uri", "1"),
            ("x-forwarded-method", "1"),
            ("x-forwarded-client-cert", "1"),
            ("x_forwarded_for", "1"),
            ("x-forwarded_for", "1"),
            ("x-real-ip", "1"),
            ("x-real_ip", "1"),
            ("client-cert", "1"),
            ("client-cert-chain", "1"),
            ("x-client-cert", "1"),
            ("x-ssl-client-verify", "1"),
            ("true-client-ip", "1"),
            ("x-original-url", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-forward", "stays"),
            ("x-real-ipv", "stays"),
            ("content-type", "stays"),
            ("from", "stays"),
            ("host", "stays"),
        ]);
        erase_forwarding(&mut headers);
        assert_eq!(names(&headers), ["content-type", "from", "host", "x-forward", "x-real-ipv"]);
    }

    #[test]
    fn each_field_is_written_once_in_place_of_what_was_there() {
        let headers = said(Some("192.0.2.7"), Some("shop.test"), Proto::Https);
        assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().collect::<Vec<_>>(), ["192.0.2.7"]);
        assert_eq!(headers[X_FORWARDED_HOST], "shop.test");
        assert_eq!(headers[X_FORWARDED_PROTO], "https");
        assert_eq!(headers.get_all(FORWARDED).iter().collect::<Vec<_>>(), ["for=192.0.2.7;host=shop.test;proto=https"]);
    }

    #[test]
    fn forwarded_quotes_what_is_no_token() {
        for (client, host, written) in [
            (Some("2001:db8::1"), Some("[::1]:80"), r#"for="[2001:db8::1]";host="[::1]:80";proto=http"#),
            (Some("::ffff:192.0.2.7"), Some("a:8080"), r#"for=192.0.2.7;host="a:8080";proto=http"#),
            (None, Some(r#"a";for="b\"#), r#"for=unknown;host="a\";for=\"b\\";proto=http"#),
            (None, Some(""), r#"for=unknown;host="";proto=http"#),
            (None, None, "for=unknown;proto=http"),
            (None, Some(&"a".repeat(500)), "for=unknown;proto=http"),
        ] {
            assert_eq!(said(client, host, Proto::Http)[FORWARDED], written);
        }
    }

    #[test]
    fn without_an_address_there_is_no_x_forwarded_for() {
        let mut headers = map(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil.test")]);
        erase_forwarding(&mut headers);
        Forwarding::new(None, Proto::Http).write(&mut headers, None).unwrap();
        assert!(!headers.contains_key(X_FORWARDED_FOR) && !headers.contains_key(X_FORWARDED_HOST));
    }

    #[test]
    fn a_host_that_is_not_text_stays_out_of_forwarded() {
        let mut headers = map(&[]);
        let host = HeaderValue::from_bytes(b"\xff").unwrap();
        Forwarding::new(None, Proto::Http).write(&mut headers, Some(&host)).unwrap();
        assert_eq!(headers[FORWARDED], "for=unknown;proto=http");
    }
}

mod via {
    use super::*;

    #[test]
    fn each_hop_adds_its_line_in_the_version_it_received() {
        let via = Via::new("portcullis").unwrap();
        let mut headers = map(&[("via", "1.0 fred")]);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3] {
            via.append(&mut headers, version).unwrap();
        }
        let lines: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(lines, ["1.0 fred", "1.0 portcullis", "1.1 portcullis", "2.0 portcullis", "3.0 portcullis"]);
    }

    #[test]
    fn our_own_pseudonym_is_a_loop_wherever_it_stands() {
        let via = Via::new("portcullis-1").unwrap();
        for (line, looped) in [
            ("1.1 portcullis-1", true),
            ("1.0 fred, HTTP/1.1  Portcullis-1 (a comment)", true),
            ("1.1\tportcullis-1,1.1 x", true),
            ("1.1 portcullis-10, 1.1 portcullis", false),
            ("portcullis-1", false),
            ("1.1 x (portcullis-1)", false),
            (",, ,", false),
        ] {
            assert_eq!(via.check(&map(&[("via", "1.1 a"), ("via", line)])).is_err(), looped, "{line}");
        }
    }

    #[test]
    fn a_pseudonym_is_a_token() {
        for wrong in ["", "a b", "a,b", "a:1", "é"] {
            assert_eq!(Via::new(wrong).err(), Some(PseudonymError), "{wrong}");
        }
    }
}

mod ids {
    use super::*;

    #[test]
    fn a_well_formed_request_id_is_kept_and_any_other_replaced() {
        let long = "a".repeat(129);
        for (sent, kept) in [
            (vec!["A-z.0_9"], true),
            (vec![&long[..128]], true),
            (vec![&long[..]], false),
            (vec![""], false),
            (vec!["a b"], false),
            (vec!["a\"}"], false),
            (vec!["a", "a"], false),
            (vec![], false),
        ] {
            let mut headers = map(&sent.iter().map(|id| ("x-request-id", *id)).collect::<Vec<_>>());
            let id = request_id(&mut headers, 0xAB).unwrap();
            let expected = if kept { sent[0] } else { "000000000000000000000000000000ab" };
            assert_eq!(id, expected);
            assert_eq!(headers.get_all(X_REQUEST_ID).iter().collect::<Vec<_>>(), [expected]);
        }
    }

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn a_valid_trace_goes_on_under_a_new_parent() {
        let mut headers = map(&[("traceparent", SENT), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let trace = traced(&mut headers, 1, 0xAB);
        assert_eq!(headers[TRACEPARENT], "00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-00");
        assert_eq!(headers[TRACEPARENT], trace.to_string());
        assert_eq!(headers.get_all(TRACESTATE).iter().count(), 2);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known_and_answered_in_ours() {
        let mut headers = map(&[("traceparent", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more")]);
        traced(&mut headers, 1, 2);
        assert_eq!(headers[TRACEPARENT], "00-0af7651916cd43dd8448eb211c80319c-0000000000000002-01");
    }

    #[test]
    fn an_invalid_trace_is_replaced_and_its_state_goes() {
        let twice = [SENT, SENT];
        let wrong = [
            "",
            "00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-00",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ];
        for sent in wrong.iter().map(std::slice::from_ref).chain([&twice[..], &[]]) {
            let mut headers = map(&sent.iter().map(|text| ("traceparent", *text)).collect::<Vec<_>>());
            headers.extend(map(&[("tracestate", "a=1")]));
            traced(&mut headers, 0, 0);
            let lines: Vec<_> = headers.get_all(TRACEPARENT).iter().collect();
            assert_eq!(lines, ["00-00000000000000000000000000000001-0000000000000001-01"], "{sent:?}");
            assert!(!headers.contains_key(TRACESTATE));
        }
    }
}

#[test]
fn only_a_continue_can_be_expected() {
    for (lines, version, expects) in [
        (vec![], Version::HTTP_11, Ok(false)),
        (vec!["100-Continue"], Version::HTTP_11, Ok(true)),
        (vec!["100-continue", ", 100-continue"], Version::HTTP_2, Ok(true)),
        (vec!["100-continue"], Version::HTTP_10, Ok(false)),
        (vec!["100-continue, x"], Version::HTTP_11, Err(HeaderError::Expectation)),
        (vec!["100-continue;a=b"], Version::HTTP_11, Err(HeaderError::Expectation)),
        (vec!["x"], Version::HTTP_11, Err(HeaderError::Expectation)),
    ] {
        let headers = map(&lines.iter().map(|line| ("expect", *line)).collect::<Vec<_>>());
        assert_eq!(expects_continue(&headers, version), expects, "{lines:?}");
    }
    let unreadable = [(EXPECT, HeaderValue::from_bytes(b"\xff").unwrap())].into_iter().collect();
    assert_eq!(expects_continue(&unreadable, Version::HTTP_11), Err(HeaderError::Expectation));
}

/// Names and values that mean something here, and any others.
fn any_map() -> impl Strategy<Value = HeaderMap> {
    let known = prop::sample::select(
        &[
            "connection",
            "keep-alive",
            "te",
            "transfer-encoding",
            "upgrade",
            "proxy-connection",
            "proxy-authorization",
            "proxy-authenticate",
            "via",
            "expect",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x_forwarded_host",
            "x-real-ip",
            "x-request-id",
            "traceparent",
            "tracestate",
            "x-user-id",
            "host",
        ][..],
    );
    let name = prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[a-z_-]{1,80}"];
    let telling = "(close|X-User-Id|x-a|trailers|100-continue|1.1 us|for=|[, \t;\"=]|[a-f0-9-]{1,9}){0,6}";
    let value = prop_oneof![telling.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)];
    let field = (name, value).prop_filter_map("no field", |(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?))
    });
    prop::collection::vec(field, 0..30).prop_map(|fields| fields.into_iter().collect())
}

proptest! {
    #[test]
    fn no_map_is_too_strange(mut headers in any_map(), trace: u128, parent: u64, client: Option<IpAddr>) {
        let via = Via::new("us").unwrap();
        let _ = expects_continue(&headers, Version::HTTP_11);
        let _ = via.check(&headers);

        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        if remove_hop_by_hop(&mut headers).is_ok() {
            prop_assert!(HOP_BY_HOP.iter().all(|name| !headers.contains_key(*name)));
            prop_assert!(named.iter().all(|name| !headers.contains_key(name)));
        }
        erase_forwarding(&mut headers);
        prop_assert!(headers.keys().all(|name| !name.as_str().replace('_', "-").starts_with("x-forwarded")));

        let host = headers.get(HOST).cloned();
        Forwarding::new(client, Proto::Http).write(&mut headers, host.as_ref()).unwrap();
        via.append(&mut headers, Version::HTTP_11).unwrap();
        request_id(&mut headers, trace).unwrap();
        traced(&mut headers, trace, parent);
        prop_assert_eq!(via.check(&headers), Err(HeaderError::Loop));
        for name in [FORWARDED, X_FORWARDED_PROTO, X_REQUEST_ID, TRACEPARENT] {
            prop_assert_eq!(headers.get_all(&name).iter().count(), 1, "{}", name);
        }
        prop_assert!(headers[TRACEPARENT].to_str().unwrap().parse::<TraceParent>().is_ok());
    }

    #[test]
    fn any_traceparent_is_read_without_panic(text in "\\PC{0,60}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?") {
        if let Ok(parent) = text.parse::<TraceParent>() {
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
        }
    }
}

/// The trace goes on, and its field is set.
fn traced(headers: &mut HeaderMap, trace: u128, parent: u64) -> TraceParent {
    let next = continue_trace(headers, trace, parent);
    next.write(headers).unwrap();
    next
}
