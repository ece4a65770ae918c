//! Starting, reloading and stopping, under load.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use portcullis::{GatewayError, StartError};
use portcullis_suite::{Client, Gateway, Reply, Upstream, eventually};

fn routes(upstream: &Upstream, mark: &str) -> String {
    format!(
        r#"
        [upstreams]
        app = ["{}"]
        [[routes]]
        path = "/**"
        upstream = "app"
        [[routes]]
        path = "/mark"
        respond = {{ status = 200, body = "{mark}" }}
        "#,
        upstream.url()
    )
}

/// O01: under load, through many reloads: no request fails, and each is answered by one plan or the other.
#[test]
fn no_request_fails_during_reloads() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::start(&routes(&upstream, "0"));
    let address = gateway.address();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::SeqCst) {
                    let target = if number % 2 == 0 { "/x" } else { "/mark" };
                    let answer = client.request("GET", target, &[]).expect("the connection stays");
                    assert_eq!(answer.status(), 200);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for generation in 1..=100 {
        gateway.reload(&routes(&upstream, &generation.to_string())).unwrap();
        let before = asked.load(Ordering::SeqCst);
        eventually("requests go on", || asked.load(Ordering::SeqCst) > before + 3);
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(gateway.get("/mark", &[]).text(), "100");
    // O03: pools outlive reloads.
    assert!(upstream.connections() <= 8, "{} connections", upstream.connections());
}

/// The breaker keeps its state where its settings stay.
#[test]
fn an_open_breaker_survives_a_reload() {
    let upstream = Upstream::start(|_| Reply::status(503, "ill"));
    let text = format!(
        "[upstreams.app]\nservers = [\"{}\"]\nbreaker = {{ failures = 1 }}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        upstream.url()
    );
    let mut gateway = Gateway::start(&text);
    gateway.get("/", &[]);
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open");
    gateway.reload(&text).unwrap();
    assert_eq!(gateway.get("/", &[]).json()["code"], "circuit-open");
    gateway.reload(&text.replace("failures = 1", "failures = 2")).unwrap();
    assert_eq!(gateway.get("/", &[]).text(), "ill", "under other settings its count means nothing");
}

/// Listeners come and go with the configuration; one that stays is never closed.
#[test]
fn a_reload_moves_listeners() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (one, two) = (free(), free());
    let with = |addresses: &str| {
        format!(
            "listen = [{addresses}]\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\n"
        )
    };
    let mut gateway = Gateway::start(&with(&format!("\"{one}\"")));
    let mut kept = Client::connect(one);
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200);
    gateway.reload(&with(&format!("\"{one}\", \"{two}\""))).unwrap();
    assert_eq!(Client::get(two, "/", &[]).status(), 200);
    gateway.reload(&with(&format!("\"{two}\""))).unwrap();
    eventually("the old port is closed", || std::net::TcpStream::connect(one).is_err());
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200, "its connections go on");
    assert_eq!(Client::get(two, "/", &[]).status(), 200);
}

#[test]
fn what_needs_a_restart_is_said_and_nothing_changes() {
    let text = |workers: u8, body: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = {workers}\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200, body = \"{body}\" }}\n"
        )
    };
    let mut gateway = Gateway::start(&text(1, "old"));
    let error = gateway.reload(&text(2, "new")).unwrap_err();
    assert!(matches!(&error, StartError::Gateway(GatewayError::NeedsRestart(_))), "{error}");
    assert!(error.to_string().contains("server.workers"), "{error}");
    assert_eq!(gateway.get("/", &[]).text(), "old");
}

#[test]
fn a_port_in_use_is_an_error_and_leaves_nothing_behind() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let config = Gateway::config(&format!(
        "listen = [\"{address}\"]\n[admin]\nlisten = \"\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\n"
    ));
    let error = portcullis::Server::start(config.unwrap(), portcullis_core::time::Clock::system()).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

/// O04: what runs is finished, new connections are not taken, kept ones are told to close.
#[test]
fn a_shutdown_finishes_what_runs() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let upstream = Upstream::start(move |_| {
        let _ = released.lock().unwrap().recv();
        Reply::ok("finished")
    });
    let gateway = Gateway::start(&routes(&upstream, "0"));
    let address = gateway.address();
    let mut idle = Client::connect(address);
    assert_eq!(idle.request("GET", "/mark", &[]).unwrap().status(), 200);
    let mut running = Client::connect(address);
    running.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is on its way", || upstream.connections() == 1);
    let gateway_handle = gateway.server().gateway().clone();
    let stopping = thread::spawn(move || gateway.shutdown());
    eventually("it drains", || gateway_handle.is_draining());
    assert!(idle.is_closed());
    eventually("nobody new is taken", || std::net::TcpStream::connect(address).is_err());
    release.send(()).unwrap();
    let answer = running.response().unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "finished".to_owned()));
    assert!(running.is_closed());
    assert!(stopping.join().unwrap(), "all ended by themselves");
}

#[test]
fn the_grace_has_an_end() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\n[server]\nshutdown_grace = \"200ms\"\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n{}",
        routes(&upstream, "0")
    ));
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is there", || !upstream.seen().is_empty());
    assert!(!gateway.shutdown(), "it had to cut");
    assert!(client.is_closed());
}

