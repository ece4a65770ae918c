//! TLS, with an authority of the test's own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::charge;
use crate::testing::Server;
use crate::testing::free_port;
use crate::{OpenError, RedisStore};
use portcullis_core::limit::{Algorithm, RateLimitStore};
use std::time::Duration;

#[tokio::test]
async fn a_server_is_who_its_certificate_says() {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let folder = TempDir::new().unwrap();
    let write = |name: &str, pem: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (chain, key) = (write("chain.pem", certificate.pem()), write("key.pem", key.serialize_pem()));
    let root = write("root.pem", authority.pem());
    let port = free_port().to_string();
    let _server = Server::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
        "--tls-auth-clients",
        "no",
    ]);
    let open = |host: &str| {
        let store = RedisStore::builder(&format!("rediss://{host}:{port}")).unwrap().timeout(Duration::from_secs(10));
        (store.clone(), store.roots(authority.pem().as_bytes()).unwrap())
    };
    let (_, trusted) = open("localhost");
    let store = trusted.connect().await.unwrap();
    assert!(store.take(&[charge("tls", 1, Algorithm::TokenBucket, 1)]).await.unwrap().admitted);
    // Without the authority, and under another name.
    let (untrusted, _) = open("localhost");
    let (_, misnamed) = open("127.0.0.1");
    for wrong in [untrusted, misnamed] {
        let error = wrong.connect().await.unwrap_err();
        assert!(matches!(error, OpenError::Unreachable(_)), "{error:?}");
    }
    assert!(matches!(RedisStore::builder("rediss://localhost").unwrap().roots(b"junk"), Err(OpenError::Root)));
}
