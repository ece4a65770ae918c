//! Which crate may depend on which: the arrows of docs/architecture.md.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The direct, normal dependencies of a package of this workspace.
fn dependencies(metadata: &Value, package: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let package =
        packages.iter().find(|known| known["name"] == package).unwrap_or_else(|| panic!("no package {package}"));
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn arrows_point_to_core() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata");
    let core = dependencies(&metadata, "portcullis-core");
    for forbidden in [
        "hyper",
        "hyper-util",
        "rustls",
        "moka",
        "toml",
        "redis",
        "portcullis",
        "socket2",
        "notify",
        "clap",
        "tracing-subscriber",
    ] {
        assert!(!core.contains(forbidden), "core does not know {forbidden}");
    }
    let server = dependencies(&metadata, "portcullis");
    for behind_core in ["governor", "dashmap", "jsonwebtoken"] {
        assert!(!server.contains(behind_core), "{behind_core} stays behind core");
    }
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if package["manifest_path"].as_str().unwrap().contains("/backends/") {
            let own: Vec<_> =
                dependencies(&metadata, name).into_iter().filter(|known| known.starts_with("portcullis")).collect();
            assert_eq!(own, ["portcullis-core"], "{name} depends on core only");
        }
    }
}

/// How many crates core is built of, itself included, with these arguments.
fn crates(features: &[&str]) -> usize {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "portcullis-core",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
            "--offline",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .args(features)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().collect::<BTreeSet<_>>().len()
}

/// Who embeds core builds few crates: what each bound leaves room for is an update's doing, not ours.
#[test]
fn core_stays_small() {
    let with_tokens = crates(&[]);
    assert!(with_tokens <= 85, "{with_tokens} crates with the default features");
    let without_tokens = crates(&["--no-default-features"]);
    assert!(without_tokens <= 40, "{without_tokens} crates without any");
    let layers = crates(&["--no-default-features", "--features", "tower"]) - without_tokens;
    assert!(layers <= 3, "{layers} more crates for the layers");
}

/// The README shows the example that runs, and not another.
#[test]
fn the_readme_shows_what_runs() {
    let read = |file: &str| std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let example = read("core/examples/service.rs").replace("#[rustfmt::skip]\n", "");
    let sample = example.split_once("use axum").and_then(|(_, rest)| rest.split_once("\n/// In tests")).unwrap().0;
    assert!(read("README.md").contains(&format!("```rust\nuse axum{}\n```", sample.trim_end())));
}

/// Only these files name these things.
#[test]
fn names_stay_in_their_rooms() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"));
    let named_in = |what: &str, folder: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![std::path::PathBuf::from(root).join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs")
                    && std::fs::read_to_string(&path).unwrap().contains(what)
                {
                    found.insert(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        found
    };
    let config: Vec<_> =
        named_in("toml::", "server/src").into_iter().filter(|file| !file.starts_with("server/src/config/")).collect();
    assert!(config.is_empty(), "only config knows TOML: {config:?}");
    let pickers = named_in("RoundRobin::", "server/src");
    assert_eq!(pickers.into_iter().collect::<Vec<_>>(), ["server/src/config/compile/upstream.rs"]);
    let jwks: Vec<_> = named_in("portcullis_jwks::", "server/src").into_iter().collect();
    assert_eq!(jwks, ["server/src/parts/jwks.rs"], "concrete key sources are named by parts only");
    let redis: Vec<_> = named_in("portcullis_redis::", "server/src").into_iter().collect();
    assert_eq!(redis, ["server/src/parts/redis.rs"], "and so are concrete stores");
    let cryptography = named_in("jsonwebtoken::", "core/src");
    let within: Vec<_> = cryptography.iter().filter(|file| !file.starts_with("core/src/auth/jwt/key")).collect();
    assert!(within.is_empty(), "only key.rs names the cryptography: {within:?}");
    let clocks: Vec<_> = named_in("SystemTime::now()", "core/src").into_iter().collect();
    assert_eq!(clocks, ["core/src/time.rs"]);
    let main = std::fs::read_to_string(format!("{root}/server/src/main.rs")).unwrap();
    assert!(main.lines().count() < 40, "main.rs stays small");
}
