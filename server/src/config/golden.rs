//! Every broken configuration in `tests/config_errors` gives the report that stands beside it, and the examples load.
//!
//! `UPDATE_GOLDEN=1 cargo test -p portcullis golden` writes the reports anew; read the difference before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Config, Env, LoadOptions, Report, load_with, read};

/// Stands wherever a secret does; must never be printed.
const CANARY: &str = "canary";

/// What the environment of the golden files is.
fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("canary-canary-canary-canary-canary".to_owned()),
        "SHORT_SECRET" => Some(CANARY.to_owned()),
        "BAD" => Some("canary!".to_owned()),
        _ => None,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn report(path: &Path) -> Report {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    match read(name, &text, path.parent().unwrap(), &env, LoadOptions::default()).0 {
        Ok(_) => panic!("{name} has no error"),
        Err(report) => report,
    }
}

#[test]
fn golden_reports() {
    let files = files(&root().join("tests/config_errors"));
    assert!(files.len() >= 50, "only {} golden files", files.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for path in files {
        let report = report(&path);
        // The path of a file that could not be read is that of the machine.
        let drawn = format!("{report}\n").replace(path.parent().unwrap().to_str().unwrap(), "FOLDER");
        for text in [&drawn, &report.coloured(), &format!("{report:?}")] {
            assert!(!text.contains(CANARY), "{} prints a secret:\n{text}", path.display());
        }
        let golden = path.with_extension("report");
        if update {
            fs::write(&golden, &drawn).unwrap();
        }
        if fs::read_to_string(&golden).ok().as_deref() != Some(&drawn) {
            different.push(format!("{}:\n{drawn}", golden.display()));
        }
    }
    assert!(different.is_empty(), "not as golden (see the top of this file):\n\n{}", different.join("\n"));
}

fn example(name: &str, env: Env<'_>) -> Config {
    let path = root().join("examples").join(name);
    load_with(&path, env, LoadOptions::default()).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn the_examples_load() {
    for path in files(&root().join("examples")) {
        let config = example(path.file_name().unwrap().to_str().unwrap(), &|_| None);
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }
}

#[test]
fn the_shop_is_what_its_comments_say() {
    let config = example("shop.toml", &|name| (name == "USERS_URL").then(|| "http://users:3001".to_owned()));
    let servers: Vec<_> = config.plan.upstreams.iter().flat_map(|upstream| &upstream.servers).collect();
    assert!(servers.iter().any(|server| server.url.to_string() == "http://users:3001"));
    assert_eq!(config.plan.routes.len(), config.plan.table.entries().len());
    let summary = config.summary().join("\n");
    assert!(summary.contains("route /health: public, no limits, answers 200"), "{summary}");
    assert!(summary.contains("route /orders/**: for users, limits per-client, to orders"), "{summary}");
    assert!(summary.contains("open to anyone: /auth/login, /auth/register\n"), "{summary}");
    assert!(summary.contains("limit per-client for each identity, client: at most 200 in any minute"), "{summary}");
}
