//! The configuration file of a running gateway and the files that it names: what is watched, and what a change does.

use std::path::{Path, PathBuf};

use super::run::{Diagnostics, Serving};
use super::{complain, environment, say};
use crate::config::{self, Config, LoadOptions};
use crate::reload::Files;
use crate::server::Server;

/// The configuration file and the files that it names.
pub(super) struct Watched<'a> {
    serving: Serving<'a>,
    /// The configuration file first.
    sources: Vec<PathBuf>,
    files: Option<Files>,
    /// A file is watched that was not when it was read: it may have changed in between.
    again: bool,
    diagnostics: Diagnostics,
}

impl<'a> Watched<'a> {
    pub(super) fn new(serving: Serving<'a>, sources: Vec<PathBuf>, diagnostics: Diagnostics) -> Self {
        let mut watched = Self { serving, sources, files: None, again: false, diagnostics };
        watched.watch();
        watched
    }

    fn watch(&mut self) {
        if self.serving.watch && self.serving.file.is_some() {
            let files = Files::watch(&self.sources);
            self.files = files
                .inspect_err(
                    |error| tracing::warn!(%error, "changes of the configuration are not watched; SIGHUP still works"),
                )
                .ok();
        }
    }

    /// Resolves when a file changed; never when none is watched.
    pub(super) async fn changed(&mut self) {
        if std::mem::take(&mut self.again) {
            return;
        }
        match &mut self.files {
            Some(files) => files.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Reads the file again. A broken one changes nothing: its report goes to stderr, `/readyz` and a metric.
    pub(super) fn reload(&mut self, server: &mut Server) {
        let Some(file) = self.serving.file else { return };
        let gateway = server.gateway().clone();
        match self.take_over(file, server) {
            Ok(()) => {
                tracing::info!(file = %file.display(), "the new configuration is in force");
            }
            Err(problem) => {
                // Noted before it is told: whoever reads the line finds /readyz saying the same.
                gateway.reload_failed(problem);
                tracing::error!(file = %file.display(), "the configuration was not taken over; the last good one goes on");
            }
        }
    }

    fn take_over(&mut self, file: &Path, server: &mut Server) -> Result<(), String> {
        let (config, mut named) = config::load_named(file, &environment, LoadOptions::default());
        let taken_over = config
            .map_err(|report| {
                complain(&report);
                report.to_string()
            })
            .and_then(|config| self.apply(config, server));
        if taken_over.is_err() {
            // What the one in force names counts as well: a file that does not parse names nothing.
            named.extend(self.sources.iter().filter(|known| !named.contains(known)).cloned().collect::<Vec<_>>());
        }
        self.follow(named, taken_over.is_ok());
        taken_over
    }

    fn apply(&self, config: Config, server: &mut Server) -> Result<(), String> {
        let (warnings, log) = (config.warnings.clone(), config.settings.log.clone());
        server.reload(config).map_err(|error| {
            say(&format!("error: {error}"));
            error.to_string()
        })?;
        self.diagnostics.follow(&log);
        if !warnings.is_empty() {
            complain(&warnings);
        }
        Ok(())
    }

    /// Watches these files; those of a configuration that is `in_force` are to be what was read.
    fn follow(&mut self, named: Vec<PathBuf>, in_force: bool) {
        let is_new = |file: &PathBuf| !self.sources.contains(file);
        let grew = named.iter().any(is_new);
        if grew || named.len() != self.sources.len() {
            self.again = grew && in_force && self.serving.watch;
            self.sources = named;
            self.watch();
        }
    }
}
