//! The binary, as a person or a script meets it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use portcullis_suite::{Client, PATIENCE, Upstream, eventually};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The binary of this build, built if it is not there yet.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--workspace",
                "--bin",
                "portcullis",
                "--offline",
                "--message-format=json",
                "--manifest-path",
            ])
            .arg(format!("{ROOT}/Cargo.toml"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let executables = String::from_utf8(output.stdout).unwrap();
        let executable = executables
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| Some(message["executable"].as_str()?.to_owned()))
            .expect("cargo names the executable");
        executable.into()
    })
}

pub(crate) fn portcullis(args: &[&str], folder: &Path) -> Output {
    Command::new(binary()).args(args).current_dir(folder).env_remove("RUST_BACKTRACE").output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running command; killed with the value. Its lines are read as they come, so that it never waits for us.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(binary())
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let tell = tell.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// The next line, already seen or still to come, that has `part` in it.
    pub(crate) fn line(&mut self, part: &str) -> String {
        loop {
            if let Some(line) = self.seen.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line with {part:?} in {:#?}", self.seen),
            }
        }
    }

    /// Whether one of the lines that were read so far has `part` in it.
    pub(crate) fn has_said(&self, part: &str) -> bool {
        self.seen.iter().any(|line| line.contains(part))
    }

    /// How many of the lines that were read so far have `part` in them.
    pub(crate) fn lines_with(&self, part: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(part)).count()
    }

    /// Where it listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        address_in(&self.line("listening on http://"))
    }

    pub(crate) fn admin(&mut self) -> SocketAddr {
        address_in(&self.line("admin on http://"))
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the process ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

fn address_in(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("http://").unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit() && !".:[]".contains(c)).unwrap_or(rest.len());
    rest[..end].trim_end_matches(':').parse().unwrap_or_else(|_| panic!("no address in {line:?}"))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn file(folder: &Path, text: &str) {
    std::fs::write(folder.join("portcullis.toml"), text).unwrap();
}

/// A configuration that answers with `mark`.
fn marked(mark: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[[routes]]\npath = \"/**\"\nrespond = {{ status = 200, body = \"{mark}\" }}\n"
    )
}

#[test]
fn help_teaches_and_the_version_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&portcullis(&["--help"], folder.path()).stdout);
    for part in ["portcullis demo", "portcullis run --to", "portcullis check", "portcullis explain", "Exit codes"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let version = portcullis(&["--version"], folder.path());
    assert_eq!(text(&version.stdout).trim(), format!("portcullis {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(portcullis(&["nonsense"], folder.path()).status.code(), Some(2));
}

#[test]
fn without_a_file_there_is_a_lesson_that_works() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["run", "check"] {
        let output = portcullis(&[command], folder.path());
        assert_eq!(output.status.code(), Some(2));
        let lesson = text(&output.stderr);
        assert!(lesson.contains("portcullis.toml") && lesson.contains("run --to"), "{lesson}");
        // What it shows is a file that works.
        let shown: String = lesson
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| !line.contains("portcullis"))
            .map(|line| format!("{line}\n"))
            .collect();
        file(folder.path(), &shown);
        let checked = portcullis(&["check"], folder.path());
        assert_eq!(checked.status.code(), Some(0), "{}{shown}", text(&checked.stderr));
        std::fs::remove_file(folder.path().join("portcullis.toml")).unwrap();
    }
}

#[test]
fn check_reports_everything_and_says_the_worst_case() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "[limits.a]\nrate = \"100/min\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200 }\nlimits = [\"a\"]\n",
    );
    let good = portcullis(&["check"], folder.path());
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).contains("at most 200 in any minute"), "{}", text(&good.stdout));
    file(folder.path(), "[[routes]]\npath = \"/**\"\nupstraem = \"app\"\nwhen = \"false\"\n");
    let bad = portcullis(&["check"], folder.path());
    assert_eq!(bad.status.code(), Some(2));
    let report = text(&bad.stderr);
    assert!(
        report.contains("did you mean `upstream`?")
            && report.contains("not built yet")
            && report.contains("portcullis.toml:3"),
        "{report}"
    );
    assert!(!report.contains('\x1b'), "no colour into a pipe");
    assert_eq!(portcullis(&["run"], folder.path()).status.code(), Some(2), "the same for run, and nothing is started");
}

