//! What each algorithm admits, on the wire; limits that only watch; what clients and operators are told of several limits.

use std::time::Duration;

use portcullis_core::time::{Clock, ManualClock, UnixTime};
use portcullis_suite::{Gateway, Message};

/// 2027-01-15, 08:00:00 UTC: the start of a minute and of an hour, but not of a day.
const START: u64 = 1_800_000_000;

fn gateway(limits: &str, of_route: &str) -> (Gateway, ManualClock) {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(START));
    let text = format!("{limits}\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\nlimits = {of_route}\n");
    (Gateway::with_clock(&text, clock), hand)
}

fn one(algorithm: &str, rate: &str) -> (Gateway, ManualClock) {
    gateway(&format!("[limits.one]\nrate = \"{rate}\"\nalgorithm = \"{algorithm}\""), "[\"one\"]")
}

/// How many of these pass.
fn passed(gateway: &Gateway, asked: usize) -> usize {
    (0..asked).filter(|_| gateway.get("/", &[]).status() == 200).count()
}

fn told<'a>(answer: &'a Message, names: &[&str]) -> Vec<Option<&'a str>> {
    names.iter().map(|name| answer.get(name)).collect()
}

/// R11: a burst on both sides of an edge passes once with the sliding ones, and twice with a fixed window.
#[test]
fn an_edge_doubles_a_fixed_window_and_no_other() {
    for (algorithm, after_the_edge, half_a_minute_later) in
        [("fixed-window", 10, 0), ("sliding-window", 0, 5), ("sliding-log", 0, 0), ("token-bucket", 0, 5)]
    {
        let (gateway, hand) = one(algorithm, "10/min");
        hand.advance(Duration::from_millis(59_999));
        assert_eq!(passed(&gateway, 12), 10, "{algorithm}");
        hand.advance(Duration::from_millis(1));
        assert_eq!(passed(&gateway, 12), after_the_edge, "{algorithm}");
        hand.advance(Duration::from_secs(30));
        assert_eq!(passed(&gateway, 12), half_a_minute_later, "{algorithm}");
        hand.advance(Duration::from_secs(3 * 24 * 3_600));
        assert_eq!(passed(&gateway, 12), 10, "{algorithm} after days");
    }
}

/// R12: what a client is told of each, and that it is let in when it was told to come back.
#[test]
fn each_tells_when_to_come_back() {
    const NAMES: [&str; 5] =
        ["ratelimit-policy", "ratelimit", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    for (algorithm, policy, first, back) in [
        ("token-bucket", "\"one\";q=4;w=60", "15", 15),
        ("fixed-window", "\"one\";q=4;w=60", "60", 60),
        // Four weigh three when a quarter of the next window is over.
        ("sliding-window", "\"one\";q=4;w=60", "120", 75),
        ("sliding-log", "\"one\";q=4;w=60", "60", 60),
    ] {
        let (gateway, hand) = one(algorithm, "4/min");
        let answer = gateway.get("/", &[]);
        let ratelimit = format!("\"one\";r=3;t={first}");
        assert_eq!(told(&answer, &NAMES), [policy, &ratelimit, "4", "3", first].map(Some), "{algorithm}");
        assert_eq!(passed(&gateway, 4), 3);
        let refused = gateway.get("/", &[]);
        let (ratelimit, wait) = (format!("\"one\";r=0;t={back}"), back.to_string());
        assert_eq!(told(&refused, &NAMES), [policy, &ratelimit, "4", "0", &wait].map(Some), "{algorithm}");
        assert_eq!(refused.get("retry-after"), Some(&*wait), "{algorithm}");
        hand.advance(Duration::from_secs(back) - Duration::from_millis(1));
        assert_eq!(gateway.get("/", &[]).status(), 429, "{algorithm}");
        hand.advance(Duration::from_millis(1));
        assert_eq!(gateway.get("/", &[]).status(), 200, "{algorithm}");
    }
}

/// Days of a fixed window begin at midnight UTC.
#[test]
fn a_fixed_window_is_aligned_to_utc() {
    let (gateway, hand) = one("fixed-window", "2/day");
    assert_eq!(gateway.get("/", &[]).get("x-ratelimit-reset"), Some("57600"), "sixteen hours to midnight");
    assert_eq!(passed(&gateway, 3), 1);
    hand.advance(Duration::from_secs(57_599));
    assert_eq!(gateway.get("/", &[]).get("retry-after"), Some("1"));
    hand.advance(Duration::from_secs(1));
    assert_eq!(passed(&gateway, 3), 2);
}

/// A changed rate reads what was counted under the new numbers; nothing is reset, and what was refused spent nothing.
#[test]
fn a_changed_rate_goes_on_with_what_was_counted() {
    for algorithm in ["token-bucket", "fixed-window", "sliding-window", "sliding-log"] {
        let (clock, _hand) = Clock::manual(UnixTime::from_secs(START));
        let with = |rate: &str, name: &str| {
            format!(
                "[limits.{name}]\nrate = \"{rate}\"\nalgorithm = \"{algorithm}\"\nkey = \"everyone\"\n\
                 [[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\nlimits = [\"{name}\"]\n"
            )
        };
        let mut gateway = Gateway::with_clock(&with("5/h", "kept"), clock);
        assert_eq!(passed(&gateway, 20), 5, "{algorithm}");
        for (rate, admits) in [("5/h", 0), ("7/h", 2), ("3/h", 0), ("5/2h", 0)] {
            gateway.reload(&with(rate, "kept")).unwrap();
            let passed = passed(&gateway, 20);
            // An empty bucket stays empty: what it gains by a larger burst is its refill's business.
            assert!(passed == admits || algorithm == "token-bucket" && passed <= 2, "{algorithm} {rate}: {passed}");
        }
        gateway.reload(&with("5/h", "renamed")).unwrap();
        assert_eq!(passed(&gateway, 20), 5, "another name is another limit");
    }
}

#[test]
fn costs_are_spent_as_a_whole() {
    for algorithm in ["token-bucket", "fixed-window", "sliding-window", "sliding-log"] {
        let limits = format!("[limits.one]\nrate = \"10/h\"\nalgorithm = \"{algorithm}\"\ncost = 4");
        let (gateway, _hand) = gateway(&limits, "[\"one\"]");
        let left: Vec<_> =
            (0..3).map(|_| gateway.get("/", &[]).get("x-ratelimit-remaining").unwrap().to_owned()).collect();
        assert_eq!(left, ["6", "2", "2"], "{algorithm}: the third does not fit and spends nothing");
    }
}

/// A limit in shadow refuses nobody and is told to no client; the operator sees what it would have refused.
#[test]
fn shadow_refuses_nothing_and_is_counted() {
    let (gateway, hand) = gateway("[limits.watched]\nrate = \"2/min\"\nmode = \"shadow\"", "[\"watched\"]");
    for _ in 0..5 {
        let answer = gateway.get("/", &[]);
        assert_eq!(answer.status(), 200);
        for name in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "retry-after"] {
            assert_eq!(answer.get(name), None, "{name}");
        }
    }
    let would = "portcullis_limit_refusals_total{limit=\"watched\",outcome=\"would-refuse\"}";
    assert_eq!(gateway.metric(would), Some(3.0));
    assert_eq!(gateway.metric("portcullis_limit_refusals_total{limit=\"watched\",outcome=\"refused\"}"), Some(0.0));
    // It was not spent by what it would have refused: two fit again when they would.
    hand.advance(Duration::from_secs(60));
    assert_eq!(passed(&gateway, 3), 3);
    assert_eq!(gateway.metric(would), Some(4.0));
}

