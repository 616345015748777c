//! What a person types: one file a subcommand. Every message of a failure goes to standard error as `duet: ...`.

mod ask;
mod exit;
mod render;
mod run;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Start with conf/minimal.toml; conf/full.toml explains every key. Any key can come from the environment: \
DUET__REGION__EU_WEST__PASSWORD_FILE=/run/secrets/eu sets password_file of [region.eu-west].

Examples:
  duet run --config pair.toml          keep the pair of this file equal
  duet status --watch                  look how it does, again and again
  duet status --json | jq '.links[].lag_ms'

Exit codes:
  0   stopped as asked; for status: both links stream
  1   failed; for status: not ready, or not reachable
  2   the command line is wrong
  78  the configuration is wrong, or its HTTP address cannot be used: restarting does not help";

/// Keeps two unmodified Redis or Valkey deployments, in two regions, equal while clients write to both.
#[derive(Debug, Parser)]
#[command(name = "duet", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Duet {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep a pair equal, until SIGTERM or Ctrl-C
    Run(run::Run),
    /// Show how a running Duet does
    Status(status::Status),
    /// Print the version
    Version,
}

/// Does what the command line says; gives the exit code.
pub fn main() -> ExitCode {
    match Duet::parse().command {
        Command::Run(run) => run.execute(),
        Command::Status(status) => status.execute(),
        Command::Version => exit::print(&format!("duet {}", env!("CARGO_PKG_VERSION"))),
    }
}

#[cfg(test)]
mod tests;