#[test]
fn every_example_is_good() {
    for entry in std::fs::read_dir(format!("{ROOT}/examples")).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|kind| kind == "toml") {
            let output = portcullis(&["check", entry.path().to_str().unwrap()], Path::new(ROOT));
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn the_schema_is_json_and_its_help_says_what_to_do_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = portcullis(&["schema"], folder.path());
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let workers = &schema["properties"]["server"]["properties"]["workers"];
    assert_eq!((&workers["default"], &workers["anyOf"][0]["maximum"]), (&0.into(), &1024.into()));
    assert!(
        text(&portcullis(&["schema", "--help"], folder.path()).stdout).contains("#:schema ./portcullis.schema.json")
    );
}

#[test]
fn explain_says_why() {
    let explain = |args: &[&str]| {
        let mut all = vec!["explain"];
        all.extend(args);
        all.extend(["--config", "examples/shop.toml"]);
        let output = portcullis(&all, Path::new(ROOT));
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, told) = explain(&["GET", "/orders/../orders//7"]);
    assert_eq!(code, Some(1), "{told}");
    for part in ["/orders/7 (canonical)", "/orders/**", "missing-token", "portcullis token"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let token = portcullis(
        &["token", "--sub", "ada", "--claim", "role=admin", "--config", "examples/shop.toml"],
        Path::new(ROOT),
    );
    assert_eq!(token.status.code(), Some(0), "{}", text(&token.stderr));
    let bearer = format!("authorization: Bearer {}", text(&token.stdout).trim());
    let (code, told) = explain(&["GET", "/orders/7", "-H", &bearer, "-H", "x-user-id: forged"]);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "ada (by users)",
        "x-user-id: ada",
        "x-user-role: admin",
        "x-user-id is removed",
        "at most 200 in any minute",
        "orders:",
        "counted by identity = ada",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let (code, told) = explain(&["GET", "/health"]);
    assert!(code == Some(0) && told.contains("by the gateway itself"), "{told}");
    let (code, told) = explain(&["DELETE", "/health"]);
    assert!(code == Some(1) && told.contains("405") && told.contains("GET"), "{told}");
    let (code, told) = explain(&["GET", "/a%2Fb"]);
    assert!(code == Some(1) && told.contains("400"), "{told}");
}

/// Each limit with its numbers, whom the request counts as, and the most that can pass; check says it for every client.
#[test]
fn explain_and_check_say_what_limits_do() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        r#"
        [limits.bucket]
        rate = "100/min"
        burst = 20
        cost = 2
        [limits.log]
        rate = "50/h"
        algorithm = "sliding-log"
        key = "header:x-tenant"
        mode = "shadow"
        [limits.window]
        rate = "7/day"
        algorithm = "sliding-window"
        key = ["cookie:s", "query:q"]
        [[routes]]
        path = "/**"
        respond = { status = 200 }
        limits = ["bucket", "log", "window"]
        "#,
    );
    let lines = [
        "bucket: 100/min, token-bucket, burst 20; costs 2, counted by client = 2001:db8:1:2::/64; \
         at most 120 in any minute: burst 20 + refill 100",
        "log: 50/h, sliding-log; costs 1, counted by header:x-tenant = acme; at most 50 in any hour, exactly; \
         in shadow: counted, refused never; in memory at most 400 bytes a key, 400 MB with 1000000 keys",
        "window: 7/day, sliding-window; costs 1, counted by query:q = 5; \
         at most 13 in any day: 7 at the end of one window + 6 spread over the next; 7 in each window",
    ];
    let output = portcullis(
        &["explain", "GET", "/?q=5", "-H", "x-tenant: acme", "--client", "2001:db8:1:2:3::4"],
        folder.path(),
    );
    let told = text(&output.stdout);
    for line in lines {
        assert!(told.lines().any(|told| told.trim_start() == format!("limit  {line}")), "{line} in\n{told}");
    }
    let output = portcullis(&["check"], folder.path());
    let told = text(&output.stdout);
    let line = "limit log for each header:x-tenant: at most 50 in any hour, exactly; in shadow: counted, refused never; \
                in memory at most 400 bytes a key, 400 MB with 1000000 keys";
    assert!(told.lines().any(|told| told == line), "{told}");
}

