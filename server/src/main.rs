//! The `portcullis` command. All of it is in the library; see `portcullis::cli`.

use std::process::ExitCode;

/// Small answers, many threads: measured in docs/architecture.md. The library sets no allocator.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}
