//! What verifiers are made from.

use super::*;

/// J12
#[test]
fn weak_secrets_and_undecided_settings_build_nothing() {
    for (algorithm, shortest) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        let build = |length: usize| {
            JwtVerifier::secret(vec![7; length]).algorithms([algorithm]).any_issuer().any_audience().build()
        };
        assert!(build(shortest).is_ok());
        for length in [0, 8, shortest - 1] {
            assert_eq!(build(length).unwrap_err(), JwtConfigError::SecretTooShort { algorithm, length });
            assert!(mint(algorithm, &vec![7; length], &good()).is_err());
        }
    }
    let new = || JwtVerifier::hs256(SECRET).any_issuer().any_audience();
    assert_eq!(JwtVerifier::hs256(SECRET).any_issuer().build().unwrap_err(), JwtConfigError::AudienceUndecided);
    assert_eq!(JwtVerifier::hs256(SECRET).any_audience().build().unwrap_err(), JwtConfigError::IssuerUndecided);
    assert_eq!(new().audience("").build().unwrap_err(), JwtConfigError::Empty("audience"));
    assert_eq!(new().issuer("").build().unwrap_err(), JwtConfigError::Empty("issuer"));
    assert_eq!(new().id_claim("").build().unwrap_err(), JwtConfigError::Empty("id claim"));
    assert_eq!(new().leeway(Duration::from_secs(61)).build().unwrap_err(), JwtConfigError::LeewayTooLong);
    assert!(new().leeway(Duration::from_secs(60)).build().is_ok());
    let none = JwtVerifier::secret(SECRET).algorithms([]).any_issuer().any_audience().build();
    assert_eq!(none.unwrap_err(), JwtConfigError::NoAlgorithms);
}

#[test]
fn secrets_are_not_shown() {
    let secret = "a-very-secret-secret-of-over-32-bytes";
    let builder = JwtVerifier::hs256(secret).any_issuer().any_audience();
    let bytes = format!("{:?}", secret.as_bytes());
    let shown_builder = format!("{builder:?}");
    for shown in [shown_builder, format!("{:?}", builder.build().unwrap())] {
        assert!(!shown.contains("very-secret") && !shown.contains(&bytes[1..20]), "{shown}");
    }
}
