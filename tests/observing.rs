//! What an operator is told: one line a request, and metrics with bounded labels.

use std::path::PathBuf;

use portcullis_suite::{Client, Gateway, Reply, Upstream, eventually, token};
use serde_json::Value;

/// A gateway that logs JSON to a file, and the lines that are there after it has stopped.
struct Logged {
    gateway: Gateway,
    folder: tempfile::TempDir,
}

impl Logged {
    fn start(rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let text = format!(
            "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"{}\"\nformat = \"json\"\n{rest}",
            file.display()
        );
        Self { gateway: Gateway::start(&text), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn lines(self) -> Vec<Value> {
        let file = self.file();
        assert!(self.gateway.shutdown());
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
    }
}

const VERIFIER: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
"#;

/// O07, O13: one line each, with who failed, and nothing that a client could use to write lines of its own.
#[test]
fn one_line_for_each_request() {
    let upstream = Upstream::start(|request| match request.target() {
        "/cut" => Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()),
        "/gone" => Reply::Close(Vec::new()),
        _ => Reply::ok("hello"),
    });
    let logged = Logged::start(&format!(
        "{VERIFIER}[upstreams]\napp = [\"{url}\"]\nown = [\"{url}\"]\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\nauth = \"none\"\n\
         [[routes]]\nname = \"mine\"\npath = \"/me\"\nupstream = \"own\"\nauth = \"users\"\nlimits = [\"2/h\"]\n",
        url = upstream.url()
    ));
    let gateway = &logged.gateway;
    let token = token("ada");
    let bearer = format!("authorization: Bearer {token}");
    gateway.get("/x?secret=query-secret", &["cookie: session=cookie-secret", "x-request-id: line-1"]);
    gateway.get("/me", &[&bearer, "x-request-id: line-2"]);
    gateway.get("/me", &["x-request-id: line-3"]);
    gateway.get("/me", &["authorization: Bearer a.b.c", "x-request-id: line-4"]);
    gateway.get("/cut", &["x-request-id: line-5"]);
    gateway.get("/gone", &["x-request-id: line-6"]);
    gateway.get("/%0A", &["x-request-id: line-7"]);
    let mut client = Client::connect(gateway.address());
    client.send("POST /x HTTP/1.1\r\nhost: shop.test\r\nx-request-id: line-8\r\ncontent-length: 3\r\n\r\nabc");
    client.response().unwrap();
    drop(client);
    Client::ask(gateway.address(), "HEAD", "/%00", &["x-request-id: line-9"]);
    let mut gone = Client::connect(gateway.address());
    gone.send("POST /silent HTTP/1.1\r\nhost: shop.test\r\nx-request-id: line-10\r\ncontent-length: 9\r\n\r\nhalf");
    eventually("it is on its way", || {
        upstream.open() > 0 && gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(1.0)
    });
    drop(gone);
    eventually("it is over", || gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(0.0));
    // What hyper answers itself is told too.
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nbad field\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 400);
    assert!(client.is_closed());
    let lines = logged.lines();
    let all = serde_json::to_string(&lines).unwrap();
    for secret in [token.as_str(), "query-secret", "cookie-secret", "a.b.c"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let line =
        |id: &str| lines.iter().find(|line| line["request_id"] == id).unwrap_or_else(|| panic!("no {id} in {all}"));
    assert_eq!(lines.len(), 11);
    let first = line("line-1");
    assert_eq!((&first["method"], &first["path"], &first["status"]), (&"GET".into(), &"/x".into(), &200.into()));
    assert_eq!(
        (&first["client"], &first["host"], &first["route"]),
        (&"127.0.0.1".into(), &"shop.test".into(), &"/**".into())
    );
    assert_eq!((&first["upstream"], &first["attempts"], &first["bytes_sent"]), (&"app".into(), &1.into(), &5.into()));
    assert_eq!((&first["ending"], &first["auth"]), (&"complete".into(), &"not-asked".into()));
    assert!(
        first["total_ms"].as_f64().is_some() && first["upstream_ms"].as_f64().is_some() && first["time"].is_string()
    );
    assert_eq!(first["endpoint"], upstream.address().to_string());

    let second = line("line-2");
    assert_eq!(
        (&second["route"], &second["identity"], &second["verifier"]),
        (&"mine".into(), &"ada".into(), &"users".into())
    );
    assert_eq!(
        (&second["limit"], &second["limit_remaining"], &second["auth"]),
        (&"mine".into(), &1.into(), &"accepted".into())
    );
    for (id, status, code, origin) in [
        ("line-3", 401, "missing-token", "client"),
        ("line-4", 401, "invalid-token", "client"),
        ("line-6", 502, "upstream-reset", "upstream"),
        ("line-7", 400, "bad-request", "client"),
    ] {
        let line = line(id);
        assert_eq!(
            (&line["status"], &line["code"], &line["origin"]),
            (&status.into(), &code.into(), &origin.into()),
            "{line}"
        );
        assert_eq!(line["ending"], "rejected");
    }
    assert_eq!(line("line-4")["auth_reason"], "malformed");
    assert_eq!((&line("line-5")["ending"], &line("line-5")["origin"]), (&"upstream-cut".into(), &"upstream".into()));
    assert_eq!(line("line-8")["bytes_received"], 3);
    assert_eq!((&line("line-9")["code"], &line("line-9")["ending"]), (&"bad-request".into(), &"rejected".into()));
    let gone = line("line-10");
    assert_eq!(
        (&gone["status"], &gone["ending"], &gone["origin"]),
        (&499.into(), &"client-gone".into(), &"client".into())
    );
    assert_eq!((&gone["upstream"], &gone["attempts"], &gone["bytes_received"]), (&"app".into(), &1.into(), &4.into()));
    let malformed = lines.iter().find(|line| line["method"] == "-").expect("the malformed head");
    assert_eq!((&malformed["status"], &malformed["code"]), (&400.into(), &"bad-request".into()));
}

/// O09: what clients make up makes no series.
#[test]
fn metrics_have_bounded_labels() {
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&format!(
        "[upstreams]\napp = [\"{}\"]\n[[routes]]\nname = \"only\"\npath = \"/a/**\"\nupstream = \"app\"\n",
        upstream.url()
    ));
    let series =
        |gateway: &Gateway| gateway.admin("/metrics").text().lines().filter(|line| !line.starts_with('#')).count();
    for number in 0..3 {
        Client::ask(gateway.address(), "GET", &format!("/a/{number}"), &[]);
        Client::ask(gateway.address(), "GET", &format!("/b/{number}"), &[]);
    }
    eventually("they are counted", || {
        gateway.metric("portcullis_requests_total{route=\"only\",status=\"2xx\"}") == Some(3.0)
    });
    let before = series(&gateway);
    for number in 0..50 {
        Client::ask(
            gateway.address(),
            &format!("M{number}"),
            &format!("/a/{number}"),
            &[&format!("host: h{number}.test")],
        );
        Client::ask(gateway.address(), "GET", &format!("/c{number}"), &[&format!("host: h{number}.test")]);
    }
    eventually("they are counted too", || {
        gateway.metric("portcullis_requests_total{route=\"only\",status=\"2xx\"}") == Some(53.0)
    });
    assert_eq!(series(&gateway), before);
    assert_eq!(gateway.metric("portcullis_requests_total{route=\"(none)\",status=\"4xx\"}"), Some(53.0));
    assert_eq!(
        gateway.metric("portcullis_upstream_connections_opened_total{upstream=\"app\"}").map(|opened| opened >= 1.0),
        Some(true)
    );
    let text = gateway.admin("/metrics");
    assert!(text.get("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(text.text().ends_with("# EOF\n"));
}

/// B14: whatever way requests end, nothing stays counted as running.
#[test]
fn gauges_return_to_zero() {
    let upstream = Upstream::start(|request| match request.target() {
        "/silent" => Reply::Silence,
        "/cut" => Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()),
        _ => Reply::ok("ok"),
    });
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\ntimeout = \"100ms\"\nbreaker = {{ failures = 1000 }}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\nmax_body_size = \"1KiB\"\n",
        upstream.url()
    ));
    for _ in 0..5 {
        gateway.get("/ok", &[]);
        gateway.get("/cut", &[]);
        gateway.get("/silent", &[]);
        let mut client = Client::connect(gateway.address());
        client.send("GET /silent HTTP/1.1\r\nhost: a\r\n\r\n");
        drop(client);
        let mut client = Client::connect(gateway.address());
        client.send("POST /ok HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf");
        drop(client);
        Client::connect(gateway.address())
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\n")
            .response();
    }
    eventually("nothing is in flight", || {
        gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(0.0)
    });
    eventually("nobody is connected", || gateway.metric("portcullis_connections_open") == Some(0.0));
}
