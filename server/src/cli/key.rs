//! `portcullis key`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_core::auth::{Identity, KeyHash, generate_api_key};
use portcullis_core::time::Clock;
use serde_json::{Map, Value};

use super::run::quoted;
use super::{FAILED, WRONG, print, say};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints the key, an empty line and the entry for the file that `keys = \"file:PATH\"` of an [auth.NAME] of kind \
                        \"api-key\" names; with --append the entry goes to that file and only the key is printed:\n\n  \
                        KEY=$(portcullis key --id acme --append keys.toml)\n\n\
                        The entry holds a hash of the key and not the key, which is shown this once and kept nowhere."
)]
pub(super) struct Args {
    /// Whose key it is: the id of the identity
    #[arg(long, value_name = "NAME")]
    id: String,
    /// What is vouched for besides; a value that is JSON is taken as JSON, anything else as a string
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = super::token::claim)]
    claims: Vec<(String, Value)>,
    /// When it ends, as 2027-01-31T00:00:00Z; never unless one of these says
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "lasts")]
    expires: Option<Timestamp>,
    /// How long it lasts, as 90d
    #[arg(long = "for", value_name = "DURATION", value_parser = super::token::lasting)]
    lasts: Option<Duration>,
    /// Append the entry to this file, and print only the key
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a date and a time with an offset: 2027-01-31T00:00:00Z".to_owned())
}

pub(super) fn key(args: &Args) -> ExitCode {
    if Identity::new("", args.id.as_str(), Map::new(), None).is_err() {
        say("error: --id takes 1 to 256 bytes without control characters");
        return ExitCode::from(WRONG);
    }
    let key = match generate_api_key() {
        Ok(key) => key,
        Err(error) => {
            say(&format!("error: the system gives no randomness: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let entry = match entry(args, &key) {
        Ok(entry) => entry,
        Err(problem) => {
            say(&format!("error: {problem}"));
            return ExitCode::from(WRONG);
        }
    };
    let Some(file) = &args.append else {
        print(&format!("{key}\n\n{entry}"));
        return ExitCode::SUCCESS;
    };
    // One write: whoever watches the file reads a whole entry.
    let appended = OpenOptions::new().append(true).create(true).open(file);
    match appended.and_then(|mut file| file.write_all(format!("\n{entry}\n").as_bytes())) {
        Ok(()) => {
            print(&key);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: cannot append to {}: {error}", file.display()));
            ExitCode::from(FAILED)
        }
    }
}

/// The `[[key]]` of a key.
fn entry(args: &Args, key: &str) -> Result<String, String> {
    let mut lines = vec!["[[key]]".to_owned(), format!("id      = {}", quoted(&args.id))];
    lines.push(format!("sha256  = \"{}\"", KeyHash::of(key)));
    if !args.claims.is_empty() {
        let claims: Map<String, Value> = args.claims.iter().cloned().collect();
        lines.push(format!("claims  = {}", toml(&Value::Object(claims))?));
    }
    if let Some(expires) = expires(args)? {
        lines.push(format!("expires = {expires}"));
    }
    Ok(lines.join("\n"))
}

/// When the key ends, in whole seconds.
fn expires(args: &Args) -> Result<Option<Timestamp>, String> {
    let now = Clock::system().unix().as_secs();
    let seconds = match (args.expires, args.lasts) {
        (Some(time), _) => time.as_second(),
        (None, Some(lasts)) => i64::try_from(now.saturating_add(lasts.as_secs())).unwrap_or(i64::MAX),
        (None, None) => return Ok(None),
    };
    if u64::try_from(seconds).unwrap_or(0) <= now {
        return Err("the key would have expired already".to_owned());
    }
    Timestamp::from_second(seconds).map(Some).map_err(|_| "no key lasts so long".to_owned())
}

/// A claim as TOML has it.
fn toml(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Result<Vec<_>, _>>()?.join(", ")),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null => return Err("a claim cannot be null".to_owned()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Ok(format!("{} = {}", bare_or_quoted(name), toml(value)?));
            format!("{{ {} }}", members.iter().map(member).collect::<Result<Vec<_>, String>>()?.join(", "))
        }
        Value::String(text) => quoted(text),
    })
}

fn bare_or_quoted(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}
