//! Keys of issuers: from the file, fetched, and while they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use portcullis_core::auth::{Algorithm, KeyKind};
use portcullis_core::testing::SigningKey;
use portcullis_suite::{Client, Gateway, Reply, Upstream, claims, eventually};
use serde_json::json;

fn config(upstream: &Upstream, verifier: &str) -> String {
    format!(
        r#"
        [upstreams]
        app = ["{}"]
        [auth.users]
        kind = "jwt"
        issuer = "https://login.shop.test"
        audience = ["shop"]
        forward = {{ "x-user-id" = "sub" }}
        failures = "off"
        {verifier}
        [[routes]]
        path = "/public/**"
        upstream = "app"
        auth = "none"
        [[routes]]
        path = "/me/**"
        upstream = "app"
        auth = "users"
        "#,
        upstream.url()
    )
}

/// A verifier of RS256 whose keys `issuer` publishes.
fn fetched(issuer: &Upstream, more: &str) -> String {
    format!("algorithms = [\"RS256\"]\njwks = \"{}/jwks.json\"\n{more}", issuer.url())
}

fn set(keys: &[&SigningKey]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}

fn one() -> SigningKey {
    SigningKey::new(Algorithm::RS256).named("one")
}

fn two() -> SigningKey {
    SigningKey::next(Algorithm::RS256).named("two")
}

fn ask(gateway: &Gateway, token: &str) -> u16 {
    gateway.get("/me", &[&format!("authorization: Bearer {token}")]).status()
}

/// An issuer that answers by what `phase` is.
fn issuer(phase: &Arc<AtomicUsize>, answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Upstream {
    let phase = Arc::clone(phase);
    Upstream::start(move |_| answer(phase.load(Ordering::SeqCst)))
}

#[test]
fn every_algorithm_is_accepted_under_its_key() {
    const ALL: [Algorithm; 9] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    // One RSA key for six of them, by the same name.
    let name = |algorithm: Algorithm| if algorithm.key_kind() == KeyKind::Rsa { "RSA" } else { algorithm.as_str() };
    let keys = ALL.map(|algorithm| SigningKey::new(algorithm).named(name(algorithm)));
    let published = set(&[&keys[0], &keys[6], &keys[7], &keys[8]]);
    let issuer = Upstream::start(move |_| Reply::ok(&published));
    let upstream = Upstream::ok();
    let names: Vec<_> = ALL.iter().map(|algorithm| format!("\"{algorithm}\"")).collect();
    let verifier = format!("algorithms = [{}]\njwks = \"{}/jwks.json\"", names.join(", "), issuer.url());
    let gateway = Gateway::start(&config(&upstream, &verifier));
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(ask(&gateway, &key.token(&claims(&format!("user-{number}")))), 200, "{key:?}");
        assert_eq!(upstream.seen()[number].get("x-user-id"), Some(&*format!("user-{number}")));
    }
    assert_eq!(issuer.only().target(), "/jwks.json");
    assert_eq!(gateway.metric("portcullis_verifier_keys{verifier=\"users\"}"), Some(4.0));
}

