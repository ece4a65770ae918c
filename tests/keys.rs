//! API keys, several verifiers on a route, and the places where tokens stand.

use std::path::Path;

use portcullis::config::LoadOptions;
use portcullis_core::auth::KeyHash;
use portcullis_core::time::{Clock, UnixTime};
use portcullis_suite::{Gateway, SECRET, Upstream, claims, eventually, forge, mint, token};

/// Two keys of one partner and one of another.
const ACME: &str = "pk_acme0123456789abcdefghijklmnopqrstuvwxyzABC";
const ACME_TWO: &str = "pk_acme-two-789abcdefghijklmnopqrstuvwxyzABC";
const ZED: &str = "pk_zed00123456789abcdefghijklmnopqrstuvwxyzABC";

/// One `[[key]]`.
fn entry(id: &str, key: &str, more: &str) -> String {
    format!("[[key]]\nid = \"{id}\"\nsha256 = \"{}\"\n{more}\n", KeyHash::of(key))
}

/// A folder with a file of keys in it.
fn folder(keys: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.toml"), keys).unwrap();
    folder
}

/// Two verifiers, some of whose keys are given, and routes that ask one or the other or both.
fn shop(upstream: &Upstream, keys: &Path, users: &str, partners: &str) -> String {
    format!(
        r#"
        [upstreams]
        app = ["{url}"]
        [auth.users]
        kind = "jwt"
        algorithms = ["HS256"]
        secret = "${{SECRET}}"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        forward = {{ "x-user-id" = "sub" }}
        {users}
        [auth.partners]
        kind = "api-key"
        keys = "file:{keys}"
        forward = {{ "x-partner-id" = "id", "x-plan" = "plan", "x-seats" = "terms.seats" }}
        {partners}
        [limits.each]
        rate = "3/h"
        [[routes]]
        path = "/public/**"
        upstream = "app"
        auth = "none"
        [[routes]]
        path = "/users/**"
        upstream = "app"
        auth = "users"
        [[routes]]
        path = "/partners/**"
        upstream = "app"
        auth = "partners"
        [[routes]]
        path = "/both/**"
        upstream = "app"
        auth = ["users", "partners"]
        [[routes]]
        path = "/limited/**"
        upstream = "app"
        auth = ["users", "partners"]
        limits = ["each"]
        "#,
        url = upstream.url(),
        keys = keys.join("keys.toml").display(),
    )
}

fn all() -> String {
    entry("acme", ACME, "claims = { plan = \"gold\", terms = { seats = 5 } }") + &entry("zed", ZED, "")
}

