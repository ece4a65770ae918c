//! Which key of a set is a token's.

use super::*;

const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

fn set(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn passed_over(key: &Value) -> KeyError {
    let good = SigningKey::new(Algorithm::EdDSA).jwk();
    let set = set(&[good, key.clone()]);
    assert_eq!((set.len(), set.passed_over().len()), (1, 1), "{key}");
    assert_eq!(set.passed_over()[0].place, 1);
    set.passed_over()[0].why
}

/// What a verifier of all public-key algorithms says, in one word.
fn says(keys: KeySet, token: &str) -> &'static str {
    let verifier = JwtVerifier::keys(keys).algorithms(ASYMMETRIC).issuer(ISSUER).audience("shop").build().unwrap();
    match verify(&verifier, token, NOW) {
        Ok(_) => "ok",
        Err(AuthError::Invalid(reason)) => reason,
        Err(AuthError::Unavailable) => "unavailable",
    }
}

fn claims() -> Value {
    Value::Object(good())
}

/// `jwk` with more members.
fn and(mut jwk: Value, more: &Value) -> Value {
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk
}

#[test]
fn every_algorithm_is_checked_with_a_key_of_its_kind() {
    for algorithm in ASYMMETRIC {
        let key = SigningKey::new(algorithm);
        let token = key.token(&claims());
        assert_eq!(says(set(&[key.jwk()]), &token), "ok", "{algorithm}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for bad in ["AAAA".to_owned(), String::new(), signature.replacen(&signature[..4], "AAAA", 1)] {
            assert_eq!(says(set(&[key.jwk()]), &format!("{signed}.{bad}")), reason::SIGNATURE, "{algorithm}");
        }
    }
}

/// J02: the same RSA key, the other padding or hash; an EC key for an RSA algorithm; any key for any other algorithm.
#[test]
fn a_signature_of_one_algorithm_is_not_one_of_another() {
    for algorithm in ASYMMETRIC {
        let token = SigningKey::new(algorithm).token(&claims());
        let (_, rest) = token.split_once('.').unwrap();
        for other in ASYMMETRIC.into_iter().filter(|other| *other != algorithm) {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": other.as_str() }).to_string());
            let same_kind = other.key_kind() == algorithm.key_kind();
            let expected = if same_kind { reason::SIGNATURE } else { reason::KEY };
            let set = set(&[SigningKey::new(algorithm).jwk()]);
            if !same_kind {
                assert!(!set.takes(other), "{algorithm} as {other}");
            }
            assert_eq!(says(set, &format!("{header}.{rest}")), expected, "{algorithm} as {other}");
        }
    }
}

/// J01, J02: a public key is no secret, in whatever form somebody signs with it.
#[test]
fn a_public_key_is_not_taken_for_a_secret() {
    let key = SigningKey::new(Algorithm::RS256);
    for secret in [key.pem().to_owned(), key.pem().trim_end().to_owned(), key.jwk().to_string()] {
        let token = mint(Algorithm::HS256, secret.as_bytes(), &good()).unwrap();
        assert_eq!(says(set(&[key.jwk()]), &token), reason::ALGORITHM);
    }
    let keys = || set(&[key.jwk()]);
    let mixed = |algorithms: &[Algorithm]| {
        JwtVerifier::keys(keys()).algorithms(algorithms.iter().copied()).any_issuer().any_audience().build().map(|_| ())
    };
    let error = JwtConfigError::NoSecret { algorithm: Algorithm::HS256 };
    assert_eq!(mixed(&[Algorithm::RS256, Algorithm::HS256]), Err(error));
    let mixed = JwtVerifier::secret(SECRET)
        .algorithms([Algorithm::HS256, Algorithm::RS256])
        .any_issuer()
        .any_audience()
        .build();
    let error = JwtConfigError::WrongKey { algorithm: Algorithm::RS256, kind: KeyKind::Secret };
    assert_eq!(mixed.unwrap_err(), error);
}

