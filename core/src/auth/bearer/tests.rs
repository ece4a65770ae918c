use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.try_append(AUTHORIZATION, HeaderValue::from_bytes(line).unwrap()).unwrap();
    }
    headers
}

/// J13
#[test]
fn the_scheme_is_case_insensitive() {
    for line in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER   a.b-c_d~e+f/g=="] {
        assert_eq!(bearer(&headers(&[line.as_bytes()])), Ok(Some("a.b-c_d~e+f/g==")));
    }
}

#[test]
fn another_scheme_is_no_token() {
    for line in ["Basic YTpi", "Bearerabc", "Bearer\tabc", "DPoP abc", ""] {
        assert_eq!(bearer(&headers(&[line.as_bytes()])), Ok(None), "{line:?}");
    }
}

/// J13
#[test]
fn one_credential_or_none() {
    for lines in [&["Bearer a", "Bearer a"], &["Bearer a", "Basic YTpi"], &["Basic YTpi", "Bearer a"]] {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(bearer(&headers(&lines)), Err(AuthError::Invalid(reason::CREDENTIALS)));
    }
    let bad: [&[u8]; 3] = [b"Bearer", b"Bearer ", b"Bearer \xff"];
    for line in bad {
        let result = bearer(&headers(&[line])).map(|token| token.map(str::to_owned));
        assert_eq!(result, Err(AuthError::Invalid(reason::CREDENTIALS)), "{line:?}");
    }
}

/// What is no token by its characters is the verifier's to refuse.
#[test]
fn the_text_is_handed_on_as_it_is() {
    for text in ["a b", "a,b", "a ", "\ta", "a=b"] {
        assert_eq!(bearer(&headers(&[format!("Bearer {text}").as_bytes()])), Ok(Some(text)));
    }
}

proptest! {
    #[test]
    fn any_line_is_read_without_a_panic(line in "(?i)(bearer)? *\\PC{0,40}") {
        let headers = headers(&[line.as_bytes()]);
        if let Ok(Some(token)) = bearer(&headers) {
            prop_assert!(!token.is_empty() && line.ends_with(token));
        }
    }
}
