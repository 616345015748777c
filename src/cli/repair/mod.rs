//! `duet repair`: the command line.

mod choose;
mod mending;
mod undo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};

use super::ask::{Address, At};
use super::exit::{misconfigured, print, wait_for};
use crate::config::{Config, load};
use choose::Chooser;

const AFTER_HELP: &str = "\
Makes the keys of a result of `duet verify --output` equal. Each is looked at again first: what is equal by now, or changes \
just then, is left alone. What both regions hold of it goes into a backup. Then the running daemon has the loser take the \
winner's value, as it does after a conflict, so that nothing is lost that clients write meanwhile; and it is looked whether \
both regions are equal.

It needs a running daemon that takes orders (admin.listen). Keys above 64 MiB, keys that a policy holds, and with last-update \
those of which no conflict is on record, are left alone and named, each with what to do.

Exit codes: 0 all keys are equal; 1 some were left alone, or it failed; 78 the configuration is wrong.

Examples:
  duet repair result.db --config pair.toml --winner eu-west --dry-run
  duet repair result.db --config pair.toml --winner eu-west
  duet repair result.db --config pair.toml --winner last-update
  duet repair result.db --config pair.toml --interactive
  duet repair --undo result.db.backup --config pair.toml";

/// Make keys equal that `duet verify` has found to differ
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[command(group = ArgGroup::new("how").required(true).args(["winner", "interactive", "undo"]))]
pub(super) struct Repair {
    /// The file of `duet verify --output`
    #[arg(value_name = "RESULT", required_unless_present = "undo", conflicts_with = "undo")]
    result: Option<PathBuf>,

    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// The region whose values stay; or `last-update`, for keys of which a conflict tells which region wrote last
    #[arg(long, value_name = "REGION")]
    winner: Option<String>,

    /// Ask for each key
    #[arg(long)]
    interactive: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Where what is overwritten is kept; RESULT.backup unless said
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,

    /// Write what a repair has overwritten again, as a new update that goes to both regions, from this backup
    #[arg(long, value_name = "BACKUP")]
    undo: Option<PathBuf>,

    /// Where Duet answers; wins over http.listen of --config
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,
}

impl Repair {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            let tally = match (&self.undo, &self.result) {
                (Some(backup), _) => undo::run(&config, backup, self.dry_run).await?,
                (None, Some(result)) => self.repair(&config, result).await?,
                (None, None) => return Ok(ExitCode::FAILURE),
            };
            let printed = print(&tally.text());
            Ok(if tally.is_whole() { printed } else { ExitCode::FAILURE })
        })
    }

    async fn repair(&self, config: &Config, result: &Path) -> anyhow::Result<Tally> {
        let daemon = At::of(self.config.clone(), self.url.clone()).address().ok();
        let chooser = Chooser::new(config, self.winner.as_deref(), daemon)?;
        let backup = self.backup.clone().unwrap_or_else(|| {
            let mut name = result.as_os_str().to_owned();
            name.push(".backup");
            PathBuf::from(name)
        });
        let door = if self.dry_run { None } else { Some(super::order::To::of(self.config.clone()).door()?) };
        mending::run(config, result, &backup, chooser, door).await
    }
}

/// What became of the keys.
#[derive(Debug, Default)]
struct Tally {
    /// What is counted under `done`, for a person.
    what: &'static str,
    done: u64,
    /// Equal already.
    equal: u64,
    /// Left alone: which, and why; the first of them.
    left: Vec<String>,
    left_count: u64,
    /// What a dry run would do.
    planned: Vec<String>,
    dry: bool,
    backup: Option<PathBuf>,
}

/// Keys that are named.
const NAMED: usize = 50;

impl Tally {
    fn leave(&mut self, (database, name): &crate::verify::Name, why: &str) {
        self.left_count += 1;
        if self.left.len() < NAMED {
            self.left.push(format!("database {database}, key \"{}\": {why}", crate::observe::escaped(name)));
        }
    }

    fn is_whole(&self) -> bool {
        self.left_count == 0 && !self.dry
    }

    fn text(&self) -> String {
        let mut text = match self.dry {
            true => format!("would be {}: {} keys", self.what, self.done),
            false => format!("{}: {} keys", self.what, self.done),
        };
        if self.equal > 0 {
            text.push_str(&format!(", equal already: {}", self.equal));
        }
        if self.left_count > 0 {
            text.push_str(&format!(", LEFT ALONE: {}", self.left_count));
        }
        for line in self.planned.iter().chain(&self.left) {
            text.push_str(&format!("\n  {line}"));
        }
        if let Some(backup) = self.backup.as_ref().filter(|_| self.done > 0 && !self.dry) {
            text.push_str(&format!(
                "\nwhat was overwritten is in {0}; to write it again: duet repair --undo {0}",
                backup.display()
            ));
        }
        text
    }
}
