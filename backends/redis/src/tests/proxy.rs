//! What stands between a store and its server: it may be slow, and may lead elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Proxy {
    port: u16,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    accepted: AtomicUsize,
    delay_ms: AtomicU64,
    to: AtomicU16,
}

impl Proxy {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), way: Arc::default() };
        proxy.lead_to(port);
        let way = Arc::clone(&proxy.way);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                way.accepted.fetch_add(1, Ordering::Relaxed);
                let way = Arc::clone(&way);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", way.to.load(Ordering::Relaxed))).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // Either end: both.
                    tokio::select! {
                        () = pass(from_client, to_server, &way) => {}
                        () = pass(from_server, to_client, &way) => {}
                    }
                });
            }
        });
        proxy
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn lead_to(&self, port: u16) {
        self.way.to.store(port, Ordering::Relaxed);
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.way.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) -> usize {
        self.way.accepted.load(Ordering::Relaxed)
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, way: &Way) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(Duration::from_millis(way.delay_ms.load(Ordering::Relaxed))).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
