//! Keys in PEM.

use base64::engine::general_purpose::STANDARD;

use super::super::pem::rsa_public_key;
use super::*;

fn read(text: &str) -> Result<KeyKind, KeyError> {
    KeySet::from_pem(text).map(|set| set.only_kind().unwrap())
}

fn block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

#[test]
fn public_keys_of_every_kind_are_read() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = SigningKey::new(algorithm);
        assert_eq!(read(key.pem()), Ok(algorithm.key_kind()));
        assert_eq!(read(&format!("# of the issuer\r\n{}", key.pem().replace('\n', "\r\n"))), Ok(algorithm.key_kind()));
        let verifier = JwtVerifier::keys(KeySet::from_pem(key.pem()).unwrap()).algorithms([algorithm]).issuer(ISSUER);
        let verifier = verifier.audience("shop").build().unwrap();
        assert!(verify(&verifier, &key.token(&Value::Object(good())), NOW).is_ok(), "{algorithm}");
    }
    // The same RSA key without what is around it: the form of RFC 8017.
    let whole = der(SigningKey::new(Algorithm::RS256).pem());
    assert_eq!(read(&block("RSA PUBLIC KEY", &whole[24..])), Ok(KeyKind::Rsa));
}

#[test]
fn anything_else_is_refused_by_what_it_is() {
    let key = SigningKey::new(Algorithm::ES256).pem();
    let private = include_str!("../../../testing/keys/p256.pem");
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (text, why) in [
        ("", KeyError::NotPem),
        ("not a key", KeyError::NotPem),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n", KeyError::NotPem),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyError::NotPem),
        (&format!("{key}{key}"), KeyError::SeveralKeys),
        (&format!("{key}{private}"), KeyError::SeveralKeys),
        (private, KeyError::PrivateKey),
        (encrypted, KeyError::PrivateKey),
        (&block("CERTIFICATE", b"whatever"), KeyError::Certificate),
        (&block("SSH2 PUBLIC KEY", b"whatever"), KeyError::Unsupported),
        (&block("PUBLIC KEY", b"whatever"), KeyError::Malformed),
        (&block("PUBLIC KEY", b""), KeyError::Malformed),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n", KeyError::Malformed),
    ] {
        assert_eq!(read(text), Err(why), "{text}");
    }
}

/// J12, and other curves: told by name, since a token would only ever say that its signature is wrong.
#[test]
fn weak_and_foreign_keys_are_refused() {
    // 1024 bits of RSA: SEQUENCE { INTEGER n, INTEGER 65537 }.
    let mut modulus = vec![0x02, 0x81, 0x81, 0x00];
    modulus.extend([0xff; 128]);
    let numbers = [modulus, vec![0x02, 0x03, 0x01, 0x00, 0x01]].concat();
    let small = [vec![0x30, 0x81, u8::try_from(numbers.len()).unwrap()], numbers].concat();
    assert_eq!(read(&block("RSA PUBLIC KEY", &small)), Err(KeyError::RsaSize { bits: 1024 }));
    // secp256k1: a point as long as one of P-256.
    let mut other = der(SigningKey::new(Algorithm::ES256).pem());
    let curve = other.windows(8).position(|bytes| bytes == [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]).unwrap();
    other[curve + 7] = 0x08;
    assert_eq!(read(&block("PUBLIC KEY", &other)), Err(KeyError::Unsupported));
}

/// Written and read again, whatever the lengths: what DER makes of an RSA key is what it was made from.
#[test]
fn the_two_numbers_of_rsa_are_what_they_were() {
    for (bytes, first) in [(256, 0x80), (257, 0x01), (384, 0xff), (512, 0x7f), (1024, 0x80)] {
        let mut modulus = vec![0x55; bytes];
        modulus[0] = first;
        let jwk = |n: &[u8]| json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB" });
        let set = |n: &[u8]| KeySet::from_jwks(json!({ "keys": [jwk(n)] }).to_string().as_bytes()).unwrap();
        let written = KeySet::from_pem(&block("RSA PUBLIC KEY", &rsa_public_key(&modulus, &[1, 0, 1]))).unwrap();
        assert_eq!(written.keys[0].public, set(&modulus).keys[0].public, "{bytes}");
        // Some issuers write a zero before it.
        assert_eq!(set(&[&[0], &*modulus].concat()), set(&modulus));
    }
}

proptest! {
    /// No damage panics, and none leaves the same key.
    #[test]
    fn damaged_keys_are_other_keys(kind in 0_usize..4, at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let algorithm = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA][kind];
        let (pem, mut bytes) = (SigningKey::new(algorithm).pem(), der(SigningKey::new(algorithm).pem()));
        let whole = KeySet::from_pem(pem).unwrap();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(read) = KeySet::from_pem(&block("PUBLIC KEY", &bytes)) {
            prop_assert!(!whole.has_same_keys(&read));
        }
        bytes.truncate(cut % bytes.len());
        prop_assert!(KeySet::from_pem(&block("PUBLIC KEY", &bytes)).is_err());
    }
}
