//! The binary beside files that change: what it watches, what it leaves alone, and that it leaks nothing.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use portcullis_suite::{Client, SECRET, Upstream, eventually, token};

use crate::commands::{Running, file, portcullis, text};

const OTHER: &str = "another-secret-of-at-least-32-bytes!";

/// Guards `/` with the secret in a file.
fn guarded(secret: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"file:{secret}\"\nissuer = \"https://login.shop.test\"\naudience = \"shop\"\n[[routes]]\npath = \"/**\"\nauth = \"users\"\nrespond = {{ status = 200 }}\n"
    )
}

/// A file that the configuration names is watched like the configuration: a new secret is in force by itself, a broken one
/// is reported and changes nothing.
#[test]
fn a_changed_secret_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    let secret = folder.path().join("secrets/jwt");
    fs::write(&secret, SECRET).unwrap();
    file(folder.path(), &guarded("secrets/jwt"));
    let mut running = Running::start(&["run"], folder.path());
    let (address, admin) = (running.address(), running.admin());
    let ada = format!("authorization: Bearer {}", token("ada"));
    let status = || Client::get(address, "/", &[&ada]).status();
    assert_eq!(status(), 200);
    fs::write(&secret, OTHER).unwrap();
    eventually("the other secret is in force", || status() == 401);
    fs::write(&secret, "short").unwrap();
    running.line("the last good one goes on");
    assert!(Client::get(admin, "/readyz", &["connection: close"]).text().contains("secret"));
    assert_eq!(status(), 401);
    // As an orchestrator does it: another file takes its place.
    fs::write(folder.path().join("secrets/new"), SECRET).unwrap();
    fs::rename(folder.path().join("secrets/new"), &secret).unwrap();
    eventually("the first secret is in force again", || status() == 200);
    eventually("it is ready", || Client::get(admin, "/readyz", &["connection: close"]).text() == "ready\n");
}

/// What a broken configuration names is watched too: that its file is not there yet may be all that is wrong.
#[test]
fn a_file_that_is_missing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("later")).unwrap();
    fs::write(folder.path().join("jwt"), SECRET).unwrap();
    file(folder.path(), &guarded("jwt"));
    let mut running = Running::start(&["run"], folder.path());
    let address = running.address();
    let ada = format!("authorization: Bearer {}", token("ada"));
    file(folder.path(), &guarded("later/jwt"));
    running.line("the last good one goes on");
    running.line("no such file");
    assert_eq!(Client::get(address, "/", &[&ada]).status(), 200);
    fs::write(folder.path().join("later/jwt"), OTHER).unwrap();
    eventually("it is read when it is there", || Client::get(address, "/", &[&ada]).status() == 401);
}

/// O03: descriptors and threads of a process.
pub(crate) fn held(process: u32) -> (u32, u32) {
    let count = |what: &str| u32::try_from(fs::read_dir(format!("/proc/{process}/{what}")).unwrap().count()).unwrap();
    (count("fd"), count("task"))
}

/// O03: many reloads of the real process under load: no request is lost, and it holds no more than before.
#[test]
fn a_hundred_reloads_leak_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::ok();
    // Half of them move a listener and a log file, too.
    let with = |round: usize| {
        let (port, log) = if round.is_multiple_of(2) { ("", "even") } else { (", \"unix:more.sock\"", "odd") };
        format!(
            "listen = [\"127.0.0.1:0\"{port}]\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"{log}.log\"\n[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n[[routes]]\npath = \"/round\"\nrespond = {{ status = 200, body = \"{round}\" }}\n",
            upstream.url()
        )
    };
    file(folder.path(), &with(0));
    let mut running = Running::start(&["run", "--no-watch"], folder.path());
    let (address, admin) = (running.address(), running.admin());
    let process = running.child.id();
    let metric = |name: &str| {
        let page = Client::get(admin, "/metrics", &["connection: close"]).text();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
    };
    assert_eq!(Client::get(address, "/x", &[]).status(), 200);
    eventually("the first connection is gone", || metric("portcullis_connections_open") == Some(0.0));
    let before = held(process);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.request("GET", "/x", &[]).expect("no request is lost");
                    assert_eq!(answer.status(), 200);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 1..=100 {
        file(folder.path(), &with(round));
        running.signal("-HUP");
        eventually("it is in force", || Client::get(address, "/round", &[]).text() == round.to_string());
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(asked.load(Ordering::SeqCst) > 100);
    assert_eq!(metric("portcullis_reloads_total{result=\"ok\"}"), Some(101.0));
    eventually("only the plan in force is left", || metric("portcullis_plans") == Some(1.0));
    // Up to as many connections to the upstream as there were clients at a time are kept.
    eventually("what was opened is closed", || {
        let kept = metric("portcullis_upstream_connections_idle{upstream=\"app\"}").unwrap_or_default();
        let now = held(process);
        f64::from(now.0) <= f64::from(before.0) + kept && now.1 == before.1
    });
}

