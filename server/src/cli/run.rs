//! `portcullis run`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portcullis_core::time::Clock;
use portcullis_core::upstream::EndpointUrl;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::watched::Watched;
use super::{FAILED, WRONG, complain, environment, file_or_lesson, load, say};
use crate::config::{self, Config, ListenAddress, LoadOptions, LogSettings};
use crate::observe::Format;
use crate::observe::logs::{self, Logs};
use crate::server::Server;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; ./portcullis.toml where left out
    #[arg(conflicts_with_all = ["config", "to"])]
    file: Option<PathBuf>,
    /// The same, named
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    config: Option<PathBuf>,
    /// No file at all: one route, everything to this server
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// With --to: where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", requires = "to")]
    listen: String,
    /// Do not read the file again when it changes; SIGHUP still does
    #[arg(long)]
    no_watch: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (file, config) = match configuration(args) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    serve(config, Serving { file: file.as_deref(), watch: !args.no_watch }, |_| {})
}

fn configuration(args: &Args) -> Result<(Option<PathBuf>, Config), ExitCode> {
    if let Some(url) = args.file.as_ref().and_then(|file| file.to_str()).filter(|file| file.contains("://")) {
        say(&format!("error: `{url}` is a URL and not a file; to forward everything to it: portcullis run --to {url}"));
        return Err(ExitCode::from(WRONG));
    }
    if let Some(url) = &args.to {
        if let Err(error) = url.parse::<EndpointUrl>() {
            say(&format!("error: --to {url}: {error}"));
            return Err(ExitCode::from(WRONG));
        }
        let text = format!(
            "listen = [{}]\n[upstreams]\napp = [{}]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
            quoted(&args.listen),
            quoted(url)
        );
        let config = config::from_text_with("--to", &text, &environment, LoadOptions::default()).map_err(|report| {
            complain(&report);
            ExitCode::from(WRONG)
        })?;
        return Ok((None, config));
    }
    let file = file_or_lesson(args.file.as_ref().or(args.config.as_ref()))?;
    let config = load(&file, LoadOptions::default())?;
    Ok((Some(file), config))
}

/// A TOML string of exactly this text: nothing in it ends the string or is a variable.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.replace("${", "$${").chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What `serve` serves.
#[derive(Clone, Copy)]
pub(super) struct Serving<'a> {
    /// The file that a reload reads; none has no reload.
    pub(super) file: Option<&'a Path>,
    /// Whether a change of the file is a reload.
    pub(super) watch: bool,
}

/// Runs a configuration until a signal ends it. `started` is told once everything listens.
pub(super) fn serve(config: Config, serving: Serving<'_>, started: impl FnOnce(&Server)) -> ExitCode {
    let diagnostics = Diagnostics::start(&config.settings.log);
    if !config.warnings.is_empty() {
        complain(&config.warnings);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: cannot start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    // Listened for from before it is said that we listen: a signal in the first moment is a signal too.
    let signals = match runtime.block_on(async { Signals::new() }) {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("error: cannot listen for signals: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    // Watched from before it is said that we listen: whoever changes the file after that is not missed.
    let watched = Watched::new(serving, config.sources.clone(), diagnostics);
    let server = match Server::start(config, Clock::system()) {
        Ok(server) => server,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::from(WRONG);
        }
    };
    announce(&server);
    started(&server);
    runtime.block_on(control(server, watched, signals));
    ExitCode::SUCCESS
}

/// Diagnostics go to stderr; none when the process has a subscriber of its own already, which it then keeps.
pub(super) struct Diagnostics(Option<Logs>);

impl Diagnostics {
    fn start(settings: &LogSettings) -> Self {
        Self(logs::init(settings.level.into(), Self::format(settings)).ok())
    }

    /// A reload may change the level and the format.
    pub(super) fn follow(&self, settings: &LogSettings) {
        if let Some(logs) = &self.0 {
            logs.set(settings.level.into(), Self::format(settings));
        }
    }

    fn format(settings: &LogSettings) -> Format {
        crate::parts::format(settings).resolve(&std::io::stderr())
    }
}

fn announce(server: &Server) {
    for address in server.listeners() {
        tracing::info!("listening on {}", shown(&address));
    }
    match server.admin_listener() {
        Some(address) => tracing::info!("admin on {}: /livez /readyz /metrics /api/upstreams", shown(address)),
        None => tracing::info!("no admin listener"),
    }
}

/// An address as a person can use it.
fn shown(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp { .. } => format!("http://{address}"),
        _ => address.to_string(),
    }
}

/// Signals and changed files, one after the other, until it is time to go.
async fn control(mut server: Server, mut watched: Watched<'_>, signals: Signals) {
    let Signals { mut stop, mut hangup } = signals;
    loop {
        tokio::select! {
            () = stop.signalled() => break,
            _ = hangup.recv() => {
                server.gateway().reopen_log();
                watched.reload(&mut server);
            }
            () = watched.changed() => watched.reload(&mut server),
        }
    }
    tracing::info!("stopping: finishing what runs; a second signal stops at once");
    tokio::select! {
        drained = server.shutdown() => match drained {
            true => tracing::info!("stopped"),
            false => tracing::warn!("stopped; the grace was over and connections were cut"),
        },
        () = stop.signalled() => tracing::warn!("stopped at once"),
    }
}

/// The signals that are acted on.
struct Signals {
    stop: Stop,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let stop = Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

/// The two signals that end the process.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
