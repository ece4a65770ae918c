use http::Method;
use proptest::prelude::*;

use super::super::canonicalise;
use super::super::scan::Standing;
use super::{Entry, Missed, Table};

/// `GET,POST shop.test,*.test /path`, with `-` for none.
pub(in crate::route) fn entry(text: &str) -> Entry {
    let [methods, hosts, path] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let list = |text: &str| text.split(',').filter(|part| *part != "-").map(str::to_owned).collect::<Vec<_>>();
    Entry {
        pattern: path.parse().unwrap(),
        hosts: list(hosts).iter().map(|host| host.parse().unwrap()).collect(),
        methods: list(methods).iter().map(|method| method.parse().unwrap()).collect(),
    }
}

pub(in crate::route) fn table(lines: &[&str]) -> Table {
    Table::new(lines.iter().map(|line| entry(line)).collect()).unwrap_or_else(|ties| panic!("{ties:?}"))
}

/// The number of the route that owns `METHOD host path`, as a text; else why there is none.
fn found(table: &Table, request: &str) -> String {
    let [method, host, path] = request.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let host = if host == "-" { "" } else { host };
    match table.find(host, path, &method.parse().unwrap()) {
        Ok(found) => {
            let params = table.params(&found, path).iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", found.route().as_usize(), params.collect::<String>())
        }
        Err(missed) => missed.to_string(),
    }
}

const NOT_FOUND: &str = "no route has this host and path";

fn check(table: &Table, cases: &[(&str, &str)]) {
    for (request, expected) in cases {
        assert_eq!(found(table, request), *expected, "{request}");
    }
}

#[test]
fn a_subtree_owns_what_a_parameter_also_matches() {
    let table = table(&["- - /{tenant}/users", "- - /admin/**", "- - /shop/settings"]);
    check(
        &table,
        &[
            ("GET - /admin/users", "1 rest=users"),
            ("GET - /admin", "1 rest="),
            ("GET - /admin/", "1 rest="),
            ("GET - /admin/a/b/", "1 rest=a/b/"),
            ("GET - /adminx/users", "0 tenant=adminx"),
            ("GET - /shop/users", "0 tenant=shop"),
            ("GET - /shop/settings", "2"),
            ("GET - /shop", NOT_FOUND),
            ("GET - //users", NOT_FOUND),
        ],
    );
}

#[test]
fn every_spelling_of_a_closed_path_meets_its_route() {
    let table = table(&["- - /admin/**", "- - /public/**", "- - /**"]);
    for raw in ["/admin", "/%61dmin/x", "/public/../admin", "//admin", "/public/%2e%2e/admin/x", "/./admin/"] {
        let path = canonicalise(raw).unwrap();
        assert_eq!(table.find("", path.as_str(), &Method::GET).unwrap().route().as_usize(), 0, "{raw}");
    }
}

#[test]
fn segments_decide_from_the_left() {
    let table =
        table(&["- - /a/**", "- - /a/{x}/c", "- - /{x}/b/c", "- - /a/{x}/**", "- - /a/{x}", "- - /a", "- - /**"]);
    check(
        &table,
        &[
            ("GET - /a", "5"),
            ("GET - /a/", "0 rest="),
            ("GET - /a/b", "4 x=b"),
            ("GET - /a/b/", "3 x=b rest="),
            ("GET - /a/b/c", "1 x=b"),
            ("GET - /a/b/d", "3 x=b rest=d"),
            ("GET - /z/b/c", "2 x=z"),
            ("GET - /z/b/d", "6 rest=z/b/d"),
            ("GET - /", "6 rest="),
        ],
    );
}

#[test]
fn a_branch_that_leads_nowhere_leaves_no_parameters_behind() {
    let table = table(&["- - /{a}/{b}/{c}/x", "- - /{d}/**"]);
    check(&table, &[("GET - /1/2/3/x", "0 a=1 b=2 c=3"), ("GET - /1/2/3/y", "1 d=1 rest=2/3/y")]);
    let table = self::table(&["- - /b/", "- - /{x}"]);
    check(&table, &[("GET - /b", "1 x=b"), ("GET - /b/", "0")]);
}

#[test]
fn near_misses_are_misses() {
    let table = table(&["- - /health", "- - /a/", "- - /{id}/x", "- - /"]);
    check(
        &table,
        &[
            ("GET - /health", "0"),
            ("GET - /healthz", NOT_FOUND),
            ("GET - /healt", NOT_FOUND),
            ("GET - /Health", NOT_FOUND),
            ("GET - /health/", NOT_FOUND),
            ("GET - /health/x", "2 id=health"),
            ("GET - /a", NOT_FOUND),
            ("GET - /a/", "1"),
            ("GET - /", "3"),
            ("OPTIONS - *", NOT_FOUND),
            ("GET - health", NOT_FOUND),
        ],
    );
}

