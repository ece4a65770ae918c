use http::HeaderValue;

use crate::answer;
use crate::apps::{NAMES, Quota, app};
use crate::requests::{AUDIENCE, SECRET, bearer, claims, request};

const ADA: HeaderValue = HeaderValue::from_static("ada");

fn named(part: &str) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(move |name| name.starts_with(part) || name.starts_with("both"))
}

#[test]
fn a_good_token_of_the_right_issuer_and_audience_passes_and_no_other_does() {
    let good = claims("ada", 1);
    let with = |name: &str, value: &str| {
        let mut claims = good.clone();
        claims.insert(name.to_owned(), value.into());
        claims
    };
    let mut expired = good.clone();
    expired.insert("exp".to_owned(), 1_000_000.into());
    let refused = [
        bearer(&good, b"somebody-else's-secret-0123456789abcdef"),
        bearer(&with("iss", "https://login.other.test"), SECRET),
        bearer(&with("aud", "other"), SECRET),
        bearer(&expired, SECRET),
    ];
    assert_eq!(good.get("aud").and_then(|aud| aud.as_str()), Some(AUDIENCE));
    for name in named("authenticate") {
        let mut app = app(name, Quota::Ample);
        let passed = bearer(&good, SECRET);
        for _ in 0..2 {
            assert_eq!(answer(&mut app, request(&ADA, Some(&passed))).status(), 200, "{name}");
        }
        for token in &refused {
            assert_eq!(answer(&mut app, request(&ADA, Some(token))).status(), 401, "{name}");
        }
        assert_eq!(answer(&mut app, request(&ADA, None)).status(), 401, "{name}");
    }
}

#[test]
fn each_user_is_limited_and_told_what_is_left() {
    let (ada, grace) = (bearer(&claims("ada", 1), SECRET), bearer(&claims("grace", 1), SECRET));
    for name in named("limit") {
        let mut app = app(name, Quota::Once);
        let passed = answer(&mut app, request(&ADA, Some(&ada)));
        assert_eq!(passed.status(), 200, "{name}");
        assert_eq!(passed.headers()["x-ratelimit-remaining"], "0", "{name}");
        let refused = answer(&mut app, request(&ADA, Some(&ada)));
        assert_eq!(refused.status(), 429, "{name}");
        assert!(refused.headers().contains_key("retry-after"), "{name}");
        let other = answer(&mut app, request(&HeaderValue::from_static("grace"), Some(&grace)));
        assert_eq!(other.status(), 200, "{name}");
    }
}