#[test]
fn a_set_without_a_key_for_any_algorithm_builds_nothing() {
    let build = |keys, algorithms: &[Algorithm]| {
        JwtVerifier::keys(keys).algorithms(algorithms.iter().copied()).any_issuer().any_audience().build().map(|_| ())
    };
    let rsa = || set(&[SigningKey::new(Algorithm::RS256).jwk()]);
    assert_eq!(build(rsa(), &[Algorithm::ES256]), Err(JwtConfigError::NoKey));
    assert_eq!(build(rsa(), &[Algorithm::ES256, Algorithm::PS512]), Ok(()));
    let only = and(SigningKey::new(Algorithm::RS256).jwk(), &json!({ "alg": "RS256" }));
    assert_eq!(build(set(&[only]), &[Algorithm::PS256]), Err(JwtConfigError::NoKey));
    // One key without a name must take all of them.
    let pem = KeySet::from_pem(SigningKey::new(Algorithm::RS256).pem()).unwrap();
    let error = JwtConfigError::WrongKey { algorithm: Algorithm::ES256, kind: KeyKind::Rsa };
    assert_eq!(build(pem.clone(), &[Algorithm::RS256, Algorithm::ES256]), Err(error));
    assert_eq!(build(pem, &[Algorithm::RS256, Algorithm::PS256]), Ok(()));
}

/// J02: `use`, `key_ops` and `alg` of a key are taken at their word.
#[test]
fn a_key_is_used_for_what_it_says() {
    let key = SigningKey::new(Algorithm::RS256).named("one");
    let token = key.token(&claims());
    for fits in [
        json!({ "use": "sig" }),
        json!({ "alg": "RS256" }),
        json!({ "key_ops": ["verify"] }),
        json!({ "key_ops": ["sign", "verify"], "use": "sig", "alg": "RS256" }),
        // What certificates say is not looked at.
        json!({ "x5c": ["AAAA"], "x5t": "AAAA", "x5u": "https://evil.test/", "ext": true }),
    ] {
        assert_eq!(says(set(&[and(key.jwk(), &fits)]), &token), "ok", "{fits}");
    }
    for unfit in [
        json!({ "use": "enc" }),
        json!({ "use": "" }),
        json!({ "key_ops": ["sign"] }),
        json!({ "key_ops": [] }),
        json!({ "alg": "RSA-OAEP" }),
        json!({ "alg": "none" }),
    ] {
        assert_eq!(passed_over(&and(key.jwk(), &unfit)), KeyError::OtherUse, "{unfit}");
    }
    let other = set(&[and(key.jwk(), &json!({ "alg": "PS256" }))]);
    assert_eq!(says(other, &token), reason::KEY, "known by name, for another algorithm");
}

