use proptest::prelude::*;
use serde_json::json;

use super::*;

const KEY: &str = "pk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn key(id: &str, secret: &str, expires: Option<u64>) -> ApiKey {
    let claims = Map::from_iter([("plan".to_owned(), json!("gold"))]);
    ApiKey { claims, expires: expires.map(UnixTime::from_secs), hash: KeyHash::of(secret), id: id.to_owned() }
}

fn ask(verifier: &ApiKeyVerifier, secret: &str, now: u64) -> Result<String, AuthError> {
    let now = UnixTime::from_secs(now);
    let Answer::Now(verified) = verifier.verify(secret, now) else { panic!("keys are at hand") };
    let recalled = verifier.recall(secret, now);
    assert_eq!(recalled.is_some(), verified.is_ok(), "what is recalled is what would be verified");
    verified.map(|identity| identity.id().to_owned())
}

#[test]
fn a_known_key_is_its_owner() {
    let verifier = ApiKeyVerifier::new("partners", [key("acme", KEY, None), key("zed", "another", None)]).unwrap();
    assert_eq!(ask(&verifier, KEY, 0), Ok("acme".to_owned()));
    assert_eq!(ask(&verifier, "another", 0), Ok("zed".to_owned()));
    let unknown = Err(AuthError::Invalid(reason::UNKNOWN_KEY));
    let hash = KeyHash::of(KEY).to_string();
    for bad in ["", "pk_", &KEY[1..], &KEY[..45], &format!("{KEY} "), &KEY.to_lowercase(), &hash, &"x".repeat(MAX_KEY)]
    {
        assert_eq!(ask(&verifier, bad, 0), unknown, "{bad}");
    }
}

#[test]
fn a_key_has_a_greatest_length() {
    let long = "x".repeat(MAX_KEY + 1);
    let verifier = ApiKeyVerifier::new("partners", [key("acme", &long, None)]).unwrap();
    assert_eq!(ask(&verifier, &long, 0), Err(AuthError::Invalid(reason::TOO_LONG)));
}

#[test]
fn a_key_ends_when_it_expires_and_another_of_its_owner_goes_on() {
    let verifier = ApiKeyVerifier::new("partners", [key("acme", "old", Some(100)), key("acme", "new", None)]).unwrap();
    assert_eq!(ask(&verifier, "old", 99), Ok("acme".to_owned()));
    assert_eq!(ask(&verifier, "old", 100), Err(AuthError::Invalid(reason::EXPIRED)));
    assert_eq!(ask(&verifier, "new", 100), Ok("acme".to_owned()));
}

#[test]
fn an_id_is_an_id() {
    let with = |id: &str| ApiKeyVerifier::new("partners", [key(id, KEY, None)]).map(drop);
    assert_eq!(with(""), Err(AuthError::Invalid(reason::ID)));
    assert_eq!(with("a\nb"), Err(AuthError::Invalid(reason::ID)));
    assert_eq!(with("ok"), Ok(()));
}

#[test]
fn nothing_of_a_key_is_shown() {
    let verifier = ApiKeyVerifier::new("partners", [key("acme", KEY, None)]).unwrap();
    let shown = format!("{verifier:?} {:?}", key("acme", KEY, None));
    assert!(!shown.contains(KEY) && !shown.contains(&KeyHash::of(KEY).to_string()), "{shown}");
}

#[test]
fn a_hash_is_sixty_four_hex_digits() {
    let hash = KeyHash::of(KEY);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    let text = hash.to_string();
    for bad in
        ["", &text[1..], &format!("{text}0"), &format!("g{}", &text[1..]), &format!("+{}", &text[1..]), &"é".repeat(32)]
    {
        assert_eq!(bad.parse::<KeyHash>(), Err(KeyHashError), "{bad}");
    }
}

proptest! {
    #[test]
    fn only_the_very_key_is_it(secret in "\\PC{0,60}") {
        let verifier = ApiKeyVerifier::new("partners", [key("acme", KEY, None)]).unwrap();
        prop_assert_eq!(ask(&verifier, &secret, 0).is_ok(), secret == KEY);
        prop_assert_eq!(KeyHash::of(&secret) == KeyHash::of(KEY), secret == KEY);
    }
}
