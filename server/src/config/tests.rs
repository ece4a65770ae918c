//! From text to plan, where nothing is wrong, and what holds whatever is wrong.

use std::time::Duration;

use portcullis_core::plan::{Access, CacheRule, Rewrite, Route, Target};
use proptest::prelude::*;

use super::*;

fn load_text(text: &str) -> Config {
    assert_eq!(describe::tests::refusal(text), None, "the JSON Schema refuses what should load");
    from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap_or_else(|report| panic!("{report}"))
}

fn route<'c>(config: &'c Config, name: &str) -> &'c Route {
    config.plan.routes.iter().find(|route| &*route.name == name).unwrap()
}

const APP: &str = "[upstreams]\napp = [\"http://127.0.0.1:7001\"]\n";

#[test]
fn defaults_are_those_of_the_contract() {
    let config = load_text(&format!("{APP}[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"));
    let settings = &config.settings;
    assert_eq!(settings.listen[0].to_string(), "127.0.0.1:8080");
    let admin = settings.admin.as_ref().unwrap();
    assert_eq!((admin.address.to_string().as_str(), admin.written, &admin.token), ("127.0.0.1:9901", false, &None));
    assert_eq!(settings.server.header_timeout, Duration::from_secs(10));
    let route = route(&config, "/**");
    assert_eq!((route.timeout, route.max_body_size), (Duration::from_secs(30), Some(10 << 20)));
    assert_eq!((&route.access, &route.cache, config.plan.cache_size), (&Access::Public, &None, 256 << 20));
    let upstream = &config.plan.upstreams[0];
    let opens = portcullis_core::plan::Opens::Consecutive(5.try_into().unwrap());
    assert_eq!((&*upstream.balance.name, upstream.breaker.opens), ("least-request", opens));
    assert_eq!(upstream.breaker.max_recovery, upstream.breaker.recovery * 10);
    assert!(config.warnings.is_empty() && config.sources.is_empty());
}

#[test]
fn a_value_from_the_environment_adds_no_key_and_may_be_a_number() {
    let text = format!(
        "{APP}[server]\nworkers = \"${{WORKERS}}\"\nheader_timeout = \"${{TIME:-3s}}\"\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\nname = \"${{NAME}}\"\n"
    );
    let env = |name: &str| match name {
        "WORKERS" => Some("3".to_owned()),
        "NAME" => Some("x\"\nauth = \"none\" ${WORKERS}".to_owned()),
        _ => None,
    };
    let report = from_text_with("test", &text, &env, LoadOptions::default()).unwrap_err();
    assert_eq!(report.errors(), 1, "{report}");
    assert!(report.to_string().contains("this is not a name"), "{report}");
    let env = |name: &str| Some(if name == "WORKERS" { "3" } else { "7s" }.to_owned());
    let config = from_text_with("test", &text, &env, LoadOptions::default()).unwrap();
    assert_eq!(config.settings.server.workers, 3);
    assert_eq!(config.settings.server.header_timeout, Duration::from_secs(7));
    assert_eq!(&*config.plan.routes[0].name, "7s");
}

#[test]
fn what_is_not_set_has_a_placeholder_where_that_is_asked_for() {
    let text = r#"
        listen = ["${A}", "127.0.0.1:${B}"]
        [server]
        workers = "${A}"
        max_body_size = "${A}"
        [auth.users]
        kind = "jwt"
        algorithms = ["HS512"]
        secret = "${A}"
        issuer = "${A}"
        audience = ["${A}"]
        failures = "${A}"
        leeway = "${A}"
        token = ["${A}"]
        [auth.partners]
        kind = "api-key"
        key = ["${A}", "header:x-key"]
        keys = "${A}"
        [limits.one]
        rate = "${A}"
        key = "${A}"
        burst = "${A}"
        [upstreams.app]
        servers = ["${A}", "http://${B}:7001"]
        balance = "${A}"
        [[routes]]
        path = "${A}"
        hosts = ["${A}"]
        methods = ["${A}"]
        upstream = "${A}"
        auth = "${A}"
        limits = ["${A}", "one"]
        rewrite = "${A}"
        request = { remove = ["${A}"], set = { "x-a" = "${A}", "host" = "${A}" }, add = { "x-a" = "${A}" } }
        [[routes]]
        path = "/redirect"
        redirect = { to = "${A}", status = "${A}" }
        [[routes]]
        path = "/split"
        auth = "none"
        split = { by = "${A}", to = [{ upstream = "${A}", weight = "${A}" }] }
    "#;
    let config = from_text_with("test", text, &|_| None, LoadOptions { unset_ok: true, ..LoadOptions::default() })
        .unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.verifiers[0].jwt().unwrap().secret().unwrap().reveal(), resolve::PLACEHOLDER);
    assert_eq!(config.settings.server.workers, 0);
    assert_eq!(config.plan.routes.len(), 3);
    let report = from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap_err();
    assert!(report.errors() > 15, "{report}");
}

