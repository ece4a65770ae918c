//! RFC 9211: `Cache-Status`.

use super::*;

#[test]
fn members() {
    let nothing = CacheStatus::default();
    let ok = Some(StatusCode::OK);
    for (status, text) in [
        (CacheStatus::hit(30), "Portcullis; hit; ttl=30"),
        (CacheStatus::hit(-5), "Portcullis; hit; ttl=-5"),
        (CacheStatus { collapsed: true, ..CacheStatus::hit(1) }, "Portcullis; hit; ttl=1; collapsed"),
        (CacheStatus { forward: Some(Forward::UriMiss), ..nothing }, "Portcullis; fwd=uri-miss"),
        (
            CacheStatus { forward: Some(Forward::UriMiss), forward_status: ok, stored: true, ttl: Some(60), ..nothing },
            "Portcullis; fwd=uri-miss; fwd-status=200; ttl=60; stored",
        ),
        (
            CacheStatus { forward: Some(Forward::VaryMiss), collapsed: true, ..nothing },
            "Portcullis; fwd=vary-miss; collapsed",
        ),
        (
            CacheStatus {
                forward: Some(Forward::Stale),
                forward_status: Some(StatusCode::NOT_MODIFIED),
                stored: true,
                ..nothing
            },
            "Portcullis; fwd=stale; fwd-status=304; stored",
        ),
        (CacheStatus { forward: Some(Forward::Request), ..nothing }, "Portcullis; fwd=request"),
        (CacheStatus { forward: Some(Forward::Partial), ..nothing }, "Portcullis; fwd=partial"),
        (
            CacheStatus { forward: Some(Forward::Method), detail: Some(Bypass::Unsafe.as_str()), ..nothing },
            "Portcullis; fwd=method; detail=unsafe-method",
        ),
        (
            CacheStatus { forward: Some(Forward::Bypass), detail: Some(Bypass::Cookie.as_str()), ..nothing },
            "Portcullis; fwd=bypass; detail=cookie",
        ),
    ] {
        assert_eq!(status.text().as_bytes(), text.as_bytes());
        assert_eq!(status.text().value().unwrap(), text);
    }
}

/// None of it is cut: the longest fits.
#[test]
fn the_longest_fits() {
    let words = [Unstorable::NoStoreAsked.as_str(), Bypass::Override.as_str(), Unstorable::VaryTooMany.as_str()];
    let longest = words.into_iter().max_by_key(|word| word.len());
    let status = CacheStatus {
        collapsed: true,
        detail: longest,
        forward: Some(Forward::VaryMiss),
        forward_status: Some(StatusCode::OK),
        stored: true,
        ttl: Some(i64::MIN),
    };
    assert!(status.text().as_bytes().ends_with(format!("detail={}", longest.unwrap()).as_bytes()));
    // A word that is too long for the line is left out, and what is before it stays a member.
    let text = CacheStatus { detail: Some("x".repeat(300).leak()), ..CacheStatus::hit(1) }.text();
    assert_eq!(text.as_bytes(), b"Portcullis; hit; ttl=1");
}
