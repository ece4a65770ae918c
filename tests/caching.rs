//! What is stored answers in the upstream's place: when, how, and when not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_core::time::{Clock, ManualClock, UnixTime};
use portcullis_suite::{Client, Gateway, Message, Reply, Upstream, eventually, token};

/// An answer with these fields.
fn answer(fields: &str, body: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()))
}

/// An upstream whose every answer is another one, with these fields.
fn counting(fields: &'static str) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |_| answer(fields, &format!("answer {}", count.fetch_add(1, Ordering::SeqCst))))
}

/// A gateway that keeps the answers of one upstream as the route's `cache` says.
fn gateway(upstream: &Upstream, cache: &str) -> Gateway {
    Gateway::start(&config(&upstream.url(), cache))
}

fn config(upstream: &str, cache: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{upstream}\"]\nretries = 0\n[[routes]]\nname = \"all\"\npath = \"/**\"\nupstream = \"app\"\n{cache}\n"
    )
}

/// The same by a clock that the test moves.
fn timed(upstream: &Upstream, cache: &str) -> (Gateway, ManualClock) {
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_790_000_000));
    (Gateway::with_clock(&config(&upstream.url(), cache), clock), hand)
}

fn said(answer: &Message) -> String {
    answer.get("cache-status").unwrap_or("nothing").to_owned()
}

const ON: &str = "cache = \"on\"";

#[test]
fn what_is_fresh_is_asked_for_once() {
    let upstream = counting("cache-control: max-age=60\r\netag: \"1\"\r\nx-other: kept\r\n");
    let (gateway, hand) = timed(&upstream, ON);
    let first = gateway.get("/tea?x=1", &[]);
    assert_eq!(
        (first.text(), said(&first)),
        ("answer 0".to_owned(), "Portcullis; fwd=uri-miss; ttl=60; stored".to_owned())
    );
    assert_eq!(first.get("age"), None);
    eventually("it is stored", || said(&gateway.get("/tea?x=1", &[])).contains("hit"));
    hand.advance(Duration::from_secs(7));
    let mut client = Client::connect(gateway.address());
    for _ in 0..3 {
        let hit = client.request("GET", "/tea?x=1", &[]).unwrap();
        assert_eq!(
            (hit.status(), hit.text(), said(&hit)),
            (200, "answer 0".to_owned(), "Portcullis; hit; ttl=53".to_owned())
        );
        assert_eq!(
            (hit.get("age"), hit.get("x-other"), hit.get("content-length")),
            (Some("7"), Some("kept"), Some("8"))
        );
        assert_eq!((hit.all("date").count(), hit.all("etag").count(), hit.all("x-request-id").count()), (1, 1, 1));
    }
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(gateway.get("/tea?x=2", &[]).text(), "answer 1", "the query is part of the key");
    assert_eq!(gateway.get("/tea?x=1", &["host: other.test"]).text(), "answer 2", "so is the host");
    hand.advance(Duration::from_secs(53));
    let stale = gateway.get("/tea?x=1", &[]);
    assert_eq!(stale.text(), "answer 3");
    assert!(said(&stale).contains("fwd=stale"), "{}", said(&stale));
    let count =
        |outcome| gateway.metric(&format!("portcullis_cache_requests_total{{route=\"all\",outcome=\"{outcome}\"}}"));
    assert!(count("hit").unwrap() >= 4.0 && count("miss").unwrap() >= 4.0 && count("bypass") == Some(0.0));
    assert!(gateway.metric("portcullis_cache_sent_bytes_total{route=\"all\"}").unwrap() >= 32.0);
}

/// Waits until what `target` was answered with is stored.
fn stored(gateway: &Gateway, target: &str, fields: &[&str]) -> Message {
    gateway.get(target, fields);
    let mut last = None;
    eventually("it is stored", || {
        let answer = gateway.get(target, fields);
        let is_hit = said(&answer).contains("hit");
        last = Some(answer);
        is_hit
    });
    last.unwrap()
}

