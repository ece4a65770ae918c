//! The commands. Exit codes: 0 it worked, 1 it failed while running (for `explain`: the request would be refused), 2 the
//! configuration or the command line is wrong.

mod check;
mod demo;
mod explain;
mod key;
mod run;
mod schema;
mod token;
mod watched;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, LoadOptions, Report};

/// Where the configuration is when nobody says.
const DEFAULT_FILE: &str = "portcullis.toml";

/// What a newcomer can save and run.
const SMALLEST: &str = r#"[upstreams]
app = ["http://127.0.0.1:7001"]

[[routes]]
path     = "/**"
upstream = "app"
"#;

/// It failed while running.
const FAILED: u8 = 1;
/// The configuration or the command line is wrong.
const WRONG: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about = "An API gateway: one binary, one TOML file",
    long_about = "An API gateway: one binary, one TOML file. It routes, verifies tokens, limits rates, balances and breaks \
                  circuits, and tells why it did what it did.",
    after_help = "Try it in a minute:\n  portcullis demo                                  a small shop behind a gateway, and what to try\n  \
                  portcullis run --to http://127.0.0.1:7001        one route to one server, no file at all\n\n\
                  Then with a file:\n  portcullis check portcullis.toml                 every mistake at once\n  \
                  portcullis explain GET /orders/7                 what would happen to this request, and why\n  \
                  portcullis run                                   reads ./portcullis.toml and reads it again when it changes\n\n\
                  Exit codes: 0 it worked; 1 it failed while running, or `explain` says that the request would be refused; \
                  2 the configuration or the command line is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration: every problem at once, then what it does and the worst case of each limit
    Check(check::Args),
    /// Run a small shop behind a gateway, with a token and curl lines worth trying
    Demo(demo::Args),
    /// Say what would happen to a request, and why; asks nobody and counts nothing
    Explain(explain::Args),
    /// Make an API key, and its entry for a verifier's file of keys
    Key(key::Args),
    /// Run the gateway
    Run(run::Args),
    /// Print the JSON Schema of the configuration, for an editor that completes and checks it
    Schema(schema::Args),
    /// Make a token that a verifier of the configuration accepts, for trying out
    Token(token::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    match command {
        Command::Check(args) => check::check(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Key(args) => key::key(&args),
        Command::Run(args) => run::run(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Token(args) => token::token(&args),
    }
}

/// Reads a configuration, or prints its report.
fn load(file: &Path, options: LoadOptions) -> Result<Config, ExitCode> {
    config::load_with(file, &environment, options).map_err(|report| {
        complain(&report);
        ExitCode::from(WRONG)
    })
}

/// The file to read: the named one, else ./portcullis.toml, else a lesson.
fn file_or_lesson(named: Option<&PathBuf>) -> Result<PathBuf, ExitCode> {
    match named {
        Some(file) => Ok(file.clone()),
        None if Path::new(DEFAULT_FILE).exists() => Ok(DEFAULT_FILE.into()),
        None => {
            say(&format!(
                "error: there is no ./{DEFAULT_FILE} here, and no file was named\n\nThe smallest one that works:\n\n{}\n\
                 Save it as {DEFAULT_FILE} and say `portcullis run`, or go without a file:\n\n    \
                 portcullis run --to http://127.0.0.1:7001\n\nTo see everything at work: portcullis demo",
                indented(SMALLEST)
            ));
            Err(ExitCode::from(WRONG))
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A report, in colour where a person reads it.
fn complain(report: &Report) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let drawn = if colour { report.coloured() } else { report.to_string() };
    say(drawn.trim_end());
}

/// A line to stderr; nobody is left to tell when that fails.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line to stdout; a closed pipe is the reader's choice.
fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}