/// J01, J02, J07 on the wire: nothing that a token says makes another key count, and nobody is asked for one.
#[test]
fn a_token_names_a_key_and_brings_none() {
    let (upstream, canary) = (Upstream::ok(), Upstream::ok());
    let key = SigningKey::new(Algorithm::RS256);
    let verifier = format!("algorithms = [\"RS256\"]\npublic_key = '''{}'''", key.pem());
    let gateway = Gateway::start(&config(&upstream, &verifier));
    let payload = claims("ada").to_string();
    assert_eq!(ask(&gateway, &key.sign(r#"{"alg":"RS256"}"#, payload.as_bytes())), 200);

    let thief = SigningKey::next(Algorithm::RS256).named("mine");
    let brought = json!({
        "alg": "RS256", "kid": "mine", "jwk": thief.jwk(), "x5c": ["AAAA"],
        "jku": format!("{}/jku", canary.url()), "x5u": format!("{}/x5u", canary.url()),
    });
    assert_eq!(ask(&gateway, &thief.sign(&brought.to_string(), payload.as_bytes())), 401);
    for kid in ["../../etc/passwd", "' OR 1=1 --", &canary.url(), &"k".repeat(4096)] {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        assert_eq!(ask(&gateway, &thief.sign(&header, payload.as_bytes())), 401);
    }
    // The public key as a secret.
    let claims = claims("ada");
    let claims = claims.as_object().unwrap();
    let confused = portcullis_core::auth::mint(Algorithm::HS256, key.pem().as_bytes(), claims).unwrap();
    assert_eq!(ask(&gateway, &confused), 401);
    assert_eq!(canary.connections(), 0, "nobody was asked");
    assert_eq!(upstream.seen().len(), 1);
}

/// J04: two issuers, each with keys of its own; neither's key vouches for the other.
#[test]
fn an_issuers_key_vouches_for_that_issuer_only() {
    let upstream = Upstream::ok();
    let (ours, theirs) = (SigningKey::new(Algorithm::RS256), SigningKey::next(Algorithm::RS256));
    let gateway = Gateway::start(&format!(
        r#"
        {}
        [auth.partners]
        kind = "jwt"
        algorithms = ["RS256"]
        public_key = """{}"""
        issuer = "https://partner.test"
        audience = ["shop"]
        failures = "off"
        [[routes]]
        path = "/partners/**"
        upstream = "app"
        auth = "partners"
        "#,
        config(&upstream, &format!("algorithms = [\"RS256\"]\npublic_key = \"\"\"{}\"\"\"", ours.pem())),
        theirs.pem(),
    ));
    let of = |issuer: &str| {
        let mut claims = claims("ada");
        claims["iss"] = json!(issuer);
        claims
    };
    let (home, partner) = (of("https://login.shop.test"), of("https://partner.test"));
    let ask = |path: &str, token: &str| gateway.get(path, &[&format!("authorization: Bearer {token}")]).status();
    assert_eq!((ask("/me", &ours.token(&home)), ask("/partners", &theirs.token(&partner))), (200, 200));
    for (path, token) in [
        ("/me", theirs.token(&home)),
        ("/me", theirs.token(&partner)),
        ("/me", ours.token(&partner)),
        ("/partners", ours.token(&partner)),
        ("/partners", ours.token(&home)),
        ("/partners", theirs.token(&home)),
    ] {
        assert_eq!(ask(path, &token), 401, "{path} {token}");
    }
}

/// J16: a file's keys are another verifier's when they change, so that what was accepted before is not.
#[test]
fn a_files_keys_change_with_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let upstream = Upstream::ok();
    let text = config(&upstream, &format!("algorithms = [\"RS256\"]\njwks = \"file:{}\"", file.display()));
    std::fs::write(&file, set(&[&one()])).unwrap();
    let mut gateway = Gateway::start(&text);
    let (old, new) = (one().token(&claims("ada")), two().token(&claims("ada")));
    assert_eq!((ask(&gateway, &old), ask(&gateway, &new)), (200, 401));
    std::fs::write(&file, set(&[&one(), &two()])).unwrap();
    assert_eq!(ask(&gateway, &new), 401, "not before it is read again");
    gateway.reload(&text).unwrap();
    assert_eq!((ask(&gateway, &old), ask(&gateway, &new)), (200, 200));
    std::fs::write(&file, set(&[&two()])).unwrap();
    gateway.reload(&text).unwrap();
    assert_eq!((ask(&gateway, &old), ask(&gateway, &new)), (401, 200));
    assert!(Gateway::config(&text).unwrap().sources.contains(&file), "it is watched");
}

/// J08: keys rotate while requests run. A valid token is never refused; one under a removed key is, also when it is remembered.
#[test]
fn keys_rotate_under_load() {
    let phase = Arc::new(AtomicUsize::new(0));
    let issuer = issuer(&phase, |phase| {
        Reply::ok(&match phase {
            0 => set(&[&one()]),
            1 => set(&[&one(), &two()]),
            _ => set(&[&two()]),
        })
    });
    let upstream = Upstream::ok();
    let gateway = Gateway::start(&config(&upstream, &fetched(&issuer, "keys_refresh = \"1s\"")));
    let (old, new) = (one().token(&claims("ada")), two().token(&claims("grace")));
    assert_eq!(ask(&gateway, &old), 200);

    // Each thread asks with a token of its own, so that some are remembered and some are not.
    let under_load = |key: SigningKey, until: &(dyn Fn() + Sync)| {
        let (stop, address) = (AtomicBool::new(false), gateway.address());
        thread::scope(|scope| {
            for number in 0..3 {
                let (stop, key) = (&stop, &key);
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    let (mut asked, mut token) = (0, String::new());
                    while !stop.load(Ordering::SeqCst) {
                        if asked % 8 == 0 {
                            token = key.token(&claims(&format!("user-{number}-{asked}")));
                        }
                        let answer = client.request("GET", "/me", &[&format!("authorization: Bearer {token}")]);
                        assert_eq!(answer.unwrap().status(), 200, "request {asked}");
                        asked += 1;
                    }
                });
            }
            until();
            stop.store(true, Ordering::SeqCst);
        });
    };
    under_load(one(), &|| {
        phase.store(1, Ordering::SeqCst);
        assert_eq!(ask(&gateway, &new), 200, "the new key is asked for by the first token that names it");
    });
    under_load(two(), &|| {
        phase.store(2, Ordering::SeqCst);
        eventually("the removed key's remembered token is refused", || ask(&gateway, &old) == 401);
    });
    assert_eq!(ask(&gateway, &one().token(&claims("another"))), 401);
}

