//! What claims must say.

use super::*;

/// J03
#[test]
fn exp_is_a_time_and_has_not_come() {
    for bad in [
        Value::Null,
        json!("9999999999"),
        json!(-1),
        json!(-0.5),
        json!(1e308),
        json!(253_402_300_800_u64),
        json!(u64::MAX),
        json!(true),
        json!([NOW + 600]),
        json!({}),
    ] {
        assert_eq!(word(&with("exp", bad.clone())), reason::TIME, "{bad}");
    }
    let payload = format!(r#"{{"iss":"{ISSUER}","aud":"shop","sub":"ada","exp":null}}"#);
    assert_eq!(word(&forge(r#"{"alg":"HS256"}"#, payload.as_bytes())), reason::TIME);
    let payload = payload.replace("null", "1e400");
    assert_eq!(word(&forge(r#"{"alg":"HS256"}"#, payload.as_bytes())), reason::MALFORMED);

    for (exp, expected) in [
        (json!(0), reason::EXPIRED),
        (json!(NOW - 31), reason::EXPIRED),
        (json!(NOW - 30), reason::EXPIRED),
        (json!(NOW - 29), "ok"),
        (json!(NOW), "ok"),
        (json!(253_402_300_799_u64), "ok"),
        (json!(1_800_000_600.5), "ok"),
    ] {
        assert_eq!(word(&with("exp", exp.clone())), expected, "{exp}");
    }
}

/// J03
#[test]
fn nbf_and_iat_are_times_when_they_are_there() {
    for name in ["nbf", "iat"] {
        for bad in [json!("1"), json!(-1), json!(1e308), json!(false), json!([])] {
            assert_eq!(word(&with(name, bad.clone())), reason::TIME, "{name} {bad}");
        }
        assert_eq!(word(&with(name, json!(NOW - 5))), "ok");
    }
    assert_eq!(word(&with("nbf", json!(NOW + 30))), "ok");
    assert_eq!(word(&with("nbf", json!(NOW + 31))), reason::NOT_YET_VALID);
    assert_eq!(word(&with("nbf", json!(NOW + 300))), reason::NOT_YET_VALID);
    assert_eq!(word(&with("iat", json!(NOW + 300))), "ok", "says when it was made, not from when it is good");
}

/// J03
#[test]
fn leeway_is_what_was_configured() {
    let strict = JwtVerifier::hs256(SECRET).any_issuer().any_audience().leeway(Duration::ZERO).build().unwrap();
    assert!(verify(&strict, &with("exp", json!(NOW + 1)), NOW).is_ok());
    assert!(verify(&strict, &with("exp", json!(NOW)), NOW).is_err());
    assert!(verify(&strict, &with("nbf", json!(NOW + 1)), NOW).is_err());
}

/// J04
#[test]
fn iss_is_exactly_the_issuer() {
    for bad in [
        Value::Null,
        json!("https://login.shop.test/"),
        json!("HTTPS://login.shop.test"),
        json!(""),
        json!([ISSUER]),
        json!([ISSUER, "https://evil.test"]),
        json!(5),
        json!({ "is": ISSUER }),
    ] {
        assert_eq!(word(&with("iss", bad.clone())), reason::ISSUER, "{bad}");
    }
    // Another issuer's secret, this issuer's name.
    let other = mint(Algorithm::HS256, &[7; 32], &good()).unwrap();
    assert_eq!(word(&other), reason::SIGNATURE);
}

/// J05
#[test]
fn aud_has_us_in_it() {
    for bad in [
        Value::Null,
        json!("Shop"),
        json!("shop "),
        json!(""),
        json!([]),
        json!(["other"]),
        json!(5),
        json!([5, "shop"]),
        json!([["shop"]]),
        json!({ "shop": true }),
    ] {
        assert_eq!(word(&with("aud", bad.clone())), reason::AUDIENCE, "{bad}");
    }
    for good in [json!("shop"), json!("store"), json!(["other", "shop"]), json!(["store"])] {
        assert_eq!(word(&with("aud", good.clone())), "ok", "{good}");
    }
}

#[test]
fn any_issuer_and_any_audience_look_at_neither() {
    let lax = JwtVerifier::hs256(SECRET).any_issuer().any_audience().build().unwrap();
    for name in ["iss", "aud"] {
        assert!(verify(&lax, &with(name, Value::Null), NOW).is_ok());
        assert!(verify(&lax, &with(name, json!(5)), NOW).is_ok());
    }
}

/// J17: a token whose signature does not hold is told nothing about its claims.
#[test]
fn no_claim_is_looked_at_before_the_signature_holds() {
    for (name, value) in [("exp", json!(0)), ("iss", json!("evil")), ("sub", Value::Null)] {
        let token = with(name, value);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(word(&format!("{signed}.AAAA")), reason::SIGNATURE);
    }
    // Not even whether they are JSON.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    assert_eq!(word(&format!("{header}.AAAA.AAAA")), reason::SIGNATURE);
}

#[test]
fn the_id_is_a_short_text() {
    for bad in [Value::Null, json!(""), json!(5), json!(["ada"]), json!("a\r\nb"), json!("a\0"), json!("x".repeat(257))]
    {
        assert_eq!(word(&with("sub", bad.clone())), reason::ID, "{bad}");
    }
    assert_eq!(word(&with("sub", json!("x".repeat(256)))), "ok");
    let nested = JwtVerifier::hs256(SECRET).any_issuer().any_audience().id_claim("account.number").build().unwrap();
    let id = |account: Value| verify(&nested, &with("account", account), NOW).map(|who| who.id().to_owned());
    assert_eq!(id(json!({ "number": "A-7" })), Ok("A-7".to_owned()));
    assert_eq!(id(json!({ "number": 7 })), Err(AuthError::Invalid(reason::ID)));
    assert_eq!(id(json!("A-7")), Err(AuthError::Invalid(reason::ID)));
}