#[test]
fn nothing_is_stored_that_may_not_be() {
    for fields in [
        "",
        "cache-control: no-store, max-age=60\r\n",
        "cache-control: private, max-age=60\r\n",
        "cache-control: max-age=60\r\nset-cookie: a=b\r\n",
        "cache-control: max-age=60\r\nvary: *\r\n",
        "cache-control: max-age=60\r\nvary: x-forwarded-for\r\n",
        "cache-control: max-age=0\r\n",
    ] {
        let upstream = counting(fields);
        let gateway = gateway(&upstream, ON);
        let answers: Vec<_> = (0..3).map(|_| gateway.get("/", &[])).collect();
        let texts: Vec<_> = answers.iter().map(Message::text).collect();
        assert_eq!(texts, ["answer 0", "answer 1", "answer 2"], "{fields}");
        assert!(answers.iter().all(|answer| said(answer).contains("fwd=uri-miss")), "{fields}: {answers:#?}");
    }
}

/// C12: what is no success is stored only where its origin says so.
#[test]
fn errors_are_not_stored() {
    for status in [401, 403, 429, 500, 503] {
        let upstream = Upstream::start(move |_| Reply::status(status, "no"));
        let gateway = gateway(&upstream, "cache = { ttl = \"60s\" }");
        (0..3).for_each(|_| assert_eq!(gateway.get("/", &[]).status(), status));
        assert_eq!(upstream.seen().len(), 3, "{status}");
    }
    let upstream = Upstream::start(|_| Reply::status(404, "not here"));
    let gateway = gateway(&upstream, "cache = { ttl = \"60s\" }");
    assert_eq!(stored(&gateway, "/", &[]).status(), 404);
}

#[test]
fn variants_are_kept_apart() {
    let upstream = Upstream::start(|request| {
        let language = request.get("accept-language").unwrap_or("none").to_owned();
        answer("cache-control: max-age=60\r\nvary: Accept-Language\r\n", &language)
    });
    let gateway = gateway(&upstream, ON);
    for _ in 0..2 {
        for language in ["de", "en", "fr"] {
            assert_eq!(stored(&gateway, "/", &[&format!("accept-language: {language}")]).text(), language);
        }
        assert_eq!(stored(&gateway, "/", &[]).text(), "none", "absence is a value");
    }
    assert_eq!(upstream.seen().len(), 4);
    let other = gateway.get("/", &["accept-language: it"]);
    assert!(said(&other).contains("fwd=vary-miss"), "{}", said(&other));
}

/// C14: conditions of a client are answered from what is stored, and do not reach the upstream.
#[test]
fn a_client_that_has_it_already_gets_304() {
    let upstream =
        counting("cache-control: max-age=60\r\netag: \"1\"\r\nlast-modified: Tue, 24 Nov 2026 00:00:00 GMT\r\n");
    let gateway = gateway(&upstream, ON);
    let first = gateway.get("/", &["if-none-match: \"1\""]);
    assert_eq!((first.status(), first.text()), (304, String::new()), "also while it is on its way");
    assert_eq!(upstream.only().get("if-none-match"), None);
    stored(&gateway, "/", &[]);
    let mut client = Client::connect(gateway.address());
    for condition in [
        "if-none-match: W/\"1\"",
        "if-none-match: \"0\", \"1\"",
        "if-none-match: *",
        "if-modified-since: Tue, 24 Nov 2026 00:00:00 GMT",
    ] {
        let answer = client.request("GET", "/", &[condition]).unwrap();
        assert_eq!((answer.status(), answer.get("etag"), answer.get("content-type")), (304, Some("\"1\""), None));
        assert!(said(&answer).contains("hit") && answer.get("age").is_some());
    }
    assert_eq!(client.request("GET", "/", &["if-none-match: \"2\""]).unwrap().text(), "answer 0");
    assert_eq!(upstream.seen().len(), 1);
}

