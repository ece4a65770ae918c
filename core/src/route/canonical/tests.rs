use std::borrow::Cow;

use proptest::prelude::*;

use super::{PathError, canonicalise};

fn canon(raw: &str) -> String {
    canonicalise(raw).unwrap_or_else(|error| panic!("{raw}: {error}")).as_str().to_owned()
}

#[test]
fn every_spelling_of_admin_is_admin() {
    for raw in [
        "/admin",
        "//admin",
        "///admin",
        "/./admin",
        "/.//admin",
        "//./admin",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "/%61%64%6D%69%6E",
        "/a%64min",
        "/ad%6din",
        "/ad%6Din",
        "/admi%6e",
        "/%2e/admin",
        "/%2E/admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/.%2e/admin",
        "/x/%2E./admin",
        "/x//../admin",
        "/x/y/../../admin",
        "/x/./../admin",
        "/admin/x/../../admin",
        "/%78/..//admin",
        "/public/%2e%2E/%61dmin",
        "/.///./admin",
    ] {
        assert_eq!(canon(raw), "/admin", "{raw}");
    }
}

#[test]
fn near_misses_are_not_admin() {
    for (raw, expected) in [
        ("/%2561dmin", "/%2561dmin"),
        ("/Admin", "/Admin"),
        ("/admin/", "/admin/"),
        ("/admin/.", "/admin/"),
        ("/admin/x/..", "/admin/"),
        ("/admin;x", "/admin;x"),
        ("/admin%3bx", "/admin%3Bx"),
        ("/.admin", "/.admin"),
        ("/...", "/..."),
        ("/..admin", "/..admin"),
        ("/admin%20", "/admin%20"),
    ] {
        assert_eq!(canon(raw), expected, "{raw}");
    }
}

#[test]
fn what_may_not_stand_raw_is_escaped_so_that_both_spellings_are_one() {
    assert_eq!(canon("/café"), "/caf%C3%A9");
    assert_eq!(canon("/caf%c3%a9"), "/caf%C3%A9");
    assert_eq!(canon("/{x}\"|^"), "/%7Bx%7D%22%7C%5E");
    assert_eq!(canon("/€/%f0%9f%98%80"), "/%E2%82%AC/%F0%9F%98%80");
    assert_eq!(canon("/a~b-c_d.e!$&'()*+,;=:@"), "/a~b-c_d.e!$&'()*+,;=:@");
}

#[test]
fn refused_paths_say_which_rule() {
    use PathError::*;
    for (raw, error) in [
        ("", NoLeadingSlash),
        ("*", NoLeadingSlash),
        ("admin", NoLeadingSlash),
        ("/..", AboveRoot),
        ("/../admin", AboveRoot),
        ("/a/../../admin", AboveRoot),
        ("/%2e%2e/admin", AboveRoot),
        ("//..", AboveRoot),
        ("/a\\b", Backslash),
        ("/%", BadEscape),
        ("/%4", BadEscape),
        ("/%zz", BadEscape),
        ("/%u0041", BadEscape),
        ("/a%4/b", BadEscape),
        ("/%C3%zz", BadEscape),
        ("/%00", Control),
        ("/%0d%0a", Control),
        ("/%7f", Control),
        ("/a\tb", Control),
        ("/a\u{7f}b", Control),
        ("/x/..;/admin", DotParameters),
        ("/x/%2e%2e;y=1/admin", DotParameters),
        ("/x/..%3b/admin", DotParameters),
        ("/.;/admin", DotParameters),
        ("/a#b", Fragment),
        ("/%FF", NotUtf8),
        ("/%C3", NotUtf8),
        ("/%C3x", NotUtf8),
        ("/%C3/", NotUtf8),
        ("/%C3é", NotUtf8),
        ("/%80", NotUtf8),
        ("/%c0%af", NotUtf8),
        ("/%ED%A0%80", NotUtf8),
        ("/%F4%90%80%80", NotUtf8),
        ("/a?b", Query),
    ] {
        assert_eq!(canonicalise(raw).map(|path| path.as_str().to_owned()), Err(error), "{raw}");
    }
}

#[test]
fn encoded_separators_are_kept_and_reported() {
    for (raw, expected) in [
        ("/public%2f..%2fadmin", "/public%2F..%2Fadmin"),
        ("/public%5c..%5Cadmin", "/public%5C..%5Cadmin"),
        ("/a%2F", "/a%2F"),
        // It goes with its segment, and is reported all the same: nobody honest writes this.
        ("/a%2fb/../c", "/c"),
    ] {
        let path = canonicalise(raw).unwrap();
        assert_eq!(path.as_str(), expected);
        assert!(path.has_encoded_separator(), "{raw}");
    }
    for raw in ["/a/b", "/a%252Fb", "/a%255Cb", "/%25", "/é"] {
        assert!(!canonicalise(raw).unwrap().has_encoded_separator(), "{raw}");
    }
}

#[test]
fn a_canonical_path_is_borrowed() {
    for raw in ["/", "/a", "/a/b/", "/a%20b", "/caf%C3%A9", "/.well-known/x", "/.../x", "/a;b", "/a%2Fb", "/.%20"] {
        assert!(matches!(canonicalise(raw).unwrap().text, Cow::Borrowed(text) if text == raw), "{raw}");
    }
}

/// Paths made of what the rules are about.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", ".", "..", "%2e", "%2E", "a", "%61", "%41", "%25", "%2f", "%2F", "%5c", ";", "%3b", "%", "2", "f",
        "é", "%C3%A9", "%c3", "\\", "{", " ", "*", "#", "?", "%00", "~", "%7e",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn twice_is_once_and_the_second_time_borrows(raw in prop_oneof![tricky(), "/.{0,24}"]) {
        if let Ok(path) = canonicalise(&raw) {
            let again = canonicalise(path.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), path.as_str());
            prop_assert!(matches!(again.text, Cow::Borrowed(_)));
        }
    }

    #[test]
    fn no_segment_is_empty_or_dots(raw in prop_oneof![tricky(), "/.{0,24}"]) {
        if let Ok(path) = canonicalise(&raw) {
            let text = path.as_str();
            prop_assert!(text.is_ascii() && text.starts_with('/'));
            let segments: Vec<_> = text.split('/').skip(1).collect();
            let (last, before) = segments.split_last().unwrap();
            prop_assert!(!matches!(*last, "." | ".."), "{}", text);
            prop_assert!(!before.iter().any(|segment| matches!(*segment, "" | "." | "..")), "{}", text);
        }
    }

    #[test]
    fn escaping_an_unreserved_character_changes_nothing(name in "[a-z~_.-]{1,8}", at in 0usize..8) {
        prop_assume!(name != "." && name != "..");
        let at = at % name.len();
        let escaped = format!("/{}%{:02x}{}", &name[..at], name.as_bytes()[at], &name[at + 1..]);
        prop_assert_eq!(canon(&escaped), format!("/{name}"));
    }
}
