//! RFC 9111, section 4.4.

use super::*;

#[test]
fn methods_and_statuses() {
    for (method, is_unsafe) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("TRACE", false),
        ("QUERY", false),
        ("POST", true),
        ("PUT", true),
        ("DELETE", true),
        ("PATCH", true),
        ("CONNECT", true),
        ("M-SEARCH", true),
        ("get", true),
        ("PURGE", true),
    ] {
        let method: Method = method.parse().unwrap();
        for status in 100..=599 {
            let expected = is_unsafe && (200..400).contains(&status);
            assert_eq!(invalidates(&method, StatusCode::from_u16(status).unwrap()), expected, "{method} {status}");
        }
    }
}

#[test]
fn places_of_the_same_origin() {
    let origin = Origin { scheme: Scheme::Https, host: "shop.test", port: 443 };
    for (location, expected) in [
        ("/orders/1", Some(("/orders/1", None))),
        ("/orders?page=2", Some(("/orders", Some("page=2")))),
        ("/orders?", Some(("/orders", Some("")))),
        ("/orders#top", Some(("/orders", None))),
        ("https://shop.test/orders/1", Some(("/orders/1", None))),
        ("https://shop.test:443/orders/1", Some(("/orders/1", None))),
        ("https://SHOP.test./orders/1", Some(("/orders/1", None))),
        ("HTTPS://shop.test/orders/1", Some(("/orders/1", None))),
        ("https://shop.test", Some(("/", None))),
        ("https://shop.test?a", Some(("/", Some("a")))),
        ("//shop.test/orders/1", Some(("/orders/1", None))),
        // Relative to the request
        ("2", Some(("/a/2", None))),
        ("../c", Some(("/c", None))),
        ("./c/../d", Some(("/a/d", None))),
        ("?page=2", Some(("/a/b", Some("page=2")))),
        ("", Some(("/a/b", None))),
        ("#top", Some(("/a/b", None))),
        ("c?next=https://evil.test/", Some(("/a/c", Some("next=https://evil.test/")))),
        // As the canonical path has it
        ("/%6frders/./1", Some(("/orders/1", None))),
        // Others' are not ours to make invalid
        ("https://evil.test/orders/1", None),
        ("http://shop.test/orders/1", None),
        ("https://shop.test:8443/orders/1", None),
        ("https://shop.test@evil.test/orders/1", None),
        ("//evil.test/orders/1", None),
        ("https://www.shop.test/orders/1", None),
        ("ftp://shop.test/orders/1", None),
        ("mailto:a@shop.test", None),
        ("https://", None),
        ("/%00", None),
        ("/a b", None),
    ] {
        let named = |name: &str| also_invalidated(&fields(&[&format!("{name}: {location}")]), origin, "/a/b");
        let expected: Vec<Named> = expected
            .into_iter()
            .map(|(path, query)| Named { path: path.to_owned(), query: query.map(str::to_owned) })
            .collect();
        assert_eq!(named("location"), expected, "{location}");
        assert_eq!(named("content-location"), expected, "{location}");
    }
    let both = fields(&["location: /x", "content-location: /y", "link: </z>"]);
    assert_eq!(also_invalidated(&both, origin, "/").len(), 2);
    assert!(also_invalidated(&HeaderMap::new(), origin, "/").is_empty());
    let mut bytes = HeaderMap::new();
    bytes.try_append("location", HeaderValue::from_bytes(b"/\xff").unwrap()).unwrap();
    assert!(also_invalidated(&bytes, origin, "/").is_empty());
}