fn key(key: &str) -> String {
    format!("x-api-key: {key}")
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[test]
fn a_known_key_is_its_owner_and_goes_no_further() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let gateway = Gateway::start(&shop(&upstream, folder.path(), "", ""));
    assert_eq!(gateway.get("/partners", &[&key(ACME), "x-partner-id: zed"]).status(), 200);
    let seen = upstream.only();
    let told = ["x-partner-id", "x-plan", "x-seats", "x-api-key"].map(|name| seen.all(name).collect::<Vec<_>>());
    assert_eq!(told, [vec!["acme"], vec!["gold"], vec!["5"], vec![]]);
    assert_eq!(gateway.get("/partners", &[&key(ZED)]).status(), 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!((seen.get("x-partner-id"), seen.get("x-plan")), (Some("zed"), None));

    let missing = gateway.get("/partners", &[]);
    assert_eq!((missing.status(), missing.get("www-authenticate")), (401, Some("ApiKey")));
    assert_eq!(missing.json()["code"], "missing-token");
    let near = format!("{ACME} x");
    for bad in ["wrong", &ACME[1..], &ACME.to_lowercase(), &near, &KeyHash::of(ACME).to_string(), &"k".repeat(5000)] {
        let refused = gateway.get("/partners", &[&key(bad)]);
        assert_eq!((refused.status(), refused.get("www-authenticate")), (401, Some("ApiKey")), "{bad}");
        assert_eq!(refused.json()["code"], "invalid-token");
    }
    assert_eq!(gateway.get("/partners", &[&bearer(ACME)]).status(), 401, "each looks in its own places only");
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn a_key_ends_when_it_expires() {
    let (upstream, start) = (Upstream::ok(), UnixTime::from_secs(4_000_000_000));
    // One minute after the start: 2096-10-02T07:07:40Z.
    let folder = folder(&(entry("acme", ACME, "expires = 2096-10-02T09:07:40+02:00") + &entry("acme", ACME_TWO, "")));
    let (clock, hand) = Clock::manual(start);
    let gateway = Gateway::with_clock(&shop(&upstream, folder.path(), "", ""), clock);
    assert_eq!(gateway.get("/partners", &[&key(ACME)]).status(), 200);
    hand.advance(std::time::Duration::from_secs(59));
    assert_eq!(gateway.get("/partners", &[&key(ACME)]).status(), 200);
    hand.advance(std::time::Duration::from_secs(1));
    assert_eq!(gateway.get("/partners", &[&key(ACME)]).status(), 401);
    assert_eq!(gateway.get("/partners", &[&key(ACME_TWO)]).status(), 200, "the key that replaced it");
}

/// J08, for keys: what is taken out of the file is refused at once, what stays goes on, and so do the counts.
#[test]
fn a_reload_revokes_a_key_and_resets_nothing() {
    let upstream = Upstream::ok();
    let folder = folder(&(entry("acme", ACME, "") + &entry("acme", ACME_TWO, "") + &entry("zed", ZED, "")));
    let text = shop(&upstream, folder.path(), "", "");
    let mut gateway = Gateway::start(&text);
    assert_eq!(gateway.get("/limited", &[&key(ACME)]).status(), 200);
    assert_eq!(gateway.get("/limited", &[&key(ZED)]).status(), 200);
    let mut client = portcullis_suite::Client::connect(gateway.address());
    assert_eq!(client.request("GET", "/partners", &[&key(ACME)]).unwrap().status(), 200);

    std::fs::write(folder.path().join("keys.toml"), entry("acme", ACME_TWO, "") + &entry("zed", ZED, "")).unwrap();
    gateway.reload(&text).unwrap();
    assert_eq!(client.request("GET", "/partners", &[&key(ACME)]).unwrap().status(), 401, "on an open connection too");
    let answer = gateway.get("/limited", &[&key(ACME_TWO)]);
    assert_eq!((answer.status(), answer.get("x-ratelimit-remaining")), (200, Some("1")), "one owner, one budget");
    assert_eq!(gateway.get("/limited", &[&key(ZED)]).get("x-ratelimit-remaining"), Some("1"));

    std::fs::write(folder.path().join("keys.toml"), "# nobody\n").unwrap();
    gateway.reload(&text).unwrap();
    assert_eq!(gateway.get("/partners", &[&key(ACME_TWO)]).status(), 401, "the last key can be revoked");
}

#[test]
fn the_file_of_keys_is_watched() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, shop(&upstream, Path::new(""), "", "").replace("file:", "file:./")).unwrap();
    let env = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    let config = portcullis::config::load_with(&file, &env, LoadOptions::default()).unwrap();
    assert_eq!(config.sources, [file, folder.path().join("./keys.toml")]);
    assert!(config.warnings.is_empty(), "{}", config.warnings);
}

