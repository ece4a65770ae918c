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

fn headers_of(role: &Value) -> Result<Vec<(String, String)>, AuthError> {
    let forward =
        |header: &'static str, claim: &str| Forward { header: HeaderName::from_static(header), claim: claim.into() };
    let auth = Auth {
        name: "users".into(),
        verifier: Arc::new(Nobody),
        failures: None,
        forward: Box::new([forward("x-user-id", "sub"), forward("x-user-role", "realm.role")]),
        forward_token: false,
    };
    let claims = Map::from_iter([("sub".to_owned(), json!("ada")), ("realm".to_owned(), json!({ "role": role }))]);
    let ada = Identity::new("users", "ada", claims, None)?;
    let text = |(name, value): (&HeaderName, HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    auth.headers(&ada).map(|header| header.map(text)).collect()
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
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers_of(&role), Ok(vec![pair("x-user-id", "ada"), pair("x-user-role", expected)]));
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
