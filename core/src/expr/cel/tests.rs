use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::Identity;
use crate::expr::Reads;
use crate::route::Params;

/// A request with something of everything.
fn with_facts<T>(claims: &Value, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    headers.try_append("x-one", HeaderValue::from_static("1")).unwrap();
    headers.try_append("x-two", HeaderValue::from_static("a")).unwrap();
    headers.try_append("x-two", HeaderValue::from_static("b")).unwrap();
    headers.try_append("x-raw", HeaderValue::from_bytes(b"\xff").unwrap()).unwrap();
    let identity = Identity::new("users", "ada", claims.as_object().cloned().unwrap_or_default(), None).unwrap();
    ask(&Facts {
        client: Some("192.0.2.7".parse().unwrap()),
        headers: &headers,
        host: "shop.test",
        identity: Some(&identity),
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/orders",
        query: Some("page=2&q=a%20b&twice=1&twice=2&bad=%ff&empty"),
    })
}

fn claims() -> Value {
    json!({
        "role": "admin", "level": 7, "big": 18_446_744_073_709_551_615_u64, "share": 0.5, "roles": ["a", "b"],
        "realm": { "roles": ["x"], "name": null },
    })
}

fn evaluated(source: &str) -> Result<Value, String> {
    let expr = Expr::compile("a test", source, Yields::Anything).map_err(|error| error.to_string())?;
    with_facts(&claims(), |facts| expr.evaluate(facts).map_err(|error| error.to_string()))
}

fn refused(source: &str) -> String {
    let error = Expr::compile("a test", source, Yields::Anything).expect_err(source);
    if let Some(offset) = error.offset() {
        assert!(source.is_char_boundary(offset), "{source}: {offset}");
    }
    error.to_string()
}