/// A route's verifiers are asked in their order; the first whose token is there and holds decides.
#[test]
fn any_of_several_verifiers_will_do() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let gateway = Gateway::start(&shop(&upstream, folder.path(), "", ""));
    let (user, partner) = (bearer(&token("ada")), key(ACME));
    let (bad_user, bad_partner) = (bearer(&forge(&claims("ada"))), key("wrong"));
    let who = |fields: &[&String]| {
        let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
        let answer = gateway.get("/both", &fields);
        if answer.status() != 200 {
            return Err((answer.status(), answer.get("www-authenticate").map(str::to_owned)));
        }
        let seen = upstream.seen().pop().unwrap();
        assert!(seen.get("authorization").is_none() && seen.get("x-api-key").is_none(), "{seen:#?}");
        Ok((seen.get("x-user-id").map(str::to_owned), seen.get("x-partner-id").map(str::to_owned)))
    };
    let (ada, acme) = (Ok((Some("ada".to_owned()), None)), Ok((None, Some("acme".to_owned()))));
    for _ in 0..2 {
        assert_eq!(who(&[&user]), ada);
        assert_eq!(who(&[&partner]), acme);
        assert_eq!(who(&[&user, &partner]), ada, "the first of the route's list");
        assert_eq!(who(&[&bad_user, &partner]), acme);
        assert_eq!(who(&[&user, &bad_partner]), ada);
    }
    let refused = |challenge: &str| Err((401, Some(challenge.to_owned())));
    assert_eq!(who(&[]), refused("Bearer, ApiKey"));
    assert_eq!(who(&[&bad_user]), refused("Bearer error=\"invalid_token\", ApiKey"));
    assert_eq!(who(&[&bad_partner]), refused("Bearer, ApiKey"));
    assert_eq!(who(&[&bad_user, &bad_partner]), refused("Bearer error=\"invalid_token\", ApiKey"));
}

/// Two issuers whose tokens stand in the same header.
#[test]
fn two_verifiers_may_share_a_place() {
    let upstream = Upstream::ok();
    let issuer = |name: &str| {
        format!(
            "[auth.{name}]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"${{SECRET}}\"\nissuer = \"https://{name}.test\"\n\
             audience = \"any\"\nforward = {{ \"x-{name}\" = \"sub\" }}\nfailures = \"2/h\"\n"
        )
    };
    let gateway = Gateway::start(&format!(
        "{}{}[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = [\"one\", \"two\"]\n\
         [[routes]]\npath = \"/one\"\nupstream = \"app\"\nauth = \"one\"\n",
        issuer("one"),
        issuer("two"),
        upstream.url()
    ));
    let of = |issuer: &str| {
        let mut claims = claims("ada");
        claims["iss"] = format!("https://{issuer}.test").into();
        bearer(&mint(&claims))
    };
    // More often than failures are allowed: what another accepts is none.
    for _ in 0..4 {
        assert_eq!(gateway.get("/", &[&of("two")]).status(), 200);
        assert_eq!(upstream.seen().pop().unwrap().get("x-two"), Some("ada"));
    }
    assert_eq!(gateway.get("/", &[&of("one")]).status(), 200);
    for expected in [401, 401, 429] {
        assert_eq!(gateway.get("/", &[&of("three")]).status(), expected, "each failure counts for both, once");
    }
    assert_eq!(gateway.get("/one", &[&of("four")]).status(), 429);
    assert_eq!(gateway.get("/", &[&of("one")]).status(), 200, "what was accepted before still is");
}

/// R05: the same id from two verifiers is two clients.
#[test]
fn two_verifiers_share_no_budget() {
    let (upstream, folder) = (Upstream::ok(), folder(&entry("ada", ACME, "")));
    let gateway = Gateway::start(&shop(&upstream, folder.path(), "", ""));
    let (user, partner) = (bearer(&token("ada")), key(ACME));
    for left in ["2", "1", "0"] {
        assert_eq!(gateway.get("/limited", &[&user]).get("x-ratelimit-remaining"), Some(left));
    }
    assert_eq!(gateway.get("/limited", &[&user]).status(), 429);
    for left in ["2", "1", "0"] {
        assert_eq!(gateway.get("/limited", &[&partner]).get("x-ratelimit-remaining"), Some(left));
    }
    assert_eq!(gateway.get("/limited", &[&partner]).status(), 429);
}

