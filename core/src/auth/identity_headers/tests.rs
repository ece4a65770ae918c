use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<HeaderName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn headers(names: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in names {
        headers.try_append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("forged")).unwrap();
    }
    headers
}

/// I01, I02
#[test]
fn every_spelling_of_ours_goes_and_nothing_else() {
    let ours = IdentityHeaders::new(&names(&["x-user-id", "X_User_Role", "x-user-id"]));
    let spellings = [
        "x-user-id",
        "X-User-Id",
        "X_USER_ID",
        "x_user-id",
        "x.user.id",
        "x~user!id",
        "x-user-role",
        "X-USER_ROLE",
        "x-user-id",
        "x_user_id",
    ];
    let others = ["x-user", "x-user-idx", "xx-user-id", "xuserid", "x-user-i1", "host", "x-user-role-"];
    let all: Vec<_> = spellings.iter().chain(&others).map(|name| (*name).to_owned()).collect();
    let mut map = headers(&all);
    ours.strip(&mut map);
    let left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    assert_eq!(left.len(), others.len(), "{left:?}");
    assert!(others.iter().all(|name| map.contains_key(*name)), "{left:?}");
}

#[test]
fn names_longer_than_the_mask_are_told_apart_too() {
    let long = "x".repeat(80);
    let ours = IdentityHeaders::new(&names(&[&long]));
    assert!(ours.contains(&long.parse().unwrap()));
    assert!(!ours.contains(&"x".repeat(81).parse().unwrap()));
    assert!(!ours.contains(&"y".repeat(80).parse().unwrap()));
}

#[test]
fn without_names_nothing_goes() {
    let mut map = headers(&["x-user-id".to_owned()]);
    IdentityHeaders::default().strip(&mut map);
    assert_eq!(map.len(), 1);
}

proptest! {
    /// I03: whatever else is there, none of ours is left, and all else is.
    #[test]
    fn strip_is_what_the_rule_says(names in prop::collection::vec("[xX][-_.][uU][-_.][aAbB]{1,2}", 0..40)) {
        let ours = IdentityHeaders::new(&[HeaderName::from_static("x-u-a"), HeaderName::from_static("x-u-bb")]);
        let is_ours = |name: &str| {
            let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
            folded == "x-u-a" || folded == "x-u-bb"
        };
        let mut map = headers(&names);
        ours.strip(&mut map);
        prop_assert!(map.keys().all(|name| !is_ours(name.as_str())));
        prop_assert_eq!(map.len(), names.iter().filter(|name| !is_ours(name)).count());
    }
}
