//! What answers in place of an upstream that failed.

use portcullis_suite::{Client, Gateway, Message, Reply, Upstream};

const ROUTE: &str = "[[routes]]\npath = \"/**\"\nupstream = \"app\"\n";

fn gateway(app: &Upstream, settings: &str, others: &str) -> Gateway {
    Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\nretries = 0\n{settings}\n{others}\n{ROUTE}",
        app.url()
    ))
}

fn post(gateway: &Gateway, body: &str) -> Message {
    let mut client = Client::connect(gateway.address());
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    client.response().unwrap()
}

fn count(gateway: &Gateway, name: &str) -> Option<f64> {
    gateway.metric(&format!("portcullis_upstream_{name}_total{{upstream=\"app\"}}"))
}

/// While the breaker is open nothing was sent: any request goes to the other upstream, with its body.
#[test]
fn another_upstream_answers_while_the_breaker_is_open() {
    let (app, other) =
        (Upstream::start(|_| Reply::status(503, "ill")), Upstream::start(|request| Reply::ok(&request.text())));
    let others = format!("[upstreams.other]\nservers = [\"{}\"]", other.url());
    let gateway = gateway(&app, "breaker = { failures = 1 }\nfallback = \"other\"", &others);
    assert_eq!(post(&gateway, "first").text(), "ill", "it was sent, and a POST is not repeated");
    assert_eq!(post(&gateway, "second").text(), "second");
    assert_eq!((app.seen().len(), other.only().text()), (1, "second".to_owned()));
    assert_eq!((count(&gateway, "fallbacks"), count(&gateway, "attempts")), (Some(1.0), Some(1.0)));
}

/// What is safe to repeat goes there after a failure too; what its upstream could not take, in any case.
#[test]
fn another_upstream_answers_after_a_failure_that_can_be_repeated() {
    for bad in [Upstream::start(|_| Reply::Close(Vec::new())), Upstream::start(|_| Reply::status(502, "ill"))] {
        let other = Upstream::ok();
        let others = format!("[upstreams.other]\nservers = [\"{}\"]", other.url());
        let gateway = gateway(&bad, "fallback = \"other\"", &others);
        assert_eq!((gateway.get("/", &[]).text(), other.seen().len()), ("ok".to_owned(), 1));
        assert_eq!((post(&gateway, "body").status(), other.seen().len()), (502, 1));
        assert_eq!(bad.seen().len(), 2);
    }
    let other = Upstream::ok();
    let text = format!(
        "[upstreams.app]\nservers = [\"http://127.0.0.1:1\"]\nfallback = \"other\"\n[upstreams.other]\nservers = [\"{}\"]\n{ROUTE}",
        other.url()
    );
    assert_eq!(post(&Gateway::start(&text), "body").text(), "ok");
    assert_eq!(other.only().text(), "body");
}

/// One that stands in is not stood in for: no chain, and no circle.
#[test]
fn nobody_stands_in_for_one_that_stands_in() {
    let [app, other, third] = [(); 3].map(|()| Upstream::start(|_| Reply::status(503, "ill")));
    let others = format!(
        "[upstreams.other]\nservers = [\"{}\"]\nretries = 0\nfallback = \"third\"\n[upstreams.third]\nservers = [\"{}\"]\nfallback = \"app\"\n",
        other.url(),
        third.url()
    );
    let gateway = gateway(&app, "fallback = \"other\"", &others);
    assert_eq!(gateway.get("/", &[]).status(), 503);
    assert_eq!([app, other, third].map(|upstream| upstream.seen().len()), [1, 1, 0]);
}

/// A fixed answer, whatever the method: it does nothing twice.
#[test]
fn a_fixed_answer_stands_in() {
    let app = Upstream::start(|request| match request.target() {
        "/404" => Reply::status(404, "not here"),
        "/503" => Reply::status(503, "ill"),
        _ => Reply::status(502, "ill"),
    });
    let settings =
        "breaker = { failures = 3 }\nfallback = { status = 200, headers = { \"x-stale\" = \"yes\" }, body = \"[]\" }";
    let gateway = gateway(&app, settings, "");
    assert_eq!(gateway.get("/404", &[]).text(), "not here", "that is an answer");
    for target in ["/503", "/", "/", "/open"] {
        let answer = gateway.get(target, &[]);
        assert_eq!((answer.status(), answer.get("x-stale"), answer.text()), (200, Some("yes"), "[]".to_owned()));
    }
    assert_eq!(post(&gateway, "body").text(), "[]");
    assert_eq!(app.seen().len(), 4, "then its breaker is open");
    assert_eq!(count(&gateway, "fallbacks"), Some(5.0));
}

/// What nobody gets to see costs no handshake: the connection is used again.
#[test]
fn an_answer_that_is_stood_in_for_keeps_its_connection() {
    let app = Upstream::start(|_| Reply::status(503, "ill"));
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 1\n[log]\naccess = \"off\"\n\
         [upstreams.app]\nservers = [\"{}\"]\nretries = 0\nfallback = {{ body = \"[]\" }}\n{ROUTE}",
        app.url()
    ));
    for _ in 0..4 {
        assert_eq!(gateway.get("/", &[]).text(), "[]");
    }
    assert_eq!((app.seen().len(), app.connections()), (4, 1));
}

/// What is here already beats what another would refuse.
#[test]
fn a_fallback_whose_breaker_is_open_is_not_asked() {
    let (app, other) =
        (Upstream::start(|_| Reply::status(503, "ill")), Upstream::start(|_| Reply::status(503, "worse")));
    let others =
        format!("[upstreams.other]\nservers = [\"{}\"]\nretries = 0\nbreaker = {{ failures = 1 }}", other.url());
    let gateway = gateway(&app, "fallback = \"other\"", &others);
    assert_eq!(gateway.get("/", &[]).text(), "worse");
    assert_eq!(gateway.get("/", &[]).text(), "ill");
    assert_eq!((other.seen().len(), count(&gateway, "fallbacks")), (1, Some(1.0)));
}

/// Who has no time left is not asked, and not blamed for having none.
#[test]
fn a_fallback_is_not_asked_when_the_time_is_up() {
    let (app, other) = (Upstream::start(|_| Reply::Silence), Upstream::ok());
    let others = format!("[upstreams.other]\nservers = [\"{}\"]", other.url());
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\nfallback = \"other\"\n{others}\n{ROUTE}timeout = \"100ms\"\n",
        app.url()
    ));
    assert_eq!(gateway.get("/", &[]).json()["code"], "upstream-timeout");
    assert_eq!((app.seen().len(), other.connections()), (1, 0));
    assert_eq!(count(&gateway, "fallbacks"), Some(0.0));
    assert_eq!(gateway.metric("portcullis_upstream_attempts_total{upstream=\"other\"}").unwrap_or(0.0), 0.0);
}