/// R13: guessing keys ends in 429, counted for each address; whoever has a good key is not kept out by it.
#[test]
fn too_many_bad_keys_are_refused() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let gateway = Gateway::start(&shop(&upstream, folder.path(), "", "failures = \"3/h\""));
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(gateway.get("/partners", &[&key("guess")]).status(), expected);
    }
    assert_eq!(gateway.get("/partners", &[&key(ACME)]).status(), 200, "never used before");
    assert_eq!(gateway.get("/both", &[&bearer(&token("ada")), &key("guess")]).status(), 200);
    assert_eq!(gateway.get("/both", &[&bearer(&forge(&claims("ada"))), &key("guess")]).status(), 429);
}

/// A token in any of the places, and what the upstream sees of it: nothing of the token, and all of the rest.
#[test]
fn tokens_are_found_and_taken_out_where_they_stand() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let users = "token = [\"header:authorization\", \"cookie:session\", \"query:access_token\"]";
    let partners = "key = [\"header:x-api-key\", \"query:key\"]";
    let gateway = Gateway::start(&shop(&upstream, folder.path(), users, partners));
    let good = token("ada");
    let seen = |target: &str, fields: &[&str]| {
        let answer = gateway.get(target, fields);
        assert_eq!(answer.status(), 200, "{target} {fields:?} {}", answer.text());
        let seen = upstream.seen().pop().unwrap();
        assert!(!format!("{seen:?}").contains(&good) && !format!("{seen:?}").contains(ACME), "{seen:#?}");
        seen
    };
    let cookie = format!("cookie: theme=dark; session={good}; lang=en");
    let request = seen("/users?page=2", &[&cookie]);
    assert_eq!((request.get("cookie"), request.target()), (Some("theme=dark; lang=en"), "/users?page=2"));
    assert_eq!(seen("/users", &[&format!("cookie: session={good}")]).get("cookie"), None);
    assert_eq!(seen(&format!("/users?a=%20b&access_token={good}&c"), &[]).target(), "/users?a=%20b&c");
    assert_eq!(seen(&format!("/users?access%5Ftoken={good}"), &[]).target(), "/users");
    assert_eq!(seen(&format!("/partners/x?key={ACME}&access_token=1"), &[]).target(), "/partners/x?access_token=1");
    assert_eq!(seen(&format!("/partners?key=%70{}", &ACME[1..]), &[]).target(), "/partners");
    // One that nobody looked at reaches nobody either.
    let both = seen(&format!("/both?key={ACME}&q=1&access_token="), &[&bearer(&good), "cookie: session=; a=b"]);
    assert_eq!((both.target(), both.get("cookie"), both.get("authorization")), ("/both?q=1", Some("a=b"), None));
    // On a public route nobody looks, and nothing is taken out.
    gateway.get("/public?key=1&access_token=2", &["x-api-key: 3", "cookie: session=4", "authorization: Bearer 5"]);
    let public = upstream.seen().pop().unwrap();
    assert_eq!((public.target(), public.get("x-api-key")), ("/public?key=1&access_token=2", Some("3")));
    assert_eq!((public.get("cookie"), public.get("authorization")), (Some("session=4"), Some("Bearer 5")));
}

