//! Tunnels: only after an upstream's 101, and only to what was asked for and allowed. Until then every byte is HTTP.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use portcullis_suite::{Client, Gateway, PATIENCE, Peer, Reply, Stage, Upstream, eventually, token};
use tungstenite::ClientRequestBuilder;
use tungstenite::Message as Frame;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// Free ports, and these keys of `[server]`.
fn gateway(server: &str, upstream: &str, rest: &str) -> Gateway {
    Gateway::start(&text(server, upstream, rest))
}

fn text(server: &str, upstream: &str, rest: &str) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = {{ listen = "127.0.0.1:0" }}
        log = {{ access = "off" }}
        [server]
        workers = 2
        {server}
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        forward = {{ "x-user-id" = "sub" }}
        [upstreams]
        app = {{ servers = ["{upstream}"], breaker = {{ failures = 100 }} }}
        own = ["{upstream}"]
        [[routes]]
        name = "open"
        path = "/**"
        upstream = "app"
        auth = "none"
        {rest}
        [[routes]]
        name = "mine"
        path = "/mine/**"
        upstream = "own"
        auth = "users"
        limits = ["2/h"]
        "#
    )
}

/// A plain one, and the upstream that is played by hand.
fn played() -> (Stage, Gateway) {
    let stage = Stage::default();
    let gateway = gateway("", &stage.url(), "");
    (stage, gateway)
}

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// Through the handshake: both ends of a tunnel.
fn tunnel(stage: &Stage, gateway: &Gateway) -> (Client, Peer) {
    let mut client = Client::connect(gateway.address());
    client.send(ASK);
    let mut peer = stage.accept();
    assert_eq!(peer.request().get("upgrade"), Some("websocket"));
    peer.send(SWITCH);
    assert_eq!(client.response().unwrap().status(), 101);
    (client, peer)
}

/// Exactly these bytes come next.
fn expect(client: &mut Client, bytes: &[u8]) {
    let mut seen = Vec::new();
    while seen.len() < bytes.len() {
        seen.extend(client.some().expect("it comes in time"));
    }
    assert_eq!(seen.escape_ascii().to_string(), bytes.escape_ascii().to_string());
}

/// Nothing is left of whatever was in flight.
fn all_is_over(gateway: &Gateway) {
    eventually("every tunnel is closed and every lease given back", || {
        gateway.metric("portcullis_tunnels_open") == Some(0.0)
            && in_flight(gateway, "app") == Some(0.0)
            && in_flight(gateway, "own") == Some(0.0)
    });
}

fn in_flight(gateway: &Gateway, upstream: &str) -> Option<f64> {
    gateway.metric(&format!("portcullis_upstream_in_flight{{upstream=\"{upstream}\"}}"))
}

fn ended(gateway: &Gateway, ending: &str) -> Option<f64> {
    gateway.metric(&format!("portcullis_endings_total{{ending=\"{ending}\"}}"))
}

/// The eight steps come first, and then frames go both ways as they are.
#[test]
fn a_websocket_works_both_ways() {
    let (stage, gateway) = played();
    let (tell, told) = mpsc::channel();
    let url = gateway.address();
    let server = thread::spawn(move || {
        #[expect(clippy::result_large_err, reason = "what the library asks for")]
        let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            response.headers_mut().try_append("sec-websocket-protocol", "chat.v2".parse().unwrap()).unwrap();
            tell.send(request.headers().clone()).unwrap();
            Ok(response)
        };
        let mut socket = tungstenite::accept_hdr(stage.accept().into_stream(), look).unwrap();
        while let Ok(frame) = socket.read() {
            if frame.is_text() || frame.is_binary() {
                socket.send(frame).unwrap();
            }
        }
    });
    let request = ClientRequestBuilder::new("ws://shop.test/mine/chat".parse().unwrap())
        .with_header("authorization", format!("Bearer {}", token("ada")))
        .with_header("x-user-id", "forged")
        .with_sub_protocol("chat.v2");
    let stream = TcpStream::connect(url).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut socket, answer) = tungstenite::client(request, stream).unwrap();
    assert!(answer.headers().contains_key("x-request-id") && answer.headers().contains_key("date"));
    assert!(answer.headers()["ratelimit"].to_str().unwrap().starts_with("\"mine\";r=1;"));
    assert_eq!(answer.headers()["upgrade"], "websocket");
    let seen = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (&seen["x-user-id"], &seen["host"], &seen["sec-websocket-protocol"]),
        (&"ada".parse().unwrap(), &"shop.test".parse().unwrap(), &"chat.v2".parse().unwrap())
    );
    assert!(!seen.contains_key("authorization") && seen.contains_key("x-forwarded-for"));

    let large = Frame::binary(vec![7; 300_000]);
    for frame in [Frame::text("hello"), large, Frame::text("")] {
        socket.send(frame.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), frame);
    }
    assert_eq!(gateway.metric("portcullis_tunnels_open"), Some(1.0));
    assert_eq!(in_flight(&gateway, "own"), Some(1.0));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    server.join().unwrap();
    drop(socket);
    all_is_over(&gateway);
    assert_eq!(gateway.metric("portcullis_requests_total{route=\"mine\",status=\"1xx\"}"), Some(1.0));
    assert_eq!(
        gateway.metric("portcullis_request_duration_seconds_count{route=\"mine\"}"),
        None,
        "a tunnel is not slow"
    );
    assert!(gateway.metric("portcullis_request_body_bytes_total{route=\"mine\"}") > Some(300_000.0));
    assert!(gateway.metric("portcullis_response_body_bytes_total{route=\"mine\"}") > Some(300_000.0));
}

