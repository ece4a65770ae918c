//! A configuration from code is the one that a file would be, and so are its problems.
#![expect(clippy::too_many_lines, reason = "one builder calls every method")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_core::plan::Target;
use portcullis_core::time::UnixTime;
use proptest::prelude::*;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::table::Item;
use super::*;
use crate::config::resolve::Surroundings;
use crate::config::{LoadOptions, Problem, Secret, from_text_with, json_schema, load_with};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A file's tree, as a builder would hold it.
fn table(table: &DeTable<'_>) -> Table {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    Table(entries.into_iter().map(|(key, value)| (key.get_ref().to_string(), item(value.get_ref()))).collect())
}

fn item(value: &DeValue<'_>) -> Item {
    match value {
        DeValue::Array(list) => Item::List(list.iter().map(|value| item(value.get_ref())).collect()),
        DeValue::Boolean(value) => Item::Boolean(*value),
        DeValue::Datetime(_) => panic!("a date-time is part of no configuration"),
        DeValue::Float(number) => Item::Float(number.as_str().parse().unwrap()),
        DeValue::Integer(number) => Item::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap()),
        DeValue::String(text) => Item::Text(text.to_string()),
        DeValue::Table(inner) => Item::Table(table(inner)),
    }
}

/// A builder that holds what the file says; none where it holds variables, which code has none of, or is no TOML.
fn from_file(text: &str, folder: &Path) -> Option<Builder> {
    let top = table(DeTable::parse(text).ok()?.get_ref());
    let has_variables = format!("{top:?}").contains("${");
    (!has_variables).then(|| Builder { top, folder: folder.to_owned() })
}

/// What a problem says, without its place.
fn said(problem: &Problem) -> (String, Option<String>, Vec<String>, Option<String>) {
    (problem.title.clone(), problem.label.clone(), problem.notes.clone(), problem.hint.clone())
}

#[test]
fn every_file_with_an_error_has_the_same_problems_from_code() {
    let folder = examples().join("../tests/config_errors");
    let mut compared = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let Some(builder) = from_file(&text, &folder) else { continue };
        let options = LoadOptions { folder: Some(&folder), ..LoadOptions::default() };
        let file = from_text_with("file", &text, &|_| None, options).unwrap_err();
        let (written, code) = (builder.text(), builder.build().unwrap_err());
        let told = |report: &Report| report.problems().iter().map(said).collect::<BTreeSet<_>>();
        assert_eq!(told(&code), told(&file), "{}: {written}", path.display());
        assert_eq!(code.errors(), file.errors());
        compared += 1;
    }
    assert!(compared > 30, "only {compared} files were compared");
}

#[test]
fn every_example_is_the_same_from_code() {
    let mut compared = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        let Some(text) = fs::read_to_string(&path).ok().filter(|text| text.contains("[[routes]]")) else { continue };
        // Code has no variables: each is what it stands for, here as in the file.
        let env = |_: &str| None;
        let surroundings = Surroundings { env: &env, folder: examples(), now: UnixTime::from_secs(0), unset_ok: false };
        let lines = text.lines().map(|line| match line.split_once('#') {
            Some((code, _)) if line.contains("${") => surroundings.resolve(code).unwrap().value,
            _ => surroundings.resolve(line).map_or_else(|_| line.to_owned(), |resolved| resolved.value),
        });
        let Some(builder) = from_file(&lines.collect::<Vec<_>>().join("\n"), &examples()) else { continue };
        let file = load_with(&path, &env, LoadOptions::default()).unwrap();
        let code = builder.build().unwrap();
        assert_eq!(code.summary(), file.summary(), "{}", path.display());
        assert_eq!(code.warnings.problems().len(), file.warnings.problems().len());
        compared += 1;
    }
    assert!(compared >= 2, "only {compared} examples were compared");
}

const SECRET: &str = "canary-of-at-least-thirty-two-bytes";
const STORE: &str = "redis://ada:canary@cache.shop.test";