/// B07: over the bound a connection is closed at once; when one ends, there is room again.
#[test]
fn connections_are_bounded() {
    let gateway = Gateway::start(
        "listen = [\"127.0.0.1:0\"]\n[server]\nmax_connections = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n",
    );
    let mut first = Client::connect(gateway.address());
    assert_eq!(first.request("GET", "/", &[]).unwrap().status(), 200);
    let mut second = Client::connect(gateway.address());
    assert_eq!(second.request("GET", "/", &[]).unwrap().status(), 200);
    assert!(Client::connect(gateway.address()).is_closed());
    assert_eq!(gateway.metric("portcullis_connections_refused_total"), Some(1.0));
    drop(first);
    eventually("there is room again", || {
        Client::connect(gateway.address()).request("GET", "/", &[]).is_some_and(|answer| answer.status() == 200)
    });
}

/// /readyz says no while draining, and says what is wrong with a configuration that was not taken over.
#[test]
fn readiness_tells() {
    let text = "[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n";
    let mut gateway = Gateway::start(text);
    assert_eq!((gateway.admin("/livez").status(), gateway.admin("/readyz").text()), (200, "ready\n".to_owned()));
    gateway.server().gateway().reload_failed("error: it is broken".to_owned());
    let told = gateway.admin("/readyz");
    assert!(told.status() == 200 && told.text().contains("it is broken"), "{}", told.text());
    gateway.reload(text).unwrap();
    assert_eq!(gateway.admin("/readyz").text(), "ready\n");
    gateway.server().gateway().drain();
    assert_eq!(gateway.admin("/readyz").status(), 503);
    assert_eq!(gateway.admin("/nothing").status(), 404);
}

#[test]
fn the_admin_token_is_asked_for() {
    let gateway = Gateway::start(
        "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"${SECRET}\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n",
    );
    let admin = gateway.server().admin_address().unwrap();
    assert_eq!(Client::get(admin, "/metrics", &[]).status(), 401);
    assert_eq!(Client::get(admin, "/metrics", &["authorization: Bearer wrong"]).status(), 401);
    assert_eq!(Client::get(admin, "/livez", &[]).status(), 200);
    assert_eq!(Client::get(admin, "/readyz", &[]).status(), 200);
    let good = format!("authorization: Bearer {}", portcullis_suite::SECRET);
    assert_eq!(Client::get(admin, "/metrics", &[&good]).status(), 200);
    assert_eq!(Client::get(gateway.address(), "/metrics", &[]).text(), "", "never on a client listener");
}

/// Everything can change but what is said to need a restart: the log and the admin door too.
#[test]
fn a_reload_moves_the_log_and_the_admin_door() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let lines = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_default().lines().count();
    let with = |log: &str, admin: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"{admin}\"\n[log]\naccess = \"{}\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\n",
            file(log).display()
        )
    };
    let mut gateway = Gateway::start(&with("one", "127.0.0.1:0"));
    let old = gateway.server().admin_address().unwrap();
    let mut kept = Client::connect(gateway.address());
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200);
    eventually("the first log has its line", || lines("one") == 1);
    let moved = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    gateway.reload(&with("two", &moved.to_string())).unwrap();
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200);
    eventually("the second log has the next, of the same connection", || lines("two") == 1);
    assert_eq!(lines("one"), 1);
    assert_eq!(gateway.server().admin_address(), Some(moved));
    assert_eq!(gateway.admin("/readyz").status(), 200);
    assert!(std::net::TcpStream::connect(old).is_err(), "the old door is closed");
    gateway.reload(&with("two", "")).unwrap();
    assert_eq!(gateway.server().admin_address(), None);
    let error = gateway.reload(&with("no/such/folder/log", "")).unwrap_err();
    assert!(matches!(error, StartError::Gateway(_)), "{error}");
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200);
}

/// The same port on another address is another listener of ours, not somebody else's.
#[test]
fn a_reload_moves_a_listener_to_another_address_of_its_port() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let with = |host: &str| {
        format!(
            "listen = [\"{host}:{port}\"]\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\n"
        )
    };
    let mut gateway = Gateway::start(&with("127.0.0.1"));
    gateway.reload(&with("0.0.0.0")).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    // A connection that is made in the instant in which the kernel closes the old, more exact listener is reset by it (O05);
    // once that is over, every one is served.
    let ask = || Client::try_connect(address)?.request("GET", "/", &[]);
    let served = || ask().is_some_and(|answer| answer.status() == 200);
    eventually("the new listener has them all", || (0..20).all(|_| served()));
    assert_eq!(gateway.address().ip().to_string(), "0.0.0.0");
}

/// O04: whoever has connected when the stop comes is served.
#[test]
fn a_shutdown_serves_who_has_connected() {
    let gateway = Gateway::start("[[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"served\" }\n");
    let address = gateway.address();
    let mut clients: Vec<_> = (0..40)
        .map(|_| {
            let mut client = Client::connect(address);
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            client
        })
        .collect();
    let stopping = thread::spawn(move || gateway.shutdown());
    for client in &mut clients {
        assert_eq!(client.response().map(|answer| answer.text()), Some("served".to_owned()));
    }
    drop(clients);
    assert!(stopping.join().unwrap());
}