/// 401 and 429 before the upstream sees a byte.
#[test]
fn refusals_come_before_the_upstream() {
    let (stage, gateway) = played();
    let ask = |fields: &[&str]| {
        let fields = [fields, &["connection: upgrade", "upgrade: websocket"]].concat();
        gateway.get("/mine/chat", &fields).status()
    };
    assert_eq!(ask(&[]), 401);
    let bearer = format!("authorization: Bearer {}", token("ada"));
    for _ in 0..2 {
        let address = gateway.address();
        let (tell, told) = mpsc::channel();
        let fields = [bearer.clone(), "connection: upgrade".to_owned(), "upgrade: websocket".to_owned()];
        thread::spawn(move || {
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            tell.send(Client::get(address, "/mine/chat", &fields).status()).unwrap();
        });
        let mut peer = stage.accept();
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert_eq!(told.recv_timeout(PATIENCE), Ok(200));
    }
    assert_eq!(ask(&[&bearer]), 429);
    assert!(stage.is_empty());
    all_is_over(&gateway);
}

/// What is no 101 is an answer like any other, and the connection goes on.
#[test]
fn a_refusal_of_the_upstream_is_an_answer() {
    let upstream = Upstream::start(|request| match request.target() {
        "/chat" => Reply::status(403, "no"),
        _ => Reply::ok("ok"),
    });
    let gateway = gateway("", &upstream.url(), "");
    let mut client = Client::connect(gateway.address());
    let refused = client.request("GET", "/chat", &["connection: upgrade", "upgrade: websocket"]).unwrap();
    assert_eq!((refused.status(), refused.text(), refused.get("upgrade")), (403, "no".to_owned(), None));
    assert_eq!(client.request("GET", "/", &[]).unwrap().text(), "ok");
    assert_eq!(upstream.connections(), 1, "and so does the upstream's");
    all_is_over(&gateway);
}

/// F10: bytes behind the request are a request until the upstream says otherwise.
#[test]
fn what_is_pipelined_is_held_to_every_policy() {
    let upstream = Upstream::start(|_| Reply::ok("ok"));
    let gateway = gateway("", &upstream.url(), "");
    let mut client = Client::connect(gateway.address());
    client.send(format!(
        "{ASK}GET /mine/secret HTTP/1.1\r\nhost: shop.test\r\n\r\nGET /next HTTP/1.1\r\nhost: shop.test\r\n\r\n"
    ));
    let statuses = [(); 3].map(|()| client.response().unwrap().status());
    assert_eq!(statuses, [200, 401, 200]);
    let seen: Vec<_> = upstream.seen().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(seen, ["/chat", "/next"]);
    all_is_over(&gateway);
}