#[test]
fn explain_says_what_a_connection_may_change_to() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "[upstreams]\napp = [\"http://127.0.0.1:7001\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
    );
    let explain = |method: &str, upgrade: &str| {
        let upgrade = format!("upgrade: {upgrade}");
        let output = portcullis(&["explain", method, "/", "-H", "connection: upgrade", "-H", &upgrade], folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let told = explain("GET", "h2c, WebSocket");
    assert!(told.contains("   upgrade  websocket, once the upstream answers 101"), "{told}");
    for (method, upgrade) in [("GET", "h2c"), ("POST", "websocket")] {
        let told = explain(method, upgrade);
        assert!(told.contains("upgrade is removed: its route allows none of it"), "{told}");
        assert!(!told.contains("101"), "{told}");
    }
}

#[test]
fn explain_tells_of_splits_redirects_and_rules() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        r#"
        [upstreams]
        orders = ["http://127.0.0.1:7001"]
        next = ["http://127.0.0.1:7002"]
        [[routes]]
        path = "/orders/**"
        split = { by = "cookie:session", to = [{ upstream = "orders", weight = 95 }, { upstream = "next", weight = 5 }] }
        rewrite = "/v2/{rest}?from={host}"
        request = { set = { "x-host" = "{host}", "x-none" = "{query:none}", "x-key" = "${PATH}" }, remove = ["x-debug"] }
        response = { add = { "vary" = "origin" } }
        [[routes]]
        path = "/old/**"
        redirect = "https://shop.test/new/{rest}"
        "#,
    );
    let explain = |args: &[&str]| {
        let output = portcullis(&[&["explain"], args].concat(), folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let told = explain(&["GET", "/orders/7?a=b", "-H", "cookie: session=1"]);
    for part in [
        "orders: 95 of 100",
        "next: 5 of 100",
        "sticks to cookie:session",
        "orders: http://127.0.0.1:7001",
        "GET /v2/7?from=localhost",
        "removes x-debug",
        "sets x-host: localhost",
        "sets x-none: (not sent",
        "sets x-key: (from outside the file)",
        "adds vary: origin",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = explain(&["GET", "/orders/7"]);
    assert!(told.contains("by chance: cookie:session is not there") && !told.contains("http://127"), "{told}");
    let told = explain(&["GET", "/old/7?a=b"]);
    assert!(told.contains("308") && told.contains("https://shop.test/new/7?…"), "{told}");
    let checked = text(&portcullis(&["check"], folder.path()).stdout);
    assert!(checked.contains("to orders (95 %), next (5 %), sticky by cookie:session, path rewritten"), "{checked}");
    assert!(checked.contains("redirects with 308"), "{checked}");
}

#[test]
fn explain_tells_of_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"a-secret-of-at-least-thirty-two-bytes\"\n\
         issuer = \"i\"\naudience = \"a\"\ntoken = [\"cookie:session\", \"header:authorization\"]\n\
         [upstreams]\napp = [\"http://127.0.0.1:7001\"]\n\
         [[routes]]\npath = \"/all/**\"\nupstream = \"app\"\nauth = \"none\"\ncache = \"on\"\n\
         [[routes]]\npath = \"/page\"\nupstream = \"app\"\nauth = \"none\"\nhosts = [\"shop.test\"]\n\
         cache = { key = [\"query:page\", \"cookie:lang\"], ttl = \"30s\", stale_while_revalidate = \"1m\", stale_if_error = \"10m\", \
         max_size = \"4KiB\" }\n\
         [[routes]]\npath = \"/some/**\"\nupstream = \"app\"\nauth = \"users\"\ncache = \"on\"\n\
         [[routes]]\npath = \"/mine/**\"\nupstream = \"app\"\nauth = \"users\"\ncache = { per = [\"claim:tenant\"] }\n\
         [[routes]]\npath = \"/off\"\nupstream = \"app\"\nauth = \"none\"\n",
    );
    let token = |claims: &[&str]| {
        let output = portcullis(&[&["token", "--sub", "ada"], claims].concat(), folder.path());
        format!("cookie: session={}", text(&output.stdout).trim())
    };
    let (ada, acme) = (token(&[]), token(&["--claim", "tenant=acme"]));
    let explain = |args: &[&str]| {
        let output = portcullis(&[&["explain"], args].concat(), folder.path());
        text(&output.stdout) + &text(&output.stderr)
    };
    for (args, expected) in [
        (
            &["GET", "http://shop.test:8080/all//x?a=canary"][..],
            &[
                "cache  looked up by route = /all/**, scheme = http, host = shop.test, port = 8080, path = /all/x, query = (not shown)\n",
                "cache  keeps what is not private\n",
                "cache  keeps as long as the origin says; where it says nothing, not at all\n",
                "cache  keeps bodies of at most 1048576 bytes\n",
            ][..],
        ),
        (&["HEAD", "/all/x"], &["path = /all/x, query = (absent)\n"]),
        (&["GET", "/all/x", "-H", "cookie: a=canary"], &["cache  goes past it: the request has a cookie, and"]),
        (&["GET", "/all/x", "-H", "authorization: Basic canary"], &["cache  keeps only what says public, s-maxage or"]),
        (&["GET", "/all/x", "-H", "if-match: *"], &["cache  goes past it: the request has a condition"]),
        (
            &["GET", "/all/x", "-H", "cache-control: no-store"],
            &["cache  keeps nothing of this request: it says no-store"],
        ),
        (
            &["GET", "/all/x", "-H", "x-http-method-override: PUT"],
            &["cache  goes past it: the request says that it means"],
        ),
        (&["POST", "/all/x"], &["cache  goes past it: the method may change something; after"]),
        (&["OPTIONS", "/all/x"], &["cache  goes past it: only GET and HEAD"]),
        (
            &["GET", "http://shop.test/page?page=2&x=1", "-H", "cookie: lang=canary"],
            &[
                "cache  looked up by route = /page, scheme = http, query:page = 2, cookie:lang = (not shown)\n",
                "cache  keeps as long as the origin says; 30s where it says nothing\n",
                "cache  keeps stale for 1m while it is asked for again, unless",
                "cache  keeps stale for 10m when the upstream fails, unless",
                "cache  keeps bodies of at most 4096 bytes\n",
            ],
        ),
        (&["GET", "http://shop.test/page"], &["query:page = (absent), cookie:lang = (absent)\n"]),
        (&["GET", "/some/x", "-H", &ada], &["cache  keeps only what says public, s-maxage or must-revalidate"]),
        (
            &["GET", "/mine/x", "-H", &acme],
            &["per claim:tenant = acme\n", "cache  keeps for this one alone, private answers too"],
        ),
        (
            &["GET", "/mine/x", "-H", &ada],
            &["goes past it: answers are kept apart by claim:tenant, which this request does not"],
        ),
    ] {
        let told = explain(args);
        assert!(!told.contains("canary") && !told.contains(&ada[16..]), "{told}");
        for part in expected {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    assert!(!explain(&["GET", "/off"]).contains("cache"), "a route that keeps nothing");
    let document = |args: &[&str]| serde_json::from_str::<serde_json::Value>(&explain(args)).unwrap();
    let found = document(&["GET", "/all/x?a=b", "--json"]);
    assert_eq!(
        (&found["cache"]["bypass"], &found["cache"]["key"][4]["value"]),
        (&().into(), &"/all/x".into()),
        "{found}"
    );
    assert_eq!((&found["cache"]["key"][5]["value"], &found["cache"]["key"][5]["hidden"]), (&().into(), &true.into()));
    assert_eq!(document(&["POST", "/all/x", "--json"])["cache"]["bypass"], "unsafe-method");
    assert!(document(&["GET", "/off", "--json"])["cache"].is_null());
    let checked = text(&portcullis(&["check"], folder.path()).stdout);
    assert!(checked.contains("route /all/**: public, no limits, to app, answers kept\n"), "{checked}");
    assert!(checked.contains("to app, answers kept apart for each claim:tenant\n"), "{checked}");
}

#[test]
fn explain_prints_one_document_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let routes = (0..30).map(|n| format!("[[routes]]\npath = \"/r{n}\"\nrespond = {{}}\nauth = \"none\"\n"));
    let config = format!(
        "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"{secret}\"\nissuer = \"i\"\naudience = \"a\"\n\
         forward = {{ x-user = \"sub\" }}\n\
         [upstreams]\napp = [\"http://127.0.0.1:7001\"]\n[[routes]]\npath = \"/api/{{id}}\"\nrewrite = \"/v1/{{id}}\"\n\
         upstream = \"app\"\nauth = \"users\"\nlimits = [\"9/s\", {{ rate = \"5/s\", key = \"cookie:session\" }}]\n\
         request = {{ set = {{ x-copy = \"{{cookie:session}}\" }} }}\n{}",
        routes.collect::<String>()
    );
    file(folder.path(), &config);
    let token = text(&portcullis(&["token", "--sub", "ada"], folder.path()).stdout).trim().to_owned();
    let (bearer, cookie) = (format!("authorization: Bearer {token}"), "cookie: session=canary");
    let explain_at = |url: &str, more: &[&str]| {
        let mut args = vec!["explain", "GET", url, "-H", cookie];
        args.extend(more);
        let output = portcullis(&args, folder.path());
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(!told.contains("canary") && !told.contains(secret) && !told.contains(&token), "{told}");
        (output.status.code(), told)
    };
    let explain = |more: &[&str]| explain_at("http://shop.test//api/7?k=canary", more);
    let document = |told: &str| serde_json::from_str::<serde_json::Value>(told).unwrap();

    let (code, told) = explain(&["--json", "-H", &bearer]);
    let found = document(&told);
    assert_eq!((code, &found["admitted"]), (Some(0), &true.into()), "{told}");
    assert_eq!(found["request"]["url"], "http://shop.test//api/7?…");
    assert_eq!((&found["path"], &found["route"]["name"]), (&"/api/7".into(), &"/api/{id}".into()));
    assert_eq!((&found["identity"]["id"], &found["sets"][0]["value"]), (&"ada".into(), &"ada".into()));
    assert_eq!((&found["limits"][0]["key"], &found["limits"][0]["value"]), (&"identity".into(), &"ada".into()));
    assert_eq!((&found["limits"][1]["key"], &found["limits"][1]["value"]), (&"cookie:session".into(), &().into()));
    assert_eq!((&found["target"]["kind"], &found["target"]["path"]), (&"upstream".into(), &"/v1/7".into()));
    assert_eq!((&found["fields"][0]["name"], &found["fields"][0]["value"]), (&"x-copy".into(), &"(not shown)".into()));
    assert_eq!(
        (&found["auth"]["verifiers"][0]["name"], &found["hides"][0]),
        (&"users".into(), &"header:authorization".into())
    );
    assert!(found["answer"].is_null() && found["candidates"].as_array().unwrap().len() == 31);

    // What was not reached is null.
    let (code, told) = explain(&["--json"]);
    let found = document(&told);
    assert_eq!((code, &found["admitted"], &found["answer"]["status"]), (Some(1), &false.into(), &401.into()), "{told}");
    assert!(found["limits"].is_null() && found["target"].is_null() && found["route"]["name"] == "/api/{id}");

    let (code, told) = explain_at("http://u:canary@shop.test/api/7", &["--json"]);
    assert!(code == Some(1) && document(&told)["request"]["url"] == "http://shop.test/api/7", "{told}");

    // The same as text, of which a long list of routes is left out.
    let (code, told) = explain(&["-H", &bearer]);
    assert!(code == Some(0) && told.contains("30 more, whose host or path differs"), "{told}");
    assert!(told.contains("counted by cookie:session = (not shown)") && told.contains("GET /v1/7"), "{told}");
}

#[test]
fn run_reloads_when_the_file_changes_and_keeps_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), &marked("one"));
    let mut running = Running::start(&["run"], folder.path());
    let (address, admin) = (running.address(), running.admin());
    assert_eq!(Client::get(address, "/", &[]).text(), "one");
    // As an editor does it: a new file, renamed over the old one.
    std::fs::write(folder.path().join("new"), marked("two")).unwrap();
    std::fs::rename(folder.path().join("new"), folder.path().join("portcullis.toml")).unwrap();
    eventually("the change is in force", || Client::get(address, "/", &[]).text() == "two");
    file(folder.path(), "this is not TOML");
    running.line("the last good one goes on");
    running.line("portcullis.toml:1");
    assert_eq!(Client::get(address, "/", &[]).text(), "two");
    let ready = Client::get(admin, "/readyz", &["connection: close"]);
    assert!(ready.status() == 200 && ready.text().contains("portcullis.toml"), "{}", ready.text());
    file(folder.path(), &marked("three"));
    eventually("the mended file is in force", || Client::get(address, "/", &[]).text() == "three");
    eventually("it is ready again", || Client::get(admin, "/readyz", &["connection: close"]).text() == "ready\n");
    running.signal("-TERM");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn sighup_reloads_and_reopens_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let with = |mark: &str| format!("{}[log]\naccess = \"access.log\"\n", marked(mark));
    file(folder.path(), &with("one"));
    let mut running = Running::start(&["run", "--no-watch", "--config", "portcullis.toml"], folder.path());
    let address = running.address();
    let log = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default().lines().count();
    Client::get(address, "/", &["connection: close"]);
    eventually("the line is written", || log("access.log") == 1);
    std::fs::rename(folder.path().join("access.log"), folder.path().join("access.log.1")).unwrap();
    file(folder.path(), &with("two"));
    running.signal("-HUP");
    eventually("the change is in force", || Client::get(address, "/", &["connection: close"]).text() == "two");
    // The writer opens it between two batches of lines: some may still go to the old one.
    eventually("lines go to the new file", || {
        Client::get(address, "/", &["connection: close"]);
        log("access.log") >= 1
    });
    running.signal("-INT");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(|_| portcullis_suite::Reply::Silence);
    let mut running = Running::start(&["run", "--to", &upstream.url(), "--listen", "127.0.0.1:0"], folder.path());
    let mut client = Client::connect(running.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is there", || !upstream.seen().is_empty());
    running.signal("-TERM");
    running.line("a second signal stops at once");
    assert!(running.child.try_wait().unwrap().is_none(), "it waits for the request");
    running.signal("-TERM");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn run_to_needs_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::ok();
    let mut running = Running::start(&["run", "--to", &upstream.url(), "--listen", "127.0.0.1:0"], folder.path());
    let address = running.address();
    assert_eq!(Client::get(address, "/any/path?q", &[]).text(), "ok");
    assert_eq!(upstream.only().target(), "/any/path?q");
    let line = running.line("\"path\":\"/any/path\"");
    assert!(line.starts_with('{') && line.ends_with('}'), "JSON where nobody looks at it: {line}");
    let bad = portcullis(&["run", "--to", "not a url"], folder.path());
    assert_eq!(bad.status.code(), Some(2), "{}", text(&bad.stderr));
}

