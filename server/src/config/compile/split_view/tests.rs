//! Which configurations have two readers, and that none of any other passes for one.

use http::Method;
use portcullis_core::plan::Plan;
use portcullis_core::route::RouteIndex;
use proptest::prelude::*;

use crate::config::{LoadOptions, from_text_with};

/// Two verifiers and two upstreams; then what a test adds.
const BEGIN: &str = r#"
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "0123456789abcdef0123456789abcdef"
issuer = "i"
audience = "a"
[auth.admins]
kind = "jwt"
algorithms = ["HS256"]
secret = "0123456789abcdef0123456789abcdeg"
issuer = "j"
audience = "a"
[upstreams]
app = ["http://127.0.0.1:7001"]
site = ["http://127.0.0.1:7002"]
"#;

fn route(path: &str, auth: &str, more: &str) -> String {
    let upstream = if more.contains("upstream") || more.contains("respond") { "" } else { "upstream = \"app\"\n" };
    format!("[[routes]]\npath = \"{path}\"\nauth = \"{auth}\"\n{upstream}{more}\n")
}

/// The report of the routes; empty where they are good.
fn report(routes: &[String]) -> String {
    let text = format!("{BEGIN}{}", routes.concat());
    from_text_with("test", &text, &|_| None, LoadOptions::default())
        .err()
        .map(|report| report.to_string())
        .unwrap_or_default()
}

fn is_refused(routes: &[String]) -> bool {
    let report = report(routes);
    assert!(report.is_empty() || report.contains("goes around what protects"), "{report}");
    !report.is_empty()
}

#[test]
fn a_weaker_door_to_the_same_upstream_is_an_error() {
    for routes in [
        [route("/admin/**", "users", ""), route("/**", "none", "")],
        [route("/admin/**", "admins", ""), route("/**", "users", "")],
        [route("/admin", "users", ""), route("/admin/**", "none", "")],
        [route("/users/me", "users", ""), route("/users/{id}", "none", "")],
        [route("/api/admin/**", "users", ""), route("/api/**", "none", "methods = [\"POST\"]")],
        [route("/admin/**", "users", "hosts = [\"*.shop.test\"]"), route("/**", "none", "hosts = [\"*.shop.test\"]")],
        [route("/a/b", "users", ""), route("/{x}", "none", "encoded_slashes = \"keep\"")],
        // A part of the requests is enough.
        [
            route("/admin/**", "users", ""),
            route("/**", "none", "split = [{ upstream = \"site\", weight = 9 }, { upstream = \"app\", weight = 1 }]"),
        ],
        // What is sent on is the same, whatever was asked for.
        [route("/v1/admin/**", "users", "strip_prefix = \"/v1\""), route("/v1/**", "none", "strip_prefix = \"/v1\"")],
    ] {
        assert!(is_refused(&routes), "{routes:?}");
    }
}

#[test]
fn what_cannot_be_read_in_two_ways_is_not() {
    for routes in [
        // Nothing wider.
        vec![route("/admin/**", "users", ""), route("/login", "none", "")],
        vec![route("/admin/**", "users", ""), route("/admin/login", "none", "")],
        // As strong, or stronger.
        vec![route("/admin/**", "users", ""), route("/**", "users", "")],
        vec![route("/login", "none", ""), route("/**", "users", "")],
        // Somebody else answers.
        vec![route("/admin/**", "users", ""), route("/**", "none", "upstream = \"site\"")],
        vec![route("/admin/**", "users", ""), route("/**", "none", "respond = { status = 404 }")],
        // The service is asked for something else.
        vec![route("/admin/**", "users", ""), route("/**", "none", "rewrite = \"/public/{rest}\"")],
        // The methods have nothing in common.
        vec![route("/a/**", "users", "methods = [\"POST\"]"), route("/**", "none", "methods = [\"GET\"]")],
        // Another host is another site, and an explicit choice.
        vec![route("/admin/**", "users", "hosts = [\"a.test\"]"), route("/**", "none", "hosts = [\"b.test\"]")],
    ] {
        assert_eq!(report(&routes), "", "{routes:?}");
    }
}