fn secret() -> Secret {
    Secret::new(SECRET)
}

/// Every method of every builder, at values that fit together.
fn everything() -> Builder {
    let second = Duration::from_secs(1);
    Config::builder()
        .listen("127.0.0.1:8080")
        .listen("127.0.0.1:8081")
        .server(|server| {
            server
                .body_timeout(30 * second)
                .header_timeout(10 * second)
                .idle_timeout(75 * second)
                .max_body_size(10 << 20)
                .max_connections(100)
                .max_header_size(32 << 10)
                .max_headers(50)
                .rate_limit_headers(["ratelimit"])
                .resolver(["127.0.0.1:5353"])
                .resolver_loopback(true)
                .shutdown_grace(second)
                .stream_idle_timeout(second)
                .trusted_header("forwarded")
                .trusted_proxies(["10.0.0.0/8"])
                .workers(2)
        })
        .admin(|admin| admin.listen("127.0.0.1:9901").token(secret()))
        .log(|log| log.access("off").format("json").level("warn"))
        .cache(|cache| cache.size(64 << 20))
        .store(|store| {
            let store = store.url(Secret::new(STORE)).prefix("shop").timeout(Duration::from_millis(10));
            store.on_failure("deny")
        })
        .defaults(|defaults| defaults.auth(["none"]).limits(["slow"]).own_limit(|limit| limit.rate("1000/s")))
        .jwt("login", |jwt| {
            jwt.algorithms(["HS256"])
                .audience(["shop"])
                .failures("30/min")
                .forward("x-user-id", "sub")
                .forward_token(false)
                .id("sub")
                .issuer("https://login.shop.test")
                .leeway(30 * second)
                .secret(secret())
                .token(["header:authorization"])
        })
        .jwt("issuer", |jwt| {
            jwt.algorithms(["RS256"])
                .audience(["shop"])
                .issuer("https://login.shop.test")
                .jwks("https://login.shop.test/jwks.json")
                .keys_refresh(600 * second)
                .token(["header:x-issuer"])
        })
        .api_keys("partners", |keys| {
            let keys = keys.failures("off").forward("x-partner", "id").forward_token(false);
            keys.key(["header:x-api-key"]).keys("file:keys/partners.toml")
        })
        .verifier_in_code("ours", |ours| {
            ours.failures("off").forward("x-ours", "id").forward_token(true).token(["header:x-our-token"])
        })
        .limit("per-user", |limit| {
            limit
                .rate("100/min")
                .burst(20)
                .algorithm("token-bucket")
                .cost(2)
                .max_overshoot(0.5)
                .mode("shadow")
                .on_failure("allow")
                .key(["identity", "client"])
        })
        .limit("slow", |limit| limit.rate("10/s"))
        .upstream("users", |upstream| {
            upstream
                .server("http://127.0.0.1:7001")
                .weighted_server("http://127.0.0.1:7002", 2)
                .balance("round-robin")
                .breaker(|breaker| breaker.failures(3).on(["502"]).probes(2).recovery(second).max_recovery(2 * second))
                .fallback_respond(200, |respond| respond.header("x-stale", "yes").body("[]"))
                .retries(|retries| retries.attempts(2).backoff(second).budget(0.5).on(["connect", "502"]).replay(1024))
                .connect_timeout(second)
                .eject(|eject| eject.failures(3).rest(second).max(0.3))
                .health(|health| {
                    let health = health.path("/health").interval(second).timeout(second).status(["200", "301-399"]);
                    health.healthy(2).unhealthy(3).panic(0.25)
                })
                .slow_start(second)
                .idle_connections(8)
                .max_connections(100)
                .max_pending(10)
                .send_timeout(second)
                .timeout(2 * second)
        })
        .upstream("ours", |upstream| {
            upstream.in_code().breaker(|breaker| breaker.failure_ratio(0.5).window(10 * second).minimum(20))
        })
        .route("users", |route| {
            route
                .path("/api/users/**")
                .hosts(["shop.test"])
                .methods(["GET", "POST"])
                .upstream("users")
                .auth(["login"])
                .encoded_slashes("reject")
                .limits(["per-user"])
                .own_limit(|limit| limit.rate("5000/day"))
                .cache(|cache| {
                    let cache =
                        cache.key(["host", "path", "query:page"]).max_size(1 << 20).per(["identity"]).ttl(second);
                    cache.stale_if_error(600 * second).stale_while_revalidate(60 * second)
                })
                .max_body_size(1 << 20)
                .strip_prefix("/api")
                .timeout(5 * second)
                .require("has(identity.claims.role)")
                .upgrade(["websocket"])
                .request(|rules| rules.set("x-tenant", "{claim:tenant}").add("x-path", "{path}").remove(["x-debug"]))
                .response(|rules| rules.set("x-by", "gate").add("x-more", "one").remove(["server"]))
        })
        .route("", |route| {
            let split = route.path("/v2/**").rewrite("/{rest}").auth(["none"]).no_cache().no_max_body_size();
            split.split(|split| split.by(["client"]).to("users", 95).to("ours", 5))
        })
        .route("health", |route| {
            route.path("/health").respond(200, |respond| respond.body("ok").header("x-health", "good"))
        })
        .route("old", |route| route.path("/old/**").redirect(308, "https://shop.test/{rest}"))
}