/// What both sides have sent ahead is the first to go through.
#[test]
fn early_bytes_are_kept_for_the_tunnel() {
    let (stage, gateway) = played();
    let mut client = Client::connect(gateway.address());
    client.send(format!("{ASK}early \x00\u{ff} bytes"));
    let mut peer = stage.accept();
    peer.request();
    peer.send(format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{SWITCH}as early"));
    let answer = client.response().unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.all("connection").collect::<Vec<_>>(), ["upgrade"]);
    expect(&mut client, b"as early");
    peer.expect("early \x00\u{ff} bytes");
    client.send("more");
    peer.expect("more").send("and more");
    expect(&mut client, b"and more");
    drop(client);
    assert!(peer.rest().is_empty());
    drop(peer);
    all_is_over(&gateway);
}

/// What an upstream is asked for is what the route allows, in our words.
#[test]
fn only_what_is_allowed_is_asked_for() {
    let upstream = Upstream::ok();
    let gateway = gateway(
        "",
        &upstream.url(),
        "[[routes]]\npath = \"/none\"\nupstream = \"app\"\nauth = \"none\"\nupgrade = []\n\
         [[routes]]\npath = \"/two\"\nupstream = \"app\"\nauth = \"none\"\nupgrade = [\"tcp\", \"SPDY/3.1\"]\n",
    );
    let both = "connection: upgrade\r\nupgrade: websocket";
    for (head, expected) in [
        (format!("GET / HTTP/1.1\r\n{both}\r\n"), Some("websocket")),
        ("GET / HTTP/1.1\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n".to_owned(), Some("websocket")),
        ("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket, h2c\r\n".to_owned(), Some("websocket")),
        (
            "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\nupgrade: websocket\r\n".to_owned(),
            Some("websocket"),
        ),
        (format!("GET / HTTP/1.1\r\n{both}, websocket\r\n"), Some("websocket, websocket")),
        (format!("GET / HTTP/1.1\r\n{both}\r\ncontent-length: 0\r\n"), Some("websocket")),
        (format!("GET /two HTTP/1.1\r\n{both}, spdy/3.1, TCP\r\n"), Some("SPDY/3.1, tcp")),
        ("POST /two HTTP/1.1\r\nconnection: upgrade\r\nupgrade: tcp\r\n".to_owned(), Some("tcp")),
        // Another hop's, another protocol, another version, another route.
        ("GET / HTTP/1.1\r\nupgrade: websocket\r\n".to_owned(), None),
        ("GET / HTTP/1.1\r\nconnection: upgrade\r\n".to_owned(), None),
        (
            "GET / HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
                .to_owned(),
            None,
        ),
        ("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket/13\r\n".to_owned(), None),
        ("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: web socket\r\n".to_owned(), None),
        (format!("GET / HTTP/1.0\r\n{both}\r\n"), None),
        (format!("GET /none HTTP/1.1\r\n{both}\r\n"), None),
        (format!("POST / HTTP/1.1\r\n{both}\r\n"), None),
        (format!("HEAD / HTTP/1.1\r\n{both}\r\n"), None),
        // With a body, what comes behind a 101 could be taken for the rest of it.
        (format!("GET / HTTP/1.1\r\n{both}\r\ncontent-length: 4\r\n\r\nbody"), None),
        (format!("GET / HTTP/1.1\r\n{both}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"), None),
    ] {
        let (line, rest) = head.split_once("\r\n").unwrap();
        let end = if rest.contains("\r\n\r\n") && !rest.ends_with("0\r\n") { "" } else { "\r\n" };
        let mut client = Client::connect(gateway.address());
        client.send(format!("{line}\r\nhost: shop.test\r\n{rest}{end}"));
        let answer = if line.starts_with("HEAD") { client.response_to_head() } else { client.response() };
        assert_eq!(answer.unwrap().status(), 200, "{head}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.all("upgrade").collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{head}");
        let connection: Vec<_> = seen.all("connection").collect();
        assert_eq!(connection, expected.map(|_| "upgrade").into_iter().collect::<Vec<_>>(), "{head}");
        assert_eq!(seen.get("http2-settings"), None);
    }
    all_is_over(&gateway);
}

