//! Rows of the hardening list's class J, each by its number, against a verifier as a gateway has it.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::auth::mint;
use crate::testing::SigningKey;

mod builder;
mod claims;
mod header;
mod keys;
mod pem;
mod rotation;
mod shape;
mod vectors;

const SECRET: &[u8; 64] = b"sixty-four-bytes-are-enough-for-every-hash-that-there-is-in-here";
const ISSUER: &str = "https://login.shop.test";
const NOW: u64 = 1_800_000_000;

fn verifier() -> JwtVerifier {
    JwtVerifier::hs256(SECRET).name("users").issuer(ISSUER).audience("shop").audience("store").build().unwrap()
}

fn verify(verifier: &JwtVerifier, token: &str, now: u64) -> Result<Arc<Identity>, AuthError> {
    match verifier.verify(token, UnixTime::from_secs(now)) {
        Answer::Now(result) => result,
        Answer::Later(_) => panic!("a secret is at hand"),
    }
}

/// What the verifier says to `token` at [`NOW`], in one word.
fn word(token: &str) -> &'static str {
    match verify(&verifier(), token, NOW) {
        Ok(_) => "ok",
        Err(AuthError::Invalid(reason)) => reason,
        Err(AuthError::Unavailable) => "unavailable",
    }
}

fn good() -> Map<String, Value> {
    let claims = json!({ "iss": ISSUER, "aud": "shop", "sub": "ada", "exp": NOW + 600, "role": "admin" });
    claims.as_object().unwrap().clone()
}

/// A good token with one claim changed, or taken out where `value` is null.
fn with(name: &str, value: Value) -> String {
    let mut claims = good();
    claims.remove(name);
    if !value.is_null() {
        claims.insert(name.to_owned(), value);
    }
    mint(Algorithm::HS256, SECRET, &claims).unwrap()
}

/// A token of any header and any payload, rightly signed.
fn forge(header: &str, payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    sign(&signed)
}

fn sign(signed: &str) -> String {
    let signature = Secret::new(SECRET).sign(Algorithm::HS256, signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn good_payload() -> Vec<u8> {
    Value::Object(good()).to_string().into_bytes()
}

fn with_header(header: &str) -> &'static str {
    word(&forge(header, &good_payload()))
}

#[test]
fn a_good_token_is_an_identity() {
    let token = mint(Algorithm::HS256, SECRET, &good()).unwrap();
    let ada = verify(&verifier(), &token, NOW).unwrap();
    assert_eq!((ada.verifier(), ada.id()), ("users", "ada"));
    assert_eq!(ada.claim_text("role").as_deref(), Some("admin"));
    assert_eq!(ada.expires(), Some(UnixTime::from_secs(NOW + 600)));
}

/// RFC 7515, appendix A.1: a token that others made.
#[test]
fn the_example_of_the_rfc_is_verified() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
    let verifier = JwtVerifier::hs256(secret).issuer("joe").any_audience().id_claim("iss").build().unwrap();
    let joe = verify(&verifier, token, 1_300_819_379).unwrap();
    assert_eq!(joe.id(), "joe");
    assert_eq!(joe.claim("http://example.com/is_root"), Some(&json!(true)));
}

/// J16
#[test]
fn an_accepted_token_is_remembered_until_it_ends() {
    let verifier = verifier();
    let token = with("exp", json!(NOW + 10));
    let recall = |now| verifier.recall(&token, UnixTime::from_secs(now));
    assert!(recall(NOW).is_none(), "not before it was verified");
    let first = verify(&verifier, &token, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &verify(&verifier, &token, NOW).unwrap()), "the same identity, not a second one");
    assert!(Arc::ptr_eq(&first, &recall(NOW + 39).unwrap()), "exp and 30 s of leeway");
    assert!(recall(NOW + 40).is_none());
    assert_eq!(verify(&verifier, &token, NOW + 40).unwrap_err(), AuthError::Invalid(reason::EXPIRED));
}

/// J16: what is refused is not remembered, and what is remembered lets nothing else in.
#[test]
fn a_changed_signature_is_another_token() {
    let verifier = verifier();
    let token = mint(Algorithm::HS256, SECRET, &good()).unwrap();
    verify(&verifier, &token, NOW).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.replace(|letter: char| letter.is_lowercase(), "A"));
    for _ in 0..2 {
        assert_eq!(verify(&verifier, &forged, NOW).unwrap_err(), AuthError::Invalid(reason::SIGNATURE));
        assert!(verifier.recall(&forged, UnixTime::from_secs(NOW)).is_none());
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_without_a_panic(token in "\\PC{0,80}|[A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,40}[.][A-Za-z0-9_-]{0,44}") {
        prop_assert!(verify(&verifier(), &token, NOW).is_err());
    }

    #[test]
    fn any_signed_bytes_are_read_without_a_panic(header in prop::collection::vec(any::<u8>(), 0..40), payload in prop::collection::vec(any::<u8>(), 0..80)) {
        let header = String::from_utf8_lossy(&header).into_owned();
        prop_assert!(verify(&verifier(), &forge(&header, &payload), NOW).is_err());
        let token = forge(r#"{"alg":"HS256"}"#, &payload);
        prop_assert!(verify(&verifier(), &token, NOW).is_err());
    }

    /// J11: no letter of a token can be another one.
    #[test]
    fn a_token_with_a_letter_changed_is_refused(place in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.=+ -]") {
        let token = mint(Algorithm::HS256, SECRET, &good()).unwrap();
        let mut bytes = token.clone().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = letter.as_bytes()[0];
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != token);
        prop_assert!(verify(&verifier(), &changed, NOW).is_err());
    }

    #[test]
    fn what_is_minted_is_verified(id in "[^\\p{C}]{1,60}", role in "\\PC{0,40}", number in any::<i64>(), which in 0_usize..3) {
        let algorithm = Algorithm::ALL[which];
        let verifier = JwtVerifier::secret(SECRET).algorithms([algorithm]).issuer(ISSUER).audience("shop").build().unwrap();
        let mut claims = good();
        claims.insert("sub".to_owned(), json!(id));
        claims.insert("role".to_owned(), json!(role));
        claims.insert("number".to_owned(), json!(number));
        let who = verify(&verifier, &mint(algorithm, SECRET, &claims).unwrap(), NOW).unwrap();
        prop_assert_eq!(who.id(), id);
        prop_assert_eq!(who.claims(), &claims);
    }
}