/// Every key of the schema that may say something, as a path: "limits.*.rate", "routes[].path".
fn keys_of(schema: &Json, path: &str, keys: &mut BTreeSet<String>) {
    let forms = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for form in &forms {
        for (key, inner) in form["properties"].as_object().into_iter().flatten() {
            let unbuilt = inner["description"].as_str().is_some_and(|words| words.contains("ot built yet: only what"));
            if unbuilt || only_nothing(inner) {
                continue;
            }
            let path = format!("{path}.{key}");
            keys_of(inner, &path, keys);
            keys.insert(path);
        }
        if form["items"].is_object() {
            keys_of(&form["items"], &format!("{path}[]"), keys);
        }
        if form["additionalProperties"].is_object() {
            keys_of(&form["additionalProperties"], &format!("{path}.*"), keys);
        }
    }
}

/// A key that is not built: its schema lets nothing pass that would change anything.
fn only_nothing(schema: &Json) -> bool {
    let is_nothing = |value: &Json| {
        matches!(value.as_str(), Some("")) || value.as_u64() == Some(0) || value.as_bool() == Some(false)
    };
    schema["$ref"] == "#/$defs/nothing" || schema["enum"].as_array().is_some_and(|list| list.iter().any(is_nothing))
}

/// The same of a document.
fn paths_of(item: &Item, schema: &BTreeSet<String>, path: &str, keys: &mut BTreeSet<String>) {
    match item {
        Item::List(list) => list.iter().for_each(|item| paths_of(item, schema, &format!("{path}[]"), keys)),
        Item::Table(table) => {
            for (key, value) in &table.0 {
                let known = format!("{path}.{key}");
                // A name of the operator's own.
                let path = if schema.contains(&known) { known } else { format!("{path}.*") };
                paths_of(value, schema, &path, keys);
                keys.insert(path);
            }
        }
        _ => {}
    }
}

/// A key that gets built gets a method, or this fails.
#[test]
fn every_key_of_the_schema_has_a_method() {
    let mut known = BTreeSet::new();
    keys_of(&json_schema(), "", &mut known);
    assert!(known.len() > 80 && known.contains(".routes[].respond.status"), "{known:?}");
    // Forms of what a method writes in another form.
    let others = [
        ".listen[].address",
        ".public_key",
        ".split[].upstream",
        ".split[].weight",
        ".upstreams.*[].url",
        ".upstreams.*[].weight",
    ];
    known.retain(|key| !others.iter().any(|other| key.ends_with(other)));
    let mut written = BTreeSet::new();
    paths_of(&Item::Table(everything().top), &known, "", &mut written);
    let missing: Vec<_> = known.iter().filter(|key| !written.contains(*key) && !own_limit(key)).collect();
    assert!(missing.is_empty(), "no method writes {missing:#?}");
}