/// J12, and what a published set must not have.
#[test]
fn keys_that_nobody_should_use_are_passed_over() {
    let rsa = SigningKey::new(Algorithm::RS256).jwk();
    let ec = SigningKey::new(Algorithm::ES256).jwk();
    let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
    for (change, why) in [
        (json!({ "n": modulus(128) }), KeyError::RsaSize { bits: 1024 }),
        (json!({ "n": modulus(255) }), KeyError::RsaSize { bits: 2040 }),
        (json!({ "n": modulus(1025) }), KeyError::RsaSize { bits: 8200 }),
        (json!({ "n": "" }), KeyError::RsaSize { bits: 0 }),
        (json!({ "e": "AQ" }), KeyError::RsaExponent),
        (json!({ "e": "AQAA" }), KeyError::RsaExponent),
        (json!({ "e": "" }), KeyError::RsaExponent),
        (json!({ "e": "AAEAAQ" }), KeyError::RsaExponent),
        (json!({ "e": URL_SAFE_NO_PAD.encode([1; 5]) }), KeyError::RsaExponent),
        (json!({ "d": "AAAA" }), KeyError::PrivateKey),
        (json!({ "kty": "oct", "k": "AAAA" }), KeyError::Secret),
        (json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" }), KeyError::Secret),
        (json!({ "kty": 5 }), KeyError::Malformed),
        (json!({ "n": 5 }), KeyError::Malformed),
        (json!({ "n": "AQAB==" }), KeyError::Malformed),
        (json!({ "kid": 5 }), KeyError::Malformed),
        (json!({ "kid": "k".repeat(257) }), KeyError::Malformed),
        (json!({ "use": ["sig"] }), KeyError::Malformed),
        (json!({ "key_ops": "verify" }), KeyError::Malformed),
        (json!({ "alg": "ES256" }), KeyError::Malformed),
        (json!({ "kty": "rsa" }), KeyError::Unsupported),
    ] {
        assert_eq!(passed_over(&and(rsa.clone(), &change)), why, "{change}");
    }
    for (change, why) in [
        (json!({ "crv": "P-521" }), KeyError::Unsupported),
        (json!({ "crv": "secp256k1" }), KeyError::Unsupported),
        (json!({ "crv": "P-384" }), KeyError::Malformed),
        (json!({ "x": "AAAA" }), KeyError::Malformed),
        (json!({ "x": "", "y": "" }), KeyError::Malformed),
        (json!({ "kty": "OKP", "crv": "Ed448" }), KeyError::Unsupported),
        (json!({ "kty": "OKP", "crv": "X25519" }), KeyError::Unsupported),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }), KeyError::Malformed),
    ] {
        assert_eq!(passed_over(&and(ec.clone(), &change)), why, "{change}");
    }
}

