//! Fetches from a server on this machine.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tls;

/// A server that answers each connection with `bytes`; its port.
async fn serve(bytes: impl Into<Vec<u8>>) -> u16 {
    let (listener, bytes) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), bytes.into());
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            respond(stream, &bytes).await;
        }
    });
    port
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
}

async fn fetch(bytes: impl Into<Vec<u8>>) -> Result<Fetched, FetchError> {
    let url = format!("http://127.0.0.1:{}/jwks?a=b", serve(bytes).await);
    Fetcher { url: url.parse().unwrap(), tls: None }.fetch().await
}

#[tokio::test]
async fn an_answer_is_read() {
    let fetched = fetch("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\n{}").await.unwrap();
    assert_eq!((&*fetched.body, fetched.freshness), (&b"{}"[..], Some(Duration::from_secs(60))));
    let fetched = fetch("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").await.unwrap();
    assert_eq!((&*fetched.body, fetched.freshness), (&b"{}"[..], None));
}

/// J10
#[tokio::test]
async fn what_is_not_an_answer_is_refused_by_its_reason() {
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{}", " ".repeat(300_000));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(300_000));
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    for (bytes, reason) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "the answer is 500"),
        ("HTTP/1.1 204 No\r\n\r\n", "the answer is 204"),
        (
            "HTTP/1.1 302 Found\r\nlocation: https://evil.test/\r\ncontent-length: 0\r\n\r\n",
            "a redirect, which is not followed",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n", "compressed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}", "not HTTP"),
        ("SSH-2.0-garbage\r\n\r\n", "not HTTP"),
        ("", "not HTTP"),
        (&large, "more than 256 KiB"),
        (&endless, "more than 256 KiB"),
        (&head, "not HTTP"),
    ] {
        let error = fetch(bytes).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{bytes:.60}: {error}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_reason_too() {
    // Bound and closed again: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let fetcher = Fetcher { url: format!("http://127.0.0.1:{port}/").parse().unwrap(), tls: None };
    assert!(matches!(fetcher.fetch().await, Err(FetchError::Connect(_))));
}

/// A server that accepts and says nothing, or stops in the middle, is waited for so long and no longer. In real time, since paused
/// time and sockets do not go together; the deadline is handed in.
#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    for bytes in ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hung = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            // Until the other side is gone.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let fetcher = Fetcher { url: format!("http://127.0.0.1:{port}/").parse().unwrap(), tls: None };
        assert!(timeout(Duration::from_millis(100), fetcher.within()).await.is_err());
        hung.await.expect("the connection is closed with the fetch");
    }
}

/// A certificate authority, and a server's configuration for `name` under it.
fn authority(name: &str) -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (authority.der().clone(), Arc::new(config))
}

async fn fetch_over_tls(roots: Vec<CertificateDer<'static>>, config: Arc<ServerConfig>) -> Result<Fetched, FetchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/jwks", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
            respond(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    });
    Fetcher { url: url.parse().unwrap(), tls: Some(tls::config(roots).unwrap()) }.fetch().await
}

/// J10: TLS is verified, by authority and by name.
#[tokio::test]
async fn only_a_trusted_server_is_asked() {
    let (root, config) = authority("localhost");
    let fetched = fetch_over_tls(vec![root.clone()], Arc::clone(&config)).await.unwrap();
    assert_eq!(&*fetched.body, b"{}");

    let (other, named_otherwise) = authority("login.shop.test");
    let error = fetch_over_tls(vec![other.clone()], config).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let error = fetch_over_tls(vec![other], named_otherwise).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    // Plain HTTP is no TLS.
    let url = format!("https://localhost:{}/", serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await);
    let fetcher = Fetcher { url: url.parse().unwrap(), tls: Some(tls::config(vec![root]).unwrap()) };
    assert!(matches!(fetcher.fetch().await, Err(FetchError::Connect(_) | FetchError::Deadline)));
    assert!(rustls::crypto::CryptoProvider::get_default().is_none(), "nothing was installed for the process");
}