#[test]
fn a_token_goes_on_where_the_file_says_so() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let users = "token = [\"header:authorization\", \"query:t\"]\nforward_token = true";
    let partners = "key = [\"header:authorization\", \"header:x-api-key\", \"query:key\"]";
    let gateway = Gateway::start(&shop(&upstream, folder.path(), users, partners));
    let good = bearer(&token("ada"));
    assert_eq!(gateway.get("/both?key=x&t=", &[&good, "x-api-key: y"]).status(), 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!((seen.target(), seen.get("x-api-key")), ("/both?t=", None), "only its own");
    assert_eq!(seen.get("authorization"), good.split_once(": ").map(|(_, value)| value));
    // The partners' verifier accepts, and does not say so: not even what only the other would have shown.
    assert_eq!(gateway.get("/both?t=x", &[&bearer(ACME)]).status(), 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!((seen.target(), seen.get("authorization"), seen.get("x-partner-id")), ("/both", None, Some("acme")));
}

/// J13
#[test]
fn one_credential_and_not_two() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let users = "token = [\"header:authorization\", \"cookie:session\", \"query:t\"]\nfailures = \"off\"";
    let gateway = Gateway::start(&shop(&upstream, folder.path(), users, "failures = \"off\""));
    let good = token("ada");
    let (header, cookie) = (bearer(&good), format!("cookie: session={good}"));
    let query = format!("/users?t={good}");
    for (target, fields) in [
        ("/users", vec![&*header, &header]),
        ("/users", vec![&header, &cookie]),
        ("/users", vec![&cookie, &cookie]),
        (&query, vec![&*header]),
        (&query, vec![&*cookie]),
        (&format!("{query}&t={good}"), vec![]),
        (&format!("{query}&%74=x"), vec![]),
    ] {
        let refused = gateway.get(target, &fields);
        assert_eq!((refused.status(), refused.get("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
    }
    let twice = gateway.get("/partners", &[&key(ACME), &key(ACME)]);
    assert_eq!(twice.status(), 401);
    assert!(upstream.seen().is_empty());
    // What is empty, or of another scheme, was not sent.
    let basic = "authorization: Basic YTpi";
    assert_eq!(gateway.get("/users?t=", &[basic, &cookie]).status(), 200);
    for (target, fields) in [("/users?t=", vec!["cookie: session="]), ("/partners", vec!["x-api-key:"])] {
        assert_eq!(gateway.get(target, &fields).json()["code"], "missing-token");
    }
}

/// O06: neither a key nor its hash is anywhere that an operator's tools would keep it.
#[test]
fn keys_are_not_told() {
    let folder = folder(&all());
    let log = folder.path().join("access.log");
    let upstream = Upstream::ok();
    let text = shop(&upstream, folder.path(), "", "key = [\"header:x-api-key\", \"query:key\"]");
    let gateway = Gateway::start(&format!(
        "listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"{}\"\n{text}",
        log.display()
    ));
    assert_eq!(gateway.get(&format!("/partners?key={ACME}"), &[]).status(), 200);
    assert_eq!(gateway.get("/partners?key=wrong-key", &["x-api-key: wrong-key"]).status(), 401);
    let lines = || std::fs::read_to_string(&log).unwrap();
    eventually("both lines are written", || lines().lines().count() == 2);
    let everything = format!("{}{}{:?}", lines(), gateway.admin("/metrics").text(), gateway.server());
    assert!(lines().contains("\"verifier\":\"partners\",\"identity\":\"acme\""), "{}", lines());
    assert!(lines().contains("\"auth_reason\":\"credentials\""), "{}", lines());
    for secret in [ACME, "wrong-key", &KeyHash::of(ACME).to_string()] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

/// What is forwarded follows the file at once, also for tokens that are remembered.
#[test]
fn a_changed_forward_holds_for_remembered_tokens() {
    let (upstream, folder) = (Upstream::ok(), folder(&all()));
    let text = shop(&upstream, folder.path(), "", "");
    let mut gateway = Gateway::start(&text);
    let told = |gateway: &Gateway, target: &str, field: &str| {
        assert_eq!(gateway.get(target, &[field]).status(), 200);
        let seen = upstream.seen().pop().unwrap();
        let get = |name: &str| seen.get(name).map(str::to_owned);
        (get("x-user-id").or(get("x-partner-id")), get("x-role"))
    };
    let (user, partner) = (bearer(&token("ada")), key(ACME));
    let some = |text: &str| Some(text.to_owned());
    for _ in 0..2 {
        assert_eq!(told(&gateway, "/users", &user), (some("ada"), None));
        assert_eq!(told(&gateway, "/partners", &partner), (some("acme"), None));
    }
    let changed =
        text.replace("{ \"x-user-id\" = \"sub\" }", "{ \"x-role\" = \"role\" }").replace("\"x-plan\"", "\"x-role\"");
    gateway.reload(&changed).unwrap();
    for _ in 0..2 {
        assert_eq!(told(&gateway, "/partners", &partner), (some("acme"), some("gold")));
        assert_eq!(told(&gateway, "/users", &user), (None, some("customer")));
    }
}