#[test]
fn routes_and_limits_get_names_of_their_own() {
    let config = load_text(&format!(
        "{APP}[limits]\nshared = \"9/s\"\n\"r\" = \"8/s\"\n[defaults]\nlimits = [\"shared\", \"1/s\"]\n\
         [[routes]]\npath = \"/a\"\nmethods = [\"GET\"]\nupstream = \"app\"\n\
         [[routes]]\npath = \"/a\"\nmethods = [\"POST\"]\nupstream = \"app\"\nlimits = []\n\
         [[routes]]\nname = \"r\"\npath = \"/b\"\nupstream = \"app\"\nlimits = [\"1/s\", {{ rate = \"2/s\" }}, \"r\"]\n\
         [[routes]]\npath = \"/a\"\nhosts = [\"shop.test\"]\nupstream = \"app\"\n"
    ));
    let rules = |name: &str| {
        let rules = &route(&config, name).limits.rules;
        rules.iter().map(|rule| format!("{} {}", rule.name(), rule.quota().count)).collect::<Vec<_>>()
    };
    assert_eq!(rules("/a"), ["shared 9", "/a 1"]);
    assert!(rules("/a (POST)").is_empty());
    assert_eq!(rules("/a#2"), ["shared 9", "/a#2 1"]);
    assert_eq!(rules("r"), ["r#2 1", "r#3 2", "r 8"]);
    let shared = |name: &str| std::sync::Arc::as_ptr(&route(&config, name).limits.rules[0]);
    assert_eq!(shared("/a"), shared("/a#2"));
}

