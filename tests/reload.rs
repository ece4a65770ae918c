//! Reloads: everything that can change does, under load, and no request is lost (O01, O03).

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use portcullis::{GatewayError, StartError};
use portcullis_suite::{Client, Gateway, Message, Reply, SECRET, Upstream, eventually, token};

/// Clients that ask without a pause: half on connections that are kept, half on a new one each time.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Asks `/x`; every answer must be one that `good` accepts.
    fn start(to: SocketAddr, good: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        let (stop, asked, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(good));
        let client = |number: usize| {
            let (stop, asked, good) = (Arc::clone(&stop), Arc::clone(&asked), Arc::clone(&good));
            thread::spawn(move || {
                let mut kept = Client::connect(to);
                while !stop.load(Ordering::SeqCst) {
                    let answer = if number.is_multiple_of(2) {
                        kept.request("GET", "/x", &[])
                    } else {
                        Client::connect(to).request("GET", "/x", &["connection: close"])
                    };
                    let answer = answer.expect("no request is lost");
                    assert!(answer.complete && good(&answer), "{answer:?}");
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, asked, clients }
    }

    /// Until some requests more have been answered: whatever was changed before is in use by then.
    fn goes_on(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        eventually("requests go on", || {
            self.asked.load(Ordering::SeqCst) > before + 8 || self.clients.iter().any(JoinHandle::is_finished)
        });
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
    }
}

/// A configuration of which each part can be another.
struct File {
    listen: String,
    server: String,
    admin: String,
    log: String,
    rest: String,
}

impl File {
    fn new(upstream: &Upstream) -> Self {
        Self {
            listen: "\"127.0.0.1:0\"".to_owned(),
            server: "workers = 2".to_owned(),
            admin: "listen = \"127.0.0.1:0\"".to_owned(),
            log: "access = \"off\"".to_owned(),
            rest: to(upstream),
        }
    }

    fn text(&self) -> String {
        let Self { listen, server, admin, log, rest } = self;
        format!("listen = [{listen}]\n[server]\n{server}\n[admin]\n{admin}\n[log]\n{log}\n{rest}")
    }
}

fn to(upstream: &Upstream) -> String {
    format!("[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n", upstream.url())
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs `change` with the gateway under load, before and after each step that it takes.
fn under_load(change: impl FnOnce(&mut Gateway, &mut File, &dyn Fn())) {
    let upstream = Upstream::ok();
    let mut file = File::new(&upstream);
    let mut gateway = Gateway::start(&file.text());
    let load = Load::start(gateway.address(), |answer| answer.status() == 200);
    load.goes_on();
    change(&mut gateway, &mut file, &|| load.goes_on());
    load.goes_on();
    load.stop();
}

#[test]
fn addresses_change() {
    under_load(|gateway, file, go_on| {
        let (stays, more) = (file.listen.clone(), free());
        for _ in 0..10 {
            file.listen = format!("\"{more}\", {stays}");
            gateway.reload(&file.text()).unwrap();
            assert_eq!(gateway.server().addresses()[0], more, "in the configuration's order");
            assert_eq!(Client::get(more, "/x", &[]).status(), 200);
            go_on();
            file.listen.clone_from(&stays);
            gateway.reload(&file.text()).unwrap();
            eventually("it is closed", || Client::try_connect(more).is_none());
            go_on();
        }
    });
}

/// Two listeners on any free port are two: one of them can go.
#[test]
fn listeners_on_any_free_port_are_told_apart() {
    under_load(|gateway, file, go_on| {
        let stays = file.listen.clone();
        file.listen = format!("{stays}, \"127.0.0.1:0\", \"127.0.0.1:0\"");
        gateway.reload(&file.text()).unwrap();
        let three = gateway.server().addresses();
        assert!(three.len() == 3 && three[1] != three[2], "{three:?}");
        go_on();
        file.listen = format!("{stays}, \"127.0.0.1:0\"");
        gateway.reload(&file.text()).unwrap();
        assert_eq!(gateway.server().addresses(), three[..2]);
        eventually("the third is closed", || Client::try_connect(three[2]).is_none());
        assert_eq!(Client::get(three[1], "/x", &[]).status(), 200);
    });
}

/// Bounds and deadlines: those on heads hold for connections that begin after it, the others at once.
#[test]
fn bounds_and_deadlines_change() {
    under_load(|gateway, file, go_on| {
        let address = gateway.address();
        file.server = "workers = 2\nmax_headers = 5\nmax_header_size = \"8KiB\"\nheader_timeout = \"150ms\"".to_owned();
        let mut old = Client::connect(address);
        assert_eq!(old.request("GET", "/x", &[]).unwrap().status(), 200);
        gateway.reload(&file.text()).unwrap();
        go_on();
        let six = ["a: 1", "b: 2", "c: 3", "d: 4", "e: 5"];
        assert_eq!(Client::get(address, "/x", &six).status(), 431);
        assert_eq!(old.request("GET", "/x", &six).unwrap().status(), 200, "as the connection began");
        let long = format!("a: {}", "x".repeat(9000));
        assert_eq!(Client::get(address, "/x", &[&long]).status(), 431);
        let mut slow = Client::connect(address);
        assert_eq!(slow.send("GET / HTTP/1.1\r\n").response().unwrap().status(), 408);

        file.server = "workers = 2\nidle_timeout = \"150ms\"".to_owned();
        gateway.reload(&file.text()).unwrap();
        let mut idle = Client::connect(address);
        assert_eq!(idle.request("GET", "/x", &[]).unwrap().status(), 200);
        assert!(idle.is_closed());

        file.server =
            "workers = 2\nmax_body_size = \"4B\"\nmax_connections = 9000\nbody_timeout = \"150ms\"".to_owned();
        gateway.reload(&file.text()).unwrap();
        go_on();
        let posted = "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(old.send(posted).response().unwrap().status(), 413, "at once");
        let stalled = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab";
        assert_eq!(Client::connect(address).send(stalled).response().unwrap().status(), 408);
    });
}

#[test]
fn connections_are_bounded_anew() {
    let text = |most: u32| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[server]\nmax_connections = {most}\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\n"
        )
    };
    let mut gateway = Gateway::start(&text(2));
    let ask = |client: &mut Client| client.request("GET", "/", &[]).map(|answer| answer.status());
    let mut two = [(); 2].map(|()| Client::connect(gateway.address()));
    assert_eq!(two.each_mut().map(ask), [Some(200); 2]);
    assert!(Client::connect(gateway.address()).is_closed());
    gateway.reload(&text(3)).unwrap();
    let mut third = Client::connect(gateway.address());
    assert_eq!(ask(&mut third), Some(200));
    gateway.reload(&text(1)).unwrap();
    assert_eq!(two.each_mut().map(ask), [Some(200); 2], "who is there stays");
    assert!(Client::connect(gateway.address()).is_closed());
}

/// Counters of limits go on under another rate, and what clients are told of them changes.
#[test]
fn limits_and_their_headers_change() {
    under_load(|gateway, file, go_on| {
        let address = gateway.address();
        let limited = |rate: &str| {
            format!(
                "[[routes]]\npath = \"/limited\"\nrespond = {{ status = 200 }}\nlimits = [{{ rate = \"{rate}\", key = \"everyone\" }}]\n"
            )
        };
        let rest = file.rest.clone();
        file.rest = format!("{rest}{}", limited("3/h"));
        gateway.reload(&file.text()).unwrap();
        let answer = Client::get(address, "/limited", &[]);
        assert!(answer.get("ratelimit").is_some() && answer.get("x-ratelimit-remaining") == Some("2"));
        go_on();
        file.server = "workers = 2\nrate_limit_headers = [\"x-ratelimit\"]".to_owned();
        gateway.reload(&file.text()).unwrap();
        let answer = Client::get(address, "/limited", &[]);
        assert!(answer.get("ratelimit").is_none() && answer.get("x-ratelimit-remaining") == Some("1"), "it goes on");
        go_on();
        file.server = "workers = 2\nrate_limit_headers = []".to_owned();
        file.rest = format!("{rest}{}", limited("4/h"));
        gateway.reload(&file.text()).unwrap();
        let statuses = [(); 3].map(|()| Client::get(address, "/limited", &[]).status());
        // 40 of 60 minutes were spent under the old rate; of what is left one more can be taken, and never four.
        assert_eq!(statuses, [200, 429, 429]);
        let refused = Client::get(address, "/limited", &[]);
        assert!(refused.get("x-ratelimit-limit").is_none() && refused.get("retry-after").is_some());
    });
}

#[test]
fn the_log_changes() {
    let folder = tempfile::tempdir().unwrap();
    under_load(|gateway, file, go_on| {
        let lines = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        for name in ["one", "two", "three"] {
            file.log = format!("access = \"{}\"\nformat = \"json\"", folder.path().join(name).display());
            gateway.reload(&file.text()).unwrap();
            go_on();
            eventually("it has lines", || lines(name).contains("\"status\":200"));
        }
        file.log = format!("access = \"{}\"\nformat = \"text\"", folder.path().join("four").display());
        gateway.reload(&file.text()).unwrap();
        go_on();
        eventually("it has lines of the other form", || lines("four").contains(" 200 "));
        file.log = "access = \"/no/such/folder/log\"".to_owned();
        let error = gateway.reload(&file.text()).unwrap_err();
        assert!(matches!(error, StartError::Gateway(_)), "{error}");
    });
}

#[test]
fn the_admin_door_changes() {
    under_load(|gateway, file, go_on| {
        let (door, other) = (free(), free());
        let at = |address: SocketAddr, token: &str| format!("listen = \"{address}\"\ntoken = \"{token}\"");
        let status =
            |address: SocketAddr, field: &str| Client::get(address, "/metrics", &["connection: close", field]).status();
        file.admin = at(door, "");
        gateway.reload(&file.text()).unwrap();
        assert_eq!(status(door, "a: b"), 200);
        go_on();
        file.admin = at(door, "first");
        gateway.reload(&file.text()).unwrap();
        assert_eq!([status(door, "a: b"), status(door, "authorization: Bearer first")], [401, 200]);
        go_on();
        // The same port of another address is another listener of ours, and not somebody else's.
        file.admin = format!("listen = \"0.0.0.0:{}\"\ntoken = \"first\"", door.port());
        gateway.reload(&file.text()).unwrap();
        eventually("the new door has them all", || {
            let ask = || Client::try_connect(door)?.request("GET", "/livez", &["connection: close"]);
            (0..20).all(|_| ask().is_some())
        });
        go_on();
        file.admin = at(other, "second");
        gateway.reload(&file.text()).unwrap();
        assert_eq!(
            [status(other, "authorization: Bearer first"), status(other, "authorization: Bearer second")],
            [401, 200]
        );
        assert!(Client::try_connect(door).is_none(), "the old door is closed");
        go_on();
        file.admin = "listen = \"\"".to_owned();
        gateway.reload(&file.text()).unwrap();
        assert!(Client::try_connect(other).is_none() && gateway.server().admin_listener().is_none());
    });
}

/// Verifiers come, change and go; one that stays keeps what it knows, one with another secret does not.
#[test]
fn verifiers_change() {
    under_load(|gateway, file, go_on| {
        let address = gateway.address();
        let guarded = |secret: &str| {
            format!(
                "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"{secret}\"\nissuer = \"https://login.shop.test\"\naudience = \"shop\"\n[[routes]]\npath = \"/mine\"\nauth = \"users\"\nrespond = {{ status = 200 }}\n[defaults]\nauth = \"none\"\n"
            )
        };
        let rest = file.rest.clone();
        let ada = format!("authorization: Bearer {}", token("ada"));
        let mine = || Client::get(address, "/mine", &[&ada]).status();
        assert_eq!(mine(), 200, "nobody guards it yet");
        for (secret, status) in [(SECRET, 200), ("another-secret-of-at-least-32-bytes!", 401), (SECRET, 200)] {
            file.rest = format!("{rest}{}", guarded(secret));
            gateway.reload(&file.text()).unwrap();
            assert_eq!([mine(), mine(), Client::get(address, "/mine", &[]).status()], [status, status, 401]);
            go_on();
        }
    });
}

/// Servers come and go; the connections of one that stays are kept, and an answer that has begun is finished.
#[test]
fn upstreams_and_routes_change() {
    let (one, two) = (Upstream::start(|_| Reply::ok("one")), Upstream::start(|_| Reply::ok("two")));
    under_load(|gateway, file, go_on| {
        let address = gateway.address();
        for round in 0..10 {
            let servers = if round % 2 == 0 {
                format!("\"{}\", \"{}\"", one.url(), two.url())
            } else {
                format!("\"{}\"", one.url())
            };
            file.rest = format!(
                "[upstreams]\napp = [{servers}]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n[[routes]]\npath = \"/round/{round}\"\nrespond = {{ status = 200, body = \"{round}\" }}\n"
            );
            gateway.reload(&file.text()).unwrap();
            assert_eq!(Client::get(address, &format!("/round/{round}"), &[]).text(), round.to_string());
            go_on();
        }
    });
    assert!(!two.seen().is_empty());
    // Those of the clients that ask at the same time, and a few that raced for a place.
    assert!(one.connections() <= 12, "{} connections", one.connections());
}

/// Deadlines of upstreams and routes hold for the next request, on connections that are open too.
#[test]
fn deadlines_of_upstreams_change() {
    let silent = Upstream::start(|_| Reply::Silence);
    under_load(|gateway, file, go_on| {
        let rest = file.rest.clone();
        let mut kept = Client::connect(gateway.address());
        for (upstream, route) in [("timeout = \"100ms\"", ""), ("timeout = \"1h\"", "timeout = \"100ms\"")] {
            file.rest = format!(
                "{rest}[[routes]]\npath = \"/silent\"\nupstream = \"silent\"\n{route}\n[upstreams.silent]\nservers = [\"{}\"]\n{upstream}\n",
                silent.url()
            );
            gateway.reload(&file.text()).unwrap();
            assert_eq!(kept.request("GET", "/silent", &[]).unwrap().status(), 504);
            go_on();
        }
    });
}

/// The grace is that of the configuration in force.
#[test]
fn the_grace_changes() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let mut file = File::new(&upstream);
    let mut gateway = Gateway::start(&file.text());
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is there", || !upstream.seen().is_empty());
    file.server = "workers = 2\nshutdown_grace = \"50ms\"".to_owned();
    gateway.reload(&file.text()).unwrap();
    assert!(!gateway.shutdown(), "it had to cut");
    assert!(client.is_closed());
}

