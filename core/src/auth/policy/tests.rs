use serde_json::{Map, json};

use super::*;
use crate::answer::Answer;
use crate::time::UnixTime;

struct Nobody;

impl TokenVerifier for Nobody {
    fn verify(&self, _: &str, _: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        Answer::Now(Err(AuthError::Invalid("nobody")))
    }
}

fn forward(header: &'static str, claim: &str) -> Forward {
    Forward { header: HeaderName::from_static(header), claim: claim.into() }
}

fn auth(forward: impl Into<Arc<[Forward]>>) -> Auth {
    Auth { forward: forward.into(), ..Auth::bearer("users", Arc::new(Nobody)) }
}

fn texts(auth: &Auth, identity: &Identity) -> Result<Vec<(String, String)>, AuthError> {
    let claims = auth.claims(identity)?;
    Ok(claims.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn headers_of(role: &Value) -> Result<Vec<(String, String)>, AuthError> {
    let claims = Map::from_iter([("sub".to_owned(), json!("ada")), ("realm".to_owned(), json!({ "role": role }))]);
    let ada = Identity::new("users", "ada", claims, None)?;
    texts(&auth([forward("x-user-id", "sub"), forward("x-user-role", "realm.role")]), &ada)
}

#[test]
fn claims_become_headers() {
    for (role, expected) in [
        (json!("admin"), "admin"),
        (json!("read write"), "read write"),
        (json!(7), "7"),
        (json!(-1.5), "-1.5"),
        (json!(true), "true"),
    ] {
        assert_eq!(headers_of(&role), Ok(pairs(&[("x-user-id", "ada"), ("x-user-role", expected)])));
    }
    assert!(headers_of(&json!("x".repeat(MAX_FORWARDED))).is_ok());
}

/// I05
#[test]
fn an_absent_claim_gives_no_header() {
    for role in [Value::Null, json!("")] {
        assert_eq!(headers_of(&role).unwrap().len(), 1);
    }
}

/// I04
#[test]
fn a_claim_that_is_not_fit_for_a_header_is_refused() {
    for role in [
        json!("user,admin"),
        json!("a\r\nx-user-id: eve"),
        json!("a\0"),
        json!("\u{1F980}"),
        json!("\u{7f}"),
        json!(" admin"),
        json!("admin "),
        json!("\t"),
        json!("x".repeat(MAX_FORWARDED + 1)),
        json!("x".repeat(10 * 1024)),
        json!(["user", "admin"]),
        json!({ "is": "admin" }),
    ] {
        assert_eq!(headers_of(&role), Err(AuthError::Invalid(reason::CLAIM)), "{role}");
    }
}

#[test]
fn id_is_the_identitys_unless_a_claim_has_that_name() {
    let auth = auth([forward("x-partner-id", "id")]);
    let with = |claims: Value| Identity::new("partners", "acme", claims.as_object().unwrap().clone(), None).unwrap();
    assert_eq!(texts(&auth, &with(json!({}))), Ok(pairs(&[("x-partner-id", "acme")])));
    assert_eq!(texts(&auth, &with(json!({ "id": 7 }))), Ok(pairs(&[("x-partner-id", "7")])));
    assert_eq!(texts(&auth, &with(json!({ "id": null }))), Ok(vec![]));
    assert_eq!(texts(&auth, &with(json!({ "id": ["acme"] }))), Err(AuthError::Invalid(reason::CLAIM)));
}

/// A reload changes the rules while identities are remembered: what is forwarded is what the rules at hand say.
#[test]
fn what_an_identity_remembers_is_only_of_its_rules() {
    let claims = json!({ "sub": "ada", "role": "admin", "list": [] });
    let ada = Identity::new("users", "ada", claims.as_object().unwrap().clone(), None).unwrap();
    let (one, same) = (auth([forward("x-user-id", "sub")]), auth([forward("x-user-id", "sub")]));
    let (two, bad) = (auth([forward("x-user-id", "role")]), auth([forward("x-list", "list")]));
    for _ in 0..2 {
        assert_eq!(texts(&one, &ada), Ok(pairs(&[("x-user-id", "ada")])));
        assert_eq!(texts(&same, &ada), Ok(pairs(&[("x-user-id", "ada")])));
        assert_eq!(texts(&two, &ada), Ok(pairs(&[("x-user-id", "admin")])));
        assert_eq!(texts(&bad, &ada), Err(AuthError::Invalid(reason::CLAIM)));
    }
    assert_eq!(ada, Identity::new("users", "ada", ada.claims().clone(), None).unwrap());
}
