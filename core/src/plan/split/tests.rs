use http::{HeaderMap, HeaderValue, Method};

use super::*;
use crate::route::Params;

fn split(by: Option<&str>, shares: &[(&str, u32)]) -> Split {
    let shares = shares.iter().enumerate().map(|(at, (name, weight))| Share::new(name, UpstreamIndex(at), *weight));
    Split::new(by.map(|by| by.parse().unwrap()), shares.collect::<Vec<_>>()).unwrap()
}

/// The name of the upstream that the request with this cookie goes to.
fn choice<'n>(shares: &[(&'n str, u32)], session: Option<u32>, random: u64) -> &'n str {
    let mut headers = HeaderMap::new();
    if let Some(session) = session {
        let cookie = HeaderValue::try_from(format!("a=b; session={session}")).unwrap();
        headers.try_insert(http::header::COOKIE, cookie).unwrap();
    }
    let facts = Facts {
        client: None,
        headers: &headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    };
    let split = split(Some("cookie:session"), shares);
    assert_eq!(split.sticks(&facts), session.is_some());
    shares[split.choose(&facts, random).0].0
}

#[test]
fn a_value_sticks_whatever_chance_says() {
    let shares = [("a", 3), ("b", 1)];
    for session in 0..100 {
        let first = choice(&shares, Some(session), 0);
        assert!([1, u64::MAX / 2, u64::MAX].iter().all(|random| choice(&shares, Some(session), *random) == first));
        assert_eq!(choice(&[("b", 1), ("a", 3)], Some(session), 0), first, "their order means nothing");
    }
}

/// Part of what nodes agree on without asking each other: this must not change with a build.
#[test]
fn a_value_goes_to_the_same_upstream_for_ever() {
    let shares = [("orders", 50), ("orders-next", 50)];
    let chosen: String =
        (0..16).map(|session| if choice(&shares, Some(session), 0) == "orders" { 'o' } else { 'n' }).collect();
    assert_eq!(chosen, "noonoonononoonon");
}

#[test]
fn weights_are_shares() {
    let count = |shares: &[(&str, u32)], name| (0..10_000).filter(|n| choice(shares, Some(*n), 0) == name).count();
    let next = count(&[("orders", 95), ("next", 5)], "next");
    assert!((400..600).contains(&next), "{next}");
    assert_eq!(count(&[("orders", 1), ("next", 0)], "next"), 0);
    let third = count(&[("a", 1), ("b", 1), ("c", 1)], "c");
    assert!((3100..3570).contains(&third), "{third}");
}

#[test]
fn a_changed_weight_moves_only_what_it_must() {
    let (before, after) = ([("orders", 95), ("next", 5)], [("orders", 90), ("next", 10)]);
    let mut moved = 0;
    for session in 0..10_000 {
        let (was, is) = (choice(&before, Some(session), 0), choice(&after, Some(session), 0));
        assert!(was == is || is == "next", "nobody moves back");
        moved += usize::from(was != is);
    }
    assert!((400..600).contains(&moved), "{moved}");
    let third = [("orders", 95), ("next", 5), ("third", 10)];
    assert!((0..1000).all(|session| {
        let is = choice(&third, Some(session), 0);
        is == "third" || is == choice(&before, Some(session), 0)
    }));
}

#[test]
fn where_nothing_sticks_chance_decides_by_weight() {
    let shares = [("none", 0), ("a", 3), ("b", 1)];
    let step = u64::MAX / 1000;
    let chosen: Vec<_> = (0..1000).map(|n| choice(&shares, None, n * step)).collect();
    let count = |name| chosen.iter().filter(|chosen| **chosen == name).count();
    assert_eq!((count("none"), count("b")), (0, 1000 - count("a")));
    assert!((745..=755).contains(&count("a")), "{}", count("a"));
    assert_eq!((choice(&shares, None, 0), choice(&shares, None, u64::MAX)), ("a", "b"));
}

#[test]
fn some_weight_is_more_than_none() {
    assert!(Split::new(None, [Share::new("a", UpstreamIndex(0), 0)]).is_none());
    assert!(Split::new(None, []).is_none());
}