#[test]
fn a_busy_port_is_said_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let demo = portcullis(&["demo", "--port", &port.to_string()], folder.path());
    assert_eq!(demo.status.code(), Some(2));
    assert!(text(&demo.stderr).contains("--port"), "{}", text(&demo.stderr));
    let run =
        portcullis(&["run", "--to", "http://127.0.0.1:1", "--listen", &format!("127.0.0.1:{port}")], folder.path());
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains(&format!("127.0.0.1:{port}")), "{}", text(&run.stderr));
}

/// A key is printed once; its entry is good as it stands, also behind others; and what is taken out of the file is refused.
#[test]
fn a_key_is_made_used_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::ok();
    let made = portcullis(
        &[
            "key",
            "--id",
            "a \"b\" ${C}",
            "--claim",
            "plan=gold",
            "--claim",
            "terms={\"seats\": 5, \"on\": [true, \"x\"]}",
            "--for",
            "90d",
        ],
        folder.path(),
    );
    assert_eq!((made.status.code(), text(&made.stderr)), (Some(0), String::new()));
    let printed = text(&made.stdout);
    let (first, entry) = printed.split_once("\n\n").unwrap();
    assert!(first.starts_with("pk_") && entry.starts_with("[[key]]\n") && !entry.contains(first), "{printed}");
    std::fs::write(folder.path().join("keys.toml"), entry).unwrap();
    let append = ["key", "--id", "zed", "--append", "keys.toml", "--expires", "2099-01-31T00:00:00+01:00"];
    let second = text(&portcullis(&append, folder.path()).stdout).trim().to_owned();
    assert!(second.starts_with("pk_") && second.len() == first.len() && second != first, "{second}");
    let keys = std::fs::read_to_string(folder.path().join("keys.toml")).unwrap();
    assert!(keys.contains("expires = 2099-01-30T23:00:00Z") && !keys.contains(&second), "{keys}");

    file(
        folder.path(),
        &format!(
            "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"\"\n[upstreams]\napp = [\"{}\"]\n[auth.partners]\nkind = \"api-key\"\n\
             keys = \"file:keys.toml\"\nforward = {{ \"x-id\" = \"id\", \"x-seats\" = \"terms.seats\" }}\n\
             [[routes]]\npath = \"/**\"\nupstream = \"app\"\nauth = \"partners\"\n",
            upstream.url()
        ),
    );
    let explained = portcullis(&["explain", "GET", "/", "-H", &format!("x-api-key: {first}")], folder.path());
    let told = text(&explained.stdout);
    for part in [
        "`partners` accepts, in header:x-api-key",
        "a \"b\" ${C} (by partners)",
        "x-seats: 5",
        "hides  header:x-api-key",
    ] {
        assert!(explained.status.code() == Some(0) && told.contains(part), "{part} in {told}");
    }
    let mut running = Running::start(&["run"], folder.path());
    let address = running.address();
    let status = |key: &str| Client::get(address, "/", &[&format!("x-api-key: {key}")]).status();
    assert_eq!((status(first), status(&second)), (200, 200));
    let seen = &upstream.seen()[0];
    assert_eq!((seen.get("x-id"), seen.get("x-seats")), (Some("a \"b\" ${C}"), Some("5")));
    std::fs::write(folder.path().join("keys.toml"), entry).unwrap();
    eventually("the second key is refused", || status(&second) == 401);
    assert_eq!(status(first), 200);

    for bad in [
        &["key"][..],
        &["key", "--id", ""],
        &["key", "--id", "a", "--claim", "b"],
        &["key", "--id", "a", "--claim", "b=null"],
        &["key", "--id", "a", "--expires", "2099-01-31"],
        &["key", "--id", "a", "--expires", "2020-01-31T00:00:00Z"],
        &["key", "--id", "a", "--for", "0s"],
        &["key", "--id", "a", "--for", "1h", "--expires", "2099-01-31T00:00:00Z"],
    ] {
        let refused = portcullis(bad, folder.path());
        assert!(refused.status.code() == Some(2) && refused.stdout.is_empty(), "{bad:?} {}", text(&refused.stdout));
    }
    let nowhere = portcullis(&["key", "--id", "a", "--append", "no/such/folder.toml"], folder.path());
    assert!(nowhere.status.code() == Some(1) && nowhere.stdout.is_empty(), "{}", text(&nowhere.stdout));
}

