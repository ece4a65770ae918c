//! `[log]`.

use std::path::Path;

use tracing::Level;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::log::Log;
use crate::config::settings::{AccessLog, LogFormat, LogSettings};

pub(super) fn compile(log: Option<&Log>, folder: &Path, problems: &mut Problems) -> LogSettings {
    let mut settings = LogSettings { access: AccessLog::Stdout, format: LogFormat::Auto, level: Level::INFO };
    let Some(log) = log else { return settings };
    if let Some(format) = log.format.get() {
        settings.format = match format.value {
            "json" => LogFormat::Json,
            "text" => LogFormat::Text,
            _ => LogFormat::Auto,
        };
    }
    if let Some(level) = log.level.get() {
        // The words are those of `Level`.
        settings.level = level.value.parse().unwrap_or(Level::INFO);
    }
    if let Some(access) = log.access.get() {
        settings.access = match &*access.value {
            "" => {
                let problem = Problem::error(&access.span, "`access` is empty");
                problems.note(problem.accepted("\"stdout\", \"off\" or the path of a file"));
                AccessLog::Stdout
            }
            "off" => AccessLog::Off,
            "stdout" => AccessLog::Stdout,
            path => AccessLog::File(folder.join(path)),
        };
    }
    settings
}
