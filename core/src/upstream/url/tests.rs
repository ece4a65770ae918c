use proptest::prelude::*;

use super::*;

#[test]
fn one_spelling_for_each_server() {
    for (written, scheme, authority) in [
        ("http://127.0.0.1:7001", Scheme::Http, "127.0.0.1:7001"),
        ("HTTP://LocalHost/", Scheme::Http, "localhost:80"),
        ("https://users_1.internal", Scheme::Https, "users_1.internal:443"),
        ("h2c://[0:0::1]:50051", Scheme::H2c, "[::1]:50051"),
        ("http://users.svc.cluster.local.:8080", Scheme::Http, "users.svc.cluster.local.:8080"),
        ("http://[::1]", Scheme::Http, "[::1]:80"),
        ("unix:/run/users.sock", Scheme::Unix, "/run/users.sock"),
        ("unix:///run/users.sock", Scheme::Unix, "/run/users.sock"),
    ] {
        let url: EndpointUrl = written.parse().unwrap();
        assert_eq!((url.scheme(), url.authority()), (scheme, authority), "{written}");
        assert_eq!(url.to_string().parse(), Ok(url), "{written}");
    }
}

#[test]
fn what_is_not_a_server_says_why() {
    for (written, why) in [
        ("", "scheme"),
        ("127.0.0.1:7001", "scheme"),
        ("localhost:7001", "scheme"),
        ("ftp://a", "scheme"),
        ("http://", "not a host"),
        ("http://:80", "not a host"),
        ("http://a b", "not a host"),
        ("http://a..b", "not a host"),
        ("http://.", "not a host"),
        ("http://127.0.0.1.", "IPv4"),
        ("http://bücher.test", "not a host"),
        ("http://127.0.0.256", "IPv4"),
        ("http://127.1", "IPv4"),
        ("http://a:", "port"),
        ("http://a:0", "port"),
        ("http://a:+80", "port"),
        ("http://a:65536", "port"),
        ("http://::1:80", "brackets"),
        ("http://[::1", "IPv6"),
        ("http://[::1]80", "IPv6"),
        ("http://[fe80::1%eth0]", "IPv6"),
        ("http://a/v1", "`/v1`"),
        ("http://a//", "`/`"),
        ("http://a?x=1", "`?x=1`"),
        ("http://a#f", "`#f`"),
        ("http://user:secret@a", "password"),
        ("unix:run/users.sock", "absolute"),
        ("unix:/", "absolute"),
    ] {
        let error = written.parse::<EndpointUrl>().unwrap_err();
        assert!(error.problem().contains(why), "{written}: {error}");
        assert!(error.to_string().contains(ACCEPTED_URLS) && !error.to_string().contains("secret"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(http://|unix:)?[\\PC\\[\\]:/@.0-9]{0,40}") {
        if let Ok(url) = text.parse::<EndpointUrl>() {
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }
    }
}