#[test]
fn a_report_names_the_request_the_routes_and_the_ways_out() {
    let report = report(&[route("/admin/**", "users", ""), route("/reports", "admins", ""), route("/**", "none", "")]);
    assert_eq!(report.matches("error:").count(), 1, "{report}");
    for part in [
        "`GET /ADMIN` goes around what protects `GET /admin`",
        "this route takes it, for everybody",
        "protected by `users`",
        "protected by `admins`",
        "an upstream of its own name",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}

#[test]
fn placeholders_are_nobodys_path() {
    let text = format!("{BEGIN}{}{}", route("/unset/**", "users", ""), route("${A}", "none", ""));
    assert!(from_text_with("test", &text, &|_| None, LoadOptions { unset_ok: true, ..LoadOptions::default() }).is_ok());
}

/// Every spelling that some of the routes of the test can tell apart, of paths of up to two segments.
fn spellings() -> Vec<String> {
    let words = ["admin", "Admin", "ADMIN", "aDMIN", "admin.", "admin;x", "%61dmin", "%2561dmin", "./admin", "x"];
    let starts = words.iter().flat_map(|one| [format!("/{one}"), format!("//{one}")]);
    let longer = starts.clone().flat_map(|start| {
        let ends = words.iter().flat_map(move |two| ["/", "%2F", "/./"].map(|slash| format!("{slash}{two}")));
        ends.map(move |end| format!("{start}{end}"))
    });
    starts.chain(longer).flat_map(|path| [path.clone(), format!("{path}/")]).collect()
}

/// A request that comes to the upstream of a protected path by a weaker door, found by trying all.
fn breach(plan: &Plan, spellings: &[String]) -> Option<(String, String)> {
    let owner = |path: &str| super::owner(plan, "localhost", path, &Method::GET);
    let sent = |index: RouteIndex, path: &str| {
        super::forwarded(plan, &plan.routes[index.as_usize()], "localhost", path, &Method::GET)
    };
    let lenient = |path: &str| path.replace("./", "").replace("%2F", "/").replace("%2561", "a").replace("%61", "a");
    let read = |path: String| lenient(&path).replace(['.', '/'], " ").replace(";x", "").to_lowercase();
    let same = |one: String, other: String| read(one).split_whitespace().eq(read(other).split_whitespace());
    for (index, entry) in plan.table.entries() {
        let route = &plan.routes[index.as_usize()];
        for path in super::spell::examples(&entry.pattern.to_string()) {
            let Some(meant) = sent(index, &path.text).filter(|_| owner(&path.text) == Some(index)) else { continue };
            for spelt in spellings {
                let Some(other) = owner(spelt) else { continue };
                let door = &plan.routes[other.as_usize()];
                if super::is_way_around(door, route) && sent(other, spelt).is_some_and(|sent| same(sent, meant.clone()))
                {
                    return Some((path.text, spelt.clone()));
                }
            }
        }
    }
    None
}

fn some_route() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["/admin", "/Admin", "/x", "/{a}", "/admin.", "/%61dmin", "/aDMIN"]);
    let end = prop::sample::select(vec!["", "/", "/**"]);
    let auth = prop::sample::select(vec!["none", "users", "admins"]);
    let more = prop::sample::select(vec!["", "", "upstream = \"site\"", "encoded_slashes = \"keep\"", "respond = {}"]);
    (prop::collection::vec(segment, 0..3), end, auth, more).prop_map(|(segments, end, auth, more)| {
        let named =
            segments.iter().enumerate().map(|(number, segment)| segment.replace("{a}", &format!("{{a{number}}}")));
        let path: String = named.chain([end.to_owned()]).collect();
        route(if path.is_empty() { "/" } else { &path }, auth, more)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Where a file of any routes is good, no request at all, however it is spelt, goes around a protected path.
    #[test]
    fn of_a_good_file_no_request_goes_around(routes in prop::collection::vec(some_route(), 1..5)) {
        let text = format!("{BEGIN}{}", routes.concat());
        match from_text_with("test", &text, &|_| None, LoadOptions::default()) {
            Ok(config) => prop_assert_eq!(breach(&config.plan, &spellings()), None, "{}", text),
            Err(report) => {
                let report = report.to_string();
                let is_tie = report.contains("would take the same requests");
                prop_assert!(is_tie || report.contains("goes around what protects"), "{}", report);
            }
        }
    }
}
