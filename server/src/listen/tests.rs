//! How long a connection may keep us waiting: in memory, on paused time. Nothing here sleeps for real, and a second in a
//! test is exactly a second.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

use super::serve::serve;
use crate::config::{LoadOptions, from_text_with};
use crate::gateway::{Brought, State};
use crate::observe::AccessLog;

/// A gateway that answers by itself: heads within 10 s, bodies within 30 s, 75 s between requests.
fn gateway() -> Arc<State> {
    let text = "[[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"ok\" }\n";
    let config = from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap();
    State::new(config, Clock::system(), AccessLog::off(), Brought::default()).unwrap()
}

/// A connection to it.
fn connect(gateway: &Arc<State>) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(64 * 1024);
    (client, tokio::spawn(serve(Arc::clone(gateway), server, None)))
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// One answer with the body "ok".
async fn answer(client: &mut DuplexStream) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nok") {
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).await.unwrap(), 1, "ended after {:?}", String::from_utf8_lossy(&seen));
        seen.extend(byte);
    }
    String::from_utf8(seen).unwrap()
}

/// Everything until the end, and how long that took.
async fn rest(client: &mut DuplexStream) -> (String, Duration) {
    let (began, mut seen) = (Instant::now(), Vec::new());
    client.read_to_end(&mut seen).await.unwrap();
    (String::from_utf8(seen).unwrap(), began.elapsed())
}

fn is_about(took: Duration, seconds: u64) -> bool {
    // The timer counts in milliseconds, and the linger at the end of a connection ends with the client's own end.
    (Duration::from_secs(seconds)..Duration::from_secs(seconds) + Duration::from_millis(20)).contains(&took)
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_closed_without_a_word() {
    let (mut client, _) = connect(&gateway());
    let (said, took) = rest(&mut client).await;
    assert!(said.is_empty() && is_about(took, 10), "{said:?} after {took:?}");
}

/// B04: from the first byte to the last, however steadily they come.
#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_408() {
    let (client, _) = connect(&gateway());
    let (mut reads, mut writes) = tokio::io::split(client);
    let trickle = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ".iter().chain(std::iter::repeat(&b'a')) {
            if writes.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let began = Instant::now();
    let mut seen = Vec::new();
    reads.read_to_end(&mut seen).await.unwrap();
    let said = String::from_utf8(seen).unwrap();
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("connection: close"), "{said}");
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    let length = said.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length, body.len().to_string());
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["code"], "request-timeout");
    // One more second of linger, because this client goes on sending.
    assert!(began.elapsed() <= Duration::from_secs(12), "{:?}", began.elapsed());
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn between_requests_there_is_time_and_within_a_head_less() {
    let (mut client, _) = connect(&gateway());
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    sleep(Duration::from_secs(70)).await;
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    let (said, took) = rest(&mut client).await;
    assert!(said.is_empty() && is_about(took, 75), "{said:?} after {took:?}");

    let (mut client, _) = connect(&gateway());
    client.write_all(REQUEST).await.unwrap();
    answer(&mut client).await;
    sleep(Duration::from_secs(60)).await;
    client.write_all(b"GET / HT").await.unwrap();
    let (said, took) = rest(&mut client).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && is_about(took, 10), "{said:?} after {took:?}");
}

/// B04: a head that begins in the packet of the request before it has no more time than any other.
#[tokio::test(start_paused = true)]
async fn a_head_that_came_early_has_no_more_time() {
    let (mut client, _) = connect(&gateway());
    client.write_all(&[REQUEST, b"GET / HT"].concat()).await.unwrap();
    answer(&mut client).await;
    let (said, took) = rest(&mut client).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && is_about(took, 10), "{said:?} after {took:?}");
}

/// RFC 9112, section 2.2: some clients end a body with a line too many. That is no head, and nobody is told 408 for it.
#[tokio::test(start_paused = true)]
async fn an_empty_line_behind_a_request_is_no_head() {
    for late in [false, true] {
        let (mut client, _) = connect(&gateway());
        client.write_all(REQUEST).await.unwrap();
        if late {
            answer(&mut client).await;
            client.write_all(b"\r\n").await.unwrap();
        } else {
            client.write_all(b"\r\n").await.unwrap();
            answer(&mut client).await;
        }
        let (said, took) = rest(&mut client).await;
        assert!(said.is_empty() && is_about(took, 75), "{said:?} after {took:?}");
    }
}

/// O04: a connection that has just been accepted when the drain begins still gets its answer.
#[tokio::test(start_paused = true)]
async fn a_drain_answers_what_has_arrived() {
    let gateway = gateway();
    let (mut fresh, _) = connect(&gateway);
    fresh.write_all(REQUEST).await.unwrap();
    let (mut idle, _) = connect(&gateway);
    idle.write_all(REQUEST).await.unwrap();
    answer(&mut idle).await;
    let (mut late, server) = duplex(64 * 1024);
    late.write_all(REQUEST).await.unwrap();
    gateway.drain();
    let late_task = tokio::spawn(serve(Arc::clone(&gateway), server, None));
    for client in [&mut fresh, &mut late] {
        let said = answer(client).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
    assert!(rest(&mut idle).await.0.is_empty());
    drop((fresh, late));
    timeout(Duration::from_secs(5), late_task).await.unwrap().unwrap();
}

/// F12: an answer that needs no body says that it is the last, and is not lost to the client that goes on sending.
#[tokio::test(start_paused = true)]
async fn an_early_answer_is_not_lost() {
    let (client, task) = connect(&gateway());
    let (mut reads, mut writes) = tokio::io::split(client);
    let upload = tokio::spawn(async move {
        let _ = writes.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n").await;
        let sent = writes.write_all(&vec![b'a'; 3_000_000]).await;
        sent.is_ok()
    });
    let mut seen = Vec::new();
    reads.read_to_end(&mut seen).await.unwrap();
    let said = String::from_utf8(seen).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("connection: close") && said.ends_with("ok"), "{said}");
    assert!(upload.await.unwrap(), "what was still on its way was taken in");
    advance(Duration::from_secs(2)).await;
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}

/// A small body that nobody needed is read, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn a_small_unread_body_does_not_end_the_connection() {
    let (mut client, _) = connect(&gateway());
    for _ in 0..3 {
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        let said = answer(&mut client).await;
        assert!(!said.contains("connection: close"), "{said}");
    }
}
