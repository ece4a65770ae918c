use super::*;
use proptest::prelude::*;

/// The data, the trailers, and what was left behind the end.
type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// Feeds `pieces` one after the other; none when the body did not end.
fn decode(pieces: &[&[u8]]) -> Result<Option<Decoded>, Flaw> {
    let (mut chunked, mut unread) = (Chunked::new(), BytesMut::new());
    let (mut data, mut trailers) = (Vec::new(), None);
    for piece in pieces {
        unread.extend_from_slice(piece);
        while let Some(frame) = chunked.next(&mut unread)? {
            match frame.into_data() {
                Ok(frame) => {
                    assert!(!frame.is_empty(), "an empty frame");
                    data.extend_from_slice(&frame);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    Ok(chunked.is_ended().then(|| (data, trailers, unread.to_vec())))
}

fn whole(text: &str) -> Result<Option<String>, Flaw> {
    decode(&[text.as_bytes()]).map(|ended| ended.map(|(data, ..)| String::from_utf8(data).unwrap()))
}

#[test]
fn what_is_the_coding() {
    for (text, expected) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("5;ext=1;\"q\"\r\nhello\r\n0;last\r\n\r\n", "hello"),
        ("5 \t ;ext\r\nhello\r\n0  \r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\na: b\r\nc: d\r\n\r\n", "hello"),
    ] {
        assert_eq!(whole(text), Ok(Some(expected.to_owned())), "{text:?}");
    }
}

#[test]
fn what_is_not() {
    for text in [
        "\r\n",
        " 5\r\nhello\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5_0\r\n",
        "5 5\r\n",
        "g\r\n",
        ";\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "ffffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "5\r\nhello!\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "0\r\n\n",
        "0\r\na: b\n\r\n",
        "0\r\na\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\na : b\r\n\r\n",
        "0\r\na: b\r\n c\r\n\r\n",
        "0\r\na: b\rc\r\n\r\n",
        "0\r\na: b\0\r\n\r\n",
        "5\x0b\r\nhello\r\n",
    ] {
        assert!(whole(text).is_err(), "{text:?}: {:?}", whole(text));
    }
}

#[test]
fn nothing_but_the_end_is_the_end() {
    let text = b"5;x\r\nhello\r\n6\r\n world\r\n0\r\na: b\r\n\r\n";
    assert!(whole("0\r\na: b\r\nno field\r\n\r\n").is_err());
    for cut in 0..text.len() {
        assert_eq!(decode(&[&text[..cut]]), Ok(None), "cut at {cut}");
    }
    assert!(decode(&[text]).unwrap().is_some());
}

#[test]
fn what_is_behind_the_end_stays() {
    for (trailers, rest) in [("\r\n", "HTTP/1.1 200 OK\r\n\r\n"), ("a: b\r\n\r\n", "\r\n"), ("\r\n", "")] {
        let text = format!("2\r\nok\r\n0\r\n{trailers}{rest}");
        let (data, _, left) = decode(&[text.as_bytes()]).unwrap().unwrap();
        assert_eq!((data.as_slice(), left.as_slice()), (&b"ok"[..], rest.as_bytes()));
    }
}

#[test]
fn the_last_frame_is_known_to_be_the_last_when_the_end_is_there() {
    let (mut chunked, mut unread) = (Chunked::new(), BytesMut::from(&b"2\r\nok\r\n0\r\n\r\n"[..]));
    assert!(chunked.next(&mut unread).unwrap().is_some());
    assert!(chunked.is_ended() && unread.is_empty());
}

#[test]
fn lines_are_bounded() {
    let endless = "a".repeat(MOST_EXTENSIONS + PLAIN_LINE);
    assert!(whole(&format!("5;{endless}")).is_err(), "a line without an end");
    assert!(whole(&format!("5;{endless}\r\nhello\r\n0\r\n\r\n")).is_err(), "a line");
    assert!(whole(&format!("{}5\r\nhello\r\n", "0".repeat(MOST_EXTENSIONS + 20))).is_err(), "zeros");
    let many = "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(1000);
    assert!(whole(&many).is_err(), "many of them");
    assert!(whole(&format!("0\r\na: {endless}")).is_err(), "trailers without an end");
    let fields = |count| format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(whole(&fields(MOST_FIELDS)).is_ok() && whole(&fields(MOST_FIELDS + 1)).is_err(), "many trailers");
}

/// `text` in pieces of these sizes, the last one with all the rest.
pub(crate) fn pieces<'a>(mut text: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, rest) = text.split_at((*size).min(text.len()));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_whatever_the_pieces(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        trailers in prop::collection::vec("[a-z]{1,8}: [a-z]{0,8}\r\n", 0..3),
        sizes in prop::collection::vec(1_usize..30, 0..60),
    ) {
        let mut text = Vec::new();
        for chunk in &chunks {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("0\r\n{}\r\nbehind", trailers.concat()).as_bytes());
        let (data, fields, left) = decode(&pieces(&text, &sizes)).unwrap().unwrap();
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(fields.map_or(0, |fields| fields.len()), trailers.len());
        prop_assert_eq!(left, b"behind");
    }

    #[test]
    fn anything_is_the_same_whatever_the_pieces(
        text in prop::collection::vec(prop::sample::select(&b"05afF;=x \t\r\n:-\0"[..]), 0..60),
        sizes in prop::collection::vec(1_usize..10, 0..60),
    ) {
        prop_assert_eq!(decode(&pieces(&text, &sizes)).ok(), decode(&[&text]).ok());
    }
}
