use std::borrow::Cow;

use proptest::prelude::*;

use super::{HostError, HostPattern, canonical_host};

#[test]
fn spellings_of_one_host_are_one() {
    for authority in
        ["shop.test", "SHOP.test", "shop.test.", "shop.test:80", "shop.test:8443", "Shop.Test.:443", "shop.test:"]
    {
        assert_eq!(canonical_host(authority).unwrap(), "shop.test", "{authority}");
    }
    for authority in ["[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]", "[::0001]:"] {
        assert_eq!(canonical_host(authority).unwrap(), "[::1]", "{authority}");
    }
    assert_eq!(canonical_host("[2001:DB8::A]").unwrap(), "[2001:db8::a]");
    assert_eq!(canonical_host("127.0.0.1:8080").unwrap(), "127.0.0.1");
    assert_eq!(canonical_host("my_service").unwrap(), "my_service");
    assert_eq!(canonical_host("xn--bcher-kva.test").unwrap(), "xn--bcher-kva.test");
}

#[test]
fn a_canonical_host_is_borrowed() {
    for authority in ["shop.test", "shop.test:80", "shop.test.", "[::1]:80"] {
        assert!(matches!(canonical_host(authority).unwrap(), Cow::Borrowed(_)), "{authority}");
    }
}

#[test]
fn refused_hosts_say_which_rule() {
    use HostError::*;
    for (authority, error) in [
        ("", Empty),
        (".", Empty),
        (":80", Empty),
        ("a..b", EmptyLabel),
        (".a", EmptyLabel),
        ("a..", EmptyLabel),
        ("user@shop.test", Userinfo),
        ("user:pw@shop.test", Userinfo),
        ("a,b", BadCharacter(',')),
        ("a b", BadCharacter(' ')),
        ("shop.test/x", BadCharacter('/')),
        ("shop.test?x", BadCharacter('?')),
        ("shop%2etest", BadCharacter('%')),
        ("bücher.test", BadCharacter('ü')),
        ("a\\b", BadCharacter('\\')),
        ("a\0b", BadCharacter('\0')),
        ("*.shop.test", BadCharacter('*')),
        ("shop.test:80:80", BadPort),
        ("shop.test:80/x", BadPort),
        ("shop.test:+80", BadPort),
        ("shop.test:65536", BadPort),
        ("shop.test:80,evil.test", BadPort),
        ("::1", BadPort),
        ("[::1", BadIpv6),
        ("[]", BadIpv6),
        ("[::1]x", BadIpv6),
        ("[fe80::1%25eth0]", BadIpv6),
        ("[127.0.0.1]", BadIpv6),
        ("[::1]:x", BadPort),
        ("xn--shop-.test", BadLabel),
        ("XN--.test", BadLabel),
    ] {
        // "::1" without brackets: what stands before the first colon is empty, but the port is looked at first.
        assert_eq!(canonical_host(authority), Err(error), "{authority}");
    }
    assert!(canonical_host(&"a".repeat(253)).is_ok());
    assert_eq!(canonical_host(&"a".repeat(254)), Err(TooLong));
}

#[test]
fn wildcards_cover_one_or_more_labels() {
    let pattern: HostPattern = "*.shop.test".parse().unwrap();
    for host in ["a.shop.test", "a.b.shop.test"] {
        assert!(pattern.covers(host), "{host}");
    }
    for host in ["shop.test", ".shop.test", "xshop.test", "shop.test.a", "", "a.shop.tes"] {
        assert!(!pattern.covers(host), "{host}");
    }
}

#[test]
fn patterns_are_canonical_names_without_ports() {
    assert_eq!("Shop.Test.".parse::<HostPattern>().unwrap().to_string(), "shop.test");
    assert_eq!("[0::1]".parse::<HostPattern>().unwrap().to_string(), "[::1]");
    for (text, error) in [
        ("shop.test:80", HostError::Port),
        ("[::1]:80", HostError::Port),
        ("*", HostError::Wildcard),
        ("a.*.test", HostError::Wildcard),
        ("*shop.test", HostError::Wildcard),
        ("*.*.test", HostError::Wildcard),
        ("*.[::1]", HostError::Wildcard),
        ("*.", HostError::Empty),
        ("http://shop.test", HostError::BadPort),
    ] {
        assert_eq!(text.parse::<HostPattern>(), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn twice_is_once(authority in "[A-Za-c.:0-9\\[\\]-]{0,12}|.{0,12}") {
        if let Ok(host) = canonical_host(&authority) {
            prop_assert_eq!(canonical_host(&host).unwrap(), Cow::Borrowed(&*host));
        }
    }
}