/// C06: a part of what is stored whole; what comes in parts is never stored.
#[test]
fn parts_come_from_what_is_whole() {
    let upstream = counting("cache-control: max-age=60\r\netag: \"1\"\r\n");
    let gateway = gateway(&upstream, ON);
    stored(&gateway, "/", &[]);
    let mut client = Client::connect(gateway.address());
    let mut ask = |range: &str| client.request("GET", "/", &[&format!("range: {range}")]).unwrap();
    let part = ask("bytes=2-4");
    assert_eq!((part.status(), part.text(), part.get("content-range")), (206, "swe".to_owned(), Some("bytes 2-4/8")));
    assert_eq!(ask("bytes=-3").text(), "r 0");
    let behind = ask("bytes=8-");
    assert_eq!((behind.status(), behind.get("content-range"), behind.text()), (416, Some("bytes */8"), String::new()));
    let several: Vec<_> = (0..1000).map(|_| "0-1").collect();
    assert_eq!((ask(&format!("bytes={}", several.join(","))).status(), ask("bytes=0-7").status()), (200, 206));
    assert_eq!(upstream.seen().len(), 1);

    let partial = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\ncontent-range: bytes 0-1/8\r\ncontent-length: 2\r\n\r\nan",
        )
    });
    let gateway = self::gateway(&partial, ON);
    (0..2).for_each(|_| assert_eq!(gateway.get("/", &["range: bytes=0-1"]).status(), 206));
    assert_eq!(partial.seen().len(), 2);
    assert!(partial.seen().iter().all(|request| request.get("range") == Some("bytes=0-1")));
}

/// C07: HEAD is answered from what GET stored, and stores nothing.
#[test]
fn head_uses_what_get_stored() {
    let upstream = Upstream::start(|request| {
        let tag = if request.target() == "/other" && request.method() == "HEAD" { "\"2\"" } else { "\"1\"" };
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\netag: {tag}\r\ncontent-length: 4\r\n\r\n");
        Reply::raw(if request.method() == "HEAD" { head } else { head + "body" })
    });
    let gateway = gateway(&upstream, ON);
    let head = |target: &str, fields: &[&str]| Client::ask(gateway.address(), "HEAD", target, fields);
    assert!(said(&head("/", &[])).contains("fwd=uri-miss"));
    assert!(said(&gateway.get("/", &[])).contains("fwd=uri-miss"), "HEAD stored nothing");
    stored(&gateway, "/", &[]);
    let mut client = Client::connect(gateway.address());
    for _ in 0..2 {
        let hit = client.request("HEAD", "/", &[]).unwrap();
        assert_eq!((hit.get("content-length"), said(&hit).contains("hit")), (Some("4"), true));
        assert_eq!(client.request("GET", "/", &[]).unwrap().text(), "body");
    }
    stored(&gateway, "/other", &[]);
    assert!(said(&head("/other", &["cache-control: no-cache"])).contains("fwd=request"));
    assert!(!said(&gateway.get("/other", &[])).contains("hit"), "what HEAD contradicted is gone");
}

#[test]
fn who_wants_only_what_is_stored_gets_504() {
    let upstream = counting("cache-control: max-age=60\r\n");
    let gateway = gateway(&upstream, ON);
    let absent = gateway.get("/", &["cache-control: only-if-cached"]);
    assert_eq!((absent.status(), absent.json()["code"].as_str()), (504, Some("not-stored")));
    assert!(absent.get("cache-status").is_some() && upstream.seen().is_empty());
    stored(&gateway, "/", &[]);
    assert_eq!(gateway.get("/", &["cache-control: only-if-cached"]).text(), "answer 0");
}

#[test]
fn a_client_may_ask_for_what_is_confirmed() {
    let upstream = Upstream::start(|request| match request.get("if-none-match") {
        Some("\"1\"") => {
            Reply::raw("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncache-control: max-age=90\r\nx-new: yes\r\n\r\n")
        }
        _ => answer("cache-control: max-age=60\r\netag: \"1\"\r\n", "body"),
    });
    let (gateway, hand) = timed(&upstream, ON);
    stored(&gateway, "/", &[]);
    let confirmed = gateway.get("/", &["cache-control: no-cache"]);
    assert_eq!((confirmed.status(), confirmed.text(), confirmed.get("x-new")), (200, "body".to_owned(), Some("yes")));
    assert_eq!(said(&confirmed), "Portcullis; fwd=request; fwd-status=304; ttl=90");
    hand.advance(Duration::from_secs(80));
    let hit = gateway.get("/", &[]);
    assert_eq!(
        (said(&hit), hit.get("x-new"), hit.get("age")),
        ("Portcullis; hit; ttl=10".to_owned(), Some("yes"), Some("80"))
    );
    hand.advance(Duration::from_secs(11));
    assert_eq!(said(&gateway.get("/", &[])), "Portcullis; fwd=stale; fwd-status=304; ttl=90");
    assert_eq!(upstream.seen().len(), 3);
}

