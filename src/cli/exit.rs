//! How a command ends.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use crate::config::{ConfigError, EXIT_CONFIG};
use crate::observe::log::error_priority;

/// Ends after a failure that a later try may not have.
pub(super) fn failed(error: &dyn Display) -> ExitCode {
    eprintln!("{}duet: {error}", error_priority());
    ExitCode::FAILURE
}

/// Does on this thread what a command waits for; a failure ends it like [`failed`], with its causes in one line.
pub(super) fn wait_for(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command).unwrap_or_else(|error| failed(&format!("{error:#}"))),
        Err(error) => failed(&error),
    }
}

/// Ends because the configuration is wrong.
pub(super) fn misconfigured(error: &ConfigError) -> ExitCode {
    eprintln!("{}duet: {error}", error_priority());
    ExitCode::from(EXIT_CONFIG)
}

/// Writes a line to standard output. A reader that has gone, as `head`, is the only way in which this fails.
pub(super) fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