#[test]
fn hosts_decide_before_paths() {
    let table = table(&[
        "- shop.test /**",
        "- *.shop.test /a",
        "- *.eu.shop.test /{x}",
        "- - /a",
        "- - /b/c",
        "- *.test /**",
        "- admin.test,*.admin.test /only",
    ]);
    check(
        &table,
        &[
            ("GET shop.test /a", "0 rest=a"),
            ("GET x.shop.test /a", "1"),
            ("GET x.eu.shop.test /a", "2 x=a"),
            ("GET eu.shop.test /a", "1"),
            // The longest wildcard has no such path: on to the next ones.
            ("GET x.eu.shop.test /b/c", "5 rest=b/c"),
            ("GET admin.test /only", "6"),
            ("GET x.y.admin.test /only", "6"),
            ("GET admin.test /b/c", "5 rest=b/c"),
            ("GET other.example /b/c", "4"),
            ("GET other.example /x", NOT_FOUND),
            ("GET - /a", "3"),
            ("GET [::1] /a", "3"),
            ("GET test /a", "3"),
        ],
    );
}

#[test]
fn methods_decide_last_and_never_widen() {
    let table = table(&[
        "GET,PUT - /a",
        "POST - /a",
        "- - /b",
        "GET - /b",
        "- - /**",
        "GET - /c",
        "HEAD - /c",
        "PURGE - /d",
        "- shop.test /e",
        "POST x.test /e",
    ]);
    check(
        &table,
        &[
            ("GET - /a", "0"),
            ("HEAD - /a", "0"),
            ("POST - /a", "1"),
            ("DELETE - /a", "the path takes only GET, HEAD, POST, PUT"),
            ("OPTIONS - /a", "the path takes only GET, HEAD, POST, PUT"),
            ("GET - /b", "3"),
            ("HEAD - /b", "3"),
            ("POST - /b", "2"),
            ("GET - /c", "5"),
            ("HEAD - /c", "6"),
            ("PURGE - /d", "7"),
            ("GET - /d", "the path takes only PURGE"),
            ("GET x.test /e", "the path takes only POST"),
            ("GET - /e", "4 rest=e"),
        ],
    );
    assert_eq!(
        table.find("", "/d", &Method::GET),
        Err(Missed::MethodNotAllowed { allow: &["PURGE".parse().unwrap()] })
    );
}

#[test]
fn names_come_from_the_route_that_was_found() {
    let table = table(&["GET - /users/{id}", "POST - /users/{name}"]);
    check(&table, &[("GET - /users/7", "0 id=7"), ("POST - /users/7", "1 name=7")]);
    let found = table.find("", "/users/7", &Method::GET).unwrap();
    let params = table.params(&found, "/users/7");
    assert_eq!((params.get("id"), params.get("name"), params.get("rest")), (Some("7"), None, None));
    // Another path than the one that was found: wrong, and no panic.
    assert_eq!(table.params(&found, "/").get("id"), None);
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(table(&[]).find("shop.test", "/", &Method::GET), Err(Missed::NotFound));
}

/// Many ways that lead nowhere: each node is visited at most once, so this ends at once.
#[test]
fn a_search_is_bounded_by_the_table() {
    let choices = |bits: u32| (0..12).map(|bit| if bits >> bit & 1 == 0 { "/a" } else { "/{x}" }).collect::<Vec<_>>();
    let lines: Vec<_> = (0..1u32 << 12)
        .map(|bits| {
            let named =
                choices(bits).iter().enumerate().map(|(n, s)| s.replace('x', &format!("x{n}"))).collect::<String>();
            format!("- - {named}/end")
        })
        .collect();
    let table = table(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    check(&table, &[(&format!("GET - {}/other", "/a".repeat(12)), NOT_FOUND)]);
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let segment = || prop::sample::select(vec!["/a", "/b", "/{}", "/{}"]);
    let end = prop::sample::select(vec!["", "", "/", "/**"]);
    let path = (prop::collection::vec(segment(), 0..4), end).prop_map(|(segments, end)| {
        let numbered = segments.iter().enumerate().map(|(n, s)| s.replace("{}", &format!("{{p{n}}}")));
        let path = numbered.collect::<String>() + end;
        if path.is_empty() { "/".to_owned() } else { path }
    });
    let hosts = prop::sample::subsequence(vec!["s.test", "a.s.test", "*.s.test", "*.test"], 0..=2);
    let methods = prop::sample::subsequence(vec!["GET", "HEAD", "POST"], 0..=2);
    let entry = (path, hosts, methods).prop_map(|(path, hosts, methods)| Entry {
        pattern: path.parse().unwrap(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        methods: methods.iter().map(|method| method.parse().unwrap()).collect(),
    });
    prop::collection::vec(entry, 0..14)
}

fn request() -> impl Strategy<Value = (&'static str, String, Method)> {
    let segments = prop::collection::vec(prop::sample::select(vec!["/a", "/b", "/c"]), 0..5);
    let path = (segments, prop::bool::ANY).prop_map(|(segments, slash)| {
        let path = segments.concat();
        if slash || path.is_empty() { path + "/" } else { path }
    });
    let host = prop::sample::select(vec!["", "s.test", "a.s.test", "b.a.s.test", "x.test", "test"]);
    (host, path, prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::PUT]))
}

