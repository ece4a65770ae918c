//! The configuration: from one TOML file to a [`Plan`] and [`Settings`].
//!
//! Five stages, each of which knows nothing of the next:
//!
//! 1. **read**: the text of the file ([`load`]), one that is handed in ([`from_text_with`]), or one that a [`builder`] wrote.
//! 2. **parse**: TOML, with the place of every value; every syntax error at once.
//! 3. **schema**: `Section` and `Value` walk the tree and take every key of the contract as its kind. What is of another kind
//!    is noted with its place and the walk goes on; a key that nobody asked for is unknown. A string is *resolved* where it
//!    is taken: `${NAME}` from the environment, `file:PATH` where the key holds a secret. Only `resolve` looks at either. What
//!    comes out is the file as written: plain data with places.
//! 4. **compile**: pure. Names find what they name, patterns and templates become what runs, and everything that does not fit
//!    together is noted. After it nothing is looked up by a string and nothing is validated again.
//! 5. **report**: all problems in the order of their places, drawn the way a compiler draws them. Secrets are masked in the
//!    text before anything is drawn.
//!
//! A file with syntax errors is not compiled, since what was made of the broken lines is a guess; the keys on its good lines are
//! still checked.
//!
//! # Testing one's configuration
//!
//! `portcullis check` says whether a file is in order, and `portcullis explain` what would become of a request. A test asks
//! the same: [`Config::summary`] is what `check` prints.
//!
//! ```
//! use portcullis::config::{LoadOptions, from_text_with};
//! let text = r#"
//!     [upstreams]
//!     app = ["${APP:-http://127.0.0.1:7001}"]
//!     [[routes]]
//!     path = "/**"
//!     upstream = "app"
//!     limits = ["10/s"]
//! "#;
//! let env = |name: &str| (name == "APP").then(|| "http://app:80".to_owned());
//! let config = from_text_with("shop.toml", text, &env, LoadOptions::default())?;
//! assert!(config.warnings.is_empty(), "{}", config.warnings);
//! assert!(config.summary().iter().any(|line| line.contains("route /**: public")), "{:?}", config.summary());
//! # Ok::<(), portcullis::config::Report>(())
//! ```
//!
//! Serde takes no part: its derive stops at the first fault and loses places in short forms.

pub mod builder;
mod compile;
mod describe;
mod forms;
#[cfg(test)]
mod golden;
mod key_file;
mod named;
mod problem;
mod reader;
mod redact;
mod report;
mod resolve;
mod schema;
mod section;
mod settings;
mod span;
mod suggest;
pub(crate) mod summary;
mod syntax;
mod taken;
#[cfg(test)]
mod tests;
mod value;

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use portcullis_core::plan::Plan;
use portcullis_core::time::Clock;
use toml::de::DeTable;

pub use crate::parts::{ApiKeySettings, JwtKeys, JwtSettings, RemoteKeys, VerifierSettings};
pub use builder::Builder;
pub use describe::json_schema;
pub use problem::{Level, Problem};
pub(crate) use redact::is_telling;
pub use report::Report;
pub use resolve::Secret;
pub use settings::{
    AccessLog, AdminSettings, ListenAddress, LogFormat, LogSettings, ResolverSettings, ServerSettings, Settings,
    StorePlace, StoreSettings,
};

use compile::Problems;
use reader::{Found, Reader};
use resolve::Surroundings;
use section::Section;

/// What a place of the configuration says that is filled by the program which embeds the gateway: `servers`, `balance`,
/// `kind`, `jwks`, and the `url` of the store. See [`GatewayBuilder`](crate::GatewayBuilder).
pub const IN_CODE: &str = "in-code";

/// A configuration that can run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// A number for the text, the same on every node that runs it; nothing from outside the file is in it.
    pub fingerprint: u64,
    /// What every request is decided by.
    pub plan: Plan,
    /// What the process itself is told.
    pub settings: Settings,
    /// The files it was made from: the configuration itself where it is one, and every file that it names. What to watch.
    pub sources: Vec<PathBuf>,
    /// What the verifiers were made from, in the order of [`Plan::auths`]; holds their secrets.
    pub verifiers: Vec<VerifierSettings>,
    /// What somebody should look at; empty when there is nothing.
    pub warnings: Report,
}

/// How a configuration is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions<'o> {
    /// What relative paths in it are relative to; by default the file's own folder, or the working directory for a text.
    pub folder: Option<&'o Path>,
    /// Whether a variable that is not set and has no default gives a placeholder instead of an error: a secret that is always
    /// the same and no secret, an address, path, host, rate or URL of the word "unset"; a number, duration, size or boolean
    /// counts as not written. For `check --unset-ok` and `explain`: nothing that is made so may serve requests.
    pub unset_ok: bool,
}

