//! What a token must look like.

use super::*;

/// J11
#[test]
fn only_the_compact_form_counts() {
    let token = mint(Algorithm::HS256, SECRET, &good()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "....".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}==="),
        format!("{header}.{payload}.+{signature}"),
        // Rightly signed, so that it is the form alone which is wrong.
        sign(&format!("{header}. {payload}")),
        sign(&format!("{header}.{payload}=")),
        sign(&format!("{header}\n.{payload}")),
        "\u{1F980}.\u{1F980}.\u{1F980}".to_owned(),
        Value::Object(good()).to_string(),
    ] {
        assert_eq!(word(&bad), reason::MALFORMED, "{bad}");
    }
}

/// J11
#[test]
fn bits_that_are_left_over_make_another_text_and_are_refused() {
    // 32 bytes are 43 letters, the last of which carries four bits: one of its sixteen-fold spellings is right.
    let token = mint(Algorithm::HS256, SECRET, &good()).unwrap();
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    for other in ALPHABET.chars().filter(|letter| !last.contains(*letter)) {
        assert_ne!(word(&format!("{rest}{other}")), "ok", "{other}");
    }
    assert_eq!(word(&token), "ok");
    // Sixteen bytes end in "A", "Q", "g" or "w"; rightly signed, so that it is the spelling alone which is wrong.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"} "#);
    let payload = URL_SAFE_NO_PAD.encode(good_payload());
    assert_eq!(word(&sign(&format!("{header}.{payload}"))), "ok");
    let respelled = format!("{}B", header.strip_suffix('A').unwrap());
    assert_eq!(word(&sign(&format!("{respelled}.{payload}"))), reason::MALFORMED);
}

/// J11
#[test]
fn a_token_has_a_greatest_length() {
    assert_eq!(word(&with("pad", json!("x".repeat(5_000)))), "ok");
    assert_eq!(word(&with("pad", json!("x".repeat(6_200)))), reason::TOO_LONG);
    assert_eq!(word(&"x".repeat(1024 * 1024)), reason::TOO_LONG);
    assert!(verifier().recall(&"x".repeat(MAX_TOKEN + 1), UnixTime::from_secs(NOW)).is_none());
}

/// J11
#[test]
fn json_is_unambiguous_and_shallow() {
    let text = String::from_utf8(good_payload()).unwrap();
    for bad in [
        text.replacen('{', r#"{"sub":"eve","#, 1),
        text.replacen('{', r#"{"s\u0075b":"eve","#, 1),
        text.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
        text.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(2_000), "]".repeat(2_000)), 1),
        format!("{text}{text}"),
        format!("[{text}]"),
        "null".to_owned(),
        String::new(),
    ] {
        assert_eq!(word(&forge(r#"{"alg":"HS256"}"#, bad.as_bytes())), reason::MALFORMED, "{bad}");
    }
    assert_eq!(with_header(r#"{"alg":"HS256","alg":"HS256"}"#), reason::MALFORMED);
    assert_eq!(with_header(r#"{"alg":"HS256"} "#), "ok");
    assert_eq!(with_header(r#"{"alg":"HS256"}x"#), reason::MALFORMED);
}