/// What is worth a line changes with the file.
#[test]
fn the_level_of_the_log_changes() {
    let folder = tempfile::tempdir().unwrap();
    let with = |level: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"\"\n[log]\naccess = \"off\"\nlevel = \"{level}\"\n[upstreams]\napp = [\"http://127.0.0.1:1\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"
        )
    };
    file(folder.path(), &with("info"));
    let mut running = Running::start(&["run"], folder.path());
    let address = running.address();
    assert_eq!(Client::get(address, "/", &[]).status(), 502);
    file(folder.path(), &with("debug"));
    running.line("the new configuration is in force");
    assert!(!running.has_said("cannot connect to an upstream"), "that is worth a line to who debugs only");
    assert_eq!(Client::get(address, "/", &[]).status(), 502);
    running.line("cannot connect to an upstream");
}

/// `workers` is how many event loops there are.
#[test]
fn workers_are_threads() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 3\n[admin]\nlisten = \"\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n",
    );
    let mut running = Running::start(&["run"], folder.path());
    running.address();
    let process = running.child.id();
    // A thread names itself once it runs; the system keeps the first fifteen letters.
    let count = || {
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default());
        names.filter(|name| name.starts_with("portcullis-work")).count()
    };
    eventually("there are three of them", || count() == 3);
}

/// A process that is killed leaves its socket, and the next one takes its place; one that stops takes it away.
#[test]
fn a_killed_process_leaves_a_socket_that_the_next_one_replaces() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "listen = [\"unix:gateway.sock\"]\n[admin]\nlisten = \"unix:admin.sock\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\n",
    );
    let config = folder.path().join("portcullis.toml");
    // From another folder: the path is relative to the configuration's.
    let elsewhere = tempfile::tempdir().unwrap();
    let start = || Running::start(&["run", config.to_str().unwrap()], elsewhere.path());
    let mut first = start();
    first.line("listening on unix:");
    first.line("admin on unix:");
    let socket = folder.path().join("gateway.sock");
    assert_eq!(Client::get_unix(&socket, "/", &[]).status(), 200);
    let second = portcullis(&["run", config.to_str().unwrap()], elsewhere.path());
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("another program listens there"), "{}", text(&second.stderr));
    first.signal("-KILL");
    first.wait();
    assert!(socket.exists());
    let mut next = start();
    next.line("admin on unix:");
    assert_eq!(Client::get_unix(&socket, "/", &[]).status(), 200);
    assert_eq!(
        Client::get_unix(&folder.path().join("admin.sock"), "/readyz", &["connection: close"]).text(),
        "ready\n"
    );
    next.signal("-TERM");
    assert_eq!(next.wait().code(), Some(0));
    assert!(!socket.exists() && !folder.path().join("admin.sock").exists());
}

/// `check` and `explain` say whom the gateway believes.
#[test]
fn check_and_explain_tell_who_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let with = |trusted: &str| {
        format!(
            "listen = [\"unix:a.sock\"]\n[server]\ntrusted_proxies = [{trusted}]\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200 }}\nlimits = [{{ rate = \"1/s\", key = \"client\" }}]\n"
        )
    };
    file(folder.path(), &with("\"10.0.0.0/8\""));
    let checked = text(&portcullis(&["check"], folder.path()).stdout);
    assert!(checked.contains("believes x-forwarded-for of 10.0.0.0/8"), "{checked}");
    assert!(checked.contains("its clients count as one"), "{checked}");
    let explain = |args: &[&str]| {
        let output = portcullis(&[&["explain", "GET", "/"], args].concat(), folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let told = ["-H", "x-forwarded-for: 6.6.6.6, 192.0.2.7", "-H", "x-forwarded-proto: https"];
    let believed = explain(&[&["--client", "10.0.0.1"], &told[..]].concat());
    assert!(believed.contains("192.0.2.7, over https: 10.0.0.1 is a trusted proxy"), "{believed}");
    assert!(believed.contains("counted by client = 192.0.2.7"), "{believed}");
    let stranger = explain(&[&["--client", "192.0.2.9"], &told[..]].concat());
    assert!(stranger.contains("192.0.2.9: not one of server.trusted_proxies"), "{stranger}");
    assert!(stranger.contains("counted by client = 192.0.2.9"), "{stranger}");
    let unix = explain(&["--client", "unix"]);
    assert!(unix.contains("all of them count as one") && unix.contains("(no address)"), "{unix}");
    assert!(!explain(&[]).contains("trusted"), "nothing where there is nothing to say");
    file(folder.path(), &with("\"unix\""));
    let unix = explain(&[&["--client", "unix"], &told[..]].concat());
    assert!(unix.contains("192.0.2.7, over https: unix is a trusted proxy"), "{unix}");
    let checked = text(&portcullis(&["check"], folder.path()).stdout);
    assert!(!checked.contains("count as one"), "{checked}");
    file(folder.path(), &with("\"0.0.0.0/0\""));
    let warned = text(&portcullis(&["check"], folder.path()).stderr);
    assert!(warned.contains("everybody is a trusted proxy"), "{warned}");
}