/// What nothing tells apart, as the contract says it.
fn tie(one: &Entry, other: &Entry) -> bool {
    let shape = |entry: &Entry| {
        let text = entry.pattern.to_string();
        text.split('/').map(|s| if s.starts_with('{') { "{}" } else { s }.to_owned()).collect::<Vec<_>>()
    };
    let overlap = |one: bool, other: bool, share: bool| (one && other) || share;
    let hosts = one.hosts.iter().any(|host| other.hosts.contains(host));
    let methods = one.methods.iter().any(|method| other.methods.contains(method));
    shape(one) == shape(other)
        && overlap(one.hosts.is_empty(), other.hosts.is_empty(), hosts)
        && overlap(one.methods.is_empty(), other.methods.is_empty(), methods)
}

/// The entries without the later one of any two that tie.
fn untied(entries: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        if !kept.iter().any(|other| tie(other, &entry)) {
            kept.push(entry);
        }
    }
    kept
}

/// Names and values, taken segment by segment.
fn params_of(entry: &Entry, path: &str) -> Vec<(String, String)> {
    let (text, mut given) = (entry.pattern.to_string(), &path[1..]);
    let mut params = Vec::new();
    for asked in text[1..].split('/') {
        let (segment, below) = given.split_once('/').unwrap_or((given, ""));
        if asked == "**" {
            params.push(("rest".to_owned(), given.to_owned()));
        } else if asked.starts_with('{') {
            params.push((asked.trim_matches(['{', '}']).to_owned(), segment.to_owned()));
        }
        given = below;
    }
    params
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_tree_finds_what_the_scan_finds(
        entries in entries(),
        requests in prop::collection::vec(request(), 1..12),
    ) {
        let table = Table::new(untied(entries)).unwrap();
        for (host, path, method) in requests {
            let standings = table.explain(host, &path, &method);
            let won: Vec<_> = standings.iter().filter(|(_, standing)| *standing == Standing::Won).collect();
            prop_assert!(won.len() <= 1);
            let refuses = |standing: &Standing| matches!(standing, Standing::MethodDiffers { .. });
            match table.find(host, &path, &method) {
                Ok(found) => {
                    prop_assert_eq!(won.first().map(|(route, _)| *route), Some(found.route()));
                    let params = table.params(&found, &path);
                    let taken: Vec<_> = params.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                    prop_assert_eq!(taken, params_of(table.entry(found.route()).unwrap(), &path));
                }
                Err(Missed::MethodNotAllowed { allow }) => {
                    prop_assert!(won.is_empty());
                    let mut accepted: Vec<_> = standings.iter().filter_map(|(_, standing)| match standing {
                        Standing::MethodDiffers { accepted } => Some(accepted.clone()),
                        _ => None,
                    }).flatten().collect();
                    accepted.sort_by(|a, b| a.as_str().cmp(b.as_str()));
                    accepted.dedup();
                    prop_assert_eq!(allow, accepted);
                }
                Err(Missed::NotFound) => {
                    prop_assert!(won.is_empty() && !standings.iter().any(|(_, standing)| refuses(standing)));
                }
            }
        }
    }

    #[test]
    fn a_table_is_refused_exactly_when_two_routes_tie(entries in entries()) {
        let pairs = |entries: &[Entry]| {
            (0..entries.len()).flat_map(|b| (0..b).map(move |a| (a, b))).filter(|(a, b)| tie(&entries[*a], &entries[*b])).count()
        };
        let tied = pairs(&entries);
        match Table::new(entries.clone()) {
            Ok(_) => prop_assert_eq!(tied, 0),
            Err(ties) => {
                prop_assert!(!ties.is_empty() && ties.len() <= tied);
                for found in ties {
                    let (first, second) = (found.first.as_usize(), found.second.as_usize());
                    prop_assert!(first < second && tie(&entries[first], &entries[second]));
                }
            }
        }
    }
}
