//! Unix sockets: listeners, upstreams, the admin door.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use portcullis::StartError;
use portcullis::config::ListenAddress;
use portcullis_suite::{Client, Gateway, Reply, Upstream, eventually};

/// A folder with room for sockets, which goes with the value.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Listens on this socket alone; `server` is more of [server], `rest` the routes.
fn on(socket: &Path, server: &str, rest: &str) -> String {
    let socket = socket.display();
    format!(
        "listen = [\"unix:{socket}\"]\n[server]\nworkers = 2\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n{rest}"
    )
}

const HELLO: &str = "[[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"hello\" }\n";

fn to(upstream: &Upstream) -> String {
    format!("[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n", upstream.url())
}

#[test]
fn clients_arrive_on_a_unix_socket() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let gateway = Gateway::start(&on(&socket, "", HELLO));
    assert_eq!(gateway.server().listeners(), [ListenAddress::Unix(socket.clone())]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660, "for owner and group");
    let mut client = Client::try_unix(&socket).unwrap();
    for _ in 0..3 {
        let answer = client.request("GET", "/", &[]).unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "hello".to_owned()), "and the connection is kept");
    }
    let many: Vec<_> = (0..8).map(|_| Client::try_unix(&socket).unwrap()).collect();
    for mut client in many {
        assert_eq!(client.request("GET", "/", &[]).unwrap().status(), 200);
    }
    drop(client);
    assert!(gateway.shutdown());
    assert!(!socket.exists(), "a clean stop takes its file with it");
}

/// The long form of `listen` says the same as the short one, for both kinds.
#[test]
fn the_long_form_listens_too() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let text = on(&socket, "", HELLO);
    let (_, rest) = text.split_once('\n').unwrap();
    let long = format!(
        "listen = [{{ address = \"127.0.0.1:0\" }}, {{ address = \"unix:{}\", tls = {{}} }}]\n{rest}",
        socket.display()
    );
    let gateway = Gateway::start(&long);
    assert_eq!(gateway.get("/", &[]).text(), "hello");
    assert_eq!(Client::get_unix(&socket, "/", &[]).text(), "hello");
    let one = Gateway::start(&format!("listen = \"unix:{}\"\n{rest}", place.path("one.sock").display()));
    assert_eq!(Client::get_unix(&place.path("one.sock"), "/", &[]).text(), "hello");
    assert!(one.server().addresses().is_empty());
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_in_use() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    // What a killed process leaves behind.
    drop(UnixListener::bind(&socket).unwrap());
    let _gateway = Gateway::start(&on(&socket, "", HELLO));
    assert_eq!(Client::get_unix(&socket, "/", &[]).text(), "hello");
    let start = |text: &str| {
        portcullis::Server::start(Gateway::config(text).unwrap(), portcullis_core::time::Clock::system()).unwrap_err()
    };
    let error = start(&on(&socket, "", HELLO));
    assert!(matches!(&error, StartError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse), "{error}");
    assert!(error.to_string().contains("another program listens there"), "{error}");
    assert_eq!(Client::get_unix(&socket, "/", &[]).text(), "hello", "who was there goes on");
    let file = place.path("precious");
    fs::write(&file, "mine").unwrap();
    let error = start(&on(&file, "", HELLO));
    assert!(error.to_string().contains("not a socket") && error.to_string().contains("left alone"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

/// Whoever has no address shares one budget with all who have none; nobody goes uncounted, or unchecked.
#[test]
fn clients_without_an_address_count_as_one() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let limited = format!("{HELLO}limits = [{{ rate = \"2/h\", key = \"client\" }}]\n");
    let gateway = Gateway::start(&on(&socket, "", &limited));
    let get = |fields: &[&str]| Client::get_unix(&socket, "/", fields).status();
    assert_eq!([get(&[]), get(&["x-forwarded-for: 192.0.2.1"]), get(&[])], [200, 200, 429]);
    assert_eq!(get(&["x-forwarded-for: 192.0.2.2"]), 429, "nobody said that they are to be believed");
    drop(gateway);
    let _trusting = Gateway::start(&on(&socket, "trusted_proxies = [\"unix\"]", &limited));
    let from = |address: &str| get(&[&format!("x-forwarded-for: {address}")]);
    assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.1")], [200, 200, 429]);
    assert_eq!([from("192.0.2.2"), get(&[]), get(&[]), get(&[])], [200, 200, 200, 429]);
}

#[test]
fn upstreams_are_told_that_there_is_no_address() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let upstream = Upstream::ok();
    let _gateway = Gateway::start(&on(&socket, "", &to(&upstream)));
    assert_eq!(Client::get_unix(&socket, "/", &["x-forwarded-for: 6.6.6.6"]).status(), 200);
    let seen = upstream.only();
    assert_eq!(seen.get("x-forwarded-for"), None);
    assert_eq!(seen.get("forwarded"), Some("for=unknown;host=shop.test;proto=http"));
}

#[test]
fn an_upstream_behind_a_unix_socket() {
    let place = Place::new();
    let upstream = Upstream::unix(&place.path("app.sock"), |_| Reply::ok("from the socket"));
    let gateway = Gateway::start(&to(&upstream));
    let mut client = Client::connect(gateway.address());
    for _ in 0..3 {
        assert_eq!(client.request("GET", "/x?y", &[]).unwrap().text(), "from the socket");
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().unwrap().status(), 200);
    let seen = upstream.seen();
    assert_eq!((seen[0].target(), seen[0].get("host")), ("/x?y", Some("shop.test")));
    assert_eq!(seen[3].get("host"), Some("localhost"), "a path is no host");
    assert_eq!(upstream.connections(), 1, "it is used again");
    upstream.hang_up();
    assert_eq!(gateway.get("/", &[]).text(), "from the socket", "a kept one that was closed is replaced");
}

