//! `portcullis schema`.

use std::process::ExitCode;

use super::print;
use crate::config::json_schema;

#[derive(Debug, clap::Args)]
#[command(after_help = "In an editor that knows JSON Schema for TOML (Taplo, Even Better TOML, tombi):\n  \
                        portcullis schema > portcullis.schema.json\n\
                        and as the first line of portcullis.toml:\n  \
                        #:schema ./portcullis.schema.json")]
pub(super) struct Args {}

pub(super) fn schema(_: &Args) -> ExitCode {
    print(&format!("{:#}", json_schema()));
    ExitCode::SUCCESS
}
