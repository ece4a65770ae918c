//! Private keys of tests: what an issuer would sign with.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "for tests")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value, json};

use super::{CRYPTO, PublicKey, sign};
use crate::auth::jwt::{Algorithm, KeyKind, pem};

/// A private key that everybody has, for tests: signs tokens, and shows its public part as an issuer would.
///
/// ```
/// use portcullis_core::auth::{Algorithm, JwtVerifier, KeySet, TokenVerifier};
/// use portcullis_core::testing::SigningKey;
/// use portcullis_core::time::UnixTime;
/// use serde_json::json;
///
/// let key = SigningKey::new(Algorithm::ES256).named("2026-11");
/// let published = json!({ "keys": [key.jwk()] }).to_string();
/// let keys = KeySet::from_jwks(published.as_bytes())?;
/// let verifier = JwtVerifier::keys(keys).algorithms([Algorithm::ES256]).any_issuer().any_audience().build()?;
///
/// let token = key.token(&json!({ "sub": "ada", "exp": 1_000 }));
/// # let runtime = |f: &mut (dyn Future<Output = _> + Unpin)| {
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     match std::pin::Pin::new(f).poll(&mut cx) { std::task::Poll::Ready(v) => v, _ => unreachable!() }
/// # };
/// let ada = runtime(&mut verifier.verify(&token, UnixTime::from_secs(900)))?;
/// assert_eq!(ada.id(), "ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    private: EncodingKey,
    public: PublicKey,
    pem: &'static str,
}

impl SigningKey {
    /// The key for `algorithm`: the same one each time, and one for all algorithms of a kind.
    ///
    /// # Panics
    /// For an algorithm with a shared secret.
    pub fn new(algorithm: Algorithm) -> Self {
        let (private, pem) = match algorithm.key_kind() {
            KeyKind::Ed25519 => (
                include_str!("../../../testing/keys/ed25519.pem"),
                include_str!("../../../testing/keys/ed25519.pub.pem"),
            ),
            KeyKind::P256 => {
                (include_str!("../../../testing/keys/p256.pem"), include_str!("../../../testing/keys/p256.pub.pem"))
            }
            KeyKind::P384 => {
                (include_str!("../../../testing/keys/p384.pem"), include_str!("../../../testing/keys/p384.pub.pem"))
            }
            KeyKind::Rsa => {
                (include_str!("../../../testing/keys/rsa.pem"), include_str!("../../../testing/keys/rsa.pub.pem"))
            }
            KeyKind::Secret => panic!("{algorithm} has no private key"),
        };
        Self::read(algorithm, private, pem)
    }

    /// Another RSA key, to rotate to.
    ///
    /// # Panics
    /// For an algorithm that has no RSA keys.
    pub fn next(algorithm: Algorithm) -> Self {
        assert_eq!(algorithm.key_kind(), KeyKind::Rsa, "only RSA has a second key");
        Self::read(
            algorithm,
            include_str!("../../../testing/keys/rsa-next.pem"),
            include_str!("../../../testing/keys/rsa-next.pub.pem"),
        )
    }

    fn read(algorithm: Algorithm, private: &str, pem: &'static str) -> Self {
        let body: String = private.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).expect("the key of a test");
        let private = match algorithm.key_kind() {
            KeyKind::Rsa => EncodingKey::from_rsa_der(&der),
            KeyKind::Ed25519 => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_ec_der(&der),
        };
        Self { algorithm, kid: None, private, public: pem::public_key(pem).expect("the key of a test"), pem }
    }

    /// The same key, called `kid` in its tokens and where it is published.
    #[must_use]
    pub fn named(self, kid: &str) -> Self {
        Self { kid: Some(kid.to_owned()), ..self }
    }

    /// The public part as PEM.
    pub fn pem(&self) -> &'static str {
        self.pem
    }

    /// The public part as JSON (RFC 7517), without `use` and `alg`.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let half = |point: &[u8], second: usize| {
            let coordinates = &point[1..];
            text(&coordinates[second * coordinates.len() / 2..][..coordinates.len() / 2])
        };
        let bytes = self.public.checking.try_get_as_bytes().expect("every key is kept as bytes");
        let mut jwk = match self.public.kind() {
            KeyKind::Rsa => {
                let (n, e) = (CRYPTO.key_utils.rsa_pub_components_from_public_key)(bytes).expect("an RSA key");
                json!({ "kty": "RSA", "n": text(&n), "e": text(&e) })
            }
            KeyKind::Ed25519 => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(bytes) }),
            kind => {
                let curve = if kind == KeyKind::P256 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": half(bytes, 0), "y": half(bytes, 1) })
            }
        };
        if let Some(kid) = &self.kid {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let mut header = Map::from_iter([("alg".to_owned(), self.algorithm.as_str().into())]);
        if let Some(kid) = &self.kid {
            header.insert("kid".to_owned(), kid.as_str().into());
        }
        self.sign(&Value::Object(header).to_string(), claims.to_string().as_bytes())
    }

    /// A token of any header and payload.
    pub fn sign(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = sign(self.algorithm, &self.private, signed.as_bytes()).expect("the cryptography works");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