/// W02, I02: who upgrades can no more have our fields dropped than others.
#[test]
fn nothing_of_ours_is_dropped_by_an_upgrade() {
    let upstream = Upstream::ok();
    let gateway = gateway("", &upstream.url(), "");
    let fields = [
        "connection: upgrade, x-user-id, x-forwarded-for, x-request-id, authorization",
        "upgrade: websocket",
        "x-user-id: forged",
        &format!("authorization: Bearer {}", token("ada")),
    ];
    assert_eq!(gateway.get("/mine/chat", &fields).status(), 401, "the token was named away");
    let fields = [fields[0].trim_end_matches(", authorization"), fields[1], fields[2], fields[3]];
    assert_eq!(gateway.get("/mine/chat", &fields).status(), 200);
    let seen = upstream.only();
    assert_eq!(seen.all("x-user-id").collect::<Vec<_>>(), ["ada"]);
    assert!(seen.get("x-forwarded-for").is_some() && seen.get("x-request-id").is_some());
    assert_eq!((seen.get("authorization"), seen.get("upgrade")), (None, Some("websocket")));
}

/// F10: a 101 that nobody asked for, or for something else, is no answer.
#[test]
fn another_101_is_a_502() {
    let upstream = Upstream::start(|request| {
        let head = match request.target() {
            "/other" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n",
            "/more" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket, h2c\r\n",
            "/nothing" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n",
            "/unnamed" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n",
            "/old" => "HTTP/1.0 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            _ => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
        };
        Reply::raw(format!("{head}\r\nHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled"))
    });
    let gateway = gateway("", &upstream.url(), "");
    let asked = ["connection: upgrade", "upgrade: websocket"];
    for (target, fields) in [
        ("/other", &asked[..]),
        ("/more", &asked),
        ("/nothing", &asked),
        ("/unnamed", &asked),
        ("/old", &asked),
        ("/fine", &[]),
        ("/fine", &asked[1..]),
        ("/fine", &["connection: upgrade", "upgrade: h2c"]),
    ] {
        let answer = gateway.get(target, fields);
        assert_eq!((answer.status(), answer.json()["code"].as_str()), (502, Some("upstream-invalid")), "{target}");
    }
    eventually("none of the upstream's connections is kept", || upstream.open() == 0);
    let mut client = Client::connect(gateway.address());
    client.send(
        "POST /fine HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 4\r\n\r\nbody",
    );
    assert_eq!(client.response().unwrap().status(), 502);
    all_is_over(&gateway);
}

/// Who sends no more may still be sent to.
#[test]
fn each_way_ends_by_itself() {
    let (stage, gateway) = played();
    let (mut client, mut peer) = tunnel(&stage, &gateway);
    client.send("last words").finish();
    assert_eq!(peer.rest(), b"last words");
    peer.send("one more thing").finish();
    assert_eq!(client.rest(), b"one more thing");
    all_is_over(&gateway);
    assert_eq!(ended(&gateway, "client-closed"), Some(1.0));

    let (mut client, mut peer) = tunnel(&stage, &gateway);
    peer.send("bye").finish();
    assert_eq!(client.rest(), b"bye");
    client.send("wait").finish();
    assert_eq!(peer.rest(), b"wait");
    all_is_over(&gateway);
    assert_eq!(ended(&gateway, "upstream-closed"), Some(1.0));
}