/// Shadow limits beside enforced ones: never in the way, spent only by requests that pass, each by itself.
#[test]
fn shadow_stands_beside_what_is_enforced() {
    let (gateway, _hand) = gateway(
        r#"
        [limits.enforced]
        rate = "4/h"
        [limits.tight]
        rate = "1/h"
        mode = "shadow"
        [limits.loose]
        rate = "5/h"
        mode = "shadow"
        "#,
        "[\"tight\", \"enforced\", \"loose\"]",
    );
    for remaining in ["3", "2", "1", "0"] {
        let answer = gateway.get("/", &[]);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.get("ratelimit-policy"), Some("\"enforced\";q=4;w=3600"), "only what is enforced");
        assert_eq!(answer.get("x-ratelimit-remaining"), Some(remaining));
    }
    let refused = gateway.get("/", &[]);
    assert_eq!((refused.status(), &refused.json()["violated-policies"]), (429, &serde_json::json!(["enforced"])));
    assert_eq!(passed(&gateway, 5), 0);
    let count = |limit: &str, outcome: &str| {
        gateway.metric(&format!("portcullis_limit_refusals_total{{limit=\"{limit}\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!([count("enforced", "refused"), count("tight", "would-refuse")], [Some(6.0), Some(3.0)]);
    // Ten more asked, but four passed: those alone were counted.
    assert_eq!(count("loose", "would-refuse"), Some(0.0));
}

/// R12: all enforced limits of a route are policies; the one with the least left is told, and the one that refuses.
#[test]
fn several_limits_are_told_as_one() {
    let (gateway, _hand) = gateway(
        r#"
        [limits.burst]
        rate = "2/s"
        [limits.day]
        rate = "1000/day"
        algorithm = "fixed-window"
        [limits.hour]
        rate = "3/h"
        algorithm = "sliding-log"
        "#,
        "[\"burst\", \"day\", \"hour\"]",
    );
    let policy = "\"burst\";q=2;w=1, \"day\";q=1000;w=86400, \"hour\";q=3;w=3600";
    let first = gateway.get("/", &[]);
    assert_eq!(told(&first, &["ratelimit-policy", "ratelimit"]), [Some(policy), Some("\"burst\";r=1;t=1")]);
    assert_eq!(gateway.get("/", &[]).get("ratelimit"), Some("\"burst\";r=0;t=1"));
    let refused = gateway.get("/", &[]);
    assert_eq!(refused.status(), 429);
    assert_eq!(
        told(&refused, &["ratelimit-policy", "ratelimit", "retry-after", "cache-control", "content-type"]),
        [policy, "\"burst\";r=0;t=1", "1", "no-store", "application/problem+json"].map(Some)
    );
    let problem = refused.json();
    assert_eq!((&problem["status"], &problem["code"]), (&serde_json::json!(429), &serde_json::json!("limited")));
    assert_eq!(problem["detail"], "the limit \"burst\" is used up");
    assert_eq!(problem["instance"], refused.get("x-request-id").unwrap());
}

/// R04: how full the store is can be seen.
#[test]
fn the_store_shows_how_full_it_is() {
    let (gateway, _hand) = gateway("[limits.one]\nrate = \"9/h\"\nkey = \"query:q\"", "[\"one\"]");
    for number in 0..7 {
        assert_eq!(gateway.get(&format!("/?q={number}"), &[]).status(), 200);
    }
    assert_eq!(gateway.metric("portcullis_limit_keys"), Some(7.0));
    assert_eq!(gateway.metric("portcullis_limit_overflowed_total"), Some(0.0));
}