/// J10: however many tokens name keys that nobody has, the issuer is asked once.
#[test]
fn a_flood_of_unknown_keys_is_one_fetch() {
    let (issuer, upstream) = (Upstream::start(|_| Reply::ok(&set(&[&one()]))), Upstream::ok());
    let gateway = Gateway::start(&config(&upstream, &fetched(&issuer, "")));
    assert_eq!(ask(&gateway, &one().token(&claims("ada"))), 200);
    assert_eq!(issuer.seen().len(), 1);
    let address = gateway.address();
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let token = two().token(&claims("mallory"));
                let (_, rest) = token.split_once('.').unwrap();
                for number in 0..250 {
                    let header = json!({ "alg": "RS256", "kid": format!("{thread}-{number}") }).to_string();
                    // A cheap key, since only the header of this one counts.
                    let other = SigningKey::new(Algorithm::EdDSA).sign(&header, b"");
                    let token = format!("{}.{rest}", other.split('.').next().unwrap());
                    let answer = client.request("GET", "/me", &[&format!("authorization: Bearer {token}")]).unwrap();
                    assert_eq!(answer.status(), 401);
                }
            });
        }
    });
    assert_eq!(issuer.seen().len(), 2, "the fetch at start, and one for all of them");
    assert_eq!(ask(&gateway, &one().token(&claims("grace"))), 200);
}