#[test]
fn rewrites_and_access_are_compiled() {
    let config = load_text(&format!(
        "{APP}[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
         issuer = \"i\"\naudience = \"a\"\nfailures = \"off\"\nforward = {{ \"X-User\" = \"sub\" }}\n\
         [[routes]]\npath = \"/api/**\"\nupstream = \"app\"\nstrip_prefix = \"/api/\"\nauth = [\"users\"]\n\
         [[routes]]\npath = \"/v1/{{id}}/**\"\nupstream = \"app\"\nrewrite = \"/v2/{{rest}}/{{id}}\"\nauth = \"none\"\n\
         [[routes]]\npath = \"/ok\"\nrespond = {{ status = 204, headers = {{ \"x-a\" = \"b\" }} }}\n"
    ));
    let rewrite = |name: &str| match &route(&config, name).target {
        Target::Upstream { rewrite, .. } => rewrite.clone(),
        target => panic!("{target:?}"),
    };
    assert_eq!(rewrite("/api/**"), Rewrite::StripPrefix("/api".into()));
    assert!(matches!(rewrite("/v1/{id}/**"), Rewrite::Template(_)));
    assert!(matches!(route(&config, "/api/**").access, Access::Verified(_)));
    assert_eq!(route(&config, "/ok").access, Access::Public);
    let auth = &config.plan.auths[0];
    assert!(auth.failures.is_none() && auth.forward[0].header == "x-user");
    assert!(config.plan.identity_headers.contains(&"x_user".parse().unwrap()));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn caches_are_compiled() {
    let config = load_text(&format!(
        "{APP}[cache]\nsize = \"4MiB\"\n[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nissuer = \"i\"\naudience = \"a\"\n\
         secret = \"0123456789abcdef0123456789abcdef\"\ntoken = [\"cookie:session\", \"header:authorization\"]\n\
         [[routes]]\npath = \"/on/**\"\nupstream = \"app\"\nauth = \"none\"\ncache = \"on\"\n\
         [[routes]]\npath = \"/off\"\nupstream = \"app\"\nauth = \"none\"\ncache = \"off\"\n\
         [[routes]]\npath = \"/mine/{{id}}\"\nupstream = \"app\"\nauth = \"users\"\nhosts = [\"a.test\"]\n\
         cache = {{ ttl = \"30s\", stale_while_revalidate = \"1m\", stale_if_error = \"10m\", max_size = \"64KiB\", \
         key = [\"param:id\", \"query:page\"], per = [\"claim:tenant\", \"identity\"] }}\n"
    ));
    assert_eq!(config.plan.cache_size, 4 << 20);
    // No more than an eighth of the whole, whatever the default is.
    let on = CacheRule { max_size: 512 << 10, ..CacheRule::on() };
    assert_eq!((&route(&config, "/on/**").cache, &route(&config, "/off").cache), (&Some(on), &None));
    let mine = route(&config, "/mine/{id}").cache.as_ref().unwrap();
    let time = |secs| Some(Duration::from_secs(secs));
    assert_eq!((mine.ttl, mine.stale_while_revalidate, mine.stale_if_error), (time(30), time(60), time(600)));
    assert_eq!((mine.max_size, mine.per.as_ref().unwrap().to_string().as_str()), (64 << 10, "claim:tenant, identity"));
    assert_eq!(
        mine.key.as_ref().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["param:id", "query:page"]
    );
    assert_eq!(mine.token_cookies.iter().map(|name| &**name).collect::<Vec<_>>(), ["session"]);
}

#[test]
fn splits_and_redirects_are_compiled_and_a_split_is_open_by_nobodys_mistake() {
    let users = "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                 issuer = \"i\"\naudience = \"a\"\n";
    let routes = "next = [\"http://127.0.0.1:7002\"]\n[[routes]]\npath = \"/r\"\nredirect = { to = \"/x\", status = 303 }\n\
                  [[routes]]\npath = \"/s\"\nsplit = [\"app\", { upstream = \"next\", weight = 0 }]\n";
    let config = load_text(&format!("{APP}{routes}"));
    match (&route(&config, "/r").target, &route(&config, "/s").target) {
        (Target::Redirect(redirect), Target::Split { split, rewrite: Rewrite::Keep }) => {
            assert_eq!(redirect.status.as_u16(), 303);
            let weights: Vec<_> = split.shares().iter().map(|share| (share.upstream.0, share.weight)).collect();
            assert_eq!((weights, split.by()), (vec![(0, 1), (1, 0)], None));
        }
        targets => panic!("{targets:?}"),
    }
    // A redirect gives nothing away; a split is as open as its upstreams.
    let report =
        from_text_with("test", &format!("{APP}{routes}{users}"), &|_| None, LoadOptions::default()).unwrap_err();
    assert!(report.to_string().contains("the route `/s` does not say who may pass"), "{report}");
    assert_eq!(report.errors(), 1, "{report}");
}

#[test]
fn a_reload_says_what_needs_a_restart() {
    let with = |workers: usize| {
        load_text(&format!("{APP}[server]\nworkers = {workers}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"))
            .settings
    };
    assert!(with(1).needs_restart(&with(1)).is_empty());
    assert_eq!(with(1).needs_restart(&with(2)).len(), 1);
}

#[test]
fn a_file_that_is_not_there_is_one_clear_message() {
    let report = load_with(Path::new("no-such.toml"), &|_| None, LoadOptions::default()).unwrap_err().to_string();
    assert!(report.contains("cannot read no-such.toml: there is no such file") && report.contains("--to"), "{report}");
}

#[test]
fn secret_files_are_read_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(folder.path().join("jwt.key"), "canary-canary-canary-canary-canary\n").unwrap();
    let text = format!(
        "{APP}[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"file:jwt.key\"\nissuer = \"i\"\naudience = \"a\"\n\
         [defaults]\nauth = \"users\"\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = load_with(&file, &|_| None, LoadOptions::default()).unwrap();
    assert_eq!(config.verifiers[0].jwt().unwrap().secret().unwrap().reveal(), "canary-canary-canary-canary-canary");
    assert_eq!(config.sources, [file.clone(), folder.path().join("jwt.key")]);
    // A value from the environment names no file.
    let env = |_: &str| Some("file:jwt.key-0123456789-0123456789-0123456789".to_owned());
    let text = std::fs::read_to_string(&file).unwrap().replace("file:jwt.key", "${S}");
    std::fs::write(&file, text).unwrap();
    let config = load_with(&file, &env, LoadOptions::default()).unwrap();
    assert_eq!(
        config.verifiers[0].jwt().unwrap().secret().unwrap().reveal(),
        "file:jwt.key-0123456789-0123456789-0123456789"
    );
}

/// A configuration with this file of keys; its folder goes with the second value.
fn with_keys(keys: &str) -> (Result<Config, Report>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(folder.path().join("keys.toml"), keys).unwrap();
    let text = format!(
        "{APP}[auth.partners]\nkind = \"api-key\"\nkeys = \"file:keys.toml\"\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\nauth = \"partners\"\n"
    );
    std::fs::write(&file, text).unwrap();
    (load_with(&file, &|_| None, LoadOptions::default()), folder)
}

#[test]
fn a_file_of_keys_is_read_and_watched() {
    let hash = "ab".repeat(32);
    let text = format!(
        "[[key]]\nid = \"acme\"\nsha256 = \"{hash}\"\nexpires = 2099-01-31T01:00:00.9+01:00\n\
         claims = {{ a = 0x10, b = -1.5, c = [true, {{ d = \"e\" }}], f.g = 7 }}\n"
    );
    let (config, folder) = with_keys(&text);
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let VerifierSettings::ApiKey(settings) = &config.verifiers[0] else { panic!("{:?}", config.verifiers) };
    let [key] = &*settings.keys else { panic!("{settings:?}") };
    assert_eq!((key.id.as_str(), key.hash.to_string()), ("acme", hash.clone()));
    assert_eq!(key.expires.map(|expires| expires.as_secs()), Some(4_073_500_800));
    let claims = serde_json::json!({ "a": 16, "b": -1.5, "c": [true, { "d": "e" }], "f": { "g": 7 } });
    assert_eq!(Some(&key.claims), claims.as_object());
    assert_eq!(config.sources, ["portcullis.toml", "keys.toml"].map(|name| folder.path().join(name)));
    assert!(config.warnings.is_empty() && config.summary().contains(&"keys of partners: 1".to_owned()));
    assert!(!format!("{config:?}").contains(&hash));
    // Taking the last key back must be possible; a file that is broken changes nothing.
    let empty = with_keys("").0.unwrap();
    assert!(empty.warnings.to_string().contains("accepts no key"), "{}", empty.warnings);
    let broken = with_keys(&text.replace("id = ", "id ")).0.unwrap_err().to_string();
    assert!(broken.contains("keys.toml:2:4") && !broken.contains(&hash), "{broken}");
}

/// Something of every section, to cut and bend.
const WHOLE: &str = concat!(
    include_str!("../../../examples/shop.toml"),
    "\n[admin]\ntoken = \"canary\"\n[server]\nmax_body_size = \"1MiB\"\n"
);

/// Two keys that are none, and one that may be good.
const KEYS: &str = "[[key]]\nid = \"acme\"\nsha256 = \"canary\"\nclaims = { plan = \"gold\", seats = [1, 2.5] }\n[[key]]\nid = \"zed\"\n\
                    key = \"canary\"\nexpires = 2099-01-31T00:00:00Z\n[[key]]\nid = \"x\"\n\
                    sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n";

proptest! {
    /// Whatever is wrong with a file of keys: no panic, and no key that somebody wrote where its hash belongs.
    #[test]
    fn no_damage_to_keys_panics_or_prints_one(at in 0..KEYS.len(), length in 0_usize..40, insert in "[\\[\\]{}=\"'\\\\${}a-z0-9\u{e4}\n ]{0,6}") {
        let end = (at + length).min(KEYS.len());
        let text = format!("{}{insert}{}", &KEYS[..at], &KEYS[end..]);
        if let Err(report) = with_keys(&text).0 {
            let whole = text.matches("\nsha256 = \"canary\"\n").count() + text.matches("\nkey = \"canary\"\n").count();
            prop_assert!(report.errors() > 0 && (whole < 2 || !report.to_string().contains("canary")), "{}", report);
        }
    }

    /// Whatever is wrong with a file: no panic, an error is reported, and no secret is printed.
    #[test]
    fn no_damage_panics_or_prints_a_secret(at in 0..WHOLE.len(), length in 0_usize..40, insert in "[\\[\\]{}=\"'\\\\${}a-z0-9\u{e4}\n ]{0,6}") {
        let at = (0..=at).rev().find(|at| WHOLE.is_char_boundary(*at)).unwrap();
        let end = (at + length..=WHOLE.len()).find(|end| WHOLE.is_char_boundary(*end)).unwrap_or(WHOLE.len());
        let text = format!("{}{insert}{}", &WHOLE[..at], &WHOLE[end..]);
        if let Err(report) = from_text_with("test", &text, &|_| None, LoadOptions::default()) {
            prop_assert!(report.errors() > 0);
            let drawn = report.to_string();
            // Where the damage is in the key itself, nobody can know what its value is.
            let token_is_whole = text.contains("\ntoken = \"canary\"\n");
            prop_assert!(!token_is_whole || !drawn.contains("canary"), "{}", drawn);
        }
    }
}
