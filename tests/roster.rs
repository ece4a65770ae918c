//! Servers that fail or are unhealthy are left alone, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_suite::{Gateway, Reply, Upstream, eventually};

fn app(settings: &str, upstreams: &[&Upstream]) -> String {
    let servers: Vec<_> = upstreams.iter().map(|upstream| format!("\"{}\"", upstream.url())).collect();
    format!(
        "[upstreams.app]\nservers = [{}]\nbalance = \"round-robin\"\nretries = 0\nbreaker = {{ failures = 1000 }}\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        servers.join(", ")
    )
}

/// What the operator sees of the server in this place.
fn state(gateway: &Gateway, place: usize) -> String {
    let all: serde_json::Value = serde_json::from_str(&gateway.admin("/api/upstreams").text()).unwrap();
    all["upstreams"][0]["servers"][place]["state"].as_str().unwrap().to_owned()
}

#[test]
fn who_fails_is_ejected_and_comes_back() {
    let well = Arc::new(AtomicBool::new(false));
    let bad = Upstream::start({
        let well = Arc::clone(&well);
        move |_| if well.load(Ordering::SeqCst) { Reply::ok("back") } else { Reply::status(503, "no") }
    });
    let good = Upstream::start(|_| Reply::ok("good"));
    let gateway = Gateway::start(&app("eject = { failures = 3, for = \"200ms\" }", &[&bad, &good]));
    eventually("it is left alone", || {
        gateway.get("/", &[]);
        state(&gateway, 0) == "ejected"
    });
    let metrics = gateway.admin("/metrics").text();
    assert!(metrics.contains("portcullis_server_ejections_total{upstream=\"app\",server=\""), "{metrics}");
    well.store(true, Ordering::SeqCst);
    eventually("it is back", || gateway.get("/", &[]).text() == "back");
}

/// Its checks fail, while it would answer requests: it gets none. Checks go over connections of their own.
#[test]
fn who_is_unhealthy_is_left_alone_and_comes_back() {
    let (well, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let ill = Upstream::start({
        let (well, asked) = (Arc::clone(&well), Arc::clone(&asked));
        move |request| match request.target() {
            "/health" if well.load(Ordering::SeqCst) => Reply::ok("well"),
            "/health" => Reply::status(500, "ill"),
            _ => {
                asked.fetch_add(1, Ordering::SeqCst);
                Reply::ok("ill")
            }
        }
    });
    let good = Upstream::start(|_| Reply::ok("good"));
    let health = "health = { path = \"/health\", interval = \"20ms\", timeout = \"1s\" }";
    let gateway = Gateway::start(&app(health, &[&ill, &good]));
    eventually("it is asked", || gateway.get("/", &[]).text() == "ill");
    well.store(false, Ordering::SeqCst);
    eventually("it is out", || state(&gateway, 0) == "unhealthy");
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(gateway.get("/", &[]).text(), "good");
    }
    assert_eq!(asked.load(Ordering::SeqCst), before);
    assert!(gateway.admin("/api/upstreams").text().contains("status 500"));
    well.store(true, Ordering::SeqCst);
    eventually("it is asked", || gateway.get("/", &[]).text() == "ill");
}

/// Every second check fails: that is not as many in a row as it takes. As many are, once they all do.
#[test]
fn who_passes_every_second_check_stays() {
    let (checks, ill) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let flaky = Upstream::start({
        let (checks, ill) = (Arc::clone(&checks), Arc::clone(&ill));
        move |request| match request.target() {
            "/health" if checks.fetch_add(1, Ordering::SeqCst) % 2 == 1 || ill.load(Ordering::SeqCst) => {
                Reply::status(500, "ill")
            }
            _ => Reply::ok("flaky"),
        }
    });
    let good = Upstream::ok();
    let health = "health = { path = \"/health\", interval = \"5ms\", timeout = \"1s\", unhealthy = 2 }";
    let gateway = Gateway::start(&app(health, &[&flaky, &good]));
    eventually("it was checked often", || {
        assert_eq!(state(&gateway, 0), "ready");
        checks.load(Ordering::SeqCst) > 30
    });
    ill.store(true, Ordering::SeqCst);
    eventually("it is out", || state(&gateway, 0) == "unhealthy");
}

/// U11: a check that hangs has failed in time, and keeps no request waiting.
#[test]
fn a_check_that_hangs_has_failed() {
    let script = |name: &'static str, hangs: bool| {
        Upstream::start(move |request| match request.target() {
            "/health" if hangs => Reply::Silence,
            _ => Reply::ok(name),
        })
    };
    let (ill, good) = (script("ill", true), script("good", false));
    let health = "health = { path = \"/health\", interval = \"20ms\", timeout = \"50ms\", unhealthy = 2 }";
    let gateway = Gateway::start(&app(health, &[&ill, &good]));
    eventually("it is out", || state(&gateway, 0) == "unhealthy");
    for _ in 0..10 {
        assert_eq!(gateway.get("/", &[]).text(), "good");
    }
    assert!(gateway.admin("/api/upstreams").text().contains("no answer within 50ms"));
}

/// U11: with all of them down a refusal is quick, and they are asked all the same; the first that answers is there at once.
#[test]
fn where_all_are_down_they_are_asked_all_the_same() {
    let down = Arc::new(AtomicBool::new(true));
    let server = || {
        let down = Arc::clone(&down);
        Upstream::start(move |_| if down.load(Ordering::SeqCst) { Reply::status(503, "down") } else { Reply::ok("up") })
    };
    let (one, other) = (server(), server());
    let health = "health = { path = \"/health\", interval = \"20ms\", timeout = \"1s\", unhealthy = 1, healthy = 1 }";
    let gateway = Gateway::start(&app(health, &[&one, &other]));
    eventually("both are out", || (0..2).all(|place| state(&gateway, place) == "unhealthy"));
    assert_eq!(gateway.get("/", &[]).text(), "down", "somebody is asked");
    assert!(gateway.admin("/api/upstreams").text().contains("\"panicking\":true"));
    down.store(false, Ordering::SeqCst);
    assert_eq!(gateway.get("/", &[]).text(), "up", "before any check says so");
    eventually("they are well", || gateway.admin("/api/upstreams").text().contains("\"panicking\":false"));
}

/// A reload keeps what is known of servers that stay, and forgets those that go.
#[test]
fn a_reload_keeps_the_standing_of_servers_that_stay() {
    let (bad, good) = (Upstream::start(|_| Reply::status(503, "no")), Upstream::ok());
    let eject = "eject = { failures = 2, for = \"1h\" }";
    let mut gateway = Gateway::start(&app(eject, &[&bad, &good]));
    eventually("it is left alone", || {
        gateway.get("/", &[]);
        state(&gateway, 0) == "ejected"
    });
    let third = Upstream::ok();
    gateway.reload(&app(eject, &[&bad, &good, &third])).unwrap();
    assert_eq!(state(&gateway, 0), "ejected");
    let before = bad.seen().len();
    for _ in 0..10 {
        assert_eq!(gateway.get("/", &[]).status(), 200);
    }
    assert_eq!(bad.seen().len(), before);
    gateway.reload(&app("eject = \"off\"", &[&bad, &good])).unwrap();
    eventually("it is asked", || gateway.get("/", &[]).status() == 503);
}