/// What another cache before us confirms is as old as it says.
#[test]
fn a_304_has_an_age_of_its_own() {
    let upstream = Upstream::start(|request| match request.get("if-none-match") {
        Some(_) => Reply::raw("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\nage: 50\r\n\r\n"),
        _ => answer("cache-control: max-age=60\r\netag: \"1\"\r\n", "body"),
    });
    let (gateway, hand) = timed(&upstream, ON);
    stored(&gateway, "/", &[]);
    hand.advance(Duration::from_secs(61));
    let confirmed = gateway.get("/", &[]);
    assert_eq!((confirmed.text().as_str(), confirmed.get("age")), ("body", Some("50")));
    hand.advance(Duration::from_secs(11));
    gateway.get("/", &[]);
    assert_eq!(upstream.seen().len(), 3, "it was stale again");
}

/// A 304 for something else than was asked about confirms nothing: it is asked for anew, whole.
#[test]
fn a_304_for_something_else_confirms_nothing() {
    let upstream = Upstream::start(|request| match request.get("if-none-match") {
        Some(_) => Reply::raw("HTTP/1.1 304 Not Modified\r\netag: \"other\"\r\n\r\n"),
        _ => answer("cache-control: max-age=60\r\netag: \"1\"\r\n", "body"),
    });
    let gateway = gateway(&upstream, ON);
    stored(&gateway, "/", &[]);
    assert_eq!(gateway.get("/", &["cache-control: no-cache"]).text(), "body");
    let conditions: Vec<_> = upstream.seen().iter().map(|request| request.get("if-none-match").is_some()).collect();
    assert_eq!(conditions, [false, true, false]);
}

#[test]
fn stale_is_sent_while_it_is_asked_for_again() {
    let upstream = counting("cache-control: max-age=10, stale-while-revalidate=30\r\n");
    let (gateway, hand) = timed(&upstream, ON);
    stored(&gateway, "/", &[]);
    hand.advance(Duration::from_secs(15));
    let stale = gateway.get("/", &[]);
    assert_eq!((stale.text(), said(&stale)), ("answer 0".to_owned(), "Portcullis; hit; ttl=-5".to_owned()));
    eventually("it was asked for again", || gateway.get("/", &[]).text() == "answer 1");
    assert_eq!(upstream.seen().len(), 2);
    hand.advance(Duration::from_secs(45));
    assert_eq!(gateway.get("/", &[]).text(), "answer 2", "too stale for that");
}

/// Whoever finds it stale: what is asked for behind its back is all of it, to be kept.
#[test]
fn anybody_has_it_asked_for_again() {
    let upstream = counting("cache-control: max-age=10, stale-while-revalidate=30\r\n");
    let (gateway, hand) = timed(&upstream, ON);
    for (round, (method, fields)) in [("HEAD", &[][..]), ("GET", &["cache-control: no-store"])].iter().enumerate() {
        let path = format!("/{round}");
        let before = stored(&gateway, &path, &[]).text();
        hand.advance(Duration::from_secs(15));
        let stale = Client::ask(gateway.address(), method, &path, fields);
        assert_eq!(said(&stale), "Portcullis; hit; ttl=-5", "{method}");
        eventually("it is fresh again", || {
            let now = gateway.get(&path, &["cache-control: only-if-cached"]);
            now.text() != before && said(&now).contains("hit; ttl=10")
        });
        assert_eq!(upstream.seen().len(), 2 * (round + 1), "{method}");
        assert!(upstream.seen().iter().all(|request| request.method() == "GET"), "{method}");
    }
}

#[test]
fn stale_stands_in_for_an_upstream_that_failed() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("cache-control: max-age=10\r\n", "good"),
        _ => Reply::status(503, "ill"),
    });
    let text = config(&upstream.url(), "cache = { stale_if_error = \"1m\" }")
        .replace("retries = 0", "retries = 0\nbreaker = { failures = 3 }");
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_790_000_000));
    let gateway = Gateway::with_clock(&text, clock);
    stored(&gateway, "/", &[]);
    hand.advance(Duration::from_secs(20));
    for asked in [true, true, true, false, false] {
        let stale = gateway.get("/", &[]);
        let how = if asked {
            "Portcullis; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error"
        } else {
            "Portcullis; hit; ttl=-10"
        };
        assert_eq!((stale.text().as_str(), said(&stale).as_str()), ("good", how));
    }
    assert_eq!(upstream.seen().len(), 4, "three failures, and then the breaker is open");
    hand.advance(Duration::from_secs(51));
    assert_eq!(gateway.get("/", &[]).text(), "ill", "the window is over");
}

