//! What an operator takes out of the cache, by the admin door.

use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_suite::{Client, Gateway, Message, Reply, Stage, Upstream, eventually};

fn config(upstream: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{upstream}\"]\nretries = 0\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\ncache = \"on\"\n"
    )
}

/// Every answer is another one, and tagged with its path.
fn tagged() -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |request| {
        let (tag, number) = (request.target().trim_start_matches('/').to_owned(), count.fetch_add(1, Ordering::SeqCst));
        let body = format!("answer {number}");
        Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=600, stale-while-revalidate=600\r\ncache-tag: all, {tag}\r\nsurrogate-key: {tag} extra\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
}

fn stored(gateway: &Gateway, target: &str) -> String {
    let mut text = String::new();
    eventually("it is stored", || {
        let answer = gateway.get(target, &[]);
        text = answer.text();
        answer.get("cache-status").unwrap().contains("hit")
    });
    text
}

fn purge(gateway: &Gateway, query: &str, fields: &[&str]) -> Message {
    let fields = [&["connection: close", "content-length: 0"], fields].concat();
    Client::ask(gateway.server().admin_address().unwrap(), "POST", &format!("/api/cache/purge{query}"), &fields)
}

#[test]
fn by_url_prefix_tag_and_all() {
    let upstream = tagged();
    let gateway = Gateway::start(&config(&upstream.url()));
    let targets = ["/tea", "/tea/green", "/tea?x=1", "/coffee"];
    for (query, gone) in [
        ("?url=http://shop.test/tea", vec!["/tea"]),
        ("?url=http://SHOP.test:80/coffee/../tea%3Fx=1", vec!["/tea?x=1"]),
        ("?prefix=http://shop.test/tea", vec!["/tea", "/tea/green", "/tea?x=1"]),
        ("?prefix=http://other.test", vec![]),
        ("?tag=coffee", vec!["/coffee"]),
        ("?tag=extra", targets.to_vec()),
        ("?tag=none", vec![]),
        ("?all=true", targets.to_vec()),
    ] {
        let before = targets.map(|target| stored(&gateway, target));
        let answer = purge(&gateway, query, &[]);
        assert_eq!((answer.status(), answer.json()["purged"].as_u64()), (200, Some(gone.len() as u64)), "{query}");
        for (target, before) in targets.iter().zip(before) {
            assert_eq!(gateway.get(target, &[]).text() != before, gone.contains(target), "{query}: {target}");
        }
    }
}

/// What is purged softly may still be sent while it is asked for again.
#[test]
fn softly() {
    let upstream = tagged();
    let gateway = Gateway::start(&config(&upstream.url()));
    let before = stored(&gateway, "/tea");
    assert_eq!(purge(&gateway, "?tag=tea&soft=true", &[]).json()["purged"], 1);
    let stale = gateway.get("/tea", &[]);
    assert_eq!((stale.text(), stale.get("cache-status")), (before.clone(), Some("Portcullis; hit; ttl=0")));
    eventually("it was asked for again", || gateway.get("/tea", &[]).text() != before);
    assert_eq!(upstream.seen().len(), 2);
}

/// What was confirmed is still what its origin called it, though a 304 need not say so.
#[test]
fn what_was_confirmed_keeps_its_tags() {
    let upstream = Upstream::start(|request| match request.get("if-none-match") {
        Some(_) => Reply::raw("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n"),
        _ => Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\netag: \"1\"\r\ncache-tag: tea\r\ncontent-length: 2\r\n\r\nok",
        ),
    });
    let gateway = Gateway::start(&config(&upstream.url()));
    stored(&gateway, "/tea");
    gateway.get("/tea", &["cache-control: no-cache"]);
    assert_eq!(upstream.seen().len(), 2);
    assert_eq!(purge(&gateway, "?tag=tea", &[]).json()["purged"], 1);
}

/// What was on its way when it was purged is not stored, and nobody joins it.
#[test]
fn what_is_on_its_way_goes_too() {
    let stage = Stage::default();
    let gateway = Gateway::start(&config(&stage.url()));
    let ask = || {
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
        client
    };
    let mut early = ask();
    let mut first = stage.accept();
    first.request();
    first.send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\nol");
    assert!(early.some().is_some());
    assert_eq!(purge(&gateway, "?url=http://shop.test/", &[]).json()["purged"], 0);
    let mut late = ask();
    let mut second = stage.accept();
    second.request();
    second.send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 3\r\n\r\nnew");
    assert_eq!(late.response().unwrap().text(), "new");
    eventually("it is stored", || gateway.get("/", &["cache-control: only-if-cached"]).text() == "new");
    first.send("dest");
    assert!(early.some().is_some());
    assert_eq!(gateway.get("/", &[]).text(), "new");
}

/// With Redis between them, a purge reaches the other nodes too.
#[test]
fn other_nodes_are_told() {
    let (redis, upstream) = (portcullis_redis::testing::Server::start(), tagged());
    let text = format!("[store]\nurl = \"{}\"\ntimeout = \"1s\"\n{}", redis.url(), config(&upstream.url()));
    let [first, second] = [(); 2].map(|()| Gateway::start(&text));
    eventually("they know of each other", || {
        [&first, &second].iter().all(|gateway| gateway.metric("portcullis_store_nodes") == Some(2.0))
    });
    let before = [&first, &second].map(|gateway| [stored(gateway, "/tea"), stored(gateway, "/coffee")]);
    // Until it hears, it may not have begun to listen.
    eventually("the second hears of it", || {
        assert_eq!(purge(&first, "?tag=tea", &[]).status(), 200);
        second.get("/tea", &[]).text() != before[1][0]
    });
    assert_eq!(
        [&first, &second].map(|gateway| gateway.get("/coffee", &[]).text()),
        [&before[0][1], &before[1][1]].map(Clone::clone)
    );
}

#[test]
fn only_for_who_may_and_knows_how() {
    let upstream = tagged();
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\nlog = {{ access = \"off\" }}\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef0123456789abcdef\"\n{}",
        config(&upstream.url())
    ));
    let token = "authorization: Bearer 0123456789abcdef0123456789abcdef";
    assert_eq!(purge(&gateway, "?all=true", &[]).status(), 401);
    assert_eq!(purge(&gateway, "?all=true", &[token]).status(), 200);
    assert_eq!(purge(&gateway, "?all=true", &[token, "origin: http://evil.test"]).status(), 403);
    assert_eq!(purge(&gateway, "?all=true", &[token, "origin: http://shop.test"]).status(), 200);
    for wrong in ["", "?all=false", "?url=/tea", "?tag=a&all=true"] {
        assert_eq!(purge(&gateway, wrong, &[token]).status(), 400, "{wrong}");
    }
    let admin = gateway.server().admin_address().unwrap();
    assert_eq!(Client::get(admin, "/api/cache/purge?all=true", &[token, "connection: close"]).status(), 405);
    // A client listener knows nothing of it.
    assert!(
        Client::ask(gateway.address(), "POST", "/api/cache/purge?all=true", &["content-length: 0"])
            .text()
            .contains("answer")
    );
    let off = Gateway::start(&config(&upstream.url()).replace("cache = \"on\"\n", ""));
    assert_eq!(purge(&off, "?all=true", &[]).status(), 404);
}