/// J09: without keys a token is neither good nor bad; with them, an issuer that fails changes nothing.
#[test]
fn an_issuer_that_is_down_is_waited_for() {
    let phase = Arc::new(AtomicUsize::new(0));
    let issuer = issuer(&phase, |phase| match phase {
        0 => Reply::Close(Vec::new()),
        1 => Reply::ok(&set(&[&one()])),
        2 => Reply::status(500, "down"),
        3 => Reply::ok("<html>sign in first</html>"),
        4 => Reply::ok(&" ".repeat(400_000)),
        _ => Reply::raw("HTTP/1.1 302 Found\r\nlocation: https://evil.test/\r\ncontent-length: 0\r\n\r\n"),
    });
    let upstream = Upstream::ok();
    let text = config(&upstream, &fetched(&issuer, "keys_refresh = \"1s\""));
    let mut gateway = Gateway::start(&text);
    let token = one().token(&claims("ada"));
    let answer = gateway.get("/me", &[&format!("authorization: Bearer {token}")]);
    assert_eq!(answer.status(), 503);
    assert!(answer.get("retry-after").is_some() && answer.get("www-authenticate").is_none());
    assert_eq!(answer.json()["code"], "verifier-unavailable");
    assert_eq!(gateway.get("/me", &["authorization: Bearer not.a.token"]).status(), 401, "what could never pass");
    assert_eq!(gateway.get("/public", &[]).status(), 200);
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("[auth.users] has no keys"), "{}", ready.text());

    phase.store(1, Ordering::SeqCst);
    eventually("its keys are found", || ask(&gateway, &token) == 200);
    assert_eq!(gateway.admin("/readyz").text(), "ready\n");
    let failed =
        || gateway.metric("portcullis_verifier_key_fetches_total{verifier=\"users\",result=\"failed\"}").unwrap();
    for broken in 2..6 {
        phase.store(broken, Ordering::SeqCst);
        let before = failed();
        eventually("a fetch fails", || failed() > before);
        assert_eq!(ask(&gateway, &one().token(&claims(&format!("user-{broken}")))), 200, "phase {broken}");
    }
    assert_eq!(gateway.admin("/readyz").text(), "ready\n");
    // The verifier is kept over a reload, with the keys that it has.
    gateway.reload(&text).unwrap();
    assert_eq!(ask(&gateway, &one().token(&claims("grace"))), 200);
}

/// An issuer that answers nothing holds up nothing but the tokens that wait for it.
#[test]
fn an_issuer_that_hangs_holds_up_nobody_else() {
    let (issuer, upstream) = (Upstream::start(|_| Reply::Silence), Upstream::ok());
    let gateway = Gateway::start(&config(&upstream, &fetched(&issuer, "")));
    let mut waiting = Client::connect(gateway.address());
    let token = one().token(&claims("ada"));
    waiting.send(format!("GET /me HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\r\n"));
    eventually("the issuer is asked", || issuer.connections() == 1);
    for _ in 0..20 {
        assert_eq!(gateway.get("/public", &[]).status(), 200);
    }
    // Given up with its deadline, the token that waits is answered.
    assert_eq!(waiting.response().unwrap().status(), 503);
}

/// A reload that names another issuer begins to fetch from it, and is no reason to be taken out.
#[test]
fn a_reload_begins_and_ends_fetching() {
    let (first, second) =
        (Upstream::start(|_| Reply::ok(&set(&[&one()]))), Upstream::start(|_| Reply::ok(&set(&[&two()]))));
    let (down, upstream) = (Upstream::start(|_| Reply::Close(Vec::new())), Upstream::ok());
    let mut gateway = Gateway::start(&config(&upstream, &fetched(&first, "")));
    let (old, new) = (one().token(&claims("ada")), two().token(&claims("ada")));
    assert_eq!((ask(&gateway, &old), gateway.admin("/readyz").status()), (200, 200));
    gateway.reload(&config(&upstream, &fetched(&first, ""))).unwrap();
    gateway.reload(&config(&upstream, &fetched(&second, ""))).unwrap();
    assert_eq!((ask(&gateway, &old), ask(&gateway, &new)), (401, 200));
    assert_eq!(first.seen().len(), 1, "the same settings keep what they have");
    gateway.reload(&config(&upstream, &fetched(&down, ""))).unwrap();
    assert_eq!(ask(&gateway, &new), 503);
    let ready = gateway.admin("/readyz");
    assert_eq!(
        (ready.status(), ready.text()),
        (200, "ready\n[auth.users] has no keys: its tokens cannot be checked\n".into())
    );
}