/// Failures and deadlines are those of any server.
#[test]
fn an_upstream_behind_a_unix_socket_fails_like_any_other() {
    let place = Place::new();
    let path = place.path("app.sock");
    let text = format!(
        "[upstreams.app]\nservers = [\"unix:{}\"]\ntimeout = \"100ms\"\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        path.display()
    );
    let gateway = Gateway::start(&text);
    let answer = gateway.get("/", &[]);
    assert_eq!(answer.status(), 502, "nobody listens there");
    assert!(!answer.text().contains("app.sock"), "{}", answer.text());
    let silent = Upstream::unix(&path, |_| Reply::Silence);
    assert_eq!(gateway.get("/", &[]).status(), 504);
    eventually("its connection is closed", || silent.open() == 0);
    drop(silent);
    fs::remove_file(&path).unwrap();
    let _good = Upstream::unix(&path, |_| Reply::ok("good"));
    assert_eq!(gateway.get("/", &[]).text(), "good");
}

#[test]
fn the_admin_door_may_be_a_unix_socket() {
    let place = Place::new();
    let (socket, other) = (place.path("admin.sock"), place.path("other.sock"));
    let with = |path: &Path| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"unix:{}\"\n[log]\naccess = \"off\"\n{HELLO}",
            path.display()
        )
    };
    let mut gateway = Gateway::start(&with(&socket));
    assert_eq!(gateway.server().admin_listener(), Some(&ListenAddress::Unix(socket.clone())));
    assert_eq!(Client::get_unix(&socket, "/readyz", &["connection: close"]).text(), "ready\n");
    assert!(Client::get_unix(&socket, "/metrics", &["connection: close"]).text().contains("portcullis_plans 1"));
    gateway.reload(&with(&other)).unwrap();
    assert!(!socket.exists());
    assert_eq!(Client::get_unix(&other, "/livez", &["connection: close"]).status(), 200);
    assert!(gateway.shutdown());
    assert!(!other.exists());
}

/// A reload opens and closes sockets like addresses; one that stays is never closed, and one that goes lets its clients finish.
#[test]
fn a_reload_moves_sockets() {
    let place = Place::new();
    let (one, two) = (place.path("one.sock"), place.path("two.sock"));
    let with = |addresses: &[&Path]| {
        let all: Vec<_> = addresses.iter().map(|path| format!("\"unix:{}\"", path.display())).collect();
        format!("listen = [{}]\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n{HELLO}", all.join(", "))
    };
    let mut gateway = Gateway::start(&with(&[&one]));
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (one, stop, asked) = (one.clone(), Arc::clone(&stop), Arc::clone(&asked));
        thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(Client::get_unix(&one, "/", &["connection: close"]).text(), "hello");
                asked.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let go_on = || {
        let before = asked.load(Ordering::SeqCst);
        eventually("requests go on", || asked.load(Ordering::SeqCst) > before + 5);
    };
    for _ in 0..10 {
        gateway.reload(&with(&[&one, &two])).unwrap();
        assert_eq!(Client::get_unix(&two, "/", &[]).text(), "hello");
        go_on();
        gateway.reload(&with(&[&one])).unwrap();
        assert!(!two.exists() && UnixStream::connect(&two).is_err());
        go_on();
    }
    stop.store(true, Ordering::SeqCst);
    load.join().unwrap();
    let mut kept = Client::try_unix(&one).unwrap();
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200);
    gateway.reload(&with(&[&two])).unwrap();
    assert_eq!(kept.request("GET", "/", &[]).unwrap().status(), 200, "its connections go on");
}

/// Nothing of a reload that fails is left behind.
#[test]
fn a_reload_that_fails_leaves_no_socket() {
    let place = Place::new();
    let (one, two) = (place.path("one.sock"), place.path("two.sock"));
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = Gateway::start(&on(&one, "", HELLO));
    let more = format!("listen = [\"unix:{}\", \"{}\"", two.display(), held.local_addr().unwrap());
    let text = on(&one, "", HELLO).replace("listen = [", &format!("{more}, "));
    let error = gateway.reload(&text).unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    assert!(!two.exists());
    assert_eq!(Client::get_unix(&one, "/", &[]).text(), "hello");
}

/// O04 on a unix socket: what runs is finished, who has connected is served, nobody new is taken.
#[test]
fn a_shutdown_finishes_what_runs_on_a_socket() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let upstream = Upstream::start(move |_| {
        let _ = released.lock().unwrap().recv();
        Reply::ok("finished")
    });
    let gateway = Gateway::start(&on(&socket, "", &to(&upstream)));
    let mut running = Client::try_unix(&socket).unwrap();
    running.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is on its way", || upstream.connections() == 1);
    let stopping = thread::spawn(move || gateway.shutdown());
    eventually("nobody new is taken", || Client::try_unix(&socket).is_none());
    release.send(()).unwrap();
    assert_eq!(running.response().unwrap().text(), "finished");
    assert!(stopping.join().unwrap(), "all ended by themselves");
}

/// B07: the bound is for all listeners together.
#[test]
fn connections_on_a_socket_are_bounded() {
    let place = Place::new();
    let socket = place.path("gateway.sock");
    let gateway = Gateway::start(&on(&socket, "max_connections = 1", HELLO));
    let mut first = Client::try_unix(&socket).unwrap();
    assert_eq!(first.request("GET", "/", &[]).unwrap().status(), 200);
    assert!(Client::try_unix(&socket).unwrap().is_closed());
    assert_eq!(gateway.metric("portcullis_connections_refused_total"), Some(1.0));
    drop(first);
    eventually("there is room again", || {
        Client::try_unix(&socket).is_some_and(|mut client| client.request("GET", "/", &[]).is_some())
    });
}
