use proptest::prelude::*;

use super::*;

fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// J11
#[test]
fn a_name_is_given_once() {
    assert!(object(br#"{"a":1,"b":{"a":[{"a":null},{"a":"x"}]},"A":1.5,"c":[true,-1]}"#).is_some());
    for twice in
        [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"a":1,"a":2}}"#, r#"{"x":[{"a":1,"b":0,"a":2}]}"#]
    {
        assert!(object(twice.as_bytes()).is_none(), "{twice}");
    }
}

/// J11
#[test]
fn depth_has_a_bound() {
    assert!(object(nested(32).as_bytes()).is_some());
    assert!(object(nested(33).as_bytes()).is_none());
    assert!(object(nested(10_000).as_bytes()).is_none());
    assert!(object("[".repeat(10_000).as_bytes()).is_none());
}

#[test]
fn only_one_whole_object_is_one() {
    assert_eq!(object(b" {}\n"), Some(Map::new()));
    for other in
        ["", "[]", "1", "null", "\"a\"", "{}{}", "{} x", "{", "{\"a\":1,}", "{'a':1}", "\u{feff}{}", "{\"a\":1e400}"]
    {
        assert!(object(other.as_bytes()).is_none(), "{other}");
    }
    assert!(object(b"{\"a\":\"\xff\"}").is_none(), "not UTF-8");
    assert!(object(br#"{"a":"\ud800"}"#).is_none(), "half a surrogate pair");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_unambiguous_is_read_as_it_is(members in prop::collection::btree_map("\\PC{0,4}", value(), 0..6)) {
        let members: Map<_, _> = members.into_iter().collect();
        let text = Value::Object(members.clone()).to_string();
        prop_assert_eq!(object(text.as_bytes()), Some(members));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        object(&bytes);
    }
}
