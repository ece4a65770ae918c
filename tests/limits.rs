//! Limits on the wire: exact under concurrency, and told in headers.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_core::time::{Clock, UnixTime};
use portcullis_suite::{Client, Gateway, Upstream, token};

const VERIFIER: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
"#;

#[test]
fn counts_down_to_429_and_back() {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let upstream = Upstream::ok();
    let gateway = Gateway::with_clock(
        &format!(
            r#"
            [upstreams]
            app = ["{}"]
            [limits.burst]
            rate = "60/min"
            burst = 3
            [[routes]]
            path = "/**"
            upstream = "app"
            limits = ["burst"]
            "#,
            upstream.url()
        ),
        clock,
    );
    for remaining in ["2", "1", "0"] {
        let answer = gateway.get("/", &[]);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.get("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.get("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.get("ratelimit-policy"), Some("\"burst\";q=3;w=3"));
        assert!(answer.get("ratelimit").unwrap().starts_with(&format!("\"burst\";r={remaining};t=")));
    }
    let refused = gateway.get("/", &[]);
    assert_eq!((refused.status(), refused.get("retry-after")), (429, Some("1")));
    assert_eq!(refused.get("ratelimit"), Some("\"burst\";r=0;t=1"));
    assert_eq!(refused.get("cache-control"), Some("no-store"));
    let problem = refused.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"][0], "burst");
    assert_eq!(upstream.seen().len(), 3, "a refused request goes nowhere");
    hand.advance(Duration::from_secs(1));
    assert_eq!(gateway.get("/", &[]).status(), 200);
    assert_eq!(gateway.get("/", &[]).status(), 429);
}

/// R06: fifty at once, on several connections and both workers: exactly N.
#[test]
fn exactly_n_pass_under_concurrency() {
    for algorithm in ["token-bucket", "fixed-window", "sliding-window", "sliding-log"] {
        // The clock stands still, so that nothing refills and no window ends.
        let (clock, _hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let gateway = Gateway::with_clock(
            &format!(
                r#"
                [limits.exact]
                rate = "30/h"
                algorithm = "{algorithm}"
                [[routes]]
                path = "/**"
                respond = {{ status = 200 }}
                limits = ["exact"]
                "#
            ),
            clock,
        );
        let (passed, refused, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(50));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let mut client = Client::connect(gateway.address());
                    start.wait();
                    for _ in 0..4 {
                        match client.request("GET", "/", &[]).unwrap().status() {
                            200 => passed.fetch_add(1, Ordering::SeqCst),
                            429 => refused.fetch_add(1, Ordering::SeqCst),
                            status => panic!("{status}"),
                        };
                    }
                });
            }
        });
        assert_eq!((passed.into_inner(), refused.into_inner()), (30, 170), "{algorithm}");
    }
}

/// I06: counted by who the token says, and by nothing that a client can choose.
#[test]
fn each_identity_has_its_own_budget() {
    let gateway = Gateway::start(&format!(
        r#"
        {VERIFIER}
        [limits.each]
        rate = "2/h"
        [[routes]]
        path = "/me"
        respond = {{ status = 200 }}
        auth = "users"
        limits = ["each"]
        [[routes]]
        path = "/public"
        respond = {{ status = 200 }}
        auth = "none"
        limits = ["each"]
        "#
    ));
    let ask = |sub: &str, extra: &str| {
        gateway.get("/me", &[&format!("authorization: Bearer {}", token(sub)), extra]).status()
    };
    assert_eq!(
        [ask("ada", "x-a: 1"), ask("ada", "x-user-id: other"), ask("ada", "x-forwarded-for: 9.9.9.9")],
        [200, 200, 429]
    );
    assert_eq!(ask("grace", "x-a: 1"), 200);
    // Without an identity, the same rule counts by address: a budget of its own again.
    let public: Vec<u16> = (0..3).map(|_| gateway.get("/public", &[]).status()).collect();
    assert_eq!(public, [200, 200, 429]);
}

/// All limits of a request hold together, or none is spent; a named one is shared by the routes that name it.
#[test]
fn all_or_nothing_and_shared_by_name() {
    let (clock, _hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let gateway = Gateway::with_clock(
        r#"
        [limits.wide]
        rate = "10/h"
        key = "everyone"
        [limits.narrow]
        rate = "1/h"
        key = "everyone"
        [[routes]]
        path = "/both"
        respond = { status = 200 }
        limits = ["wide", "narrow"]
        [[routes]]
        path = "/wide"
        respond = { status = 200 }
        limits = ["wide"]
        [[routes]]
        path = "/own"
        respond = { status = 200 }
        limits = ["5/h"]
        "#,
        clock,
    );
    assert_eq!(gateway.get("/both", &[]).status(), 200);
    for _ in 0..5 {
        let refused = gateway.get("/both", &[]);
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.json()["violated-policies"][0], "narrow");
    }
    assert_eq!(gateway.get("/wide", &[]).get("x-ratelimit-remaining"), Some("8"), "the refused ones spent nothing");
    assert_eq!(gateway.get("/own", &[]).get("x-ratelimit-remaining"), Some("4"));
}

#[test]
fn a_cost_and_the_chosen_headers() {
    let gateway = Gateway::start(
        r#"
        listen = ["127.0.0.1:0"]
        [server]
        rate_limit_headers = ["ratelimit"]
        [log]
        access = "off"
        [admin]
        listen = ""
        [limits.dear]
        rate = "10/h"
        cost = 4
        [[routes]]
        path = "/**"
        respond = { status = 200 }
        limits = ["dear"]
        "#,
    );
    let answers: Vec<_> = (0..3).map(|_| gateway.get("/", &[])).collect();
    assert_eq!(answers.iter().map(portcullis_suite::Message::status).collect::<Vec<_>>(), [200, 200, 429]);
    assert!(
        answers.iter().all(|answer| answer.get("x-ratelimit-limit").is_none() && answer.get("ratelimit").is_some())
    );
}

/// Counters survive a reload, and a changed rate reads the kept cells.
#[test]
fn a_reload_resets_nothing() {
    let (clock, _hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let with = |rate: &str| {
        format!(
            "[limits.kept]\nrate = \"{rate}\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\nlimits = [\"kept\"]\n"
        )
    };
    let mut gateway = Gateway::with_clock(&with("5/h"), clock);
    for _ in 0..5 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    gateway.reload(&with("5/h")).unwrap();
    assert_eq!(gateway.get("/", &[]).status(), 429);
    gateway.reload(&with("6/h")).unwrap();
    let after = [gateway.get("/", &[]).status(), gateway.get("/", &[]).status(), gateway.get("/", &[]).status()];
    assert!(after.iter().filter(|status| **status == 200).count() <= 1, "no free burst: {after:?}");
}

/// Limits written inside routes are each route's own, however alike the routes are.
#[test]
fn limits_inside_routes_are_their_own() {
    let gateway = Gateway::start(
        r#"
        [[routes]]
        path = "/a"
        hosts = ["one.test"]
        respond = { status = 200 }
        limits = ["9/h", "2/h"]
        [[routes]]
        path = "/a"
        hosts = ["two.test"]
        respond = { status = 200 }
        limits = ["2/h"]
        "#,
    );
    let ask = |host: &str| gateway.get("/a", &[&format!("host: {host}")]).status();
    assert_eq!([ask("one.test"), ask("one.test"), ask("one.test")], [200, 200, 429]);
    assert_eq!([ask("two.test"), ask("two.test"), ask("two.test")], [200, 200, 429]);
}
