//! What headers may say.

use super::*;

/// J01
#[test]
fn only_configured_algorithms_exist() {
    let unsigned = |alg: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
        format!("{header}.{}.", URL_SAFE_NO_PAD.encode(good_payload()))
    };
    for alg in ["none", "None", "NONE", "nOnE", "hs256", "HS256 ", "", "RS256", "HS384"] {
        assert_eq!(word(&unsigned(alg)), reason::ALGORITHM, "{alg}");
        assert_eq!(with_header(&json!({ "alg": alg }).to_string()), reason::ALGORITHM, "{alg}");
    }
    assert_eq!(word(&unsigned("HS256")), reason::SIGNATURE);
    assert_eq!(word(&mint(Algorithm::HS512, SECRET, &good()).unwrap()), reason::ALGORITHM);
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":256}"#] {
        assert_eq!(with_header(header), reason::MALFORMED, "{header}");
    }
}

/// J02: the algorithm is a part of what is signed, and each has a key of its own.
#[test]
fn algorithms_are_not_mixed_up() {
    const HS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let both = JwtVerifier::secret(SECRET).algorithms(HS).any_issuer().any_audience().build().unwrap();
    for algorithm in &HS {
        let token = mint(*algorithm, SECRET, &good()).unwrap();
        assert!(verify(&both, &token, NOW).is_ok(), "{algorithm}");
        let (_, rest) = token.split_once('.').unwrap();
        for other in HS.iter().filter(|other| *other != algorithm) {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": other.as_str(), "typ": "JWT" }).to_string());
            let result = verify(&both, &format!("{header}.{rest}"), NOW);
            assert_eq!(result.unwrap_err(), AuthError::Invalid(reason::SIGNATURE), "{algorithm} as {other}");
        }
    }
}

/// J06, J11: extensions, compression, encryption and tokens in tokens.
#[test]
fn what_a_header_asks_for_beyond_a_signature_is_refused() {
    for more in [
        r#""crit":["exp"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""enc":"A128GCM""#,
        r#""cty":"JWT""#,
        r#""cty":"application/jwt""#,
        r#""cty":5"#,
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256",{more}}}"#)), reason::EXTENSION, "{more}");
    }
}

/// J07
#[test]
fn kid_is_capped_and_keys_in_the_token_are_not_looked_at() {
    for (more, expected) in [
        (format!(r#""kid":"{}""#, "k".repeat(256)), "ok"),
        (format!(r#""kid":"{}""#, "k".repeat(257)), reason::MALFORMED),
        (format!(r#""kid":"{}""#, "k".repeat(4096)), reason::MALFORMED),
        (r#""kid":5"#.to_owned(), reason::MALFORMED),
        (r#""kid":"../../dev/null""#.to_owned(), "ok"),
        (r#""kid":"' OR 1=1 --""#.to_owned(), "ok"),
        (r#""jku":"https://evil.test/jwks.json""#.to_owned(), "ok"),
        (r#""jwk":{"kty":"oct","k":"AAAA"},"x5c":["AAAA"],"x5u":"https://evil.test""#.to_owned(), "ok"),
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256",{more}}}"#)), expected, "{more}");
    }
    // Signed under the key that the token brings: ours is the one that counts.
    let header = json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": URL_SAFE_NO_PAD.encode([0; 32]) } }).to_string();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good_payload()));
    let signature = Secret::new(&[0; 32]).sign(Algorithm::HS256, signed.as_bytes()).unwrap();
    assert_eq!(word(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))), reason::SIGNATURE);
}

/// J15: what `typ` may say. (Which of them a route wants is not built yet.)
#[test]
fn typ_is_an_access_tokens() {
    for (typ, expected) in [
        (r#""JWT""#, "ok"),
        (r#""jwt""#, "ok"),
        (r#""at+jwt""#, "ok"),
        (r#""AT+JWT""#, "ok"),
        (r#""application/at+jwt""#, "ok"),
        (r#""Application/JWT""#, "ok"),
        (r#""dpop+jwt""#, reason::TYPE),
        (r#""logout+jwt""#, reason::TYPE),
        (r#""""#, reason::TYPE),
        (r#""application/""#, reason::TYPE),
        ("null", reason::TYPE),
        (r#"["JWT"]"#, reason::TYPE),
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256","typ":{typ}}}"#)), expected, "{typ}");
    }
}
