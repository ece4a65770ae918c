//! Ours against hyper's client: whatever comes, we are as strict, and where both accept it, we see the same.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, Method};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::Broken;
use super::tests::{Script, Seen, exchange, request, run};
use crate::h1::chunked::tests::pieces;

/// One exchange with hyper's client, and what we refuse of it by its status.
async fn theirs(stream: Script, method: Method) -> Result<Seen, String> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let response =
        sender.send_request(request(method, Empty::<Bytes>::new())).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    if parts.status.as_u16() == 101 || parts.status.as_u16() > 599 {
        return Err("the status".to_owned());
    }
    let collected = body.collect().await.map_err(|error| error.to_string())?;
    let trailers = collected.trailers().cloned();
    Ok(Seen { status: parts.status, fields: parts.headers, body: collected.to_bytes(), trailers })
}

/// What hyper lets through and we do not, on purpose.
fn is_refused_on_purpose(fields: &HeaderMap) -> bool {
    let lengths: Vec<_> = fields.get_all(CONTENT_LENGTH).iter().collect();
    let codings: Vec<_> = fields.get_all(TRANSFER_ENCODING).iter().collect();
    let digits = |part: &str| {
        let part = part.trim();
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u64>().ok())?
    };
    let number = |value: &HeaderValue| {
        let mut parts = value.to_str().ok()?.split(',').map(digits);
        let first = parts.next()??;
        parts.all(|part| part == Some(first)).then_some(first)
    };
    let malformed = lengths.iter().any(|length| number(length).is_none_or(|first| number(lengths[0]) != Some(first)));
    let coded = match codings.as_slice() {
        [] => false,
        [one] => !one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        _ => true,
    };
    malformed || coded
}

/// Their fields as we pass them on: one length, none beside a coding, no blanks before a value that began with a fold.
fn repaired(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().trim_ascii().to_vec())).collect();
    if fields.contains_key(TRANSFER_ENCODING) {
        list.retain(|(name, _)| name != "content-length");
    }
    for (_, value) in list.iter_mut().filter(|(name, _)| name == "content-length") {
        let first = value.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii().to_vec();
        *value = first.iter().skip_while(|digit| **digit == b'0').copied().collect();
    }
    // The order of fields with different names means nothing.
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list.dedup_by(|a, b| a.0 == "content-length" && a == b);
    list
}

fn compare(text: &[u8], sizes: &[usize], method: &Method) -> Result<(), TestCaseError> {
    let script = || Script::new(&pieces(text, sizes));
    let ours = run(exchange(script(), method.clone())).map(|(seen, _)| seen);
    let theirs = run(theirs(script(), method.clone()));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            prop_assert_eq!(ours.status, theirs.status);
            prop_assert_eq!(repaired(&ours.fields), repaired(&theirs.fields));
            prop_assert_eq!(ours.body, theirs.body);
            prop_assert_eq!(ours.trailers, theirs.trailers);
        }
        (Ok(ours), Err(theirs)) => {
            prop_assert!(false, "hyper refuses ({theirs}) what we take: {ours:?} in {}", text.escape_ascii())
        }
        // In trailers, hyper takes a bare LF for the end of a line.
        (Err(Broken::Invalid("trailers")), Ok(_))
            if text.windows(2).any(|pair| pair[0] != b'\r' && pair[1] == b'\n') => {}
        (Err(ours), Ok(theirs)) => prop_assert!(
            matches!(ours, Broken::Invalid(_)) && is_refused_on_purpose(&theirs.fields),
            "we refuse ({ours}) what hyper takes: {theirs:?} in {}",
            text.escape_ascii()
        ),
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

const SEEDS: [&str; 24] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nX-Y: z\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0;x\r\na: b\r\nc: d\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n1 \r\nx\r\n0\r\n\r\nmore",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\netag: \"x\"\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw",
    "HTTP/1.1 200 OK\r\nx-folded: one\r\n two\r\n\tthree\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nx-empty:\r\nx-blank:   \r\nx-obs: \u{e9}\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    "\r\nHTTP/1.1 200 Very well\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n",
];

/// A change to a text, some of it taken from other texts.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Cut(Index),
    Delete(Index),
    Insert(Index, u8),
    Replace(Index, u8),
    Repeat(Index, Index),
    Splice(Index, usize, Index),
}

impl Edit {
    pub(crate) fn apply(&self, seeds: &[&str], text: &mut Vec<u8>) {
        let place = |index: &Index, text: &Vec<u8>| index.index(text.len() + 1);
        match self {
            Self::Cut(at) => text.truncate(place(at, text)),
            Self::Delete(at) if !text.is_empty() => drop(text.remove(at.index(text.len()))),
            Self::Insert(at, byte) => text.insert(place(at, text), *byte),
            Self::Replace(at, byte) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Self::Repeat(from, length) => {
                let from = place(from, text);
                let part = text[from..(from + length.index(40)).min(text.len())].to_vec();
                text.splice(from..from, part);
            }
            Self::Splice(at, seed, from) => {
                let seed = seeds[*seed].as_bytes();
                text.truncate(place(at, text));
                text.extend_from_slice(&seed[from.index(seed.len())..]);
            }
            Self::Delete(_) | Self::Replace(..) => {}
        }
    }
}

/// Any edit, among so many seeds.
pub(crate) fn edit(seeds: usize) -> impl Strategy<Value = Edit> {
    let byte = || select(&b"\r\n\t :;,=0159aAfFgxX+-_\"\0\x0b\x7f\xe9chunked"[..]);
    prop_oneof![
        1 => any::<Index>().prop_map(Edit::Cut),
        3 => any::<Index>().prop_map(Edit::Delete),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, length)| Edit::Repeat(from, length)),
        2 => (any::<Index>(), 0..seeds, any::<Index>()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
    ]
}

fn method() -> impl Strategy<Value = Method> {
    select(&[Method::GET, Method::GET, Method::POST, Method::HEAD][..])
}

#[test]
fn the_seeds() {
    for seed in SEEDS {
        for cut in 0..=seed.len() {
            for method in [Method::GET, Method::HEAD] {
                compare(&seed.as_bytes()[..cut], &[], &method)
                    .unwrap_or_else(|error| panic!("{seed:?} cut at {cut}: {error}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn mutated_responses(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec(edit(SEEDS.len()), 0..5),
        sizes in prop::collection::vec(1_usize..40, 0..12),
        method in method(),
    ) {
        let mut text = SEEDS[seed].as_bytes().to_vec();
        edits.iter().for_each(|edit| edit.apply(&SEEDS, &mut text));
        compare(&text, &sizes, &method)?;
    }

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..200), sizes in prop::collection::vec(1_usize..40, 0..6)) {
        compare(&text, &sizes, &Method::GET)?;
        let mut framed = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        framed.extend_from_slice(&text);
        compare(&framed, &sizes, &Method::GET)?;
    }

    /// The same in one piece and in many.
    #[test]
    fn pieces_do_not_matter(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec(edit(SEEDS.len()), 0..3),
        sizes in prop::collection::vec(1_usize..12, 0..80),
        method in method(),
    ) {
        let mut text = SEEDS[seed].as_bytes().to_vec();
        edits.iter().for_each(|edit| edit.apply(&SEEDS, &mut text));
        let whole = run(exchange(Script::new(&[&text]), method.clone()));
        let split = run(exchange(Script::new(&pieces(&text, &sizes)), method));
        prop_assert_eq!(whole.ok(), split.ok());
    }
}
