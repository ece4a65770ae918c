use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn proxies(family: Family) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
    TrustedProxies::new(networks, family)
}

fn fields(all: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    all.iter().map(field).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The client that a peer at 10.0.0.1 speaks for.
fn client(family: Family, lines: &[&str]) -> String {
    let told: Vec<_> = lines.iter().map(|line| (family.as_str(), *line)).collect();
    let arrival = proxies(family).arrival(Some(address("10.0.0.1")), Proto::Http, &fields(&told));
    arrival.client.unwrap().to_string()
}

/// R01
#[test]
fn the_first_from_the_right_that_is_not_trusted() {
    let client = |lines: &[&str]| client(Family::XForwardedFor, lines);
    assert_eq!(client(&["192.0.2.7"]), "192.0.2.7");
    assert_eq!(client(&["6.6.6.6, 192.0.2.7"]), "192.0.2.7");
    assert_eq!(client(&["6.6.6.6", "192.0.2.7, 10.0.0.2", "2001:db8::1,10.0.0.3"]), "192.0.2.7");
    assert_eq!(client(&["10.0.0.2, 10.0.0.3"]), "10.0.0.2", "all are trusted: the first of them");
    assert_eq!(client(&["6.6.6.6, ::ffff:10.0.0.2"]), "6.6.6.6");
    assert_eq!(client(&[]), "10.0.0.1");
}

/// R01: what cannot be read hides what is left of it, and never the other way round.
#[test]
fn junk_ends_the_walk() {
    let client = |lines: &[&str]| client(Family::XForwardedFor, lines);
    for junk in ["unknown", "_hidden", "junk", "192.0.2.256", "\"192.0.2.7\"", "ü"] {
        assert_eq!(client(&[&format!("6.6.6.6, {junk}")]), "10.0.0.1", "{junk}");
        assert_eq!(client(&[&format!("6.6.6.6, {junk}, 10.0.0.2")]), "10.0.0.2", "{junk}");
        assert_eq!(client(&[&format!("{junk}, 192.0.2.7")]), "192.0.2.7", "{junk}");
    }
    assert_eq!(client(&[" , ,6.6.6.6,, 192.0.2.7 , "]), "192.0.2.7", "empty members are none");
}

#[test]
fn a_chain_has_a_greatest_length() {
    let chain = |hops: usize| format!("6.6.6.6, {}", vec!["10.0.0.2"; hops].join(","));
    assert_eq!(client(Family::XForwardedFor, &[&chain(MAX_HOPS - 1)]), "6.6.6.6");
    assert_eq!(client(Family::XForwardedFor, &[&chain(1000)]), "10.0.0.2");
}

#[test]
fn forwarded_is_read_the_same_way() {
    let client = |lines: &[&str]| client(Family::Forwarded, lines);
    assert_eq!(client(&["for=6.6.6.6, for=192.0.2.7"]), "192.0.2.7");
    assert_eq!(client(&["for=6.6.6.6", r#"for="[2001:db9::7]:443";proto=https, for=10.0.0.2"#]), "2001:db9::7");
    assert_eq!(client(&["for=6.6.6.6, for=_hidden"]), "10.0.0.1");
    assert_eq!(client(&["for=6.6.6.6, proto=https"]), "10.0.0.1", "it does not say for whom");
    // Nothing that stands in front swallows what a proxy wrote behind it.
    assert_eq!(client(&[r#"for="6.6.6.6, for=192.0.2.7"#]), "192.0.2.7");
    assert_eq!(client(&[r#"for="6.6.6.6\", for=192.0.2.7"#]), "192.0.2.7");
    assert_eq!(client(&[r#"for=6.6.6.6, for="x, for=10.0.0.2"#]), "10.0.0.2");
}

#[test]
fn only_the_one_family_is_believed() {
    let told = fields(&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2;proto=https")]);
    let peer = Some(address("10.0.0.1"));
    let by = |family| proxies(family).arrival(peer, Proto::Http, &told);
    assert_eq!(by(Family::XForwardedFor), Arrival { client: Some(address("192.0.2.1")), proto: Proto::Http });
    assert_eq!(by(Family::Forwarded), Arrival { client: Some(address("192.0.2.2")), proto: Proto::Https });
}

#[test]
fn nobody_else_is_believed() {
    let told = fields(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")]);
    let family = Family::XForwardedFor;
    let peer = |text: &str| proxies(family).arrival(Some(address(text)), Proto::Http, &told);
    assert_eq!(peer("192.0.2.9"), Arrival { client: Some(address("192.0.2.9")), proto: Proto::Http });
    assert_eq!(peer("::ffff:10.0.0.1").client, Some(address("6.6.6.6")), "a mapped peer is the IPv4 one");
    assert_eq!(proxies(family).arrival(None, Proto::Http, &told), Arrival { client: None, proto: Proto::Http });
    let unix = TrustedProxies::default().and_unix();
    assert_eq!(unix.arrival(None, Proto::Http, &told).client, Some(address("6.6.6.6")));
    assert_eq!(unix.arrival(None, Proto::Http, &fields(&[])).client, None);
    assert_eq!(unix.arrival(Some(address("::ffff:192.0.2.9")), Proto::Http, &told).client, Some(address("192.0.2.9")));
}

#[test]
fn the_protocol_is_told_once_or_not_at_all() {
    let peer = Some(address("10.0.0.1"));
    let proto = |all: &[(&str, &str)]| proxies(Family::XForwardedFor).arrival(peer, Proto::Http, &fields(all)).proto;
    assert_eq!(proto(&[("x-forwarded-proto", "https")]), Proto::Https);
    assert_eq!(proto(&[("x-forwarded-proto", "HTTPS"), ("x-forwarded-for", "junk")]), Proto::Https);
    assert_eq!(proto(&[("x-forwarded-proto", "https, http")]), Proto::Http);
    assert_eq!(proto(&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")]), Proto::Http);
    assert_eq!(proto(&[("x-forwarded-proto", "wss")]), Proto::Http);
    let told =
        |line: &str| proxies(Family::Forwarded).arrival(peer, Proto::Http, &fields(&[("forwarded", line)])).proto;
    assert_eq!(told("for=192.0.2.7;proto=https, for=10.0.0.2;proto=http"), Proto::Https, "as the client was heard");
    assert_eq!(told("for=6.6.6.6;proto=https, for=192.0.2.7"), Proto::Http);
    assert_eq!(told("for=unknown;proto=https"), Proto::Https);
}

proptest! {
    /// Whatever a client says, what a trusted proxy appends to it decides.
    #[test]
    fn nothing_in_front_changes_what_is_behind(lines in prop::collection::vec("[ -~\u{80}-\u{ff}]{0,40}", 0..4)) {
        for (family, said) in [(Family::XForwardedFor, "192.0.2.7"), (Family::Forwarded, "for=192.0.2.7")] {
            let mut lines = lines.clone();
            let own_line: Vec<_> = lines.iter().map(String::as_str).chain([said]).collect();
            prop_assert_eq!(client(family, &own_line), "192.0.2.7");
            if let Some(last) = lines.last_mut() {
                last.push(',');
                last.push_str(said);
            }
            let appended: Vec<_> = lines.iter().map(String::as_str).collect();
            if !appended.is_empty() {
                prop_assert_eq!(client(family, &appended), "192.0.2.7");
            }
        }
    }
}