/// The keys of a limit that stands in a route, or in the defaults, are those of any limit.
fn own_limit(key: &str) -> bool {
    key.starts_with(".routes[].limits[].") || key.starts_with(".defaults.limits[].")
}

#[test]
fn everything_that_can_be_said_makes_a_plan() {
    let builder = everything().folder(examples());
    let (text, config) = (builder.text(), builder.build().unwrap_or_else(|report| panic!("{report}")));
    assert!(!text.contains("canary"), "{text}");
    let summary = config.summary().join("\n");
    for part in ["127.0.0.1:8081", "per-user", "users"] {
        assert!(summary.contains(part), "{summary}");
    }
    // The same text as a file, with the secrets in the environment.
    let env = |name: &str| {
        let number = name.strip_prefix(write::SECRET)?;
        // The second is that of the store.
        Some(if number == "2" { STORE } else { SECRET }.to_owned())
    };
    let folder = examples();
    let options = LoadOptions { folder: Some(&folder), ..LoadOptions::default() };
    let file = from_text_with("file", &text, &env, options).unwrap();
    assert_eq!((file.summary(), file.fingerprint), (config.summary(), config.fingerprint));
}

/// Each by the method that a program would call, and as an operator would write it.
#[test]
fn the_same_mistake_is_told_in_the_same_words() {
    let good = |builder: Builder| builder.upstream("users", |upstream| upstream.server("http://127.0.0.1:7001"));
    let route = |change: fn(Route) -> Route| good(Config::builder()).route("", move |route| change(route.path("/**")));
    let text = |rest: &str| format!("[upstreams]\nusers = [\"http://127.0.0.1:7001\"]\n{rest}");
    let routed = |rest: &str| text(&format!("[[routes]]\npath = \"/**\"\n{rest}"));
    let users = |route: Route| route.path("/**").upstream("users");
    let ns = Duration::from_nanos(1_500);
    for (builder, file) in [
        (route(|route| route.upstream("usesr")), routed("upstream = \"usesr\"")),
        (
            route(|route| route.upstream("users").limits(["100/minute"])),
            routed("upstream = \"users\"\nlimits = [\"100/minute\"]"),
        ),
        (
            route(|route| route.upstream("users").with_key("timout", "5s")),
            routed("upstream = \"users\"\ntimout = \"5s\""),
        ),
        (
            route(|route| route.upstream("users").with_key("when", "true")),
            routed("upstream = \"users\"\nwhen = \"true\""),
        ),
        (route(|route| route.respond(700, |respond| respond)), routed("respond = { status = 700 }")),
        (
            good(Config::builder()).limit("a b", |limit| limit.rate("1/s").burst(0)).route("", users),
            text("[limits.\"a b\"]\nrate = \"1/s\"\nburst = 0\n[[routes]]\npath = \"/**\"\nupstream = \"users\""),
        ),
        (
            good(Config::builder()).server(|server| server.header_timeout(ns).max_body_size(u64::MAX)).route("", users),
            text(
                "[server]\nheader_timeout = \"1500ns\"\nmax_body_size = \"18446744073709551615B\"\n[[routes]]\npath = \"/**\"\nupstream = \"users\"",
            ),
        ),
        (
            good(good(Config::builder())).route("", users),
            text("[upstreams.users]\nservers = []\n[[routes]]\npath = \"/**\"\nupstream = \"users\""),
        ),
        (Config::builder(), String::new()),
    ] {
        let written = builder.text();
        let (code, file) = (
            builder.build().unwrap_err(),
            from_text_with("file", &file, &|_| None, LoadOptions::default()).unwrap_err(),
        );
        let told = |report: &Report| report.problems().iter().map(said).collect::<BTreeSet<_>>();
        assert_eq!(told(&code), told(&file), "{written}");
        assert!(code.to_string().contains(NAME), "{code}");
    }
}

