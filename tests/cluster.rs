//! Gateways that share their limits in Redis; a real one, which each test starts.

use std::thread;

use portcullis_redis::testing::Server;
use portcullis_suite::{Client, Gateway, eventually};

/// A gateway that counts a limit in this Redis.
fn text(store: &str, limit: &str) -> String {
    format!(
        "[store]\nurl = \"{store}\"\ntimeout = \"1s\"\n[[routes]]\npath = \"/**\"\n\
         limits = [{{ rate = \"{limit}\", key = \"header:x-who\", algorithm = \"fixed-window\" }}]\n\
         respond = {{ body = \"ok\" }}\n"
    )
}

fn status(gateway: &Gateway, who: &str) -> u16 {
    gateway.get("/", &[&format!("x-who: {who}")]).status()
}

/// How many of `times` requests one gateway lets through.
fn admitted(gateway: &Gateway, who: &str, times: usize) -> usize {
    (0..times).filter(|_| status(gateway, who) == 200).count()
}

fn state(gateway: &Gateway, state: &str) -> bool {
    gateway.metric(&format!("portcullis_store_state{{state=\"{state}\"}}")) == Some(1.0)
}

/// Four gateways and as many clients as there may be: exactly the limit passes, and no less.
#[test]
fn gateways_share_one_budget_to_the_last_request() {
    let redis = Server::start();
    let gateways: Vec<_> = (0..4).map(|_| Gateway::start(&text(&redis.url(), "100/day"))).collect();
    let ask = |address| {
        let mut client = Client::connect(address);
        (0..10)
            .filter(|_| client.request("GET", "/", &["x-who: ada"]).is_some_and(|answer| answer.status() == 200))
            .count()
    };
    let admitted: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|number| {
                let address = gateways[number % 4].address();
                scope.spawn(move || ask(address))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(admitted, 100);
    assert_eq!(status(&gateways[3], "grace"), 200, "who is somebody else");
    eventually("they know of each other", || {
        gateways.iter().all(|gateway| gateway.metric("portcullis_store_nodes") == Some(4.0))
    });
    let decided: f64 =
        gateways.iter().filter_map(|gateway| gateway.metric("portcullis_store_decisions_total{by=\"store\"}")).sum();
    assert_eq!(decided, 641.0);
    assert_eq!(gateways[0].admin("/readyz").text(), "ready\n");
}

/// With an overshoot gateways decide ahead, in one command for many requests, and never more than it allows.
#[test]
fn gateways_decide_ahead_within_the_overshoot() {
    let redis = Server::start();
    let text = text(&redis.url(), "2000/day").replace("rate =", "max_overshoot = 0.1, rate =");
    let nodes: Vec<_> = (0..2).map(|_| Gateway::start(&text)).collect();
    let ahead = |node: &Gateway| node.metric("portcullis_store_decisions_total{by=\"lease\"}").unwrap_or_default();
    for node in &nodes {
        eventually("it has its part", || {
            status(node, "somebody");
            ahead(node) > 0.0
        });
    }
    let admitted = |node: &Gateway, who: &'static str| {
        let mut client = Client::connect(node.address());
        (0..2_500)
            .filter(|_| {
                let answer = client.request("GET", "/", &[&format!("x-who: {who}")]);
                answer.is_some_and(|answer| answer.status() == 200)
            })
            .count()
    };
    let before: f64 = nodes.iter().map(ahead).sum();
    let sum: usize = thread::scope(|scope| {
        let clients = [&nodes[0], &nodes[1]].map(|node| scope.spawn(move || admitted(node, "ada")));
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    // What nobody used is no more than what may be held.
    assert!((1_900..=2_200).contains(&sum), "{sum}");
    let decided = nodes.iter().map(ahead).sum::<f64>() - before;
    assert!(decided > 4_000.0, "{decided} of 5000 were decided ahead");
    assert_eq!(status(&nodes[0], "grace"), 200, "who is somebody else");
}

/// R08: with Redis gone each node goes on with its share, from what it has let through itself; with Redis back nobody is reset.
#[test]
fn without_redis_each_node_has_its_share_and_nobody_is_reset() {
    let redis = Server::start();
    let nodes: Vec<_> = (0..2).map(|_| Gateway::start(&text(&redis.url(), "10/day"))).collect();
    eventually("they know of each other", || {
        nodes.iter().all(|node| node.metric("portcullis_store_nodes") == Some(2.0))
    });
    assert_eq!((admitted(&nodes[0], "ada", 2), admitted(&nodes[1], "ada", 1)), (2, 1));
    redis.hang();
    // Who comes first waits as long as anybody may; from then on nobody waits.
    eventually("it is lost", || {
        status(&nodes[0], "somebody");
        state(&nodes[0], "lost")
    });
    eventually("it is lost", || {
        status(&nodes[1], "somebody");
        state(&nodes[1], "lost")
    });
    assert_eq!(
        (admitted(&nodes[0], "ada", 10), admitted(&nodes[1], "ada", 10)),
        (3, 4),
        "five each, less what they had"
    );
    let ready = nodes[0].admin("/readyz");
    assert_eq!(ready.status(), 200);
    assert!(ready.text().contains("degraded: the store of limits has been lost for"), "{}", ready.text());
    assert!(ready.text().contains("a share being one of 2"), "{}", ready.text());
    redis.go_on();
    eventually("it is back", || nodes.iter().all(|node| state(node, "shared")));
    // What passed meanwhile is counted there too: ten in all, and no more.
    assert_eq!((admitted(&nodes[0], "ada", 20), admitted(&nodes[1], "ada", 20)), (0, 0));
    assert_eq!(admitted(&nodes[1], "grace", 20), 10, "nobody else is the poorer");
}

/// The same for a bucket, whose share fills more slowly: what a node has let through of the whole it has no more of its share.
#[test]
fn what_was_spent_of_a_bucket_is_spent_of_its_share() {
    let redis = Server::start();
    let text = text(&redis.url(), "10/day").replace("fixed-window", "token-bucket");
    let nodes: Vec<_> = (0..2).map(|_| Gateway::start(&text)).collect();
    eventually("they know of each other", || {
        nodes.iter().all(|node| node.metric("portcullis_store_nodes") == Some(2.0))
    });
    assert_eq!(admitted(&nodes[0], "ada", 4), 4);
    redis.hang();
    for node in &nodes {
        eventually("it is lost", || {
            status(node, "somebody");
            state(node, "lost")
        });
    }
    assert_eq!((admitted(&nodes[0], "ada", 10), admitted(&nodes[1], "ada", 10)), (1, 5));
}

/// What a limit says of a store that does not decide holds for a gateway that never reached it, too; and it comes into use when it is there.
#[test]
fn a_gateway_starts_without_redis() {
    let mut redis = Server::start();
    redis.kill();
    let share = Gateway::start(&text(&redis.url(), "3/day"));
    assert_eq!(admitted(&share, "ada", 10), 3);
    let route =
        |on_failure: &str| text(&redis.url(), "3/day").replace("rate", &format!("on_failure = \"{on_failure}\", rate"));
    let (deny, allow) = (Gateway::start(&route("deny")), Gateway::start(&route("allow")));
    let refused = deny.get("/", &["x-who: ada"]);
    assert_eq!((refused.status(), refused.json()["code"].as_str()), (503, Some("store-unavailable")));
    assert!(refused.get("retry-after").is_some());
    assert_eq!(admitted(&allow, "ada", 10), 10);
    assert!(share.admin("/readyz").text().contains("degraded: the store of limits was never reached"));
    redis.start_again();
    eventually("it is there", || [&share, &deny, &allow].iter().all(|node| state(node, "shared")));
    assert_eq!(admitted(&deny, "grace", 10), 3);
}

/// A wrong password, a store that refuses: said in the log once, and the gateway goes on.
#[test]
fn a_wrong_password_is_no_reason_to_be_down() {
    let redis = Server::on_port(&["--requirepass", "right"]);
    let with = |password: &str| redis.url().replace("redis://", &format!("redis://:{password}@"));
    let wrong = Gateway::start(&text(&with("wrong"), "3/day"));
    assert_eq!((admitted(&wrong, "ada", 10), state(&wrong, "connecting")), (3, true));
    let right = Gateway::start(&text(&with("right"), "3/day"));
    assert!(state(&right, "shared"));
    assert_eq!(admitted(&right, "ada", 10), 3);
}