/// Much at once, both ways, to whoever reads late: nothing is lost, and nothing is held that somebody has not taken.
#[test]
fn much_goes_through_both_ways_at_once() {
    const LENGTH: usize = 4 << 20;
    let bytes = |seed: usize| (0..LENGTH).map(|at| (at * 31 + at / 251 + seed).to_le_bytes()[0]).collect::<Vec<u8>>();
    let (stage, gateway) = played();
    let (mut client, peer) = tunnel(&stage, &gateway);
    let stream = peer.into_stream();
    let mut reading = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        std::io::Write::write_all(&mut &stream, &bytes(1)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let receiving = thread::spawn(move || {
        let mut seen = Vec::new();
        std::io::Read::read_to_end(&mut reading, &mut seen).unwrap();
        seen
    });
    // All of it, before this side reads a byte: the other way must not wait for this one.
    client.send(bytes(2)).finish();
    assert!(receiving.join().unwrap() == bytes(2));
    assert!(client.rest() == bytes(1));
    sending.join().unwrap();
    all_is_over(&gateway);
}

/// A silent tunnel is closed, and told as such.
#[test]
fn a_silent_tunnel_is_closed() {
    let stage = Stage::default();
    let gateway = gateway("stream_idle_timeout = \"200ms\"", &stage.url(), "");
    let (mut client, mut peer) = tunnel(&stage, &gateway);
    client.send("a");
    peer.expect("a");
    assert!(client.is_closed() && peer.rest().is_empty());
    all_is_over(&gateway);
    assert_eq!(ended(&gateway, "idle"), Some(1.0));
}

/// The deadlines of requests do not hold in a tunnel; its own is that of a stream.
#[test]
fn no_deadline_of_requests_ends_a_tunnel() {
    let stage = Stage::default();
    let times = "header_timeout = \"50ms\"\nbody_timeout = \"50ms\"\nidle_timeout = \"50ms\"";
    let gateway = gateway(times, &stage.url(), "timeout = \"150ms\"");
    let (mut client, mut peer) = tunnel(&stage, &gateway);
    // Others of this gateway run into each of them meanwhile.
    assert!(Client::connect(gateway.address()).is_closed());
    assert!(Client::connect(gateway.address()).is_closed());
    let slow = thread::spawn({
        let address = gateway.address();
        move || Client::get(address, "/slow", &[]).status()
    });
    let mut other = stage.accept();
    other.request();
    assert_eq!(slow.join().unwrap(), 504);
    client.send("still");
    peer.expect("still").send("there");
    expect(&mut client, b"there");
}

/// A reload leaves tunnels alone, and no tunnel keeps an old plan.
#[test]
fn a_reload_leaves_tunnels_alone() {
    let stage = Stage::default();
    let mut gateway = gateway("", &stage.url(), "");
    let (mut client, mut peer) = tunnel(&stage, &gateway);
    gateway.reload(&text("", &stage.url(), "upgrade = []")).unwrap();
    eventually("the old plan is gone", || gateway.server().gateway().plans() == 1);
    client.send("still");
    peer.expect("still").send("there");
    expect(&mut client, b"there");
    drop(client);
    assert!(peer.rest().is_empty());
    drop(peer);
    all_is_over(&gateway);
}

/// O04: a tunnel goes on while the gateway drains, and is cut when the grace is over; its line says so.
#[test]
fn a_drain_gives_tunnels_their_grace() {
    let (stage, folder) = (Stage::default(), tempfile::tempdir().unwrap());
    let file = folder.path().join("access.log");
    let text = text("shutdown_grace = \"100ms\"", &stage.url(), "")
        .replace("access = \"off\"", &format!("access = \"{}\", format = \"json\"", file.display()));
    let gateway = Gateway::start(&text);
    let (mut client, mut peer) = tunnel(&stage, &gateway);
    gateway.server().gateway().drain();
    client.send("still");
    peer.expect("still").send("there!");
    expect(&mut client, b"there!");
    assert!(!gateway.shutdown(), "it was cut");
    assert!(client.is_closed() && peer.rest().is_empty());
    let log = std::fs::read_to_string(file).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["status"], &line["ending"], &line["origin"]),
        (&101.into(), &"stopped".into(), &"gateway".into())
    );
    assert_eq!((&line["bytes_received"], &line["bytes_sent"]), (&5.into(), &6.into()), "{line}");
}

/// A kept connection that turns out to be closed is no reason to fail an upgrade: nothing was sent on it.
#[test]
fn an_upgrade_is_asked_for_again_where_a_request_would_be() {
    let upstream = Upstream::start(|request| match request.get("upgrade") {
        Some(_) => Reply::raw(format!("{SWITCH}hello")),
        None => Reply::ok("ok"),
    });
    let gateway = gateway("", &upstream.url(), "");
    assert_eq!(gateway.get("/", &[]).status(), 200);
    upstream.hang_up();
    let mut client = Client::connect(gateway.address());
    client.send(ASK);
    assert_eq!(client.response().unwrap().status(), 101);
    expect(&mut client, b"hello");
}

/// A request that the program hands in has no connection of ours: it stays HTTP.
#[test]
fn what_is_handed_in_is_not_upgraded() {
    let upstream = Upstream::ok();
    let text = text("", &upstream.url(), "");
    let config = Gateway::config(&text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let gateway = portcullis::Gateway::new(config).await.unwrap();
        let request = http::Request::get("/chat").header("host", "shop.test");
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        gateway.handle(request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap()).await.status()
    });
    assert_eq!((status.as_u16(), upstream.only().get("upgrade")), (200, None));
}