/// What needs a restart is told, and the rest of the file is not applied either, under load as well.
#[test]
fn what_needs_a_restart_changes_nothing() {
    under_load(|gateway, file, go_on| {
        let (address, door) = (gateway.address(), gateway.server().admin_address().unwrap());
        let before = file.rest.clone();
        file.rest.push_str("[[routes]]\npath = \"/new\"\nrespond = { status = 204 }\n");
        file.server = "workers = 3".to_owned();
        let refused = |gateway: &mut Gateway, text: &str, what: &str| {
            let error = gateway.reload(text).unwrap_err();
            assert!(
                matches!(&error, StartError::Gateway(GatewayError::NeedsRestart(all)) if all.len() == 1),
                "{error}"
            );
            assert!(error.to_string().contains("restart") && error.to_string().contains(what), "{error}");
            assert_eq!(Client::get(address, "/new", &[]).status(), 200, "as before");
        };
        refused(gateway, &file.text(), "server.workers");
        go_on();
        // A listener that is there cannot become one of another kind.
        file.server = "workers = 2".to_owned();
        let (stays, clients) = (file.listen.clone(), format!("\"{}\"", free()));
        file.listen = format!("{stays}, {clients}");
        file.admin = format!("listen = \"{door}\"");
        gateway.reload(&file.text()).unwrap();
        assert_eq!(Client::get(address, "/new", &[]).status(), 204);
        file.rest = before;
        gateway.reload(&file.text()).unwrap();
        file.rest.push_str("[[routes]]\npath = \"/new\"\nrespond = { status = 204 }\n");
        file.listen = format!("{stays}, {clients}, \"{door}\"");
        file.admin = "listen = \"\"".to_owned();
        refused(gateway, &file.text(), "changed its kind");
        file.listen.clone_from(&stays);
        file.admin = format!("listen = {clients}");
        refused(gateway, &file.text(), "changed its kind");
        assert_eq!(Client::get(door, "/livez", &["connection: close"]).status(), 200);
    });
}

/// O03: many reloads, one right after the other: no request is lost, and no plan stays behind.
#[test]
fn many_reloads_leave_nothing_behind() {
    let upstream = Upstream::ok();
    let mut file = File::new(&upstream);
    let mut gateway = Gateway::start(&file.text());
    let load = Load::start(gateway.address(), |answer| answer.status() == 200);
    load.goes_on();
    let rest = file.rest.clone();
    for round in 0..200 {
        file.rest = format!("{rest}[[routes]]\npath = \"/round/{round}\"\nrespond = {{ status = 200 }}\n");
        gateway.reload(&file.text()).unwrap();
    }
    load.goes_on();
    assert!(gateway.server().gateway().plans() <= 6, "one for each connection at most, beside the one in force");
    load.stop();
    eventually("only the plan in force is left", || gateway.server().gateway().plans() == 1);
    eventually("every connection is gone", || gateway.server().gateway().connections() == 0);
    assert_eq!(gateway.metric("portcullis_reloads_total{result=\"ok\"}"), Some(201.0));
    assert!(upstream.connections() <= 12, "{} connections", upstream.connections());
}