/// Looks up an environment variable. `&|name| std::env::var(name).ok()` asks the process's own environment.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The configuration in the file at `path`, with the process's own environment. Paths in it are relative to its folder.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = portcullis::config::load("portcullis.toml")?; // every problem at once, with file and line
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Every problem that the file has, or that it could not be read. Displays as the whole report.
pub fn load(path: impl AsRef<Path>) -> Result<Config, Report> {
    load_with(path.as_ref(), &|name| std::env::var(name).ok(), LoadOptions::default())
}

/// The same, with an environment and in a way of the caller's.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, env: Env<'_>, options: LoadOptions<'_>) -> Result<Config, Report> {
    load_named(path, env, options).0
}

/// The same, and every file that a change of may change the outcome: the configuration itself, and what it names. Mending a
/// file that a broken configuration names may be all that it takes.
pub(crate) fn load_named(
    path: &Path,
    env: Env<'_>,
    options: LoadOptions<'_>,
) -> (Result<Config, Report>, Vec<PathBuf>) {
    let name = path.display().to_string();
    let mut named = vec![path.to_owned()];
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return (Err(unreadable(&name, &error)), named),
    };
    let folder = options.folder.or(path.parent()).unwrap_or(Path::new(""));
    let (read, files) = read(&name, &text, folder, env, options);
    named.extend(files);
    let read = read.map(|config| Config { sources: named.clone(), ..config });
    (read, named)
}

/// The configuration in `text`, which reports call `name`, with the process's own environment. Paths in it are relative to the
/// working directory.
///
/// ```
/// let text = r#"
///     [upstreams]
///     app = ["http://127.0.0.1:7001"]
///     [[routes]]
///     path = "/**"
///     upstream = "ap"
/// "#;
/// let report = portcullis::config::from_text("example", text).unwrap_err();
/// assert!(report.to_string().contains("did you mean `app`?"));
/// ```
///
/// # Errors
/// Every problem that the text has. Displays as the whole report.
pub fn from_text(name: &str, text: &str) -> Result<Config, Report> {
    from_text_with(name, text, &|name| std::env::var(name).ok(), LoadOptions::default())
}

/// The same, with an environment and in a way of the caller's.
///
/// # Errors
/// As [`from_text`].
pub fn from_text_with(name: &str, text: &str, env: Env<'_>, options: LoadOptions<'_>) -> Result<Config, Report> {
    read(name, text, options.folder.unwrap_or(Path::new("")), env, options).0
}

/// What was read, and the files that it names.
fn read(
    name: &str,
    text: &str,
    folder: &Path,
    env: Env<'_>,
    options: LoadOptions<'_>,
) -> (Result<Config, Report>, Vec<PathBuf>) {
    let reader = Reader {
        found: RefCell::new(Found::default()),
        knows_homes: true,
        source: text,
        surroundings: Surroundings {
            env,
            folder: folder.to_owned(),
            now: Clock::system().unix(),
            unset_ok: options.unset_ok,
        },
    };
    let (table, syntax) = DeTable::parse_recoverable(text);
    let file = Section::read(&reader, section::TOP, 0..0, table.get_ref(), schema::File::read);
    let mut found = reader.found.into_inner();
    let files: Vec<_> = found.files.into_iter().collect();
    if !syntax.is_empty() {
        found.problems.retain(|problem| problem.file == 0);
        let problems = syntax::problems(text, &syntax, found.problems);
        return (Err(Report::new(name, text, &found.secrets, problems)), files);
    }

    let mut problems = Problems(found.problems);
    let compiled = compile::compile(&file, folder, &mut problems);
    let report = Report::new(name, text, &found.secrets, problems.0).with(found.read);
    let read = match compiled {
        Some(compiled) => Ok(Config {
            fingerprint: fingerprint(text),
            plan: compiled.plan,
            settings: compiled.settings,
            sources: files.clone(),
            verifiers: compiled.verifiers,
            warnings: report,
        }),
        None => Err(report),
    };
    (read, files)
}

fn fingerprint(text: &str) -> u64 {
    // Its keys are fixed: equal texts are equal numbers on every node of one release.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn unreadable(name: &str, error: &std::io::Error) -> Report {
    let problem = match error.kind() {
        std::io::ErrorKind::InvalidData => Problem::of_file(format!("{name} is not UTF-8 text")).hint("save it as UTF-8"),
        _ => Problem::of_file(format!("cannot read {name}: {}", resolve::reason(error)))
            .hint("name the file, as in `portcullis check FILE`, or start without one: `portcullis run --to http://127.0.0.1:7001`"),
    };
    Report::new(name, "", &[], vec![problem])
}