const USERS: &str = "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"${SECRET}\"\nissuer = \"any\"\naudience = \"any\"\nforward = { \"x-user-id\" = \"sub\" }\n";

/// C02: what an authorised request got is shared only where its origin says so, and kept apart where the route says so.
#[test]
fn what_one_person_got_is_not_for_others() {
    let echo = |fields: &'static str| {
        Upstream::start(move |request| answer(fields, request.get("x-user-id").unwrap_or("nobody")))
    };
    let (ada, bob) =
        (format!("authorization: Bearer {}", token("ada")), format!("authorization: Bearer {}", token("bob")));
    let run = |upstream: &Upstream, cache: &str| {
        Gateway::start(&format!("{USERS}{}auth = \"users\"\n", config(&upstream.url(), cache)))
    };
    let upstream = echo("cache-control: max-age=60\r\n");
    let gateway = run(&upstream, ON);
    for _ in 0..2 {
        assert_eq!((gateway.get("/", &[&ada]).text(), gateway.get("/", &[&bob]).text()), ("ada".into(), "bob".into()));
    }
    assert_eq!((gateway.get("/", &[]).status(), upstream.seen().len()), (401, 4));

    let upstream = echo("cache-control: max-age=60, public\r\n");
    let gateway = run(&upstream, ON);
    stored(&gateway, "/", &[&ada]);
    assert_eq!((gateway.get("/", &[&bob]).text(), gateway.get("/", &[]).status()), ("ada".to_owned(), 401));

    let upstream = echo("cache-control: max-age=60, private\r\n");
    let gateway = run(&upstream, "cache = { per = \"identity\" }");
    for _ in 0..2 {
        assert_eq!(
            (stored(&gateway, "/", &[&ada]).text(), stored(&gateway, "/", &[&bob]).text()),
            ("ada".into(), "bob".into())
        );
    }
    assert_eq!(upstream.seen().len(), 2);
}

/// Two verifiers that know the same id know two people.
#[test]
fn the_same_id_from_two_verifiers_is_two_people() {
    let upstream = Upstream::start(|request| {
        let who = request.get("x-user-id").or(request.get("x-staff-id")).unwrap_or("nobody").to_owned();
        answer(
            "cache-control: max-age=60\r\n",
            &format!("{who} by {}", request.get("x-user-id").map_or("staff", |_| "users")),
        )
    });
    let staff = USERS
        .replace("auth.users", "auth.staff")
        .replace("x-user-id", "x-staff-id")
        .replace("audience", "token = [\"header:x-staff\"]\naudience");
    let gateway = Gateway::start(&format!(
        "{USERS}{staff}{}auth = [\"users\", \"staff\"]\n",
        config(&upstream.url(), "cache = { per = \"identity\" }")
    ));
    let token = token("ada");
    let (user, staff) = (format!("authorization: Bearer {token}"), format!("x-staff: {token}"));
    for _ in 0..2 {
        assert_eq!(stored(&gateway, "/", &[&user]).text(), "ada by users");
        assert_eq!(stored(&gateway, "/", &[&staff]).text(), "ada by staff");
    }
}

/// C03: a request with cookies goes past the cache, unless the route keys by one.
#[test]
fn cookies_go_past_the_cache() {
    let upstream = counting("cache-control: max-age=60\r\n");
    let gateway = gateway(&upstream, ON);
    stored(&gateway, "/", &[]);
    let with = gateway.get("/", &["cookie: a=b"]);
    assert_eq!((with.text(), said(&with)), ("answer 1".to_owned(), "Portcullis; fwd=bypass; detail=cookie".to_owned()));
}

