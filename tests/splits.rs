//! Several upstreams on one route: shares, what sticks, and that each is an upstream like any other.

use portcullis_suite::{Gateway, Reply, Upstream, token};

/// An upstream that says its name.
fn named(name: &'static str) -> Upstream {
    Upstream::start(move |_| Reply::ok(name))
}

/// A gateway with the upstreams `orders` and `next`, and one route for all.
fn gateway(orders: &str, next: &str, route: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstreams.orders]
        servers = ["{orders}"]
        [upstreams.next]
        servers = ["{next}"]
        breaker = {{ failures = 2 }}
        [[routes]]
        name = "split"
        path = "/**"
        {route}
        "#
    ))
}

#[test]
fn a_cookie_sticks_and_weights_are_shares() {
    let (orders, next) = (named("orders"), named("next"));
    let route = r#"split = { by = "cookie:session", to = [{ upstream = "orders", weight = 80 }, { upstream = "next", weight = 20 }] }"#;
    let gateway = gateway(&orders.url(), &next.url(), route);
    let ask = |session: u32, path: &str| gateway.get(path, &[&format!("cookie: a=b; session={session}")]).text();
    let first: Vec<_> = (0..60).map(|session| ask(session, "/a")).collect();
    let again: Vec<_> = (0..60).map(|session| ask(session, "/b?c")).collect();
    assert_eq!(first, again, "whatever else the request says");
    // For these sixty values the choice is fixed, on every machine.
    let next = first.iter().filter(|name| *name == "next").count();
    assert!((4..=24).contains(&next), "{next}");
}

#[test]
fn what_a_verifier_vouches_for_sticks_too() {
    let (orders, next) = (named("orders"), named("next"));
    let text = format!(
        r#"
        [upstreams]
        orders = ["{}"]
        next = ["{}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        [[routes]]
        path = "/**"
        auth = "users"
        split = {{ by = "identity", to = ["orders", "next"] }}
        "#,
        orders.url(),
        next.url()
    );
    let gateway = Gateway::start(&text);
    let ask = |sub: &str| gateway.get("/", &[&format!("authorization: Bearer {}", token(sub))]).text();
    let first: Vec<_> = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"].map(ask).to_vec();
    assert_eq!(first, ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"].map(ask));
    assert!(first.iter().any(|name| *name == "orders") && first.iter().any(|name| *name == "next"), "{first:?}");
}

#[test]
fn without_what_it_sticks_to_chance_decides() {
    let (orders, next) = (named("orders"), named("next"));
    for route in [
        r#"split = [{ upstream = "orders", weight = 1 }, { upstream = "next", weight = 1 }]"#,
        r#"split = { by = "cookie:session", to = ["orders", "next"] }"#,
    ] {
        let gateway = gateway(&orders.url(), &next.url(), route);
        // Two hundred times the same upstream by chance: once in 2^199 runs.
        let answers: Vec<_> = (0..200).map(|_| gateway.get("/", &[]).text()).collect();
        assert!(answers.iter().any(|name| name == "orders") && answers.iter().any(|name| name == "next"), "{route}");
    }
}

#[test]
fn no_weight_no_requests() {
    let (orders, next) = (named("orders"), named("next"));
    let route =
        r#"split = { by = "path", to = [{ upstream = "orders", weight = 1 }, { upstream = "next", weight = 0 }] }"#;
    let gateway = gateway(&orders.url(), &next.url(), route);
    assert!((0..50).all(|n| gateway.get(&format!("/{n}"), &[]).text() == "orders"));
    assert!(next.seen().is_empty());
}

/// Each is an upstream like any other: rewritten to, with a breaker and a series of its own, and nobody stands in for it.
#[test]
fn each_share_is_an_upstream_of_its_own() {
    let orders = Upstream::start(|request| Reply::ok(request.target()));
    let next = Upstream::start(|_| Reply::status(503, "down"));
    let route = "split = { by = \"query:to\", to = [\"orders\", \"next\"] }\nrewrite = \"/v2{path}\"";
    let gateway = gateway(&orders.url(), &next.url(), route);
    // One value for each of the two.
    let mut values = (0..64).map(|n| (n, gateway.get(&format!("/a?to={n}"), &[]).text()));
    let (good, text) = values.find(|(_, text)| text != "down").unwrap();
    assert_eq!(text, format!("/v2/a?to={good}"));
    let bad = (0..64).find(|n| gateway.get(&format!("/a?to={n}"), &[]).status() == 503).unwrap();
    for _ in 0..3 {
        assert_eq!(gateway.get(&format!("/a?to={bad}"), &[]).status(), 503);
    }
    let refused = gateway.get(&format!("/a?to={bad}"), &[]);
    assert_eq!(refused.json()["code"], "circuit-open", "two failures open its breaker");
    assert_eq!(gateway.get(&format!("/a?to={good}"), &[]).status(), 200, "and not the other's");
    let attempts = |name: &str| gateway.metric(&format!("portcullis_upstream_attempts_total{{upstream=\"{name}\"}}"));
    assert_eq!(attempts("next"), Some(4.0), "each was sent again once");
    assert!(attempts("orders").unwrap() >= 2.0);
    assert_eq!(next.seen().len(), 4);
}

/// The line of a request says which one it was.
#[test]
fn the_log_says_which_it_was() {
    let (orders, next) = (named("orders"), named("next"));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = {{ listen = \"\" }}\nlog = {{ access = \"{}\", format = \"json\" }}\n\
         upstreams = {{ orders = [\"{}\"], next = [\"{}\"] }}\n\
         routes = [{{ path = \"/**\", split = {{ by = \"path\", to = [\"orders\", \"next\"] }} }}]\n",
        log.display(),
        orders.url(),
        next.url()
    ));
    let answers: Vec<_> = (0..20).map(|n| gateway.get(&format!("/{n}"), &[]).text()).collect();
    assert!(gateway.shutdown());
    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    for line in &lines {
        let number: usize = line["path"].as_str().unwrap()[1..].parse().unwrap();
        assert_eq!(line["upstream"], *answers[number], "{line}");
    }
}

/// A changed weight moves nobody but to the upstream that got more, across a reload too.
#[test]
fn a_changed_weight_moves_only_what_it_must() {
    let (orders, next) = (named("orders"), named("next"));
    let text = |weight: u32| {
        format!(
            "[upstreams]\norders = [\"{}\"]\nnext = [\"{}\"]\n[[routes]]\npath = \"/**\"\nsplit = {{ by = \"header:x-user\", \
             to = [{{ upstream = \"orders\", weight = 50 }}, {{ upstream = \"next\", weight = {weight} }}] }}\n",
            orders.url(),
            next.url()
        )
    };
    let mut gateway = Gateway::start(&text(10));
    let all = |gateway: &Gateway| -> Vec<String> {
        (0..60).map(|user| gateway.get("/", &[&format!("x-user: {user}")]).text()).collect()
    };
    let before = all(&gateway);
    gateway.reload(&text(50)).unwrap();
    let after = all(&gateway);
    assert!(before.iter().zip(&after).all(|(was, is)| was == is || is == "next"));
    assert_ne!(before, after, "some move");
}