#[test]
fn sees_what_the_contract_says() {
    for (source, value) in [
        ("request.method", json!("GET")),
        ("request.path + request.host", json!("/ordersshop.test")),
        ("request.client", json!("192.0.2.7")),
        ("request['method']", json!("GET")),
        (r#"request.headers["x-one"]"#, json!("1")),
        (r#"request.headers["x-two"]"#, json!("a, b")),
        (r#""x-none" in request.headers"#, json!(false)),
        (r#""x-raw" in request.headers"#, json!(true)),
        ("has(request.query.page)", json!(true)),
        ("has(request.query.none)", json!(false)),
        ("int(request.query.page) + 1", json!(3)),
        ("request.query.q", json!("a b")),
        ("request.query.empty == ''", json!(true)),
        ("size(params)", json!(0)),
        ("identity.id + identity.verifier", json!("adausers")),
        ("identity.claims.role == 'admin'", json!(true)),
        ("has(identity.claims.none)", json!(false)),
        ("identity.claims.level > 6.5", json!(true)),
        ("identity.claims.big", json!(18_446_744_073_709_551_615_u64)),
        ("identity.claims.share", json!(0.5)),
        ("identity.claims.realm", json!({ "roles": ["x"], "name": null })),
        ("identity.claims.realm.name == null", json!(true)),
        ("'x' in identity.claims.realm.roles", json!(true)),
        ("identity.claims['roles'][1]", json!("b")),
        ("identity.claims.roles.exists(r, r == 'b')", json!(true)),
        ("request.headers.exists(h, h.startsWith('x-'))", json!(true)),
        ("identity.claims.roles.filter(r, r != 'a').map(r, r + '!')", json!(["b!"])),
        ("identity.claims.level in [6, 7] ? 2 : 1", json!(2)),
        ("{'id': identity.id, 'n': [1u, -2, 1.5, null, true]}", json!({ "id": "ada", "n": [1, -2, 1.5, null, true] })),
    ] {
        assert_eq!(evaluated(source), Ok(value), "{source}");
    }
}

#[test]
fn what_has_no_value_is_an_error_that_tells_nothing_of_the_request() {
    for (source, error) in [
        ("request.headers['x-none']", "there is no `x-none`"),
        ("request.headers[request.query.q]", "a key is absent"),
        ("request.headers['x-raw']", "a header is not text"),
        ("request.query.twice", "a query parameter was sent twice"),
        ("has(request.query.twice)", "a query parameter was sent twice"),
        ("request.query.bad", "a query parameter is not text"),
        ("identity.claims.role > 3", "`_>_` does not go with string, int"),
        ("identity.claims.roles[7]", "a list has no such element"),
        ("int(request.query.q)", "`int` failed"),
        ("1 / (identity.claims.level - 7)", "it divides by zero"),
        ("identity.claims.level + 9223372036854775807", "a number does not fit 64 bits"),
        ("identity.claims.share / 0.0", "it yields no finite number"),
        ("{identity.id: 1, 'ada': 2}", "a map has a key twice"),
        ("b'x'", "it yields a bytes, which JSON cannot write"),
    ] {
        assert_eq!(evaluated(source), Err(error.to_owned()), "{source}");
    }
}

#[test]
fn who_is_not_known_is_an_error() {
    let expr = Expr::compile("a test", "has(identity.claims.role)", Yields::Condition).unwrap();
    with_facts(&claims(), |facts| {
        let nobody = Facts { identity: None, ..*facts };
        assert_eq!(expr.holds(&nobody).unwrap_err().to_string(), "there is no `identity`");
        assert_eq!(expr.failed(), 1);
    });
}

#[test]
fn what_is_wrong_is_found_when_it_is_read() {
    for (source, start) in [
        ("", "it is empty"),
        ("request.", "expected identifier after '.'"),
        ("(1", "expected ')'"),
        ("1 = 1", "`=` compares nothing"),
        ("1 +", ""),
        ("'open", "unterminated string literal"),
        ("user.name", "there is no `user`; there is request, params and identity"),
        ("response.status", "there is no response yet"),
        ("request.metod", "request has no `metod`; it has method,"),
        ("identity.role == 'x'", "identity has no `role`; it has id,"),
        ("request.headers == {}", "request.headers is no value by itself"),
        ("request", "request is no value by itself: it can only be asked for its fields"),
        ("request.headers['X-One']", "header names are written in lower case"),
        ("request.headers[1]", "a map cannot be asked for a number"),
        ("request.method == 1", "`==` compares text with a number"),
        ("request.method && true", "`&&` takes true or false, not text"),
        ("1 + 'a'", "`+` does not go with a number and text"),
        ("request.path.matches('a')", "there is no `matches`"),
        ("timestamp('x')", "there is no function `timestamp`"),
        ("size()", "`size` is not called so"),
        ("optional.of(1)", "there is no function `of`"),
        ("type(1) == int", "there is no function `type`"),
        ("Point{x: 1}", "there are no types of your own"),
        ("request.?method", "unsupported syntax"),
        ("[1].map(request, 1)", "`request` is taken"),
        ("'abc'.all(c, true)", "text cannot be walked"),
        ("size(1)", "a number has no size"),
        ("1 in 'a'", "text cannot be searched"),
    ] {
        let error = refused(source);
        assert!(error.starts_with(start), "{source}: {error}");
    }
}

#[test]
fn says_where() {
    let at = |source: &str| Expr::compile("a test", source, Yields::Condition).unwrap_err().offset();
    assert_eq!(at("true &&\n  user.ok"), Some(10));
    assert_eq!(at("true &&\n  ) "), Some(10));
    assert_eq!(at("users.x + user.x"), Some(0));
    assert_eq!(at("x.y || x.z"), None, "it may be either");
}

#[test]
fn yields_what_is_wanted() {
    let refused = |source: &str, yields| Expr::compile("a test", source, yields).unwrap_err().to_string();
    assert_eq!(refused("'yes'", Yields::Condition), "it yields text, not true or false");
    assert_eq!(refused("size(request.query)", Yields::Condition), "it yields a number, not true or false");
    assert_eq!(refused("request.method == 'GET'", Yields::Count), "it yields true or false, not a whole number");
    assert_eq!(refused("1.5", Yields::Count), "it yields a number, not a whole number");
    assert!(Expr::compile("a test", "identity.claims.vip", Yields::Condition).is_ok());
    assert!(Expr::compile("a test", "request.method == 'POST' ? 5 : 1", Yields::Count).is_ok());
}

#[test]
fn knows_what_it_reads() {
    let reads = |source: &str| Expr::compile("a test", source, Yields::Anything).unwrap().reads().clone();
    assert_eq!(reads("request.method"), Reads::default());
    let params = vec!["id".into(), "kind".into()];
    assert_eq!(reads("params.id + params['kind'] + params.id + identity.id"), Reads { identity: true, params });
}

#[test]
fn is_bounded() {
    let sum = |terms: usize| vec!["1"; terms].join(" + ");
    assert!(evaluated(&sum(MAX_TERMS)).is_ok());
    assert_eq!(refused(&sum(MAX_TERMS + 1)), "it is more than 32 levels deep");
    let list = |elements: usize| format!("[{}]", vec!["1"; elements].join(","));
    assert!(evaluated(&list(255)).is_ok());
    assert_eq!(refused(&list(256)), "it has more than 256 parts");
    assert!(refused(&" ".repeat(MAX_SOURCE + 1)).starts_with("it is 4097 bytes long"));
    assert!(evaluated("[1].map(x, [x].map(y, y))").is_ok());
    for three in ["[1].map(x, [x].map(y, [y].map(z, z)))", "[1].map(x, x).map(x, x).map(x, x)"] {
        assert!(refused(three).starts_with("loops (all,"), "{three}");
    }
    assert!(refused(&"!".repeat(600)).starts_with("it has too many operators"));
    assert!(refused(&format!("{}1", "true ? 1 : ".repeat(70))).starts_with("it has too many operators"));
}

/// A sum is as deep as it has terms.
const MAX_TERMS: usize = walk::MAX_DEPTH;

#[test]
fn documents_are_bounded() {
    let asked = |source: &str, claims: &Value| {
        let expr = Expr::compile("a test", source, Yields::Anything).unwrap();
        with_facts(claims, |facts| expr.evaluate(facts).map_err(|error| error.to_string()))
    };
    let deep = |levels: usize| (1..levels).fold(json!(1), |value, _| json!([value]));
    assert!(asked("identity.claims.a", &json!({ "a": deep(64) })).is_ok());
    assert_eq!(
        asked("identity.claims.a", &json!({ "a": deep(65) })),
        Err("a document is more than 64 levels deep".to_owned())
    );
    let wide = |elements: usize| json!({ "a": vec![1; elements] });
    assert!(asked("size(identity.claims.a)", &wide(9_999)).is_ok());
    let error = asked("size(identity.claims.a)", &wide(10_000)).unwrap_err();
    assert_eq!(error, "a document holds more than 10,000 values");
    let twice = "identity.claims.a.map(x, identity.claims.a.map(y, x * y))";
    assert!(asked("identity.claims.a.all(x, x == 1)", &wide(101)).is_ok());
    assert!(asked(&format!("size({twice})"), &wide(100)).is_ok());
    assert_eq!(asked(twice, &wide(101)).unwrap_err(), "a list or map is longer than two nested loops may walk");
}

/// The environment variable that makes the test below the child.
const CHILD: &str = "PORTCULLIS_FUZZ_EXPRESSIONS";

/// A stack that overflows aborts the process, which no test could catch: so another process does it, and has to end well.
#[test]
fn nothing_aborts_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return fuzz();
    }
    let this = std::env::current_exe().unwrap();
    let child = std::process::Command::new(this)
        .args(["--exact", "expr::cel::tests::nothing_aborts_the_process", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{:?}: {}", child.status, String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

fn fuzz() {
    std::panic::set_hook(Box::new(|_| {}));
    for text in hostile() {
        let _ = evaluated(&text);
    }
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 4_000, ..ProptestConfig::default() });
    let texts = prop_oneof![any::<String>(), tokens()];
    runner
        .run(&texts, |text| {
            let _ = evaluated(&text);
            Ok(())
        })
        .unwrap();
}

/// Texts of words of the language, nearly all of them nonsense.
fn tokens() -> impl Strategy<Value = String> {
    let words = [
        "request",
        ".",
        "headers",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'a'",
        "1",
        "2u",
        "1.5",
        "+",
        "-",
        "!",
        "&&",
        "||",
        "==",
        "?",
        ":",
        ",",
        "in",
        "has(",
        "size(",
        ".map(x,",
        ".all(x,",
        ".exists_one(x,",
        "x",
        "identity.claims.",
        "roles",
        "null",
        "true",
        "`é`",
        "r'",
        "b\"\\x",
        "'''",
        "//",
        "\n",
        " ",
        "params",
        ".filter(",
        "int(",
        "string(",
        "🦀",
        "@result",
        "0x",
        "1e",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..60).prop_map(|words| words.concat())
}

/// What is deep in one way or another, as long as a text may be and longer.
fn hostile() -> Vec<String> {
    let parts = [
        "(",
        "[",
        "{",
        "-",
        "!",
        "-!",
        "(1+",
        "[1,",
        "{1:",
        "a?",
        "1?1:",
        "true?1:",
        "f(",
        "a.",
        "a[",
        ".a",
        "a.b(",
        ".b()",
        "!(",
        "has(",
        "1+",
        "1&&",
        "1||",
        "1 in ",
        "x.map(x,",
        "[1].map(x,x).",
        "[[1]].map(x,[x,x]).",
        "''+",
        "'",
        "\"",
        "r'",
        "b'",
        "`",
        "\\",
        "//",
        "é",
        "\u{0}",
        "size(",
        "[request.path][0]+",
        "[",
        "{'a':",
        "1==",
    ];
    let wrapped = |part: &str, times: usize| {
        [part.repeat(times), format!("a{}", part.repeat(times)), format!("{}1", part.repeat(times))]
    };
    let closed = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
    let mut texts = Vec::new();
    for times in [8, 31, 32, 33, 64, 96, 97, 500, 2_000, 5_000] {
        texts.extend(parts.iter().flat_map(|part| wrapped(part, times)));
        for (open, close) in
            [("(", ")"), ("[", "]"), ("{1:", "}"), ("size(", ")"), ("[1].map(x,", ")"), ("-(", ")"), ("true?1:(", ")")]
        {
            texts.push(closed(open, close, times));
        }
    }
    texts
}
