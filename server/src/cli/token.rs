//! `portcullis token`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_core::auth::mint;
use portcullis_core::time::Clock;
use serde_json::{Map, Value};

use super::{WRONG, file_or_lesson, load, print, say};
use crate::config::{Config, LoadOptions};
use crate::parts::{JwtSettings, VerifierSettings};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who the token is for: the value of the verifier's id claim
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    sub: String,
    /// A further claim; a value that is JSON is taken as JSON, anything else as a string
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// How long it lasts
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = lasting)]
    lasts: Duration,
    /// Which verifier it is for; can be left out where there is one
    #[arg(long, value_name = "NAME")]
    auth: Option<String>,
    /// The configuration; ./portcullis.toml where left out
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A duration that is one: a token that lasts no second is never accepted.
pub(super) fn lasting(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.as_secs() > 0 => Ok(duration),
        Ok(_) => Err("a token lasts a second at least".into()),
        Err(error) => Err(format!("{error}; write it as 30s, 10m, 1h or 7d")),
    }
}

/// A claim: what is JSON is taken as JSON, anything else as a string.
pub(super) fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

pub(super) fn token(args: &Args) -> ExitCode {
    let config = file_or_lesson(args.config.as_ref()).and_then(|file| load(&file, LoadOptions::default()));
    let config = match config {
        Ok(config) => config,
        Err(code) => return code,
    };
    match make(args, &config) {
        Ok(token) => {
            print(&token);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::from(WRONG)
        }
    }
}

fn make(args: &Args, config: &Config) -> Result<String, String> {
    let verifier = verifier(args, config)?;
    let Some(secret) = verifier.secret() else {
        return Err(format!(
            "the tokens of [auth.{}] are signed with a private key, which only their issuer has: ask the issuer for one",
            verifier.name
        ));
    };
    let algorithm = *verifier.algorithms.first().ok_or("the verifier accepts no algorithm")?;
    let claims = claims(args, verifier);
    mint(algorithm, secret.reveal().as_bytes(), &claims).map_err(|error| error.to_string())
}

fn verifier<'c>(args: &Args, config: &'c Config) -> Result<&'c JwtSettings, String> {
    let signed: Vec<&JwtSettings> = config.verifiers.iter().filter_map(VerifierSettings::jwt).collect();
    let names = || signed.iter().map(|verifier| &*verifier.name).collect::<Vec<_>>().join(", ");
    match (&args.auth, signed.as_slice()) {
        (_, []) => Err("the configuration has no [auth.*] table of kind \"jwt\", so no token is needed (API keys: `portcullis key`)".into()),
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("say which verifier: --auth with one of {}", names())),
        (Some(name), all) => all
            .iter()
            .find(|verifier| *verifier.name == **name)
            .copied()
            .ok_or_else(|| format!("there is no [auth.{name}]; there is {}", names())),
    }
}

fn claims(args: &Args, verifier: &JwtSettings) -> Map<String, Value> {
    let mut claims: Map<String, Value> = args.claims.iter().cloned().collect();
    let now = Clock::system().unix().as_secs();
    let mut standard = |name: &str, value: Value| {
        claims.entry(name).or_insert(value);
    };
    standard(&verifier.id_claim, args.sub.clone().into());
    standard("iat", now.into());
    standard("exp", now.saturating_add(args.lasts.as_secs()).into());
    if let Some(issuer) = &verifier.issuer {
        standard("iss", issuer.clone().into());
    }
    if let Some(audience) = verifier.audience.as_ref().and_then(|audiences| audiences.first()) {
        standard("aud", audience.clone().into());
    }
    claims
}
