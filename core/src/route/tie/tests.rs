use super::super::table::Table;
use super::super::table::tests::entry;

fn examples(lines: &[&str]) -> Vec<(usize, usize, String)> {
    let ties = Table::new(lines.iter().map(|line| entry(line)).collect()).expect_err("two routes tie");
    ties.into_iter().map(|tie| (tie.first.as_usize(), tie.second.as_usize(), tie.example)).collect()
}

#[test]
fn routes_that_nothing_tells_apart_are_named_with_a_request_that_hits_both() {
    for (lines, first, second, example) in [
        (vec!["- - /a", "- - /a"], 0, 1, "GET http://localhost/a"),
        (vec!["- shop.test /users/{id}", "- shop.test /users/{name}"], 0, 1, "GET http://shop.test/users/x"),
        (vec!["- - /z", "POST - /a%7eb", "PUT,POST - /a~b"], 1, 2, "POST http://localhost/a~b"),
        (vec!["- *.shop.test /a", "- a.test,*.SHOP.test. /a"], 0, 1, "GET http://x.shop.test/a"),
        (vec!["- - /a/**", "- - /a/**"], 0, 1, "GET http://localhost/a/x"),
        (vec!["- - /**", "- - /**"], 0, 1, "GET http://localhost/x"),
        (vec!["- - /", "- - /"], 0, 1, "GET http://localhost/"),
    ] {
        assert_eq!(examples(&lines), [(first, second, example.to_owned())], "{lines:?}");
    }
}

#[test]
fn the_example_steps_around_other_routes() {
    for (others, pattern, example) in [
        (vec!["- - /users/x"], "- - /users/{id}", "GET http://localhost/users/x1"),
        (vec!["GET - /a"], "- - /a", "POST http://localhost/a"),
        (vec!["- - /a/{id}"], "- - /a/**", "GET http://localhost/a/x/"),
        (vec!["- localhost /**"], "- - /a", "GET http://x.x/a"),
        (vec!["- x.shop.test /**"], "- *.shop.test /a", "GET http://x1.shop.test/a"),
        (vec!["- - /a/{id}/**"], "- - /a/**", "GET http://localhost/a/"),
        (vec!["- - /a/{id}/**", "- - /a/"], "- - /a/**", "GET http://localhost/a"),
    ] {
        let mut lines = others.clone();
        lines.extend([pattern, pattern]);
        assert_eq!(examples(&lines), [(others.len(), others.len() + 1, example.to_owned())], "{lines:?}");
    }
}

#[test]
fn a_pair_is_told_once_and_all_pairs_with_the_first_are() {
    let lines = ["GET,POST a.test,b.test /a", "POST,GET b.test,a.test /a", "GET a.test /a"];
    let pairs: Vec<_> = examples(&lines).into_iter().map(|(first, second, _)| (first, second)).collect();
    assert_eq!(pairs, [(0, 1), (0, 2)]);
}

#[test]
fn what_something_tells_apart_is_no_tie() {
    for lines in [
        ["GET - /a", "- - /a"],
        ["GET - /a", "HEAD - /a"],
        ["GET - /a", "POST - /a"],
        ["- a.test /a", "- b.test /a"],
        ["- a.test /a", "- - /a"],
        ["- *.test /a", "- *.b.test /a"],
        ["- - /a", "- - /a/"],
        ["- - /a", "- - /a/**"],
        ["- - /{a}/b", "- - /a/{b}"],
        ["- - /a%2Fb", "- - /a/b"],
        ["GET,GET a.test,a.test /a", "- - /b"],
    ] {
        assert!(Table::new(lines.iter().map(|line| entry(line)).collect()).is_ok(), "{lines:?}");
    }
}