/// C09: an unsafe method that succeeds makes invalid what is stored for its target and for what it names, by any route.
#[test]
fn what_was_changed_is_asked_for_again() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::start(move |request| match request.method() {
        "GET" => answer("cache-control: max-age=60\r\n", &format!("answer {}", count.fetch_add(1, Ordering::SeqCst))),
        "PUT" => Reply::status(403, "no"),
        _ => Reply::raw(
            "HTTP/1.1 201 Created\r\nlocation: /made?x=1\r\ncontent-location: http://elsewhere.test/other\r\ncontent-length: 0\r\n\r\n",
        ),
    });
    let writes = "[[routes]]\npath = \"/**\"\nmethods = [\"POST\", \"PUT\"]\nupstream = \"app\"\n";
    let gateway = Gateway::start(&format!("{}{writes}", config(&upstream.url(), ON)));
    let body = |target: &str| stored(&gateway, target, &[]).text();
    let before = [body("/list"), body("/made?x=1"), body("/made"), body("/other")];
    let change = |method: &str| {
        let mut client = Client::connect(gateway.address());
        client.send(format!("{method} /list HTTP/1.1\r\nhost: SHOP.test\r\ncontent-length: 2\r\n\r\nab"));
        client.response().unwrap().status()
    };
    assert_eq!((change("PUT"), body("/list")), (403, before[0].clone()), "what failed changed nothing");
    assert_eq!(change("POST"), 201);
    assert_ne!(body("/list"), before[0]);
    assert_ne!(body("/made?x=1"), before[1]);
    assert_eq!(
        [body("/made"), body("/other")],
        [before[2].clone(), before[3].clone()],
        "another query, another origin"
    );
}

/// F12: a hit reads what is left of its request, or closes; nothing of a body is taken for a request.
#[test]
fn a_hit_leaves_its_connection_right() {
    let upstream = counting("cache-control: max-age=60\r\n");
    let gateway = gateway(&upstream, ON);
    stored(&gateway, "/", &[]);
    let mut client = Client::connect(gateway.address());
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    client.send(format!("GET / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: {}\r\n\r\n{smuggled}", smuggled.len()));
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    let (first, second) = (client.response().unwrap(), client.response().unwrap());
    assert_eq!((said(&first).contains("request-body"), second.text()), (true, "answer 0".to_owned()));
    assert!(upstream.seen().iter().all(|request| request.target() != "/smuggled"));
    // A hundred at once, answered in order.
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n".repeat(100));
    (0..100).for_each(|_| assert_eq!(client.response().unwrap().text(), "answer 0"));
}

/// C08 and U03: what is not complete is never stored, wherever it was cut, and what ends with its connection is not known to be.
#[test]
fn what_is_cut_is_not_stored() {
    let whole = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 20\r\n\r\n01234567890123456789";
    let chunked = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n";
    for all in [whole, chunked] {
        let head = all.find("\r\n\r\n").unwrap() + 4;
        for cut in (head..all.len()).step_by(3) {
            let upstream = Upstream::start(move |_| Reply::Close(all[..cut].into()));
            let gateway = gateway(&upstream, ON);
            let mut asked = 0;
            for _ in 0..2 {
                let answer = Client::connect(gateway.address()).request("GET", "/", &[]);
                assert!(answer.is_none_or(|answer| !answer.complete || answer.status() == 502), "cut at {cut}");
                asked += 1;
            }
            eventually("each asked", || upstream.seen().len() == asked);
        }
    }
    let upstream = Upstream::start(|_| Reply::Close("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n\r\nall?".into()));
    let gateway = gateway(&upstream, ON);
    for detail in ["; detail=close-delimited", ""] {
        let answer = gateway.get("/", &[]);
        let said_of_it = format!("Portcullis; fwd=uri-miss; fwd-status=200{detail}");
        assert_eq!((answer.text(), said(&answer)), ("all?".to_owned(), said_of_it));
    }
}

/// C15: what is larger than the route keeps goes through.
#[test]
fn what_is_too_large_goes_through() {
    for framing in ["length", "chunks"] {
        let upstream = Upstream::start(move |request| {
            let size = request.target()[1..].parse().unwrap();
            let body = "x".repeat(size);
            match framing {
                "length" => answer("cache-control: max-age=60\r\n", &body),
                _ => Reply::raw(format!(
                    "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
                )),
            }
        });
        let gateway = gateway(&upstream, "cache = { max_size = \"10KiB\" }");
        assert_eq!(stored(&gateway, "/10240", &[]).body.len(), 10240);
        for size in [10241, 1_000_000] {
            for _ in 0..2 {
                let answer = gateway.get(&format!("/{size}"), &[]);
                assert_eq!((answer.body.len(), answer.complete), (size, true));
            }
        }
        assert_eq!(upstream.seen().len(), 5, "{framing}");
    }
}