#[test]
fn a_secret_stands_in_no_report() {
    for short in ["canary", "file:canary", "${canary}", "", "can\"ary\n"] {
        let told = Config::builder()
            .jwt("login", |jwt| {
                jwt.algorithms(["HS256"]).secret(Secret::new(short)).with_key("secrte", Secret::new(SECRET))
            })
            .admin(|admin| admin.listen("0.0.0.0:9901").token(secret()));
        for text in [told.text(), format!("{told:?}")] {
            assert!(!text.contains("can\"ary") && !text.contains(short) || short.is_empty(), "{text}");
        }
        // Whoever gives a secret as plain text, under a name that tells of one, is covered as in a file.
        let report = told.with_key("client_secret", SECRET).build().unwrap_err();
        for text in [report.to_string(), report.coloured(), format!("{report:?}")] {
            assert!(!text.contains("canary") && !text.contains("can\"ary"), "{text}");
        }
        let told = if short.is_empty() { "is empty" } else { "bytes; HS256 needs" };
        assert!(report.to_string().contains(told), "{report}");
    }
}

/// A secret is what it says, whatever it looks like: no file is read for it, and no variable.
#[test]
fn a_secret_is_taken_at_its_word() {
    let secret = "file:/etc/passwd ${HOME} $${x} \" ' \n \0 of more than enough bytes";
    let config = Config::builder()
        .jwt("login", |jwt| jwt.algorithms(["HS256"]).issuer("any").audience(["any"]).secret(Secret::new(secret)))
        .route("", |route| route.path("/**").respond(200, |respond| respond).auth(["login"]))
        .build()
        .unwrap_or_else(|report| panic!("{report}"));
    assert!(config.sources.is_empty(), "{:?}", config.sources);
    let verifier = format!("{:?}", config.verifiers);
    assert!(!verifier.contains("passwd"), "{verifier}");
    let crate::config::VerifierSettings::Jwt(jwt) = &config.verifiers[0] else { panic!("a JWT verifier") };
    let crate::config::JwtKeys::Secret(given) = &jwt.keys else { panic!("a secret") };
    assert_eq!(given.reveal(), secret);
}

fn body(config: &Config) -> String {
    let Target::Respond(answer) = &config.plan.routes[0].target else { panic!("an answer") };
    String::from_utf8(answer.body.to_vec()).unwrap()
}

proptest! {
    /// Whatever a text has in it, it adds no key and comes out as it went in.
    #[test]
    fn any_text_comes_out_as_it_went_in(
        text in prop::collection::vec(
            prop_oneof![
                Just("\"".to_owned()), Just("\\".to_owned()), Just("\n".to_owned()), Just("\0".to_owned()), Just("'''".to_owned()),
                Just("\"\"\"".to_owned()), Just("${HOME}".to_owned()), Just("${".to_owned()), Just("$".to_owned()), Just("$${".to_owned()),
                Just("}".to_owned()), Just("]\n[auth.x]\n".to_owned()), Just("\u{2028}".to_owned()), Just("file:".to_owned()), any::<String>(),
            ],
            0..6,
        )
    ) {
        let text = text.concat();
        let config = Config::builder()
            .route("", |route| route.path("/**").respond(200, |respond| respond.body(&*text)))
            .build()
            .unwrap_or_else(|report| panic!("{report}"));
        prop_assert_eq!(body(&config), text);
        prop_assert_eq!(config.plan.routes.len(), 1);
    }

    /// The same of names, which end in a problem or a plan and never in anything else.
    #[test]
    fn any_name_is_one_key(name: String) {
        let built = Config::builder()
            .upstream(&*name, |upstream| upstream.server("http://127.0.0.1:7001"))
            .route("", |route| route.path("/**").upstream(&*name))
            .build();
        match built {
            Ok(config) => prop_assert_eq!(&*config.plan.upstreams[0].name, &*name),
            Err(report) => prop_assert!(report.to_string().contains("is not a name"), "{}", report),
        }
    }
}