/// The README's first command: what it prints is true.
#[test]
fn the_demo_shows_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut demo = Running::start(&["demo", "--port", &port.to_string()], folder.path());
    let token = demo.line("TOKEN=").trim().trim_start_matches("TOKEN=").to_owned();
    demo.line("Ctrl-C ends the demo");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let bearer = format!("authorization: Bearer {token}");

    assert_eq!(Client::get(address, "/health", &[]).text(), "ok");
    assert_eq!(Client::get(address, "/orders", &[]).status(), 401);
    let mut servers = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let answer = Client::get(address, "/orders", &[&bearer, "x-user-id: admin"]).json();
        assert_eq!(
            (&answer["caller"]["x-user-id"], &answer["caller"]["x-user-role"]),
            (&"ada".into(), &"customer".into())
        );
        servers.insert(answer["from"].as_str().unwrap().to_owned());
    }
    assert_eq!(servers.into_iter().collect::<Vec<_>>(), ["orders-1", "orders-2"]);

    let mut client = Client::connect(address);
    client.send("POST /auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 17\r\n\r\n{\"user\": \"grace\"}");
    let login = client.response().unwrap().json();
    let grace = format!("authorization: Bearer {}", login["token"].as_str().unwrap());
    assert_eq!(Client::get(address, "/users/grace", &[&grace]).json()["caller"]["x-user-id"], "grace");
    let forged = format!("{}AAAAA", &grace[..grace.len() - 5]);
    assert_eq!(Client::get(address, "/users/grace", &[&forged]).status(), 401);

    let mut client = Client::connect(address);
    let statuses: Vec<u16> =
        (0..105).map(|_| client.request("GET", "/users/ada", &[&bearer]).unwrap().status()).collect();
    assert!(statuses.starts_with(&[200; 90]) && statuses.ends_with(&[429]), "{statuses:?}");

    let down: Vec<_> = (0..7).map(|_| Client::get(address, "/notifications/down", &[&grace])).collect();
    assert!(down.iter().all(|answer| answer.status() == 503));
    assert_eq!(down[4].json()["from"], "notifications");
    assert_eq!(down[5].json()["code"], "circuit-open");
    // Up to a tenth longer than it says, by chance.
    assert!((30..=33).contains(&down[5].get("retry-after").unwrap().parse().unwrap()));

    demo.signal("-INT");
    assert_eq!(demo.wait().code(), Some(0));
}

