//! V01: many people with marked answers, all methods, random fields, a cache that keeps and collapses, faults on: nobody ever gets a byte of another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_suite::{Client, Dice, Gateway, Reply, Upstream, token};

/// Requests of each client; more by night (`PORTCULLIS_ISOLATION=100000`).
fn rounds() -> usize {
    std::env::var("PORTCULLIS_ISOLATION").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(400)
}

const CLIENTS: usize = 8;

/// What of an answer may be whose: its body says who it is for, in every chunk.
fn marked(request: &portcullis_suite::Message, number: usize) -> Reply {
    let of = |name: &str| request.get(name).unwrap_or("-").to_owned();
    let who = format!("{}/{}/{}", of("x-user-id"), of("x-partner-id"), of("x-tenant"));
    let mark = format!("<{who} {} {}>", request.method(), request.target());
    let body = mark.repeat(1 + number % 40);
    let control = match request.target().as_bytes().get(3).unwrap_or(&b'0') {
        b'0' => "cache-control: max-age=60\r\n",
        b'1' => "cache-control: private, max-age=60\r\n",
        b'2' => "cache-control: max-age=60\r\nvary: accept-language, x-user-id\r\n",
        b'3' => "cache-control: max-age=1, stale-while-revalidate=60\r\netag: \"1\"\r\n",
        b'4' => "set-cookie: who=me\r\ncache-control: max-age=60\r\n",
        b'5' => "cache-control: no-store\r\n",
        b'6' => "cache-control: max-age=60\r\nvary: x-tenant\r\n",
        _ => "",
    };
    if request.method() == "HEAD" {
        return Reply::raw(format!("HTTP/1.1 200 OK\r\n{control}content-length: {}\r\n\r\n", body.len()));
    }
    match number % 23 {
        0 => Reply::Close(format!("HTTP/1.1 200 OK\r\n{control}content-length: 99999\r\n\r\n{body}").into()),
        1 => Reply::Close(Vec::new()),
        2 => Reply::status(503, "<- ill>"),
        3..12 => {
            let half = body.len() / 2;
            let (one, two) = body.split_at(half);
            let chunk =
                |text: &str| if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\n{control}transfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                chunk(one),
                chunk(two)
            ))
        }
        _ => Reply::raw(format!("HTTP/1.1 200 OK\r\n{control}content-length: {}\r\n\r\n{body}", body.len())),
    }
}

fn config(upstream: &str, routes: &str) -> String {
    format!(
        r#"
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "any"
        audience = "any"
        token = ["header:authorization", "cookie:session", "query:token"]
        forward = {{ "x-user-id" = "sub" }}
        [auth.partners]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "any"
        audience = "any"
        token = ["header:x-partner"]
        forward = {{ "x-partner-id" = "sub" }}
        [cache]
        size = "1MiB"
        [upstreams.app]
        servers = ["{upstream}"]
        breaker = {{ failures = 65535 }}
        {routes}
        "#
    )
}

const ROUTES: &str = r#"
[[routes]]
path = "/a/**"
upstream = "app"
auth = ["users", "partners"]
cache = { ttl = "30s", stale_while_revalidate = "1m", stale_if_error = "1m", per = "identity" }
request = { set = { "x-tenant" = "{identity}" } }
[[routes]]
path = "/b/**"
upstream = "app"
auth = ["users", "partners"]
cache = { ttl = "30s", stale_while_revalidate = "1m", stale_if_error = "1m" }
request = { set = { "x-tenant" = "{identity}" } }
"#;

/// Nothing of an answer is of anybody but who asked: neither another person, nor the same name by another verifier.
#[test]
fn nobody_gets_a_byte_of_anothers() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::start(move |request| marked(request, count.fetch_add(1, Ordering::SeqCst)));
    let gateway = Arc::new(Gateway::start(&config(&upstream.url(), ROUTES)));
    let people = ["ada", "bob", "eve"].map(|who| (who, token(who)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let (gateway, people) = (Arc::clone(&gateway), people.clone());
            thread::spawn(move || client(&gateway, &people, seed as u64))
        })
        .collect();
    let answered: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(answered > CLIENTS * rounds() / 2, "{answered} answers");
    let hits = ["hit", "collapsed", "stale"].map(|outcome| {
        let of = |route: &str| {
            gateway.metric(&format!("portcullis_cache_requests_total{{route=\"{route}\",outcome=\"{outcome}\"}}"))
        };
        of("/a/**").unwrap_or(0.0)
    });
    assert!(hits[0] > 0.0, "the cache was at work: {hits:?}");
}

/// One client with many identities, on one connection as long as it lasts.
fn client(gateway: &Gateway, people: &[(&str, String)], seed: u64) -> usize {
    let (mut dice, mut answered) = (Dice::new(seed), 0);
    let mut connection = Client::connect(gateway.address());
    for _ in 0..rounds() {
        let (who, token) = dice.one_of(people);
        let method = *dice.one_of(&["GET", "GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS"]);
        let mut target = format!("/{}{}", dice.one_of(&["a/", "b/"]), dice.below(8));
        // The last byte of the path decides what its origin says of it.
        let (field, verifier) = match dice.below(4) {
            0 => (format!("authorization: Bearer {token}"), "users"),
            1 => (format!("cookie: session={token}"), "users"),
            2 => {
                target.push_str(&format!("?token={token}"));
                (String::from("x-nothing: 1"), "users")
            }
            _ => (format!("x-partner: {token}"), "partners"),
        };
        let forged = format!("x-user-id: {}", dice.one_of(&["ada", "bob", "eve"]));
        let language = format!("accept-language: {}", dice.one_of(&["de", "en"]));
        let extra = *dice.one_of(&[
            "x-a: 1",
            "cache-control: no-cache",
            "cache-control: max-stale",
            "if-none-match: \"1\"",
            "range: bytes=3-90",
        ]);
        let mut fields = vec![&*field, &*forged, &*language, extra];
        if method == "POST" {
            fields.push("content-length: 0");
        }
        let Some(answer) = connection.request(method, &target, &fields) else {
            connection = Client::connect(gateway.address());
            continue;
        };
        answered += 1;
        let own = match verifier {
            "users" => format!("{who}/-/{who}"),
            _ => format!("-/{who}/{who}"),
        };
        let text = answer.text();
        for mark in text.split('<').skip(1).map(|rest| rest.split([' ', '>']).next().unwrap()) {
            let whole = mark.matches('/').count() == 2 && text.contains(&format!("<{mark} "));
            assert!(!whole || mark == own || mark == "-", "{own} got {mark}: {} {target} {text}", answer.start);
        }
        assert!(
            answer.get("set-cookie").is_none() || answer.get("cache-status").is_none_or(|said| !said.contains("hit"))
        );
        if !answer.complete {
            connection = Client::connect(gateway.address());
        }
    }
    answered
}
