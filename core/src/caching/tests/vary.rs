//! RFC 9111, section 4.1: variants.

use super::*;
use crate::caching::vary::VaryNames;

fn written(vary: &str, request: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    names(vary).write(&fields(request), &mut out);
    out
}

fn names(vary: &str) -> VaryNames {
    VaryNames::of(&controlled(vary)).unwrap()
}

#[test]
fn names_are_a_set() {
    for (vary, expected) in [
        ("", &[][..]),
        ("vary: accept", &["accept"]),
        ("vary: Accept-Encoding, accept-encoding", &["accept-encoding"]),
        ("vary: b, A", &["a", "b"]),
        ("vary: b | vary: a, B", &["a", "b"]),
        ("vary: ,a,,", &["a"]),
        ("vary:  , ", &[]),
    ] {
        let names = names(vary);
        assert_eq!(names.names().iter().map(HeaderName::as_str).collect::<Vec<_>>(), expected, "{vary}");
        assert_eq!(names.is_empty(), expected.is_empty());
    }
    assert_eq!(names("vary: b | vary: a, B"), names("vary: A, b"));
}

#[test]
fn requests_that_fit_and_that_do_not() {
    let same: [(&str, &[&str], &[&str]); 14] = [
        ("vary: accept", &["accept: a"], &["accept: a"]),
        ("vary: accept", &["accept: a", "x-a: 1"], &["accept: a", "x-a: 2"]),
        ("vary: accept", &[], &[]),
        ("vary: x-a", &["x-a: 1", "x-a: 2"], &["x-a: 1, 2"]),
        ("vary: x-a", &["x-a:  1 "], &["x-a: 1"]),
        ("vary: accept-encoding", &["accept-encoding: gzip, br"], &["accept-encoding: gzip,br"]),
        ("vary: accept-encoding", &["accept-encoding: GZip ,\tbr"], &["accept-encoding: gzip, br"]),
        ("vary: accept-encoding", &["accept-encoding: gzip", "accept-encoding: br"], &["accept-encoding: gzip, br"]),
        ("vary: accept-language", &["accept-language: de; q=0.5"], &["accept-language: DE;q=0.5"]),
        ("vary: accept", &["accept: text/html ;q=1"], &["accept: text/html;q=1"]),
        ("vary: accept-charset", &["accept-charset: UTF-8"], &["accept-charset: utf-8"]),
        ("vary: a, b", &["a: 1", "b: 2"], &["b: 2", "a: 1"]),
        ("vary: b | vary: a", &["a: 1", "b: 2"], &["b: 2", "a: 1"]),
        ("vary: a, a", &["a: 1"], &["a: 1"]),
    ];
    for (vary, one, other) in same {
        assert_eq!(written(vary, one), written(vary, other), "{vary}: {one:?} {other:?}");
    }
    let different: [(&str, &[&str], &[&str]); 16] = [
        ("vary: accept", &["accept: a"], &["accept: b"]),
        ("vary: accept", &["accept: a"], &[]),
        // Absence is a value, and not the empty one
        ("vary: x-a", &["x-a: "], &[]),
        ("vary: x-a", &["x-a: a"], &["x-a: A"]),
        ("vary: x-a", &["x-a: a,b"], &["x-a: a, b"]),
        ("vary: x-a", &["x-a: 1", "x-a: 2"], &["x-a: 2", "x-a: 1"]),
        ("vary: x-a", &["x-a: 1"], &["x-a: 1", "x-a: 1"]),
        ("vary: x-a", &["x-a: 1"], &["x-a: 1", "x-a: "]),
        ("vary: accept-encoding", &["accept-encoding: gzip, br"], &["accept-encoding: br, gzip"]),
        ("vary: accept-encoding", &["accept-encoding: gzip"], &["accept-encoding: gzip;q=0"]),
        ("vary: accept-language", &["accept-language: de en"], &["accept-language: deen"]),
        // Borders between values count
        ("vary: a, b", &["a: 1", "b: 23"], &["a: 12", "b: 3"]),
        ("vary: a, b", &["a: 1"], &["b: 1"]),
        ("vary: a, b", &["a: "], &["b: "]),
        ("vary: a, b", &["a: 1, b: 2"], &["a: 1", "b: 2"]),
        ("vary: cookie", &["cookie: a=1"], &["cookie: a=2"]),
    ];
    for (vary, one, other) in different {
        assert_ne!(written(vary, one), written(vary, other), "{vary}: {one:?} {other:?}");
    }
    // Another list is another question.
    assert_ne!(written("vary: a", &[]), written("vary: b", &[]));
    assert_ne!(written("vary: a", &[]), written("vary: a, b", &[]));
}