#[test]
fn what_is_no_set_is_told() {
    let read = |text: &str| KeySet::from_jwks(text.as_bytes()).map(|_| ()).unwrap_err();
    let deep = format!("{{\"keys\":[{}{}]}}", "[".repeat(10_000), "]".repeat(10_000));
    for bad in
        ["", "5", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[5]}"#, r#"{"keys":[],"keys":[]}"#, "<html>", &deep]
    {
        assert_eq!(read(bad), KeySetError::NotASet, "{bad:.40}");
    }
    assert_eq!(read(r#"{"keys":[]}"#), KeySetError::NoKeys([].into()));
    let secret = read(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#);
    assert_eq!(
        secret.to_string(),
        "there is no usable key in it; key 1: it is a shared secret, which a set of public keys cannot hold"
    );
    let many = json!({ "keys": vec![json!({}); 65] }).to_string();
    assert_eq!(read(&many), KeySetError::TooMany);
}

/// J07: a `kid` is a name to look up in our own set, and nothing else.
#[test]
fn a_token_is_checked_with_the_key_that_it_names() {
    let (one, two) = (SigningKey::new(Algorithm::RS256).named("one"), SigningKey::next(Algorithm::RS256).named("two"));
    let both = || set(&[one.jwk(), two.jwk()]);
    assert_eq!(says(both(), &one.token(&claims())), "ok");
    assert_eq!(says(both(), &two.token(&claims())), "ok");
    assert_eq!(says(both(), &two.clone().named("one").token(&claims())), reason::SIGNATURE);
    for unknown in ["three", "", "One", "one\u{0}", "../../one", "' OR 1=1 --", "https://evil.test/one"] {
        assert_eq!(says(both(), &one.clone().named(unknown).token(&claims())), reason::KEY, "{unknown}");
    }
    // A key that the token brings or points to is not looked at.
    let brought =
        json!({ "alg": "RS256", "kid": "one", "jwk": two.jwk(), "jku": "https://evil.test/", "x5c": ["AAAA"] });
    assert_eq!(says(both(), &two.sign(&brought.to_string(), &good_payload())), reason::SIGNATURE);
    assert_eq!(says(both(), &one.sign(&brought.to_string(), &good_payload())), "ok");
}

#[test]
fn a_token_that_names_no_key_is_checked_where_only_one_fits() {
    let (one, two) = (SigningKey::new(Algorithm::RS256), SigningKey::next(Algorithm::RS256));
    let elliptic = SigningKey::new(Algorithm::ES256).named("three");
    let token = one.token(&claims());
    assert_eq!(says(set(&[one.jwk(), elliptic.jwk()]), &token), "ok");
    assert_eq!(says(set(&[one.clone().named("a").jwk(), elliptic.jwk()]), &token), "ok");
    assert_eq!(says(set(&[one.jwk(), two.jwk()]), &token), reason::KEY, "either could be meant");
    let apart = and(two.jwk(), &json!({ "alg": "RS512" }));
    assert_eq!(says(set(&[one.jwk(), apart]), &token), "ok", "the other one is for RS512");
    // A key without a name is never the one that a token names.
    assert_eq!(says(set(&[one.jwk()]), &one.clone().named("one").token(&claims())), reason::KEY);
    // One key on its own has no name to get wrong.
    let pem = KeySet::from_pem(SigningKey::new(Algorithm::RS256).pem()).unwrap();
    let verifier =
        JwtVerifier::keys(pem).algorithms([Algorithm::RS256]).issuer(ISSUER).audience("shop").build().unwrap();
    assert!(verify(&verifier, &one.named("whatever").token(&claims()), NOW).is_ok());
}

#[test]
fn the_first_of_two_keys_with_one_name_counts() {
    let (one, two) = (SigningKey::new(Algorithm::RS256).named("x"), SigningKey::next(Algorithm::RS256).named("x"));
    let both = set(&[one.jwk(), two.jwk()]);
    assert_eq!(
        both.passed_over().iter().map(|key| (key.place, key.why)).collect::<Vec<_>>(),
        [(1, KeyError::Duplicate)]
    );
    assert_eq!(says(both.clone(), &one.token(&claims())), "ok");
    assert_eq!(says(both, &two.token(&claims())), reason::SIGNATURE);
    // One name for two algorithms, or two kinds, is no clash.
    let split = |alg: &str, key: &SigningKey| and(key.jwk(), &json!({ "alg": alg }));
    let elliptic = SigningKey::new(Algorithm::ES256).named("x");
    let three = set(&[split("RS256", &one), split("PS256", &two), elliptic.jwk()]);
    assert_eq!((three.len(), three.passed_over().len()), (3, 0));
    assert_eq!(says(three.clone(), &one.token(&claims())), "ok");
    assert_eq!(says(three, &elliptic.token(&claims())), "ok");
}

#[test]
fn sets_are_the_same_whatever_their_order() {
    let (one, two) = (SigningKey::new(Algorithm::RS256).named("1"), SigningKey::next(Algorithm::RS256).named("2"));
    let both = set(&[one.jwk(), two.jwk()]);
    assert!(both.has_same_keys(&set(&[two.jwk(), one.jwk()]).numbered(7)));
    for other in [set(&[one.jwk()]), set(&[one.jwk(), two.named("3").jwk()]), set(&[one.jwk(), one.named("2").jwk()])] {
        assert!(!both.has_same_keys(&other) && !other.has_same_keys(&both));
    }
}

proptest! {
    /// Nothing that somebody publishes panics, and what cannot be used is never taken.
    #[test]
    fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(KeySet::from_jwks(&text).is_err());
    }

    /// A damaged set is another set, an error, or the same keys; never a panic.
    #[test]
    fn no_damage_panics(at in 0_usize..2000, byte in any::<u8>()) {
        let keys = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA].map(|algorithm| SigningKey::new(algorithm).jwk());
        let mut text = json!({ "keys": keys }).to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(set) = KeySet::from_jwks(&text) {
            prop_assert!(set.len() <= 4);
            let _ = set.find(Algorithm::RS256, None);
        }
    }
}