/// C15: a scan of more than ten times its size, by several at once, never takes it over its size and a tenth, and whatever finds no room goes
/// through. Nothing of it is left in a process that keeps nothing more.
#[test]
fn a_scan_keeps_the_bound() {
    let body = "x".repeat(50 * 1024);
    let upstream = Upstream::start(move |_| answer("cache-control: max-age=60\r\n", &body));
    let gateway = Gateway::start(&format!("[cache]\nsize = \"1MiB\"\n{}", config(&upstream.url(), ON)));
    let most = std::thread::scope(|scope| {
        let scans: Vec<_> = (0..4)
            .map(|part| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = Client::connect(gateway.address());
                    for number in 0..60 {
                        let answer = client.request("GET", &format!("/{part}/{number}"), &[]).unwrap();
                        assert_eq!((answer.complete, answer.body.len()), (true, 50 * 1024));
                    }
                })
            })
            .collect();
        let mut most = 0.0_f64;
        while !scans.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            most = most.max(gateway.metric("portcullis_cache_used_bytes").unwrap());
        }
        most
    });
    assert!(most <= 1_153_434.0, "{most} bytes");
    assert!(gateway.metric("portcullis_cache_evictions_total{route=\"all\"}").unwrap() > 100.0);
    let hot = stored(&gateway, "/hot", &[]);
    assert_eq!(hot.body.len(), 50 * 1024);
}

/// The route's own rules hold for what is stored too, and what upstreams call their answers is for nobody else.
#[test]
fn rules_and_tags() {
    let upstream = counting("cache-control: max-age=60\r\ncache-tag: a\r\nsurrogate-key: b c\r\nserver: secret\r\n");
    let gateway =
        gateway(&upstream, "cache = \"on\"\nresponse = { remove = [\"server\"], set = { \"x-set\" = \"{path}\" } }");
    for _ in 0..2 {
        let answer = gateway.get("/tea", &[]);
        assert_eq!((answer.get("server"), answer.get("x-set")), (None, Some("/tea")));
        assert_eq!((answer.get("cache-tag"), answer.get("surrogate-key")), (None, None));
        stored(&gateway, "/tea", &[]);
    }
    assert_eq!(upstream.seen().len(), 1);
}

/// Limits count hits, and their fields are each client's own.
#[test]
fn hits_are_limited() {
    let upstream = counting("cache-control: max-age=60\r\nx-ratelimit-remaining: 77\r\n");
    let gateway = gateway(&upstream, "cache = \"on\"\nlimits = [\"5/h\"]");
    let answers: Vec<_> = (0..6).map(|_| gateway.get("/", &[])).collect();
    let left: Vec<_> = answers.iter().map(|answer| answer.get("x-ratelimit-remaining").unwrap().to_owned()).collect();
    assert_eq!(left, ["4", "3", "2", "1", "0", "0"]);
    assert_eq!(answers[5].status(), 429);
    assert!(answers.iter().all(|answer| answer.all("x-ratelimit-remaining").count() == 1));
}

/// C16: what is stored outlives a reload, unless what it was stored under has changed.
#[test]
fn a_reload_keeps_what_is_stored() {
    let upstream = counting("cache-control: max-age=600, public\r\n");
    let text = config(&upstream.url(), ON);
    let mut gateway = Gateway::start(&text);
    stored(&gateway, "/", &[]);
    gateway.reload(&format!("{text}limits = [\"1000/s\"]\n")).unwrap();
    assert_eq!(gateway.get("/", &[]).text(), "answer 0");
    gateway.reload(&format!("{USERS}{text}auth = \"users\"\n")).unwrap();
    let ada = format!("authorization: Bearer {}", token("ada"));
    assert_eq!((gateway.get("/", &[]).status(), gateway.get("/", &[&ada]).text()), (401, "answer 1".to_owned()));
    gateway.reload(&text).unwrap();
    assert_eq!(gateway.get("/", &[]).text(), "answer 2", "changed back is changed");
}
