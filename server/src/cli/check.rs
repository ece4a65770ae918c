//! `portcullis check`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{complain, file_or_lesson, load, print};
use crate::config::LoadOptions;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; ./portcullis.toml where left out
    file: Option<PathBuf>,
    /// Put a placeholder where an environment variable is not set, so that a file can be checked away from its home
    #[arg(long)]
    unset_ok: bool,
}

pub(super) fn check(args: &Args) -> ExitCode {
    let loaded = file_or_lesson(args.file.as_ref()).and_then(|file| {
        let config = load(&file, LoadOptions { unset_ok: args.unset_ok, ..LoadOptions::default() })?;
        Ok((file, config))
    });
    match loaded {
        Ok((file, config)) => {
            if !config.warnings.is_empty() {
                complain(&config.warnings);
            }
            print(&format!("{} is good", file.display()));
            config.summary().iter().for_each(|line| print(line));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
