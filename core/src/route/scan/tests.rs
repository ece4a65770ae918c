use http::Method;

use super::super::table::tests::table;

fn told(lines: &[&str], host: &str, path: &str, method: &Method) -> Vec<String> {
    table(lines).explain(host, path, method).into_iter().map(|(_, standing)| standing.to_string()).collect()
}

#[test]
fn every_route_is_told_why_it_lost() {
    let lines = [
        "- - /{tenant}/users",
        "GET - /admin/**",
        "POST - /admin/**",
        "- - /admin/**",
        "- other.test,*.other.test /admin/users",
        "- - /admin/settings",
        "- - /admin",
        "- - /admin/users/{id}",
        "- - /admin/users/",
        "- - /**",
    ];
    assert_eq!(
        told(&lines, "shop.test", "/admin/users", &Method::GET),
        [
            "matches, but `/admin/**` is more exact at segment 1",
            "takes the request",
            "has this path, but takes only POST",
            "has this path and takes the method, but `/admin/**` names it more exactly",
            "is for other hosts: other.test, *.other.test",
            "has another path: segment 2 is `settings`, the request has `users`",
            "has another path: segment 2 is none (the end), the request has `users`",
            "has another path: segment 3 is `{id}`, the request has none (the end)",
            "has another path: segment 3 is empty (a trailing slash), the request has none (the end)",
            "matches, but `/admin/**` is more exact at segment 1",
        ]
    );
}

#[test]
fn a_host_that_is_named_more_exactly_is_the_reason() {
    assert_eq!(
        told(&["- - /a/b", "- *.test /{x}/b", "- shop.test /**"], "shop.test", "/a/b", &Method::GET),
        [
            "matches, but `/**` names the host more exactly",
            "matches, but `/**` names the host more exactly",
            "takes the request",
        ]
    );
}

#[test]
fn a_refused_method_has_no_winner() {
    assert_eq!(
        told(&["GET - /a", "POST - /a", "- - /**"], "", "/a", &Method::PUT),
        [
            "has this path, but takes only GET, HEAD",
            "has this path, but takes only POST",
            "matches, but `/a` is more exact at segment 1",
        ]
    );
}

#[test]
fn head_goes_to_who_names_it() {
    assert_eq!(
        told(&["GET - /a", "HEAD - /a"], "", "/a", &Method::HEAD),
        ["has this path and takes the method, but `/a` names it more exactly", "takes the request",]
    );
    assert_eq!(
        told(&["GET - /a", "- - /a"], "", "/a", &Method::HEAD),
        ["takes the request", "has this path and takes the method, but `/a` names it more exactly",]
    );
}

#[test]
fn a_target_without_a_path_matches_nothing() {
    assert_eq!(
        told(&["- - /**"], "", "*", &Method::OPTIONS),
        ["has another path: segment 1 is a path, the request has `*`"]
    );
}
