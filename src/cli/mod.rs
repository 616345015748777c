//! What a person types: one file a subcommand. Every message of a failure goes to standard error as `duet: ...`.

mod ask;
mod check;
mod conflicts;
mod connection;
mod drill;
mod exit;
mod generate;
mod inspect;
mod order;
mod render;
mod render_conflicts;
mod repair;
mod resolve;
mod run;
mod status;
mod undo;
mod verify;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Start with conf/minimal.toml; conf/full.toml explains every key. Any key can come from the environment: \
DUET__REGION__EU_WEST__PASSWORD_FILE=/run/secrets/eu sets password_file of [region.eu-west].

Examples:
  duet check --config pair.toml        look whether both servers are fit for a pair
  duet run --config pair.toml          keep the pair of this file equal
  duet status --watch                  look how it does, again and again
  duet status --json | jq '.links[].lag_ms'
  duet conflicts --since 10m           which writes of both regions met at one key, and what stayed
  duet why user:7 --config pair.toml   what both regions hold of a key, and why
  duet verify --config pair.toml        whether both regions hold the same, and which keys do not
  duet resolve user:7 --winner eu-west  which region's value a held key keeps

Exit codes:
  0   stopped as asked; for status: both links stream; for why and verify: both regions hold the same
  1   failed; for status: not ready, or not reachable; for why and verify: they differ
  2   the command line is wrong; for verify: it could not come to its end
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
    /// Look whether both servers are fit for a pair
    Check(check::Check),
    /// Show how a running Duet does
    Status(status::Status),
    /// List writes that lost against concurrent ones, or write one of them back
    Conflicts(conflicts::Conflicts),
    /// Decide which region's value a held key keeps
    Resolve(resolve::Resolve),
    /// Let a link read no more, without losing its position
    Pause(order::Pause),
    /// Leave a region in order and come back: a failover drill, step by step
    Drill(drill::Drill),
    /// Hold a link until it is resumed
    Hold(order::Hold),
    /// Let a paused link go on
    Resume(order::Resume),
    /// Let the daemon read its configuration again
    Reload(order::Reload),
    /// Compare a key in both regions, and tell its last conflicts
    Why(why::Why),
    /// Make keys equal that a verification has found to differ
    Repair(repair::Repair),
    /// Compare both regions, and tell which keys differ
    Verify(verify::Verify),
    /// Write manual pages and shell completions, for a package
    #[command(hide = true)]
    Generate(generate::Generate),
    /// Print the version
    Version,
}

/// Does what the command line says; gives the exit code.
pub fn main() -> ExitCode {
    match Duet::parse().command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Status(status) => status.execute(),
        Command::Conflicts(conflicts) => conflicts.execute(),
        Command::Resolve(resolve) => resolve.execute(),
        Command::Pause(pause) => pause.execute(),
        Command::Drill(drill) => drill.execute(),
        Command::Hold(hold) => hold.execute(),
        Command::Resume(resume) => resume.execute(),
        Command::Reload(reload) => reload.execute(),
        Command::Why(why) => why.execute(),
        Command::Repair(repair) => repair.execute(),
        Command::Verify(verify) => verify.execute(),
        Command::Generate(generate) => generate.execute(),
        Command::Version => exit::print(&format!("duet {}", env!("CARGO_PKG_VERSION"))),
    }
}

#[cfg(test)]
mod tests;