/// Two gateways, one file, one Redis: one budget.
#[test]
fn the_demo_of_a_cluster_shares_one_budget() {
    let folder = tempfile::tempdir().unwrap();
    let port = loop {
        let port = free_port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            break port;
        }
    };
    let mut demo = Running::start(&["demo", "--cluster", "--port", &port.to_string()], folder.path());
    let token = demo.line("TOKEN=").trim().trim_start_matches("TOKEN=").to_owned();
    demo.line("Ctrl-C ends the demo");
    let bearer = format!("authorization: Bearer {token}");
    let mut clients = [port, port + 1].map(|port| Client::connect(SocketAddr::from(([127, 0, 0, 1], port))));
    let left: Vec<u64> = (0..10)
        .map(|turn| {
            let answer = clients[turn % 2].request("GET", "/users/ada", &[&bearer]).unwrap();
            assert_eq!(answer.status(), 200);
            answer.get("x-ratelimit-remaining").unwrap().parse().unwrap()
        })
        .collect();
    // A hundred refill in a minute, so one may come back meanwhile.
    assert!(left.windows(2).all(|pair| pair[1] <= pair[0]) && left[9] <= 92, "{left:?}");
    demo.signal("-INT");
    assert_eq!(demo.wait().code(), Some(0));
}

/// A verifier with public keys: who signs is said, nothing is fetched, and no token is made that nobody would accept.
#[test]
fn public_keys_are_explained_and_not_signed_with() {
    let issuer = Upstream::ok();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
        [upstreams]
        app = ["http://127.0.0.1:7001"]
        [auth.users]
        kind = "jwt"
        algorithms = ["RS256", "ES256"]
        jwks = "{}/jwks.json?code=canary"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "users"
        "#,
        issuer.url()
    );
    std::fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    let check = portcullis(&["check"], folder.path());
    assert!(check.status.success(), "{}", text_of(&check));
    let explain = text_of(&portcullis(&["explain", "GET", "/orders"], folder.path()));
    let row = format!("RS256, ES256 from https://login.shop.test, under the keys of {}/jwks.json, which", issuer.url());
    assert!(explain.contains(&row) && !explain.contains("canary"), "{explain}");
    let token = portcullis(&["token", "--sub", "ada"], folder.path());
    assert_eq!(token.status.code(), Some(2));
    assert!(text_of(&token).contains("which only their issuer has"), "{}", text_of(&token));
    assert_eq!(issuer.connections(), 0, "nobody was asked");
}

fn text_of(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// A file for a program that embeds the gateway is good; what the program must bring is said, and the binary does not run it.
#[test]
fn a_file_for_a_program_is_checked_and_explained_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "listen = [\"127.0.0.1:0\"]\n[upstreams]\nshop = \"in-code\"\n[[routes]]\npath = \"/shop/**\"\nupstream = \"shop\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n",
    );
    let run = |args: &[&str]| portcullis(args, folder.path());
    let checked = run(&["check"]);
    let said = "runs only inside a program, which brings [upstreams.shop] servers\n";
    assert!(checked.status.success() && text(&checked.stdout).contains(said), "{}", text(&checked.stdout));
    let told = text(&run(&["explain", "GET", "/shop/tea"]).stdout);
    assert!(told.contains("upstream  shop: in-code\n"), "{told}");
    let refused = run(&["run"]);
    let said = "error: [upstreams.shop] servers = \"in-code\" is for a program that embeds the gateway";
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(said), "{}", text(&refused.stderr));
}
